//! Russian: the letter rules of the Festival voice `msu_ru_nsh` (Nickolay V. Shmyrev 2005, BSD-like licence), after Kasatkin,
//! "Phonetics of the modern Russian language", 2003. Changed: vowels behind ш, ж, ц; devoicing before ф, ц; clitics.
//!
//! A word's stress is not in its letters. It comes from the spelling (ё, a plus or an acute), else from outside.

use super::phones;
use super::rules::Rules;
use crate::tts::Language;
use std::sync::LazyLock;

/// Letters of vowels.
pub const VOWELS: &str = "аеёиоуыэюя";

/// Words without a stress of their own, that lean on the next one.
const PROCLITICS: [&str; 25] = [
    "в", "во", "с", "со", "к", "ко", "на", "за", "из", "от", "до", "по", "под", "у", "о", "об", "при", "без",
    "для", "и", "а", "но", "не", "ни", "что",
];

/// The same, leaning on the one before.
const ENCLITICS: [&str; 8] = ["бы", "б", "ли", "ль", "же", "ж", "то", "ка"];

const CLASSES: [(char, &str); 2] = [
    // Letters that make the consonant before them soft.
    ('S', "яёюиье"),
    // Behind these е, ё, ю, я begin with j.
    ('J', "#ъьаяоёуюэеиы"),
];

const TABLE: &str = "
    #[чт]о = sh t
    и[ч]ная = sh
    о[ч]ник = sh
    не[ч]но = sh
    ро[ч]но = sh
    син[т]ез = t
    ин[т]ерв = t
    ин[т]ерф = t
    ин[т]ерн = t
    ин[т]ерп = t
    эс[т]ет = t
    а[н]еля = n
    #со[н]ет = n
    тун[н]ел = n
    #[б]екинг = b
    #[б]ейкер = b
    #мо[д]ест = d
    #эк[з]ем = z
    #э[н]ей = n
    #б[р]енди# = r
    #арти[лл]ер = ll
    #же[н]щин = nn
    #[здр]авст = z d r
    #здра[вств] = s t v
    чу[вств] = s t v
    со[лн]це = n
    се[рд]ц = r
    поло[г]о# = g
    стро[г]о# = g
    #немно[г]о = g
    #намно[г]о = g
    #мно[г]о = g
    #доро[г]о# = g
    #бо[г]# = h
    е[г]одня# = v
    о[г]о# = v
    е[г]о# = v
    о[г]ося# = v
    е[г]ося# = v
    [г]к = h
    л[ьо] = j o
    [сьо] = ss j o
    #[э]кскур = i
    #[э]лектр = i

    [а] = a
    [ы] = y
    [о] = o
    [у] = u
    [э] = e
    J[ю] = j u
    J[я] = j a
    J[е] = j e
    J[ё] = j o
    ь[и] = j i
    [ё] = o
    [е] = e
    [я] = a
    [ю] = u
    [и] = i

    [в]ств =
    [ст]с = s
    [сть]с = s
    [рд]ц = r
    [рд]ч = r
    [лн]ц = n
    [ст]ц = s
    [зд]ц = z
    [нт]ц = n
    [нд]ц = n
    [нд]ш = n
    [ст]н = s
    [зд]н = z
    [нт]с = n
    [нд]с = n
    [нг]т = n
    [сш]ест = sh
    [сч] = sch
    [зч] = sch
    [жч] = sch
    [сш] = sh
    [зш] = sh
    [зж] = zh
    [сж] = zh
    [ч]ш = t
    [д]ц =
    [тьс]я = c
    [тс]я = c

    #э[м]м = m
    [б]б =
    [р]р =
    [н]н =
    [м]м =
    [с]с =
    [к]к =
    [п]п =
    [л]л =
    [т]т =
    [ф]ф =

    [б]S = bb
    [в]S = vv
    [г]S = gg
    [д]S = dd
    [з]S = zz
    [к]S = kk
    [л]S = ll
    [м]S = mm
    [н]S = nn
    [п]S = pp
    [р]S = rr
    [с]S = ss
    [т]S = tt
    [ф]S = ff
    [х]S = hh

    [б] = b
    [в] = v
    [г] = g
    [д] = d
    [ж] = zh
    [з] = z
    [к] = k
    [л] = l
    [м] = m
    [н] = n
    [п] = p
    [р] = r
    [с] = s
    [т] = t
    [ф] = f
    [х] = h
    [ц] = c
    [ч] = ch
    [ш] = sh
    [щ] = sch
    [й] = j
    [ъ] =
    [ь] =
";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Language::Russian, &CLASSES, TABLE));

/// Voiced consonants and their voiceless partners.
const PAIRS: [(&str, &str); 11] = [
    ("b", "p"),
    ("bb", "pp"),
    ("v", "f"),
    ("vv", "ff"),
    ("zh", "sh"),
    ("z", "s"),
    ("zz", "ss"),
    ("g", "k"),
    ("gg", "kk"),
    ("d", "t"),
    ("dd", "tt"),
];

