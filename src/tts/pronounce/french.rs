//! French by rules. The spelling tells most; a final -ent and a final consonant of a rare word may be said wrongly.

use super::rules::Rules;
use crate::tts::Language;
use std::sync::LazyLock;

const CLASSES: [(char, &str); 5] = [
    ('V', "aeiouyàâéèêëîïôöùûüœæh"),
    ('E', "eiyéèêëîï"),
    // What stands behind a nasal vowel.
    ('C', "#bcdfgjklpqrstvwxzç"),
    // Silent endings.
    ('S', "#s"),
    ('K', "bcdfgjklmnpqrstvwxzç"),
];

const TABLE: &str = "
    #[monsieur]# = m ax s j eu
    #[messieurs]# = m e s j eu
    #[femme]S = f a m
    #[eu]# = y
    #[et]# = e
    #[est]# = E
    #[es]# = E
    #[les]# = l e
    #[des]# = d e
    #[ces]# = s e
    #[mes]# = m e
    #[tes]# = t e
    #[ses]# = s e
    #[avec]# = a v E k
    #[second]e = s ax g on d
    #[second]S = s ax g on
    #[six]# = s i s
    #[dix]# = d i s
    #[cinq]# = s in k
    #[sept]# = s E t
    #[huit]# = hy i t
    #[neuf]# = n oe f
    #[vingt]# = v in
    #[cent]S = s an
    #[temps]# = t an
    #[ville] = v i l
    #[mille] = m i l
    #[tous]# = t u
    #[plus]# = p l y
    #[fils]# = f i s
    #[hier]# = j E r
    #[clef]# = k l e
    #[pied]S = p j e
    #[eux]# = eu
    #[chez]# = sh e
    #[mer]# = m E r
    #[fier]# = f j E r
    #[cher]# = sh E r

    [eaux]# = o
    [eau] = o
    [aient]# = E
    [ment]# = m an
    V[ment]# = m an
    [ient]# = j in
    c[ent]# = an
    g[ent]# = an
    s[ent]# = an
    v[ent]# = an
    [ents]# = an
    [ent]# =
    [aill] = A j
    [eill] = E j
    [euill] = oe j
    [ouill] = u j
    [ail]S = A j
    [eil]S = E j
    [euil]S = oe j
    [ueil] = oe j
    [œil]S = oe j
    K[ill]V = i j

    [tion] = s j on
    [sch] = sh
    [ch]r = k
    [ch]l = k
    [ch] = sh
    [ph] = f
    [th] = t
    [gn] = ny
    [qu] = k
    [q] = k
    [gu]E = g
    [ge]a = zh
    [ge]o = zh
    [g]E = zh
    [gg] = g
    [g]# =
    [gs]# =
    [g] = g
    [cc]E = k s
    [cc] = k
    [sc]E = s
    [c]E = s
    [ç] = s
    n[c]# =
    [ck] = k
    [c] = k
    [j] = zh
    [h] =

    [oin]C = w in
    [oi] = w a
    [oî] = w a
    [oy]V = w a j
    [ay]V = E j
    [uy]V = hy i j
    [ain]C = in
    [aim]C = in
    [ein]C = in
    [ien]C = j in
    [yen]C = j in
    [éen]C = e in
    [ai]# = E
    [ai] = E
    [aî] = E
    [ei] = E
    [au] = o
    [aou] = u
    [où] = u
    [oû] = u
    [ou]V = w
    [ou] = u
    [œu] = oe
    [eu]# = eu
    [eux]# = eu
    [eu]s = eu
    [eu] = oe
    [an]C = an
    [am]b = an
    [am]p = an
    [en]C = an
    [em]b = an
    [em]p = an
    [on]C = on
    [om]b = on
    [om]p = on
    [om]# = on
    [in]C = in
    [im]b = in
    [im]p = in
    [yn]C = in
    [ym]b = in
    [ym]p = in
    [un]C = un
    [um]# = O m
    [um]b = un

    K[er]# = e
    i[er]# = e
    [ez]# = e
    [es]# =
    é[e]# =
    i[e]# =
    u[e]# =
    K[e]# =
    [e]# =
    [é] = e
    [è] = E
    [ê] = E
    [ë] = E
    [e]ll = E
    [e]tt = E
    [e]ss = E
    [e]rr = E
    [e]nn = E
    [e]mm = E
    [e]x = E
    [e]KK = E
    [e]t# = E
    [e]c# = E
    [e]f# = E
    [e]l# = E
    [e]r# = E
    [e]K# = E
    K[e]KV = ax
    [e] = ax
    [à] = a
    [â] = A
    [a] = a
    [î] = i
    [ï] = i
    [y]V = j
    [y] = i
    [i]V = j
    [i] = i
    [ô] = o
    [o]# = o
    [o]se = o
    [o]t# = o
    [o] = O
    [ö] = O
    [û] = y
    [ù] = y
    [ü] = y
    [u]i = hy
    [u]V = hy
    [u] = y
    [œ] = e
    [æ] = e

    [bb] = b
    [b]S =
    [b] = b
    [dd] = d
    [d]S =
    [ds]# =
    [d] = d
    [ff] = f
    [f] = f
    [k] = k
    [ll] = l
    [l] = l
    [mm] = m
    [m] = m
    [nn] = n
    [n] = n
    [pp] = p
    [p]S =
    [pt]S =
    [p] = p
    [rr] = r
    [r] = r
    [ss] = s
    [s]# =
    V[s]V = z
    [s] = s
    [tt] = t
    [t]S =
    [t] = t
    [v] = v
    [w] = w
    [x]# =
    #e[x]V = g z
    [x] = k s
    [z]# =
    [z] = z
