use super::*;
use proptest::prelude::*;

/// What is said of `text`: words, letters as capitals, pauses as `|`.
fn said(language: Language, text: &str) -> String {
    let items = normalise::normalise(language, text, &mut Vec::new());
    let words: Vec<String> = items
        .iter()
        .map(|item| match item {
            Item::Word(word) => word.clone(),
            Item::Letter(c) => c.to_uppercase().to_string(),
            Item::Pause => "|".into(),
        })
        .collect();
    words.join(" ").trim_end_matches([' ', '|']).to_string()
}

fn check(language: Language, table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(text, want)| (text, want, said(language, text)))
        .filter(|(_, want, got)| *want != got)
        .map(|(text, want, got)| format!("{text}\n   wanted {want}\n   got    {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn english_is_read_sensibly() {
    check(
        Language::English,
        &[
            ("Hello, my name is Allison.", "hello | my name is allison"),
            ("I don't know; it's 5 o'clock!", "i don't know | it's five o'clock"),
            ("“Well-known,” he said—twice…", "well known | he said | twice"),
            (
                "42 apples, 1,234,567 pears",
                "forty two apples | one million two hundred thirty four thousand five hundred sixty seven pears",
            ),
            ("Room 007", "room zero zero seven"),
            ("3.14 and -5 and −2.50", "three point one four and minus five and minus two point five zero"),
            ("the 1st, 2nd, 23rd of 112th", "the first | second | twenty third of one hundred twelfth"),
            (
                "in 1984, 2005, 2026 and the 1990s",
                "in nineteen eighty four | two thousand five | twenty twenty six and the nineteen nineties",
            ),
            (
                "at 7:30 or 7:05 or 7:00 or 10:00 pm",
                "at seven thirty or seven oh five or seven o'clock or ten P M",
            ),
            ("2026-11-27", "november twenty seventh twenty twenty six"),
            ("11/27/2026", "november twenty seventh twenty twenty six"),
            ("May 3, 2026 and 3 May", "may third twenty twenty six and may third"),
            ("May 3rd", "may third"),
            (
                "$5.20, $1, €3, £0.50 and 5 €",
                "five dollars twenty cents | one dollar | three euros | fifty pence and five euros",
            ),
            ("$3.5 million, $5m", "three point five million dollars | five million dollars"),
            ("-$5", "minus five dollars"),
            (
                "5% of 10 km, 1 kg, 20°C, 90 km/h",
                "five percent of ten kilometers | one kilogram | twenty degrees celsius | ninety kilometers per hour",
            ),
            ("5 in a row, 6 in", "five in a row | six in"),
            (
                "Call +1 (555) 123-4567 or 555-1234",
                "call plus one | five five five | one two three | four five six seven | or | five five five | one two three four",
            ),
            ("10–20 people, 5-10", "ten to twenty people | five to ten"),
            ("1/2, 3/4, 2/3", "one half | three quarters | two thirds"),
            ("version 1.2.3", "version one point two point three"),
            (
                "Dr. Smith and Mr. Jones, Main St., St. Paul",
                "doctor smith and mister jones | main street | saint paul",
            ),
            ("e.g. this, i.e. that, etc.", "for example this | that is that | et cetera"),
            ("10 a.m. in the U.S. by J. R. Smith", "ten A M in the U S by J R smith"),
            ("USB, the FBI's CPU, NASA, URLs", "U S B | the F B I 's C P U | nasa | U R L 's"),
            ("A4, mp3, B2B, COVID-19, 4K", "A four | M P three | B two B | covid nineteen | four K"),
            (
                "Henry VIII, Chapter IV, World War II, I",
                "henry the eighth | chapter four | world war two | i",
            ),
            ("STOP NOW", "stop now"),
            (
                "See www.example.com/a-b or mail jo@site.org.",
                "see W W W dot example dot com slash A dash B or mail J O at site dot org",
            ),
            ("https://example.com/", "example dot com"),
            ("No. 5, #7, Q&A, 2+2=4", "number five | number seven | Q and a | two plus two equals four"),
            ("café naïve Ｆｕｌｌ", "cafe naive full"),
            ("привет", "privet"),
            ("plan b, vitamin C", "plan B | vitamin C"),
            ("‘quoted’ 'tis", "quoted tis"),
            ("well - yes (no) [maybe]", "well | yes | no | maybe"),
            ("100,000 m2", "one hundred thousand square meters"),
            (
                "999999999999999999999",
                "nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine nine",
            ),
        ],
    );
}

#[test]
fn russian_is_read_sensibly() {
    check(
        Language::Russian,
        &[
            ("Привет, как дела?", "привет | как дела"),
            (
                "21 книга, 2 минуты, 1 окно, 5 домов",
                "двадцать одна книга | две минуты | одно окно | пять домов",
            ),
            ("1 234 567", "миллион двести тридцать четыре тысячи пятьсот шестьдесят семь"),
            ("3,14 и -5", "три и четырнадцать и минус пять"),
            (
                "в 1984 году, 1984 год, в 1984 г.",
                "в тысяча девятьсот восемьдесят четвёртом году | тысяча девятьсот восемьдесят четвёртый год | в тысяча девятьсот восемьдесят четвёртом году",
            ),
            ("27.11.2026", "двадцать седьмое ноября две тысячи двадцать шестого года"),
            ("Он родился 3 мая 1945 года.", "он родился третьего мая тысяча девятьсот сорок пятого года"),
            ("3 мая", "третье мая"),
            ("в 7:30 и 7:05", "в семь тридцать и семь ноль пять"),
            (
                "5 ₽, 1 руб., 2 рубля, $2,50",
                "пять рублей | один рубль | два рубля | два доллара пятьдесят центов",
            ),
            ("5 млн руб.", "пять миллионов рублей"),
            (
                "5%, 1 км, 2,5 кг, 20 °C",
                "пять процентов | один километр | два и пять килограмма | двадцать градусов цельсия",
            ),
            ("1-й, 2-я, 5-го, 90-е", "первый | вторая | пятого | девяностые"),
            (
                "Тел. 8 800 555-35-35",
                "телефон | восемь | восемь ноль ноль | пять пять пять | три пять | три пять",
            ),
            ("т. е. так, т.е. так и т. д.", "то есть так | то есть так и так далее"),
            ("ул. Ленина, д. 5, г. Москва", "улица ленина | дом пять | город москва"),
            ("США, СССР, ФСБ, НАТО, ООН", "С Ш А | С С С Р | Ф С Б | нато | О О Н"),
            ("XIX век, в XX веке, Пётр I", "девятнадцатый век | в двадцатом веке | пётр первый"),
            ("кто-то, из-за", "кто-то | из за"),
            ("Google и USB", "гугле и U S B"),
            ("А. С. Пушкин", "А С пушкин"),
            ("№ 5", "номер пять"),
            ("вол+ос за\u{301}мок", "вол+ос за\u{301}мок"),
            ("«Стой!» — сказал он.", "стой | сказал он"),
            ("1/2, 2/3", "одна вторая | две третьих"),
        ],
    );
}

#[test]
fn spanish_italian_and_french_are_read_sensibly() {
    check(
        Language::Spanish,
        &[
            ("¿Qué tal? ¡Muy bien!", "qué tal | muy bien"),
            ("21 casas, 21 euros, 31 días", "veintiuna casas | veintiún euros | treinta y un días"),
            ("El 3 de mayo de 2026", "el tres de mayo de dos mil veintiséis"),
            ("a las 7:30", "a las siete y treinta"),
            ("5,50 €", "cinco euros cincuenta céntimos"),
            ("Sr. López, EE. UU.", "señor lópez | estados unidos"),
            ("1.234.567", "un millón doscientos treinta y cuatro mil quinientos sesenta y siete"),
            ("5% de 10 km", "cinco por ciento de diez kilómetros"),
            ("FBI, ONU", "F B I | onu"),
            ("la 1ª, el 2º", "la primera | el segundo"),
        ],
    );
    check(
        Language::Italian,
        &[
            ("Ciao, come stai?", "ciao | come stai"),
            ("L'acqua dell'isola", "l acqua dell isola"),
            ("28 euro, 5,50 €", "ventotto euro | cinque euro cinquanta centesimi"),
            ("alle 7:30", "alle sette e trenta"),
            ("27/11/2026", "ventisette novembre due mila ventisei"),
            ("10 km, 5%", "dieci chilometri | cinque per cento"),
        ],
    );
    check(
        Language::French,
        &[
            ("C'est l'homme d'aujourd'hui.", "ç est l homme d aujourd'hui"),
            (
                "71 euros, 80, 3,50 €",
                "soixante et onze euros | quatre vingts | trois euros cinquante centimes",
            ),
            ("à 7:30", "à sept heures trente"),
            ("le 1er mai, la 2e fois", "le premier mai | la deuxième fois"),
            ("M. Dupont", "monsieur dupont"),
            ("10 km, 5 %", "dix kilomètres | cinq pour cent"),
        ],
    );
}

#[test]
fn what_can_not_be_said_is_named() {
    let unread = |language, text: &str| {
        let mut unread = Vec::new();
        let items = normalise::normalise(language, text, &mut unread);
        let names: Vec<String> = unread.iter().map(ToString::to_string).collect();
        (items.iter().filter(|i| **i != Item::Pause).count(), names.join("; "))
    };
    let english = |text| unread(Language::English, text);
    assert_eq!(english("hi 😀 there"), (2, "😀 (U+1F600)".into()));
    assert_eq!(
        english("שלום 你好"),
        (0, "ש (U+05E9); ל (U+05DC); ו (U+05D5); ם (U+05DD); 你 (U+4F60); 好 (U+597D)".into())
    );
    assert_eq!(english("a\u{7}b"), (2, "U+0007".into()));
    assert_eq!(
        english("<speak>Hi<break time=\"1 s\"/> you&nbsp;there</speak>"),
        (3, "the markup <speak>; the markup <break time=\\\"1 s\\\"/>; the markup &nbsp;; the markup </speak>".into())
    );
    assert_eq!(english("2 < 3"), (4, String::new()));
    assert_eq!(unread(Language::Russian, "ξ и я"), (2, "ξ (U+03BE)".into()));
}

fn front_end(language: Language) -> FrontEnd {
    FrontEnd::new(language).unwrap()
}

fn phones(front_end: &FrontEnd, text: &str) -> String {
    let (utterances, _) = front_end.read(text);
    let words = utterances.iter().flat_map(|u| &u.words);
    words.map(|w| w.phones.join(" ")).collect::<Vec<_>>().join(" | ")
}

#[test]
fn sentences_have_their_phones() {
    let english = front_end(Language::English);
    assert_eq!(
        phones(&english, "Hello, my name is Allison."),
        "HH AH0 L OW1 | M AY0 | N EY1 M | IH0 Z | AE1 L AH0 S AH0 N"
    );
    assert_eq!(
        phones(&english, "The apple, the USB."),
        "DH IY0 | AE1 P AH0 L | DH AH0 | Y UW1 | EH1 S | B IY1"
    );
    assert_eq!(phones(&english, "PCs, the FBI's"), "P IY1 | S IY1 | Z | DH IY0 | EH1 F | B IY1 | AY1 | Z");
    let russian = front_end(Language::Russian);
    assert_eq!(phones(&russian, "В вол+осах и в плен+у."), "v | v a l oo s ay h | i | f | p ll i n uu");
    assert_eq!(phones(&russian, "США"), "ee s | sh aa | aa");
    assert_eq!(phones(&front_end(Language::Spanish), "La ONU."), "l a0 | o1 n u0");
    assert_eq!(phones(&front_end(Language::French), "C'est les amis."), "s | E | l e z | a m i");
    assert_eq!(phones(&front_end(Language::Italian), "L'acqua."), "l | a1 k k w a0");
}

#[test]
fn a_sentence_ends_with_its_break() {
    let english = front_end(Language::English);
    let (utterances, _) = english.read("Is it, Bob? Yes! It is");
    let breaks: Vec<Vec<Break>> =
        utterances.iter().map(|u| u.words.iter().map(|w| w.after).collect()).collect();
    use Break::{Exclamation, None, Phrase, Question, Statement};
    assert_eq!(breaks, [vec![None, Phrase, Question], vec![Exclamation], vec![None, Statement]]);
    assert_eq!(english.read("... - \n\n !?").0, []);
}

const STORY: &str = "Dr. Watson paid $5.20 at 7:30 p.m. on May 3, 2026! \"Why?\" he asked… The U.S. (and J. R. Smith) said: no.\n\n\
                     A heading\n\nOne line\nof a long text, which goes on";

#[test]
fn pieces_of_any_size_give_what_the_whole_gives() {
    let english = front_end(Language::English);
    let whole = english.read(STORY);
    assert_eq!(whole.0.len(), 5);
    for size in [1, 2, 7, 50] {
        let mut reader = english.reader();
        let letters: Vec<char> = STORY.chars().collect();
        let mut got: Vec<Utterance> =
            letters.chunks(size).flat_map(|piece| reader.push(&String::from_iter(piece))).collect();
        got.extend(reader.finish());
        assert_eq!((got, reader.unread().to_vec()), whole, "{size}");
    }
}

#[test]
fn a_long_text_is_read_in_bounded_memory() {
    let english = front_end(Language::English);
    let mut reader = english.reader();
    let (mut bytes, mut words, mut longest) = (0, 0, 0);
    while bytes < 10 << 20 {
        for u in reader.push(STORY).iter().chain(&reader.push(" without an end ")) {
            longest = longest.max(u.words.len());
            words += u.words.len();
        }
        bytes += STORY.len() + 16;
        assert!(reader.sentences.held() < 4096);
    }
    assert!(words > bytes / 10 && longest <= MOST_WORDS, "{words} {longest}");
    for text in ["9", "a", "<a", "1-", "$.", "(", "1.", "+1 (", "a.b@", "I"].map(|t| t.repeat(20_000)) {
        let (utterances, _) = english.read(&text);
        assert!(utterances.iter().all(|u| u.words.len() <= MOST_WORDS));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_stops_the_reader(text in "(\\PC{0,12}|[0-9.,:/$€%+-]{1,8}|[A-Za-zА-яёé']{1,9}|[ \n.!?]){0,24}") {
        for language in Language::ALL {
            let front_end = FrontEnd::with(Pronouncer::new(language, None, Default::default()));
            let (whole, unread) = front_end.read(&text);
            for u in &whole {
                prop_assert!(!u.words.is_empty() && u.words.len() <= MOST_WORDS);
                prop_assert!(u.words.last().is_some_and(|w| w.after != Break::None));
                for w in &u.words {
                    prop_assert!(!w.phones.is_empty());
                    prop_assert!(w.phones.iter().all(|p| language.phones().contains(&&p[..])), "{w:?}");
                }
            }
            let mut reader = front_end.reader();
            let mut pieces = Vec::new();
            for c in text.chars() {
                pieces.extend(reader.push(&c.to_string()));
            }
            pieces.extend(reader.finish());
            prop_assert_eq!(&pieces, &whole);
            prop_assert_eq!(reader.unread(), &unread[..]);
        }
    }
}
