//! Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019): which vocabularies are
//! accepted, and the tokens of a text.
//!
//! The library `tokenizers` learns the pairs, and a checkpoint holds them as it writes them. A vocabulary from a file
//! never reaches the library: it is compared with what the trainer writes, and read here.

use anyhow::{Context, Result, anyhow, bail, ensure};
use regex::Regex;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use wavesynth_models::ar::Symbol;

/// Most symbols.
pub const MOST: usize = 1 << 16;

/// Most merges: two pairs can make the same token.
const MOST_MERGES: usize = 2 * MOST;

/// Pieces of a text, but for what [`pieces`] does with white space (Radford et al. 2019).
const PIECES: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// Two symbols side by side.
type Pair = (Symbol, Symbol);

/// A vocabulary, ready to encode.
pub struct Bpe {
    /// As the trainer writes it.
    json: Value,
    /// Symbol of each byte.
    letters: Vec<Symbol>,
    /// Rank of a pair among the merges, and the symbol that it becomes.
    merges: HashMap<Pair, (u32, Symbol)>,
    pattern: Regex,
}

/// All but the tokens, as the trainer writes it.
fn frame() -> Value {
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {}, "merges": [],
        },
    })
}

/// Keys whose values [`frame`] leaves open.
const OPEN: [&str; 2] = ["model.vocab", "model.merges"];

/// Checks that `found` has the keys of `wanted`, and but for [`OPEN`] its values.
fn same(at: &str, found: &Value, wanted: &Value) -> Result<()> {
    if OPEN.contains(&at) {
        return Ok(());
    }
    let (Value::Object(f), Value::Object(w)) = (found, wanted) else {
        // A value of a file may be long.
        let said: String = found.to_string().chars().take(60).collect();
        ensure!(found == wanted, "`{at}` is {said}, the trainer writes {wanted}");
        return Ok(());
    };
    let path = |key: &str| if at.is_empty() { key.to_string() } else { format!("{at}.{key}") };
    if let Some(key) = f.keys().find(|key| !w.contains_key(*key)) {
        bail!("`{}` is no key that the trainer writes", path(key).escape_debug());
    }
    w.iter().try_for_each(|(key, wanted)| {
        let path = path(key);
        same(&path, f.get(key).with_context(|| format!("`{path}` is missing"))?, wanted)
    })
}

impl Bpe {
    /// Reads a vocabulary; also gives the bytes of each symbol.
    ///
    /// # Errors
    /// Anything that the trainer does not write.
    pub fn from_json(json: &Value) -> Result<(Self, Vec<Vec<u8>>)> {
        same("", json, &frame())?;
        let vocab = json["model"]["vocab"].as_object().context("`model.vocab` is no object")?;
        let merges = json["model"]["merges"].as_array().context("`model.merges` is no list")?;
        let n = vocab.len();
        ensure!((256..=MOST).contains(&n), "`model.vocab` has {n} tokens, wanted 256 to {MOST}");
        ensure!(merges.len() <= MOST_MERGES, "{} merges, wanted at most {MOST_MERGES}", merges.len());
        let alphabet = alphabet();
        let mut bytes = vec![Vec::new(); n];
        let mut symbols: HashMap<Vec<u8>, Symbol> = HashMap::with_capacity(n);
        for (token, id) in vocab {
            let said = || token.escape_debug().take(60).collect::<String>();
            let own = id.as_u64().and_then(|id| bytes.get_mut(usize::try_from(id).ok()?));
            let own = own.filter(|own| own.is_empty()).with_context(|| {
                format!("token `{}` has the number {id}, wanted each of 0 to {} once", said(), n - 1)
            })?;
            let letters: Option<Vec<u8>> = token.chars().map(|c| alphabet.get(&c).copied()).collect();
            *own = letters
                .filter(|l| !l.is_empty())
                .with_context(|| format!("token `{}` is not byte-level", said()))?;
            symbols.insert(own.clone(), id.as_u64().unwrap_or(0) as Symbol);
        }
        let symbol = |bytes: &[u8]| symbols.get(bytes).copied();
        let letters = (0..=u8::MAX)
            .map(|b| symbol(&[b]).with_context(|| format!("no token for the byte {b}")))
            .collect::<Result<_>>()?;
        let mut known = HashMap::with_capacity(merges.len());
        let mut made = vec![false; n];
        for (rank, pair) in merges.iter().enumerate() {
            let at = || format!("merge {rank}");
            let part = |i: usize| {
                pair.get(i).and_then(Value::as_str).and_then(|part| {
                    let letters: Option<Vec<u8>> = part.chars().map(|c| alphabet.get(&c).copied()).collect();
                    symbol(&letters?)
                })
            };
            let parts = pair.as_array().filter(|p| p.len() == 2).and_then(|_| Some((part(0)?, part(1)?)));
            let parts = parts.with_context(|| format!("{}: wanted a list of two tokens", at()))?;
            let whole = [&bytes[usize::from(parts.0)][..], &bytes[usize::from(parts.1)]].concat();
            let whole = symbol(&whole).with_context(|| format!("{}: makes no token", at()))?;
            made[usize::from(whole)] = true;
            if known.insert(parts, (rank as u32, whole)).is_some() {
                bail!("{}: stands twice", at());
            }
        }
        if let Some(id) = (0..n).find(|&id| bytes[id].len() > 1 && !made[id]) {
            bail!("no merge makes the token with the number {id}");
        }
        let pattern = Regex::new(PIECES)?;
        Ok((Self { json: json.clone(), letters, merges: known, pattern }, bytes))
    }

