//! Tokenisers: text to symbols and back. The vocabulary travels in the checkpoint's section `text`.

#[cfg(feature = "bpe")]
use super::bpe::{self, Bpe};
use crate::kinds;
use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use wavesynth_models::ar::Symbol;
use wavesynth_models::weights::Header;

/// The key of the tokeniser's section in a checkpoint's header.
pub const SECTION: &str = "text";

/// Which tokeniser, as written in a run file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// A symbol for each Unicode character of the text.
    #[default]
    Chars,
    /// The 256 bytes, so that any file can be read.
    Bytes,
    /// Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) with at most so many symbols.
    Bpe(usize),
}

/// The section as a header holds it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "tokenizer", rename_all = "lowercase", deny_unknown_fields)]
enum Section {
    /// Symbol i is the i-th character.
    Chars {
        vocabulary: String,
    },
    Bytes {},
    /// As the library `tokenizers` writes it.
    Bpe {
        vocabulary: serde_json::Value,
    },
}

/// Turns text into symbols, and symbols into bytes.
pub struct Tokenizer {
    coder: Coder,
    /// The bytes of each symbol.
    bytes: Vec<Vec<u8>>,
}

enum Coder {
    Chars(HashMap<char, Symbol>),
    Bytes,
    #[cfg(feature = "bpe")]
    Bpe(Box<Bpe>),
}

/// Symbols must fit [`Symbol`] and a config's `classes`.
const MOST: usize = 1 << 16;

impl Tokenizer {
    /// The tokeniser of `text`; `name` is used in errors only. Pairs are learned from its first `training` bytes, so that
    /// held-out text stays unseen; characters are those of the whole text, so that none of them is unknown later.
    ///
    /// # Errors
    /// Text that is no UTF-8 where characters or pairs are wanted, too few or too many symbols.
    pub fn learn(kind: TokenizerKind, text: &[u8], training: usize, name: &str) -> Result<Self> {
        match kind {
            TokenizerKind::Chars => {
                let all: BTreeSet<char> = utf8(without_mark(text), name)?.chars().collect();
                Self::of_characters(all.into_iter().collect()).with_context(|| name.to_string())
            }
            TokenizerKind::Bytes => Ok(Self::of_bytes()),
            TokenizerKind::Bpe(symbols) => {
                let training = &utf8(text, name)?[..training];
                Self::of_pairs(&bpe::learn(symbols, training.trim_start_matches('\u{feff}'))?)
            }
        }
    }

    fn of_characters(all: Vec<char>) -> Result<Self> {
        let (kinds, known) = (all.len(), all.iter().collect::<BTreeSet<_>>().len());
        ensure!(kinds == known, "a character stands twice in the vocabulary");
        ensure!((2..=MOST).contains(&kinds), "{kinds} different characters, wanted 2 to {MOST}");
        let bytes = all.iter().map(|c| c.to_string().into_bytes()).collect();
        let codes = all.into_iter().enumerate().map(|(i, c)| (c, i as Symbol)).collect();
        Ok(Self { coder: Coder::Chars(codes), bytes })
    }

    fn of_bytes() -> Self {
        Self { coder: Coder::Bytes, bytes: (0..=u8::MAX).map(|b| vec![b]).collect() }
    }

    #[cfg(feature = "bpe")]
    fn of_pairs(vocabulary: &serde_json::Value) -> Result<Self> {
        let (pairs, bytes) = Bpe::from_json(vocabulary)?;
        Ok(Self { coder: Coder::Bpe(Box::new(pairs)), bytes })
    }

    #[cfg(not(feature = "bpe"))]
    fn of_pairs(_: &serde_json::Value) -> Result<Self> {
        bpe::learn(0, "").map(|_| Self::of_bytes())
    }

