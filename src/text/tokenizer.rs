//! Tokenisers: text to symbols and back. The vocabulary travels in the checkpoint's section `text`.

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
    Bpe(Box<tokenizers::Tokenizer>),
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
                let all: BTreeSet<char> = utf8(text, name)?.chars().collect();
                Self::of_characters(all.into_iter().collect()).with_context(|| name.to_string())
            }
            TokenizerKind::Bytes => Ok(Self::of_bytes()),
            TokenizerKind::Bpe(symbols) => bpe::learn(symbols, &utf8(text, name)?[..training]),
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

    /// The tokeniser that a header holds; `path` is used in errors only.
    ///
    /// # Errors
    /// No such section (a voice), or a damaged one.
    pub fn from_header(header: &Header) -> Result<Self> {
        let value = header.sections.get(SECTION).with_context(|| {
            format!(
                "not a text model: its header has no `{SECTION}` section; a voice is for `render` or `play`"
            )
        })?;
        let at = || format!("header section `{SECTION}`");
        let section: Section = serde_json::from_value(value.clone()).with_context(at)?;
        match section {
            Section::Chars { vocabulary } => {
                Self::of_characters(vocabulary.chars().collect()).with_context(at)
            }
            Section::Bytes {} => Ok(Self::of_bytes()),
            Section::Bpe { vocabulary } => bpe::from_json(&vocabulary).with_context(at),
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
            Coder::Bpe(library) => Section::Bpe { vocabulary: serde_json::to_value(library)? },
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
    /// # Errors
    /// A character outside the vocabulary, or no UTF-8 where it must be.
    pub fn encode(&self, text: &[u8], name: &str) -> Result<Vec<Symbol>> {
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
            Coder::Bpe(library) => bpe::encode(library, utf8(text, name)?),
        }
    }

    /// The characters of the vocabulary, shortened where they are many.
    fn alphabet(&self) -> String {
        let all: String = self.bytes.iter().take(100).map(|b| String::from_utf8_lossy(b)).collect();
        let more = if self.classes() > 100 { " …" } else { "" };
        format!("{all:?}{more}")
    }
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

#[cfg(feature = "bpe")]
mod bpe {
    //! Byte-pair encoding by the library `tokenizers`.

    use super::*;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{
        DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
    };

    /// The library's tokeniser while it learns.
    type Learner =
        TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

    pub fn learn(symbols: usize, text: &str) -> Result<Tokenizer> {
        let library = |e: tokenizers::Error| anyhow!("byte-pair encoding: {e}");
        ensure!((257..=MOST).contains(&symbols), "text.tokenizer: bpe is {symbols}, wanted 257 to {MOST}");
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(symbols)
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let mut learner = Learner::new(BPE::default());
        learner.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
        learner.with_decoder(Some(ByteLevel::new(false, false, true)));
        learner.train(&mut trainer, text.split_inclusive('\n')).map_err(library)?;
        from_json(&serde_json::to_value(&learner)?)
    }

    pub fn from_json(json: &serde_json::Value) -> Result<Tokenizer> {
        let library: tokenizers::Tokenizer = serde_json::from_value(json.clone())?;
        let classes = library.get_vocab_size(true);
        ensure!((2..=MOST).contains(&classes), "{classes} symbols, wanted 2 to {MOST}");
        let letters: HashMap<char, u8> = alphabet();
        let bytes = (0..classes as u32).map(|id| {
            let token = library.id_to_token(id).with_context(|| format!("no token has the number {id}"))?;
            let byte =
                |c| letters.get(&c).copied().with_context(|| format!("token {token:?} is not byte-level"));
            token.chars().map(byte).collect()
        });
        let bytes = bytes.collect::<Result<_>>()?;
        Ok(Tokenizer { coder: Coder::Bpe(Box::new(library)), bytes })
    }

    pub fn encode(library: &tokenizers::Tokenizer, text: &str) -> Result<Vec<Symbol>> {
        let coded = library.encode_fast(text, false).map_err(|e| anyhow!("byte-pair encoding: {e}"))?;
        Ok(coded.get_ids().iter().map(|&id| id as Symbol).collect())
    }

    /// The byte that each letter of a byte-level vocabulary stands for: printable Latin-1 for itself, the other bytes,
    /// in order, from U+0100 on (Radford et al. 2019, `bytes_to_unicode`).
    fn alphabet() -> HashMap<char, u8> {
        let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let others = (0..=u8::MAX).filter(|b| !printable(b));
        let shifted = (0x100u32..).filter_map(char::from_u32).zip(others);
        (0..=u8::MAX).filter(printable).map(|b| (char::from(b), b)).chain(shifted).collect()
    }
}

#[cfg(not(feature = "bpe"))]
mod bpe {
    //! Stands in where the library is left out.

    use super::*;

    pub fn learn(_: usize, _: &str) -> Result<Tokenizer> {
        anyhow::bail!(
            "byte-pair encoding: this program was built without the feature `bpe`; build it with --features bpe"
        )
    }

    pub fn from_json(_: &serde_json::Value) -> Result<Tokenizer> {
        learn(0, "")
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

    #[cfg(feature = "bpe")]
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