    /// The vocabulary as the trainer writes it.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The symbols of `text`, in O(n ln n) of its longest piece.
    pub fn encode(&self, text: &str) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        let mut word = Word::default();
        for piece in pieces(&self.pattern, text) {
            word.read(piece, &self.letters);
            word.merge(&self.merges);
            symbols.extend(word.symbols());
        }
        symbols
    }
}

/// The pieces of `text`, end to end.
fn pieces<'t>(pattern: &Regex, text: &'t str) -> impl Iterator<Item = &'t str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = pattern.find_at(text, at)?;
        let mut end = found.end();
        // `\s+(?!\S)|\s+`: of several white spaces before a word the last belongs to the word.
        if end < text.len()
            && let Some((last, space)) = found.as_str().char_indices().next_back()
            && space.is_whitespace()
            && last > 0
        {
            end = found.start() + last;
        }
        at = end;
        Some(&text[found.start()..end])
    })
}

/// A piece while its pairs are merged: a list of symbols, and the pairs in it that can be merged.
#[derive(Default)]
struct Word {
    nodes: Vec<Node>,
    /// Rank and left node, with the pair as it was: it may have changed since.
    pairs: BinaryHeap<Reverse<(u32, u32, Pair)>>,
}

/// A symbol; the first node's is always in the list.
#[derive(Clone, Copy)]
struct Node {
    symbol: Symbol,
    /// The node before and behind; [`NONE`] at the ends.
    before: u32,
    behind: u32,
    /// Whether it was not merged into the node before it.
    stands: bool,
}

const NONE: u32 = u32::MAX;

impl Word {
    fn read(&mut self, piece: &str, letters: &[Symbol]) {
        let last = piece.len() as u32 - 1;
        self.nodes.clear();
        self.nodes.extend(piece.bytes().zip(0..).map(|(b, i): (u8, u32)| Node {
            symbol: letters[usize::from(b)],
            before: i.checked_sub(1).unwrap_or(NONE),
            behind: if i < last { i + 1 } else { NONE },
            stands: true,
        }));
    }

    /// The pair whose left node is `left`.
    fn pair(&self, left: u32) -> Option<Pair> {
        let node = self.nodes.get(left as usize).filter(|n| n.stands)?;
        Some((node.symbol, self.nodes.get(node.behind as usize)?.symbol))
    }