";

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(Language::French, &CLASSES, TABLE));

/// Words whose last consonant is said in front of a vowel, and which.
const LIAISON: [(&str, &str); 27] = [
    ("aux", "z"),
    ("ces", "z"),
    ("cet", ""),
    ("dans", "z"),
    ("des", "z"),
    ("deux", "z"),
    ("elles", "z"),
    ("en", "n"),
    ("est", "t"),
    ("ils", "z"),
    ("les", "z"),
    ("leurs", "z"),
    ("mes", "z"),
    ("mon", "n"),
    ("nos", "z"),
    ("nous", "z"),
    ("on", "n"),
    ("ses", "z"),
    ("son", "n"),
    ("sont", "t"),
    ("tes", "z"),
    ("ton", "n"),
    ("trois", "z"),
    ("très", "z"),
    ("un", "n"),
    ("vos", "z"),
    ("vous", "z"),
];

/// The name of a letter, as a word.
#[rustfmt::skip]
pub fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'a' => "a", 'b' => "bé", 'c' => "cé", 'd' => "dé", 'e' => "eux", 'f' => "èfe", 'g' => "gé", 'h' => "ache", 'i' => "i",
        'j' => "ji", 'k' => "ka", 'l' => "èle", 'm' => "ème", 'n' => "ène", 'o' => "o", 'p' => "pé", 'q' => "ku", 'r' => "ère",
        's' => "èsse", 't' => "té", 'u' => "u", 'v' => "vé", 'w' => "double vé", 'x' => "ixe", 'y' => "igrèque", 'z' => "zède",
        _ => return None,
    })
}

/// The phones of `word`.
pub fn phones(word: &str) -> Vec<u8> {
    let letters: Vec<char> = word.chars().filter(|c| *c != '\'').collect();
    let spoken = RULES.apply(&letters);
    let said: Vec<u8> = spoken.iter().flat_map(|s| s.phones).copied().collect();
    // A word of one e is said all the same: je, que.
    let is_vowel = |p: &u8| usize::from(*p) >= 21;
    match letters.last() {
        Some('e') if !said.iter().any(is_vowel) => {
            [&said[..], &super::phones::parse(Language::French, "ax")].concat()
        }
        _ => said,
    }
}

/// The consonant that `word` gets in front of a vowel.
pub fn liaison(word: &str, next: &str) -> Option<Vec<u8>> {
    let is_vowel = super::phones::find(Language::French, next).is_some_and(|p| p >= 21);
    let (_, names) = LIAISON.iter().find(|l| l.0 == word && is_vowel)?;
    Some(super::phones::parse(Language::French, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::pronounce::phones::FRENCH;

    #[test]
    fn spelling_tells_most_phones() {
        for (word, said) in [
            ("bonjour", "b on zh u r"),
            ("personne", "p E r s O n"),
            ("au", "o"),
            ("revoir", "r ax v w a r"),
            ("composez", "k on p o z e"),
            ("le", "l ax"),
            ("numéro", "n y m e r o"),
            ("chien", "sh j in"),
            ("nation", "n a s j on"),
            ("beaucoup", "b o k u"),
            ("famille", "f a m i j"),
            ("gare", "g a r"),
            ("parler", "p a r l e"),
            ("moment", "m O m an"),
            ("parlent", "p a r l"),
            ("huit", "hy i t"),
            ("deux", "d eu"),
            ("français", "f r an s E"),
            ("petite", "p ax t i t"),
        ] {
            let got: Vec<_> = phones(word).iter().map(|&p| FRENCH[usize::from(p)]).collect();
            assert_eq!(got.join(" "), said, "{word}");
        }
        assert_eq!(FRENCH[21], "a");
        assert!(LIAISON.is_sorted());
    }
}