    /// The tokeniser that a header holds; `path` is used in errors only.
    ///
    /// # Errors
    /// No such section (a voice), or a damaged one.
    pub fn from_header(header: &Header) -> Result<Self> {
        let value = header.sections.get(SECTION).with_context(|| {
            let kind = kinds::of(header);
            let hint = if kind.name == kinds::VOICE.name { "; it is for `render` or `play`" } else { "" };
            format!("not a text model, but {}{hint}", kind.name)
        })?;
        let at = || format!("header section `{SECTION}`");
        let section: Section = serde_json::from_value(value.clone()).with_context(at)?;
        match section {
            Section::Chars { vocabulary } => {
                Self::of_characters(vocabulary.chars().collect()).with_context(at)
            }
            Section::Bytes {} => Ok(Self::of_bytes()),
            Section::Bpe { vocabulary } => Self::of_pairs(&vocabulary).with_context(at),
        }
    }

    /// The section for a header.
    ///
    /// # Errors
    /// An error of the library.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        let section = match &self.coder {
            Coder::Chars(_) => {
                let vocabulary = self.bytes.iter().map(|b| String::from_utf8_lossy(b)).collect();
                Section::Chars { vocabulary }
            }
            Coder::Bytes => Section::Bytes {},
            #[cfg(feature = "bpe")]
            Coder::Bpe(pairs) => Section::Bpe { vocabulary: pairs.json().clone() },
        };
        Ok(serde_json::to_value(section)?)
    }

    /// Number of symbols.
    pub fn classes(&self) -> usize {
        self.bytes.len()
    }

    /// The symbol that stands before a text: the line break, as if a line had just ended; the first symbol where there
    /// is none.
    pub fn start(&self) -> Symbol {
        self.bytes.iter().position(|b| b == b"\n").unwrap_or(0) as Symbol
    }

    /// The word for a symbol: `character`, `byte` or `token`.
    pub fn unit(&self) -> &'static str {
        match &self.coder {
            Coder::Chars(_) => "character",
            Coder::Bytes => "byte",
            #[cfg(feature = "bpe")]
            Coder::Bpe(_) => "token",
        }
    }

    /// The bytes of `symbol`. A piece of a UTF-8 sequence is no text yet: see [`super::Utf8Stream`].
    pub fn bytes(&self, symbol: Symbol) -> &[u8] {
        self.bytes.get(usize::from(symbol)).map_or(&[], Vec::as_slice)
    }

    /// The symbols of `text`; `name` says in errors what the text is.
    ///
    /// A byte order mark at its beginning is no symbol.
    ///
    /// # Errors
    /// A character outside the vocabulary, or no UTF-8 where it must be.
    pub fn encode(&self, text: &[u8], name: &str) -> Result<Vec<Symbol>> {
        let text = without_mark(text);
        match &self.coder {
            Coder::Bytes => Ok(text.iter().map(|&b| b.into()).collect()),
            Coder::Chars(codes) => {
                let text = utf8(text, name)?;
                let code = |(at, c): (usize, char)| {
                    codes.get(&c).copied().ok_or_else(|| {
                        let (line, column) = place(&text[..at]);
                        anyhow!(
                            "{name}: line {line}, column {column}: the model does not know the character {c:?}; its {} \
                             characters are {}",
                            self.classes(),
                            self.alphabet()
                        )
                    })
                };
                text.char_indices().map(code).collect()
            }
            #[cfg(feature = "bpe")]
            Coder::Bpe(pairs) => Ok(pairs.encode(utf8(text, name)?)),
        }
    }

    /// The characters of the vocabulary, shortened where they are many.
    fn alphabet(&self) -> String {
        let all: String = self.bytes.iter().take(100).map(|b| String::from_utf8_lossy(b)).collect();
        let more = if self.classes() > 100 { " …" } else { "" };
        format!("{all:?}{more}")
    }
}

/// `text` without the UTF-8 byte order mark that some editors put in front.
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// `text` as UTF-8.
fn utf8<'a>(text: &'a [u8], name: &str) -> Result<&'a str> {
    std::str::from_utf8(text).map_err(|e| {
        let valid = String::from_utf8_lossy(&text[..e.valid_up_to()]);
        let (line, column) = place(&valid);
        anyhow!(
            "{name}: line {line}, column {column}: not UTF-8; convert the text, or use tokenizer = \"bytes\", which reads \
             any file"
        )
    })
}

