use super::*;

/// Words of CMUdict and of the lexicon of festvox-ru, drawn by chance, with what these say of them.
const ENGLISH: &str = include_str!("samples/en.txt");
const RUSSIAN: &str = include_str!("samples/ru.txt");

fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(|l| l.split_once(' ').unwrap())
}

#[test]
fn words_of_a_lexicon_are_said_as_the_lexicon_says() {
    let english = Pronouncer::shipped(Language::English).unwrap();
    let mut wrong = Vec::new();
    for (word, said) in lines(ENGLISH) {
        let got: Vec<&str> = english.word(word).iter().map(|&p| phones::ENGLISH[usize::from(p)]).collect();
        wrong.extend((got.join(" ") != said).then_some((word, got.join(" "))));
    }
    let russian = Pronouncer::shipped(Language::Russian).unwrap();
    for (word, said) in lines(RUSSIAN) {
        let (stress, is_yo) = russian.russian_stress(word);
        let got = format!("{stress}{}", if is_yo { "ё" } else { "" });
        wrong.extend((got != said).then_some((word, got)));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(lines(ENGLISH).count() + lines(RUSSIAN).count(), 500);
}

/// The model alone, whose exceptions are most of what it gets wrong.
#[test]
fn the_model_says_words_that_it_has_never_seen() {
    let file = shipped::say("g2p-en").unwrap();
    let model = PromptModel::open(file, "g2p-en", phones::ENGLISH.len()).unwrap();
    let names = |word: &str| {
        let said = model.phones(word).unwrap();
        said.iter().map(|&p| phones::ENGLISH[usize::from(p)]).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("blick"), "B L IH1 K");
    assert_eq!(names("snarfing"), "S N AA1 R F IH0 NG");
    // Longer than any line that it has seen, in pieces.
    assert!(names(&"supercalifragilistic".repeat(3)).split(' ').count() > 40);
    assert_eq!(model.phones("ж"), None);
    assert_eq!(model.phones(""), None);
    assert_eq!(model.phones("a|b"), None);
}

#[test]
fn what_is_no_model_of_pronunciations_is_refused() {
    let text = shipped::model(shipped::TEXT).unwrap();
    let error = PromptModel::open(text, "text", 10).err().unwrap();
    assert!(format!("{error:#}").contains("it has no symbol '|'"), "{error:#}");
    assert!(PromptModel::open(b"no checkpoint", "x", 10).is_err());
}
