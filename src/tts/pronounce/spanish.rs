//! Spanish of Latin America, whose spelling tells all but foreign words.

use super::phones;
use super::rules::Rules;
use crate::tts::Language;
use std::sync::LazyLock;

const CLASSES: [(char, &str); 4] = [('V', "aeiouáéíóúü"), ('E', "eiéí"), ('G', "aeoáéóíú"), ('R', "#nls")];

const TABLE: &str = "
    #[x]V = s
    [ch] = ch
    [cc]E = k s
    [sc]E = s
    [c]E = s
    [ck] = k
    [c] = k
    [qu]E = k
    [q] = k
    [gu]E = g
    [gü] = g w
    [g]E = x
    [g] = g
    [j] = x
    [h] =
    [ll] = ll
    V[y]# = j
    [y]# = i0
    [y] = ll
    [ñ] = ny
    [n]cE = n
    [n]c = ng
    [n]g = ng
    [n]q = ng
    [n]j = ng
    [rr] = rr
    R[r] = rr
    [r] = r
    [ph] = f
    [b] = b
    [v] = b
    [w] = w
    [x] = k s
    [z] = s
    [ss] = s
    [s] = s
    [d] = d
    [f] = f
    [k] = k
    [l] = l
    [m] = m
    [n] = n
    [p] = p
    [t] = t
    [iu] = j u0
    [iú] = j u0
    [uy]# = w i0
    [ui] = w i0
    [uí] = w i0
    [i]G = j
    [u]G = w
    G[i] = j
    G[u] = w
    [ü] = w
    [a] = a0
    [á] = a0
    [e] = e0
    [é] = e0
    [i] = i0
    [í] = i0
    [o] = o0
    [ó] = o0
    [u] = u0
    [ú] = u0
";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Language::Spanish, &CLASSES, TABLE));

/// Words without a stress of their own.
const WEAK: [&str; 34] = [
    "a", "al", "con", "de", "del", "e", "el", "en", "la", "las", "le", "les", "lo", "los", "me", "mi", "mis",
    "ni", "nos", "o", "para", "pero", "por", "que", "se", "si", "sin", "su", "sus", "te", "tu", "tus", "u",
    "y",
];

/// The name of a letter, as a word.
#[rustfmt::skip]
pub fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'a' => "a", 'b' => "be", 'c' => "ce", 'd' => "de", 'e' => "e", 'f' => "efe", 'g' => "ge", 'h' => "hache", 'i' => "i",
        'j' => "jota", 'k' => "ka", 'l' => "ele", 'm' => "eme", 'n' => "ene", 'ñ' => "eñe", 'o' => "o", 'p' => "pe",
        'q' => "cu", 'r' => "erre", 's' => "ese", 't' => "te", 'u' => "u", 'v' => "uve", 'w' => "uve doble", 'x' => "equis",
        'y' => "ye", 'z' => "zeta",
        _ => return None,
    })
}

/// The phones of `word`.
pub fn phones(word: &str) -> Vec<u8> {
    let letters: Vec<char> = word.chars().collect();
    let said = RULES.unstressed(&letters, &phones::SPANISH, "áéíóú");
    if WEAK.contains(&word) {
        return said.phones;
    }
    // Behind a vowel, n or s the last but one, else the last.
    let open = letters.last().is_some_and(|c| "aeiouns".contains(*c));
    let from_end = if said.vowels.len() > 1 && open { 2 } else { 1 };
    said.stressed(from_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_tells_the_phones() {
        for (word, said) in [
            ("hola", "o1 l a0"),
            ("canción", "k a0 n s j o1 n"),
            ("queso", "k e1 s o0"),
            ("guitarra", "g i0 t a1 rr a0"),
            ("pingüino", "p i0 ng g w i1 n o0"),
            ("reloj", "rr e0 l o1 x"),
            ("jueves", "x w e1 b e0 s"),
            ("país", "p a0 i1 s"),
            ("muy", "m w i1"),
            ("llamada", "ll a0 m a1 d a0"),
            ("de", "d e0"),
        ] {
            let got: Vec<_> = phones(word).iter().map(|&p| phones::SPANISH[usize::from(p)]).collect();
            assert_eq!(got.join(" "), said, "{word}");
        }
    }
}