/// Consonants that take the voice of the one before them away, and those that give theirs to it.
const VOICELESS: [&str; 16] =
    ["p", "pp", "sh", "s", "ss", "t", "tt", "k", "kk", "sch", "ch", "h", "hh", "f", "ff", "c"];
const VOICING: [&str; 9] = ["b", "bb", "zh", "z", "zz", "d", "dd", "g", "gg"];

/// The name of a letter, Russian or Latin, as words.
#[rustfmt::skip]
pub fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'а' => "а", 'б' => "бэ", 'в' => "вэ", 'г' => "гэ", 'д' => "дэ", 'е' => "е", 'ё' => "ё", 'ж' => "жэ", 'з' => "зэ", 'и' => "и",
        'й' => "и кр+аткое", 'к' => "ка", 'л' => "эль", 'м' => "эм", 'н' => "эн", 'о' => "о", 'п' => "пэ", 'р' => "эр", 'с' => "эс",
        'т' => "тэ", 'у' => "у", 'ф' => "эф", 'х' => "ха", 'ц' => "цэ", 'ч' => "че", 'ш' => "ша", 'щ' => "ща", 'ъ' => "твёрдый знак",
        'ы' => "ы", 'ь' => "м+ягкий знак", 'э' => "э", 'ю' => "ю", 'я' => "я",
        'a' => "эй", 'b' => "би", 'c' => "си", 'd' => "ди", 'e' => "и", 'f' => "эф", 'g' => "джи", 'h' => "эйч", 'i' => "ай",
        'j' => "джей", 'k' => "кей", 'l' => "эль", 'm' => "эм", 'n' => "эн", 'o' => "оу", 'p' => "пи", 'q' => "кью", 'r' => "ар",
        's' => "эс", 't' => "ти", 'u' => "ю", 'v' => "ви", 'w' => "д+абл ю", 'x' => "икс", 'y' => "уай", 'z' => "зет",
        _ => return None,
    })
}

/// How many vowels `word` has.
pub fn vowels(word: &str) -> usize {
    word.chars().filter(|c| VOWELS.contains(*c)).count()
}

/// Whether `word` has no stress of its own, and whether it then leans on the next word.
pub fn clitic(word: &str) -> Option<bool> {
    let leans_on_next = PROCLITICS.contains(&word);
    (leans_on_next || ENCLITICS.contains(&word)).then_some(leans_on_next)
}

/// The stressed vowel where the spelling tells it, counted from the end: the only one, ё, or one marked by a plus before or an
/// acute behind it. And the word without marks.
pub fn marked_stress(word: &str) -> (String, Option<usize>) {
    let (mut plain, mut marked, mut behind_plus) = (String::new(), None, false);
    let mut seen = 0;
    for c in word.chars() {
        match c {
            '+' => behind_plus = true,
            '\u{301}' => marked = marked.or(Some(seen)),
            c => {
                plain.push(c);
                if VOWELS.contains(c) {
                    seen += 1;
                    if behind_plus {
                        marked = Some(seen);
                    }
                }
                behind_plus = false;
            }
        }
    }
    let yo = || {
        let vowels = plain.chars().filter(|c| VOWELS.contains(*c));
        vowels.enumerate().filter(|(_, c)| *c == 'ё').last().map(|(i, _)| i + 1)
    };
    let marked = marked.filter(|&m| m > 0).or_else(yo).or((seen == 1).then_some(1));
    (plain, marked.map(|m| seen + 1 - m))
}

/// The phones of `word`, whose stressed vowel is number `stress` from the end, 0 for none; `is_yo` where its written е is a ё.
pub fn phones(word: &str, stress: usize, is_yo: bool) -> Vec<&'static str> {
    let mut letters: Vec<char> = word.chars().filter(|&c| c != '-').collect();
    let nuclei: Vec<usize> = (0..letters.len()).filter(|&i| VOWELS.contains(letters[i])).collect();
    let stressed = nuclei.len().checked_sub(stress).filter(|_| stress > 0).map(|i| nuclei[i]);
    if let Some(at) = stressed.filter(|&at| is_yo && letters[at] == 'е') {
        letters[at] = 'ё';
    }
    let mut said: Vec<&'static str> = Vec::new();
    // Where vowels stand, and which of them has the stress.
    let mut accent = None;
    for spoken in RULES.apply(&letters) {
        for &phone in spoken.phones {
            let name = phones::RUSSIAN[usize::from(phone)];
            if is_vowel(name) && stressed.is_some_and(|at| (spoken.from..spoken.to).contains(&at)) {
                accent = Some(said.len());
            }
            said.push(name);
        }
    }
    reduce(&mut said, accent);
    assimilate(&mut said);
    said
}

fn is_vowel(phone: &str) -> bool {
    phone.starts_with(['a', 'e', 'i', 'o', 'u', 'y'])
}

fn is_soft(phone: &str) -> bool {
    matches!(phone, "ch" | "sch" | "j") || (phone.len() == 2 && phone.as_bytes()[0] == phone.as_bytes()[1])
}

