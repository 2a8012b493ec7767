//! American English.

use super::groups;

#[rustfmt::skip]
const SMALL: [&str; 20] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const GROUPS: [&str; 5] = ["", "thousand", "million", "billion", "trillion"];

/// Ordinals that are no cardinal with `th`.
const ORDINALS: [(&str, &str); 7] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];

fn tens(n: u64) -> String {
    let n = n as usize;
    match (n / 10, n % 10) {
        _ if n < 20 => SMALL[n].into(),
        (t, 0) => TENS[t].into(),
        (t, u) => format!("{} {}", TENS[t], SMALL[u]),
    }
}

pub fn cardinal(n: u64) -> String {
    if n == 0 {
        return SMALL[0].into();
    }
    let three = |part: u64, _: usize| match (part / 100, part % 100) {
        (0, rest) => tens(rest),
        (h, 0) => format!("{} hundred", SMALL[h as usize]),
        (h, rest) => format!("{} hundred {}", SMALL[h as usize], tens(rest)),
    };
    groups(n, three, |_, group| GROUPS[group].into())
}

pub fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let (front, last) = words.rsplit_once(' ').map_or(("", &words[..]), |(f, l)| (f, l));
    let last = match (ORDINALS.iter().find(|o| o.0 == last), last.strip_suffix('y')) {
        (Some(o), _) => o.1.to_string(),
        (None, Some(stem)) => format!("{stem}ieth"),
        (None, None) => format!("{last}th"),
    };
    format!("{front} {last}").trim_start().to_string()
}

/// Two pairs of digits, but for the first years of a millennium.
pub fn year(n: u64) -> String {
    match (n / 100, n % 100) {
        _ if !(1000..10_000).contains(&n) => cardinal(n),
        (c, 0..10) if c % 10 == 0 => cardinal(n),
        (c, 0) => format!("{} hundred", tens(c)),
        (c, rest @ 1..10) => format!("{} oh {}", tens(c), tens(rest)),
        (c, rest) => format!("{} {}", tens(c), tens(rest)),
    }
}
