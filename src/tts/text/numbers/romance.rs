//! Spanish, Italian and French.

use super::{Gender, groups};

#[rustfmt::skip]
const SPANISH: [&str; 30] = [
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce", "trece", "catorce",
    "quince", "dieciséis", "diecisiete", "dieciocho", "diecinueve", "veinte", "veintiuno", "veintidós", "veintitrés",
    "veinticuatro", "veinticinco", "veintiséis", "veintisiete", "veintiocho", "veintinueve",
];
const SPANISH_TENS: [&str; 10] =
    ["", "", "", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"];
#[rustfmt::skip]
const SPANISH_HUNDREDS: [&str; 10] = [
    "", "ciento", "doscientos", "trescientos", "cuatrocientos", "quinientos", "seiscientos", "setecientos", "ochocientos",
    "novecientos",
];
#[rustfmt::skip]
const SPANISH_ORDINALS: [&str; 11] = [
    "", "primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno", "décimo",
];

#[rustfmt::skip]
const ITALIAN: [&str; 20] = [
    "zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove", "dieci", "undici", "dodici", "tredici",
    "quattordici", "quindici", "sedici", "diciassette", "diciotto", "diciannove",
];
const ITALIAN_TENS: [&str; 10] =
    ["", "", "venti", "trenta", "quaranta", "cinquanta", "sessanta", "settanta", "ottanta", "novanta"];
#[rustfmt::skip]
const ITALIAN_ORDINALS: [&str; 11] = [
    "", "primo", "secondo", "terzo", "quarto", "quinto", "sesto", "settimo", "ottavo", "nono", "decimo",
];

#[rustfmt::skip]
const FRENCH: [&str; 17] = [
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize", "quatorze",
    "quinze", "seize",
];
const FRENCH_TENS: [&str; 7] = ["", "", "vingt", "trente", "quarante", "cinquante", "soixante"];

fn spanish_three(part: u64, gender: Gender) -> String {
    let (h, rest) = ((part / 100) as usize, (part % 100) as usize);
    let one = |word: &str| match gender {
        Gender::Feminine => format!("{}una", word.trim_end_matches("uno")),
        Gender::BeforeNoun if word == "uno" => "un".into(),
        Gender::BeforeNoun => format!("{}ún", word.trim_end_matches("uno")),
        Gender::Masculine | Gender::Neuter => word.to_string(),
    };
    let tens = match (rest / 10, rest % 10) {
        _ if rest == 0 => String::new(),
        _ if rest < 30 && SPANISH[rest].ends_with("uno") => one(SPANISH[rest]),
        _ if rest < 30 => SPANISH[rest].into(),
        (t, 0) => SPANISH_TENS[t].into(),
        (t, 1) => format!("{} y {}", SPANISH_TENS[t], one("uno")),
        (t, u) => format!("{} y {}", SPANISH_TENS[t], SPANISH[u]),
    };
    let hundreds = match (h, rest, gender) {
        (1, 0, _) => "cien".into(),
        (2.., _, Gender::Feminine) => format!("{}as", SPANISH_HUNDREDS[h].trim_end_matches("os")),
        _ => SPANISH_HUNDREDS[h].to_string(),
    };
    format!("{hundreds} {tens}").trim().to_string()
}

pub fn spanish(n: u64, gender: Gender) -> String {
    // In Spanish a thousand millions have no name of their own: pairs of groups.
    let below_million = |n: u64, gender: Gender| match (n / 1000, n % 1000) {
        (0, rest) => spanish_three(rest, gender),
        (t, rest) => {
            let thousands = if t == 1 { String::new() } else { spanish_three(t, Gender::BeforeNoun) };
            format!("{thousands} mil {}", spanish_three(rest, gender)).trim().to_string()
        }
    };
    let (millions, rest) = (n / 1_000_000, n % 1_000_000);
    let rest = match rest {
        0 if millions == 0 => SPANISH[0].to_string(),
        rest => below_million(rest, gender),
    };
    let front = match millions {
        0 => String::new(),
        1 => "un millón".into(),
        m if m < 1_000_000 => format!("{} millones", below_million(m, Gender::BeforeNoun)),
        m => {
            let (billions, m) = (m / 1_000_000, m % 1_000_000);
            let name = if billions == 1 { "billón" } else { "billones" };
            let m = if m == 0 {
                String::new()
            } else {
                format!(" {} millones", below_million(m, Gender::BeforeNoun))
            };
            format!("{} {name}{m}", below_million(billions, Gender::BeforeNoun))
        }
    };
    format!("{front} {rest}").trim().to_string()
}

pub fn spanish_ordinal(n: u64, feminine: bool) -> String {
    match SPANISH_ORDINALS.get(n as usize) {
        Some(word) if n > 0 => gendered(word, feminine),
        _ => spanish(n, if feminine { Gender::Feminine } else { Gender::Masculine }),
    }
}

fn gendered(word: &str, feminine: bool) -> String {
    match feminine {
        true => format!("{}a", word.trim_end_matches('o')),
        false => word.to_string(),
    }
}

fn italian_three(part: u64) -> String {
    let (h, rest) = ((part / 100) as usize, (part % 100) as usize);
    let tens = match (rest / 10, rest % 10) {
        _ if rest == 0 => String::new(),
        _ if rest < 20 => ITALIAN[rest].into(),
        (t, 0) => ITALIAN_TENS[t].into(),
        (t, 3) => format!("{}tré", ITALIAN_TENS[t]),
        (t, u @ (1 | 8)) => format!("{}{}", ITALIAN_TENS[t].trim_end_matches(['a', 'i']), ITALIAN[u]),
        (t, u) => format!("{}{}", ITALIAN_TENS[t], ITALIAN[u]),
    };
    let hundreds = match h {
        0 => String::new(),
        1 => "cento".into(),
        h => format!("{} cento", ITALIAN[h]),
    };
    format!("{hundreds} {tens}").trim().to_string()
}

pub fn italian(n: u64, gender: Gender) -> String {
    match (n, gender) {
        (0, _) => return ITALIAN[0].into(),
        (1, Gender::BeforeNoun) => return "un".into(),
        (1, Gender::Feminine) => return "una".into(),
        _ => {}
    }
    let words = |part: u64, group: usize| match (group, part) {
        (1, 1) => String::new(),
        (2.., 1) => "un".into(),
        _ => italian_three(part),
    };
    let name = |part: u64, group: usize| {
        let [one, many] = [
            ["", ""],
            ["mille", "mila"],
            ["milione", "milioni"],
            ["miliardo", "miliardi"],
            ["bilione", "bilioni"],
        ][group];
        if part == 1 { one } else { many }.to_string()
    };
    groups(n, words, name)
}

pub fn italian_ordinal(n: u64, feminine: bool) -> String {
    if let Some(word) = ITALIAN_ORDINALS.get(n as usize).filter(|_| n > 0) {
        return gendered(word, feminine);
    }
    let words = italian(n, Gender::Masculine);
    let stem = match words.strip_suffix("tré") {
        Some(front) => format!("{front}tre"),
        None if words.ends_with("sei") => words,
        None => words.trim_end_matches(['a', 'e', 'i', 'o']).to_string(),
    };
    gendered(&format!("{stem}esimo"), feminine)
}

fn french_tens(rest: usize) -> String {
    match (rest / 10, rest % 10) {
        _ if rest == 0 => String::new(),
        _ if rest < 17 => FRENCH[rest].into(),
        _ if rest < 20 => format!("dix {}", FRENCH[rest - 10]),
        (7, 1) => "soixante et onze".into(),
        (7, _) => format!("soixante {}", french_tens(rest - 60)),
        (8 | 9, _) if rest > 80 => format!("quatre vingt {}", french_tens(rest - 80)),
        (8, _) => "quatre vingts".into(),
        (t, 0) => FRENCH_TENS[t].into(),
        (t, 1) => format!("{} et un", FRENCH_TENS[t]),
        (t, u) => format!("{} {}", FRENCH_TENS[t], FRENCH[u]),
    }
}

pub fn french(n: u64, gender: Gender) -> String {
    if n == 0 {
        return FRENCH[0].into();
    }
    let words = |part: u64, group: usize| {
        let (h, rest) = ((part / 100) as usize, (part % 100) as usize);
        let hundreds = match (h, rest) {
            (0, _) => String::new(),
            (1, _) => "cent".into(),
            (h, 0) if group != 1 => format!("{} cents", FRENCH[h]),
            (h, _) => format!("{} cent", FRENCH[h]),
        };
        let mut tens = french_tens(rest);
        if group == 1 {
            // Mille leaves the s of vingts away.
            tens = tens.replace("vingts", "vingt");
        }
        match (group, part) {
            (1, 1) => String::new(),
            _ => format!("{hundreds} {tens}").trim().to_string(),
        }
    };
    let name = |part: u64, group: usize| match (group, part) {
        (0, _) => String::new(),
        (1, _) => "mille".into(),
        (g, 1) => ["", "", "million", "milliard", "billion"][g].into(),
        (g, _) => ["", "", "millions", "milliards", "billions"][g].into(),
    };
    let all = groups(n, words, name);
    match (gender, all.strip_suffix("un")) {
        (Gender::Feminine, Some(front)) if front.is_empty() || front.ends_with(' ') => format!("{front}une"),
        _ => all,
    }
}

pub fn french_ordinal(n: u64, feminine: bool) -> String {
    if n == 1 {
        return if feminine { "première" } else { "premier" }.into();
    }
    let words = french(n, Gender::Masculine);
    let words = words.replace("vingts", "vingt").replace("cents", "cent");
    match (words.strip_suffix("cinq"), words.strip_suffix("neuf")) {
        (Some(front), _) => format!("{front}cinquième"),
        (_, Some(front)) => format!("{front}neuvième"),
        _ => format!("{}ième", words.trim_end_matches('e')),
    }
}