/// Vowels by their place before or behind the stressed one, phone number `accent`.
fn reduce(said: &mut [&'static str], accent: Option<usize>) {
    let before_accent = accent.and_then(|at| said[..at].iter().rposition(|p| is_vowel(p)));
    let written: Vec<&str> = said.to_vec();
    for (i, phone) in said.iter_mut().enumerate() {
        if !is_vowel(phone) {
            continue;
        }
        let last = i.checked_sub(1).map(|i| written[i]);
        let (soft, hard) = (last.is_some_and(is_soft), last.is_some_and(|p| matches!(p, "sh" | "zh" | "c")));
        // Behind ш, ж and ц an и is said as ы.
        let vowel = if *phone == "i" && hard { "y" } else { *phone };
        let open = last.is_none_or(|p| p == "j" || is_vowel(p)) || i + 1 == written.len();
        let (first, is_accent) = (before_accent == Some(i), accent == Some(i));
        *phone = match vowel {
            "a" | "o" | "e" | "i" | "y" | "u" if is_accent => match vowel {
                "a" => "aa",
                "o" => "oo",
                "e" => "ee",
                "i" => "ii",
                "y" => "yy",
                _ => "uu",
            },
            "a" | "o" if first && soft && last != Some("j") => "i",
            "a" | "o" if open || first => "a",
            "i" | "y" if open || first => vowel,
            "u" if open || first => "u",
            "u" => "ur",
            "e" if open => "e",
            "e" if first => {
                if soft {
                    "i"
                } else {
                    "y"
                }
            }
            _ if soft => "ae",
            _ => "ay",
        };
    }
}

/// Consonants take over the voice of the next one, from the end of the word.
fn assimilate(said: &mut [&'static str]) {
    for i in (0..said.len().saturating_sub(1)).rev() {
        said[i] = voiced_as(said[i], said[i + 1]);
    }
}

fn voiced_as(phone: &'static str, next: &str) -> &'static str {
    if VOICELESS.contains(&next) {
        PAIRS.iter().find(|p| p.0 == phone).map_or(phone, |p| p.1)
    } else if VOICING.contains(&next) {
        PAIRS.iter().find(|p| p.1 == phone).map_or(phone, |p| p.0)
    } else {
        phone
    }
}

/// The end of a word in front of the next one, `None` at a pause: without voice but before a voiced consonant. A word that
/// leans on the next one keeps its voice as inside a word.
pub fn join(word: &mut [&'static str], leans_on_next: bool, next: Option<&str>) {
    let Some(last) = word.last_mut() else { return };
    *last = match next {
        Some(next) if leans_on_next || VOICING.contains(&next) => voiced_as(last, next),
        _ if leans_on_next => last,
        _ => voiced_as(last, "p"),
    };
    assimilate(word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_as_the_voice_was_labelled() {
        for (word, stress, said) in [
            ("корреспондент", 1, "k ay rr ae s p a n dd ee n t"),
            ("американской", 2, "a mm ae rr i k aa n s k ay j"),
            ("проникал", 1, "p r ay nn i k aa l"),
            ("сводчатого", 4, "s v oo t ch ae t ay v a"),
            ("стеклом", 1, "s tt i k l oo m"),
            ("отверстия", 3, "a t vv ee r s tt ae j a"),
            ("вчера", 1, "f ch i r aa"),
            ("сделать", 2, "z dd ee l ay tt"),
            ("жить", 1, "zh yy tt"),
            ("учиться", 2, "u ch ii c a"),
            ("счастье", 2, "sch aa s tt j e"),
            ("что", 1, "sh t oo"),
        ] {
            assert_eq!(phones(word, stress, false).join(" "), said, "{word}");
        }
        assert_eq!(phones("идет", 1, true).join(" "), "i dd oo t");
    }

    #[test]
    fn marks_tell_the_stress() {
        assert_eq!(marked_stress("з+амок"), ("замок".into(), Some(2)));
        assert_eq!(marked_stress("замо\u{301}к"), ("замок".into(), Some(1)));
        assert_eq!(marked_stress("самолёт"), ("самолёт".into(), Some(1)));
        assert_eq!(marked_stress("лес"), ("лес".into(), Some(1)));
        assert_eq!(marked_stress("замок"), ("замок".into(), None));
        assert_eq!(marked_stress("\u{301}+"), (String::new(), None));
    }

    #[test]
    fn a_word_ends_without_voice_but_before_a_voiced_consonant() {
        let end = |word: &str, leans: bool, next: Option<&str>| {
            let mut said = phones(word, vowels(word).min(1), false);
            join(&mut said, leans, next);
            said.last().copied().unwrap()
        };
        assert_eq!(end("год", false, None), "t");
        assert_eq!(end("год", false, Some("aa")), "t");
        assert_eq!(end("год", false, Some("b")), "d");
        assert_eq!(end("в", true, Some("aa")), "v");
        assert_eq!(end("в", true, Some("p")), "f");
        assert_eq!(end("с", true, Some("d")), "z");
    }
}