/// Line and column behind `text`, from 1.
fn place(text: &str) -> (usize, usize) {
    let line = text.matches('\n').count() + 1;
    (line, text.rsplit('\n').next().unwrap_or("").chars().count() + 1)
}

#[cfg(not(feature = "bpe"))]
mod bpe {
    //! Stands in where byte-pair encoding is left out.

    use anyhow::{Result, bail};
    use serde_json::Value;

    pub fn learn(_: usize, _: &str) -> Result<Value> {
        bail!(
            "byte-pair encoding: this program was built without the feature `bpe`; build it with --features bpe"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "to be, or not to be:\nthat is the question — é€𝄞\nto be or not\n";

    fn round_trip(kind: TokenizerKind) -> Tokenizer {
        let learned = Tokenizer::learn(kind, TEXT.as_bytes(), TEXT.len(), "t").unwrap();
        let header = Header {
            version: 1,
            family: String::new(),
            config: serde_json::Value::Null,
            sections: [(SECTION.to_string(), learned.to_json().unwrap())].into_iter().collect(),
        };
        let read = Tokenizer::from_header(&header).unwrap();
        assert_eq!(read.bytes, learned.bytes);
        let symbols = read.encode(TEXT.as_bytes(), "t").unwrap();
        let back: Vec<u8> = symbols.iter().flat_map(|&s| read.bytes(s).to_vec()).collect();
        assert_eq!(String::from_utf8_lossy(&back), TEXT, "{kind:?}");
        assert_eq!(read.bytes(read.start()), b"\n");
        read
    }

    #[test]
    fn every_tokeniser_gives_the_text_back() {
        assert_eq!(round_trip(TokenizerKind::Chars).classes(), 20);
        let bytes = round_trip(TokenizerKind::Bytes);
        assert_eq!(bytes.encode(b"\xff\x00", "t").unwrap(), [255, 0]);
    }

    #[cfg(feature = "train")]
    #[test]
    fn pairs_are_fewer_and_learned_the_same_every_time() {
        let pairs = round_trip(TokenizerKind::Bpe(264));
        assert_eq!(pairs.classes(), 264);
        assert!(pairs.encode(TEXT.as_bytes(), "t").unwrap().len() < TEXT.len() - 10);
        let again = Tokenizer::learn(TokenizerKind::Bpe(264), TEXT.as_bytes(), TEXT.len(), "t").unwrap();
        assert_eq!(again.to_json().unwrap(), pairs.to_json().unwrap());
        // Any byte has a symbol of its own, whatever the text was.
        assert_eq!(pairs.encode("zß".as_bytes(), "t").unwrap().len(), 3);
    }

    #[test]
    fn a_byte_order_mark_is_no_symbol() {
        for kind in [TokenizerKind::Chars, TokenizerKind::Bytes] {
            let tokenizer = round_trip(kind);
            let marked = ["\u{feff}", TEXT].concat();
            let plain = tokenizer.encode(TEXT.as_bytes(), "t").unwrap();
            assert_eq!(tokenizer.encode(marked.as_bytes(), "t").unwrap(), plain, "{kind:?}");
        }
    }

    #[test]
    fn what_is_unknown_is_told_with_its_place() {
        let chars = round_trip(TokenizerKind::Chars);
        let message = chars.encode("to be\nor Zot".as_bytes(), "the prompt").unwrap_err().to_string();
        assert!(
            message.starts_with("the prompt: line 2, column 4: the model does not know the character 'Z'"),
            "{message}"
        );
        let message = chars.encode(b"to\n\xffbe", "a.txt").unwrap_err().to_string();
        assert!(message.starts_with("a.txt: line 2, column 1: not UTF-8"), "{message}");
    }
}