    /// Merges the pair of the lowest rank, the leftmost first, until there is none.
    fn merge(&mut self, merges: &HashMap<Pair, (u32, Symbol)>) {
        let offer = |word: &mut Self, left: u32| {
            if let Some(pair) = word.pair(left)
                && let Some(&(rank, _)) = merges.get(&pair)
            {
                word.pairs.push(Reverse((rank, left, pair)));
            }
        };
        (0..self.nodes.len() as u32).for_each(|left| offer(self, left));
        while let Some(Reverse((_, left, pair))) = self.pairs.pop() {
            let Some(&(_, whole)) = merges.get(&pair).filter(|_| self.pair(left) == Some(pair)) else {
                continue;
            };
            let gone = self.nodes[left as usize].behind;
            let behind = self.nodes[gone as usize].behind;
            self.nodes[gone as usize].stands = false;
            self.nodes[left as usize].symbol = whole;
            self.nodes[left as usize].behind = behind;
            if let Some(node) = self.nodes.get_mut(behind as usize) {
                node.before = left;
            }
            offer(self, self.nodes[left as usize].before);
            offer(self, left);
        }
    }

    fn symbols(&self) -> impl Iterator<Item = Symbol> {
        self.nodes.iter().filter(|n| n.stands).map(|n| n.symbol)
    }
}

/// The byte that each letter of a byte-level vocabulary stands for: printable Latin-1 for itself, the other bytes, in
/// order, from U+0100 on (Radford et al. 2019, `bytes_to_unicode`).
fn alphabet() -> HashMap<char, u8> {
    let printable = |b: &u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=u8::MAX).filter(|b| !printable(b));
    let shifted = (0x100u32..).filter_map(char::from_u32).zip(others);
    (0..=u8::MAX).filter(printable).map(|b| (char::from(b), b)).chain(shifted).collect()
}

/// Learns at most `symbols` symbols from `text`; the vocabulary as the trainer writes it.
///
/// # Errors
/// Too few or too many symbols, an error of the library, or a build without it.
#[cfg(feature = "train")]
pub fn learn(symbols: usize, text: &str) -> Result<Value> {
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{
        DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
    };
    type Learner =
        TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;
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
    learner.train(&mut trainer, text.split_inclusive('\n').flat_map(short_words)).map_err(library)?;
    Ok(serde_json::to_value(&learner)?)
}

/// Bytes of a word, without white space in it, that pairs are learned from: the library's time grows with their square.
#[cfg(feature = "train")]
const LONGEST_WORD: usize = 4096;

/// `line` in pieces, cut within words that are longer.
#[cfg(feature = "train")]
fn short_words(line: &str) -> impl Iterator<Item = &str> {
    let (mut from, mut word) = (0, 0);
    let mut cuts = Vec::new();
    if line.len() > LONGEST_WORD {
        for (at, c) in line.char_indices() {
            if c.is_whitespace() {
                word = at;
            } else if at - word >= LONGEST_WORD {
                cuts.push(at);
                word = at;
            }
        }
    }
    cuts.push(line.len());
    cuts.into_iter().map(move |to| &line[std::mem::replace(&mut from, to)..to])
}

