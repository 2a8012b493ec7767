//! Italian by its spelling. What the spelling does not tell is guessed: stress on the last vowel but one where no ending or
//! list says otherwise, a closed e and o, a voiceless z.

use super::phones;
use super::rules::Rules;
use crate::tts::Language;
use std::sync::LazyLock;

const CLASSES: [(char, &str); 4] =
    [('V', "aeiouàèéìíòóùú"), ('E', "eièéìí"), ('D', "bdgvlmnr"), ('G', "aeouàèéòóùú")];

const TABLE: &str = "
    [cch] = k k
    [ch] = k
    [cci]G = ch ch
    [cc]E = ch ch
    [ci]G = ch
    [c]E = ch
    [cq] = k k
    [cc] = k k
    [c] = k
    [ggh] = g g
    [gh] = g
    [ggi]G = jh jh
    [gg]E = jh jh
    [gi]G = jh
    [g]E = jh
    [gli]G = lj lj
    [gl]i = lj lj
    #[gn] = ny
    [gn] = ny ny
    [gg] = g g
    [g] = g
    #[sci]G = sh
    #[sc]E = sh
    [sci]G = sh sh
    [sc]E = sh sh
    [ss] = s s
    [s]D = z
    V[s]V = z
    [s] = s
    [qu] = k w
    [q] = k
    [zz] = ts ts
    #[z] = dz
    [z] = ts
    [h] =
    [j] = j
    [y] = i0
    [n]c = ng
    [n]g = ng
    [n]q = ng
    [w] = w
    [x] = k s
    [bb] = b b
    [dd] = d d
    [ff] = f f
    [ll] = l l
    [mm] = m m
    [nn] = n n
    [pp] = p p
    [rr] = r r
    [tt] = t t
    [vv] = v v
    [b] = b
    [d] = d
    [f] = f
    [k] = k
    [l] = l
    [m] = m
    [n] = n
    [p] = p
    [r] = r
    [t] = t
    [v] = v
    [i]G = j
    [u]G = w
    [u]i = w
    [a] = a0
    [à] = a0
    [e] = e0
    [é] = e0
    [è] = E0
    [i] = i0
    [ì] = i0
    [í] = i0
    [o] = o0
    [ó] = o0
    [ò] = O0
    [u] = u0
    [ù] = u0
    [ú] = u0
";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Language::Italian, &CLASSES, TABLE));

/// Words without a stress of their own.
const WEAK: [&str; 40] = [
    "a", "ad", "ai", "al", "alla", "che", "con", "da", "dal", "dei", "del", "della", "di", "e", "ed", "gli",
    "i", "il", "in", "la", "le", "lo", "mi", "ne", "nel", "nella", "o", "per", "se", "si", "su", "sul",
    "sulla", "ti", "tra", "un", "una", "un'", "l'", "vi",
];

/// Endings with the stress on the last vowel but two.
const EARLY_ENDINGS: [&str; 26] = [
    "abile", "abili", "ibile", "ibili", "issimo", "issima", "issimi", "issime", "evole", "evoli", "esimo",
    "esima", "ico", "ica", "ici", "iche", "udine", "udini", "agine", "agini", "igine", "igini", "ologo",
    "ologi", "ografo", "ografi",
];

/// Words with the stress there.
const EARLY: [&str; 38] = [
    "numero",
    "numeri",
    "telefono",
    "telefoni",
    "prossimo",
    "prossima",
    "ultimo",
    "ultima",
    "massimo",
    "minimo",
    "codice",
    "codici",
    "sabato",
    "domenica",
    "lettera",
    "lettere",
    "subito",
    "essere",
    "credito",
    "debito",
    "utile",
    "facile",
    "difficile",
    "possibile",
    "piccolo",
    "piccola",
    "giovane",
    "anima",
    "camera",
    "chiedere",
    "premere",
    "prendere",
    "rispondere",
    "scegliere",
    "scrivere",
    "dodici",
    "attendere",
    "undici",
];

/// The name of a letter, as a word.
#[rustfmt::skip]
pub fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'a' => "a", 'b' => "bi", 'c' => "ci", 'd' => "di", 'e' => "e", 'f' => "effe", 'g' => "gi", 'h' => "acca", 'i' => "i",
        'j' => "i lunga", 'k' => "cappa", 'l' => "elle", 'm' => "emme", 'n' => "enne", 'o' => "o", 'p' => "pi", 'q' => "cu",
        'r' => "erre", 's' => "esse", 't' => "ti", 'u' => "u", 'v' => "vu", 'w' => "doppia vu", 'x' => "ics", 'y' => "ipsilon",
        'z' => "zeta",
        _ => return None,
    })
}

/// The phones of `word`.
pub fn phones(word: &str) -> Vec<u8> {
    let letters: Vec<char> = word.chars().collect();
    let said = RULES.unstressed(&letters, &phones::ITALIAN, "àèéìíòóùú");
    if WEAK.contains(&word) {
        return said.phones;
    }
    let early =
        EARLY.contains(&word) || EARLY_ENDINGS.iter().any(|e| word.ends_with(e) && word.len() > e.len());
    let from_end = match said.vowels.len() {
        n if n > 2 && early => 3,
        n if n > 1 => 2,
        _ => 1,
    };
    said.stressed(from_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_tells_most_phones() {
        for (word, said) in [
            ("ciao", "ch a1 o0"),
            ("perché", "p e0 r k e1"),
            ("famiglia", "f a0 m i1 lj lj a0"),
            ("gnocchi", "ny o1 k k i0"),
            ("scegliere", "sh e1 lj lj e0 r e0"),
            ("numero", "n u1 m e0 r o0"),
            ("città", "ch i0 t t a1"),
            ("caffè", "k a0 f f E1"),
            ("possibile", "p o0 s s i1 b i0 l e0"),
            ("casa", "k a1 z a0"),
            ("quando", "k w a1 n d o0"),
            ("giorno", "jh o1 r n o0"),
            ("di", "d i0"),
        ] {
            let got: Vec<_> = phones(word).iter().map(|&p| phones::ITALIAN[usize::from(p)]).collect();
            assert_eq!(got.join(" "), said, "{word}");
        }
    }
}
