//! Russian: genders, the three forms of a counted noun, ordinals with their endings.

use super::{Gender, groups};

#[rustfmt::skip]
const SMALL: [&str; 20] = [
    "ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять", "одиннадцать", "двенадцать",
    "тринадцать", "четырнадцать", "пятнадцать", "шестнадцать", "семнадцать", "восемнадцать", "девятнадцать",
];
#[rustfmt::skip]
const TENS: [&str; 10] = [
    "", "", "двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто",
];
#[rustfmt::skip]
const HUNDREDS: [&str; 10] = [
    "", "сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот",
];
const GROUPS: [RussianForms; 5] = [
    ["", "", ""],
    ["тысяча", "тысячи", "тысяч"],
    ["миллион", "миллиона", "миллионов"],
    ["миллиард", "миллиарда", "миллиардов"],
    ["триллион", "триллиона", "триллионов"],
];

#[rustfmt::skip]
const ORDINALS: [&str; 20] = [
    "нулевой", "первый", "второй", "третий", "четвёртый", "пятый", "шестой", "седьмой", "восьмой", "девятый", "десятый",
    "одиннадцатый", "двенадцатый", "тринадцатый", "четырнадцатый", "пятнадцатый", "шестнадцатый", "семнадцатый",
    "восемнадцатый", "девятнадцатый",
];
#[rustfmt::skip]
const ORDINAL_TENS: [&str; 10] = [
    "", "", "двадцатый", "тридцатый", "сороковой", "пятидесятый", "шестидесятый", "семидесятый", "восьмидесятый",
    "девяностый",
];
#[rustfmt::skip]
const ORDINAL_HUNDREDS: [&str; 10] = [
    "", "сотый", "двухсотый", "трёхсотый", "четырёхсотый", "пятисотый", "шестисотый", "семисотый", "восьмисотый",
    "девятисотый",
];

/// Fronts of 2000th to 9000th.
const THOUSANDS: [&str; 10] =
    ["", "", "двух", "трёх", "четырёх", "пяти", "шести", "семи", "восьми", "девяти"];

/// A noun behind 1, behind 2 to 4, and behind all others.
pub type RussianForms = [&'static str; 3];

/// The ending of an ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// первый.
    Masculine,
    /// первая.
    Feminine,
    /// первое.
    Neuter,
    /// первого.
    Genitive,
    /// первому.
    Dative,
    /// первым.
    Instrumental,
    /// первом.
    Prepositional,
    /// первую.
    Accusative,
    /// первые.
    Plural,
    /// первых.
    PluralGenitive,
}

impl Ending {
    fn letters(self) -> &'static str {
        match self {
            Self::Masculine => "ый",
            Self::Feminine => "ая",
            Self::Neuter => "ое",
            Self::Genitive => "ого",
            Self::Dative => "ому",
            Self::Instrumental => "ым",
            Self::Prepositional => "ом",
            Self::Accusative => "ую",
            Self::Plural => "ые",
            Self::PluralGenitive => "ых",
        }
    }

    fn of_third(self) -> &'static str {
        match self {
            Self::Masculine => "ий",
            Self::Feminine => "ья",
            Self::Neuter => "ье",
            Self::Genitive => "ьего",
            Self::Dative => "ьему",
            Self::Instrumental => "ьим",
            Self::Prepositional => "ьем",
            Self::Accusative => "ью",
            Self::Plural => "ьи",
            Self::PluralGenitive => "ьих",
        }
    }
}

/// Which of [`RussianForms`] stands behind `n`.
pub fn form(n: u64) -> usize {
    match (n % 100, n % 10) {
        (11..=14, _) => 2,
        (_, 1) => 0,
        (_, 2..=4) => 1,
        _ => 2,
    }
}

fn three(part: u64, gender: Gender) -> String {
    let part = part as usize;
    let unit = |u: usize| match (u, gender) {
        (1, Gender::Feminine) => "одна",
        (1, Gender::Neuter) => "одно",
        (2, Gender::Feminine) => "две",
        _ => SMALL[u],
    };
    let rest = part % 100;
    let words = match (rest / 10, rest % 10) {
        _ if rest == 0 => ["", ""],
        _ if rest < 20 => [unit(rest), ""],
        (t, 0) => [TENS[t], ""],
        (t, u) => [TENS[t], unit(u)],
    };
    join(&[&[HUNDREDS[part / 100]], &words[..]].concat())
}

fn join(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

pub fn cardinal(n: u64, gender: Gender) -> String {
    if n == 0 {
        return SMALL[0].into();
    }
    let words = |part: u64, group: usize| match (group, part) {
        // Тысяча, not одна тысяча.
        (1.., 1) if n / 1000u64.pow(group as u32) == 1 => String::new(),
        (0, _) => three(part, gender),
        (1, _) => three(part, Gender::Feminine),
        _ => three(part, Gender::Masculine),
    };
    groups(n, words, |part, group| GROUPS[group][form(part)].into())
}

pub fn ordinal(n: u64, ending: Ending) -> String {
    let whole = |front: u64, last: String| {
        let front = if front > 0 { cardinal(front, Gender::Masculine) } else { String::new() };
        join(&[&front, &last])
    };
    let bend = |word: &str| match word {
        "третий" => format!("трет{}", ending.of_third()),
        // второй, шестой, сороковой
        _ if word.ends_with("ой") && ending == Ending::Masculine => word.to_string(),
        _ => format!("{}{}", word.trim_end_matches("ый").trim_end_matches("ой"), ending.letters()),
    };
    let (rest, hundreds) = (n % 100, n % 1000);
    match (rest / 10, rest % 10) {
        _ if n == 0 => bend(ORDINALS[0]),
        _ if (1..20).contains(&rest) => whole(n - rest, bend(ORDINALS[rest as usize])),
        (t, 0) if rest > 0 => whole(n - rest, bend(ORDINAL_TENS[t as usize])),
        (_, u) if rest > 0 => whole(n - u, bend(ORDINALS[u as usize])),
        _ if hundreds > 0 => whole(n - hundreds, bend(ORDINAL_HUNDREDS[hundreds as usize / 100])),
        _ if n == 1000 => bend("тысячный"),
        _ if n < 10_000 => bend(&format!("{}тысячный", THOUSANDS[n as usize / 1000])),
        _ if n == 1_000_000 => bend("миллионный"),
        // Larger round ones are rare: as cardinals.
        _ => cardinal(n, Gender::Masculine),
    }
}