/// As above, in a build without the library.
#[cfg(not(feature = "train"))]
pub fn learn(_: usize, _: &str) -> Result<Value> {
    Err(anyhow!(
        "learning pairs: this program was built without the feature `train`; build it with --features train"
    ))
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const TEXT: &str =
        "to be, or not to be:\nthat is the question — é€𝄞\nto be or  not\t to 12 12be's we'll\n";

    static LEARNED: LazyLock<Value> = LazyLock::new(|| learn(330, &TEXT.repeat(3)).unwrap());

    fn library() -> tokenizers::Tokenizer {
        serde_json::from_value(LEARNED.clone()).unwrap()
    }

    fn agree(text: &str) {
        let (own, _) = Bpe::from_json(&LEARNED).unwrap();
        let library = library().encode_fast(text, false).unwrap();
        let library: Vec<Symbol> = library.get_ids().iter().map(|&id| id as Symbol).collect();
        assert_eq!(own.encode(text), library, "{text:?}");
    }

    proptest! {
        #[test]
        fn tokens_are_those_of_the_library(text in "[ tobe,rn'shqul\n\t0-9é€]{0,60}", any in "\\PC{0,20}") {
            agree(&text);
            agree(&any);
        }
    }

    #[test]
    fn white_space_and_long_words_are_cut_as_the_library_cuts_them() {
        agree(TEXT);
        for text in [
            "  a",
            " \n a",
            "a  ",
            "\u{3000}\u{a0}b",
            "\n\n\nto",
            " 's's 's",
            "",
            " ",
            "to\u{85}\u{2028}be  \r\n x",
        ] {
            agree(text);
        }
        agree(&"tobeornottobe".repeat(300));
        let (own, _) = Bpe::from_json(&LEARNED).unwrap();
        let began = std::time::Instant::now();
        let word = "tobeornottobe".repeat(80_000);
        assert!(own.encode(&word).len() < word.len());
        assert!(began.elapsed().as_secs() < 10, "a word of a megabyte took {:?}", began.elapsed());
    }

    #[test]
    fn long_words_are_learned_from_in_pieces() {
        let word = "é".repeat(3 * LONGEST_WORD);
        let line = format!("to {word} be\n");
        let pieces: Vec<&str> = short_words(&line).collect();
        assert_eq!(pieces.concat(), line);
        assert_eq!(pieces.len(), 6);
        assert_eq!(short_words(TEXT).collect::<Vec<_>>(), [TEXT]);
        let began = std::time::Instant::now();
        learn(300, &"ab".repeat(100_000)).unwrap();
        assert!(began.elapsed().as_secs() < 10, "a word of 200 kB took {:?}", began.elapsed());
    }

    #[test]
    fn only_what_the_trainer_writes_is_accepted() {
        assert_eq!(Bpe::from_json(&LEARNED).unwrap().0.json(), &*LEARNED);
        let refused = |change: fn(&mut Value), words: &str| {
            let mut json = LEARNED.clone();
            change(&mut json);
            let message = Bpe::from_json(&json).err().expect("refused").to_string();
            assert!(message.contains(words), "`{message}` does not say `{words}`");
        };
        refused(
            |v| v["padding"] = json!({ "pad_id": 60000 }),
            r#"`padding` is {"pad_id":60000}, the trainer writes null"#,
        );
        refused(|v| v["model"]["dropout"] = json!(0.5), "`model.dropout` is 0.5, the trainer writes null");
        refused(|v| v["model"]["x\n"] = json!(0.5), r"`model.x\n` is no key");
        refused(|v| drop(v.as_object_mut().unwrap().remove("decoder")), "`decoder` is missing");
        refused(
            |v| v["model"]["vocab"]["a"] = json!(4_000_000_000u64),
            "token `a` has the number 4000000000",
        );
        refused(|v| v["model"]["vocab"]["a"] = json!(66), "wanted each of 0 to");
        refused(|v| v["model"]["vocab"]["a"] = json!(-1), "token `a` has the number -1");
        refused(|v| v["model"]["vocab"] = json!([]), "`model.vocab` is no object");
        refused(|v| v["model"]["merges"] = json!("x"), "`model.merges` is no list");
        refused(|v| v["model"]["merges"][3] = json!(["t", "", "o"]), "merge 3: wanted a list of two tokens");
        refused(|v| v["model"]["merges"][3] = json!(["t", "Z"]), "merge 3: makes no token");
        refused(|v| v["model"]["merges"][3] = v["model"]["merges"][2].clone(), "merge 3: stands twice");
        refused(|v| drop(v["model"]["merges"].as_array_mut().unwrap().pop()), "no merge makes the token");
        refused(
            |v| {
                let vocab = v["model"]["vocab"].as_object_mut().unwrap();
                let id = vocab.shift_remove("Z").unwrap();
                vocab.insert("日".into(), id);
            },
            "token `日` is not byte-level",
        );
    }
}
