//! Characters of any kind to those that the reader knows.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Composed, in their plain forms: full-width letters, ligatures and fractions as ordinary ones; one kind of quotation mark,
/// apostrophe and space; nothing that is not seen.
pub fn plain(text: &str) -> String {
    let mapped = text.chars().filter_map(|c| {
        Some(match c {
            '’' | '‘' | 'ʼ' | '′' | '`' | '＇' => '\'',
            '“' | '”' | '„' | '‟' | '«' | '»' | '‹' | '›' | '″' | '＂' => '"',
            '‐' | '‑' => '-',
            '‒' => '–',
            '―' => '—',
            '№' => '#',
            '¡' | '¿' | '™' | '®' | '©' => return None,
            // Soft hyphens, joiners, marks of direction, variation selectors.
            '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' => return None,
            c if c.is_whitespace() => ' ',
            c => c,
        })
    });
    mapped.nfkc().collect()
}

/// `word` without accents, for a language that has none: café, naïve; other Latin letters as the nearest ones.
pub fn without_marks(word: &str) -> String {
    let mut plain = String::new();
    for c in word.nfd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' | 'ð' => plain.push('d'),
            'þ' => plain.push_str("th"),
            'ı' => plain.push('i'),
            c => plain.push(c),
        }
    }
    plain
}

/// Cyrillic letters as Latin ones, for a language that is written in these; `None` where one has none.
pub fn to_latin(word: &str) -> Option<String> {
    #[rustfmt::skip]
    const LETTERS: [&str; 32] = [
        "a", "b", "v", "g", "d", "e", "zh", "z", "i", "y", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "kh", "ts", "ch",
        "sh", "shch", "", "y", "", "e", "yu", "ya",
    ];
    let letter = |c: char| match c {
        'ё' => Some("yo"),
        'а'..='я' => LETTERS.get((u32::from(c) - u32::from('а')) as usize).copied(),
        'і' => Some("i"),
        'ї' => Some("yi"),
        'є' => Some("ye"),
        'ґ' => Some("g"),
        '\'' | '-' => Some(""),
        _ => None,
    };
    word.chars().map(letter).collect()
}

/// Latin letters as Cyrillic ones, by how they sound in most foreign words; `None` where one has none.
pub fn to_cyrillic(word: &str) -> Option<String> {
    #[rustfmt::skip]
    const PAIRS: [(&str, &str); 19] = [
        ("sch", "ш"), ("tch", "ч"), ("sh", "ш"), ("ch", "ч"), ("th", "т"), ("ph", "ф"), ("wh", "в"), ("zh", "ж"), ("kh", "х"), ("ck", "к"),
        ("ee", "и"), ("oo", "у"), ("ou", "у"), ("qu", "кв"), ("ya", "я"), ("yu", "ю"), ("ts", "ц"), ("ce", "се"), ("ci", "си"),
    ];
    let mut cyrillic = String::new();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        if let Some((latin, to)) = PAIRS.iter().find(|p| rest.starts_with(p.0)) {
            cyrillic.push_str(to);
            rest = &rest[latin.len()..];
            continue;
        }
        #[rustfmt::skip]
        cyrillic.push_str(match c {
            'a' => "а", 'b' => "б", 'c' => "к", 'd' => "д", 'e' => "е", 'f' => "ф", 'g' => "г", 'h' => "х", 'i' => "и", 'j' => "дж",
            'k' => "к", 'l' => "л", 'm' => "м", 'n' => "н", 'o' => "о", 'p' => "п", 'q' => "к", 'r' => "р", 's' => "с", 't' => "т",
            'u' => "у", 'v' => "в", 'w' => "в", 'x' => "кс", 'y' => "и", 'z' => "з", '\'' | '-' => "",
            _ => return None,
        });
        rest = &rest[c.len_utf8()..];
    }
    Some(cyrillic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        assert_eq!(plain("Ｈｅｌｌｏ，\u{a0}“ﬁne”"), "Hello, \"fine\"");
        assert_eq!(plain("cafe\u{301} don’t in\u{ad}visible\u{200b}"), "café don't invisible");
        assert_eq!(plain("и\u{306} № 5, 20 ℃, m²"), "й # 5, 20 °C, m2");
        assert_eq!(without_marks("naïveßø"), "naivesso");
        assert_eq!(to_latin("щука").as_deref(), Some("shchuka"));
        assert_eq!(to_cyrillic("photoshop").as_deref(), Some("фотошоп"));
        assert_eq!([to_latin("ξ"), to_cyrillic("ξ")], [None, None]);
    }
}
