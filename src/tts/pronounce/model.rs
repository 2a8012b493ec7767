//! A text model that answers prompts: letters in front of `|`, behind it what they are pronounced like.

use crate::text::TextModel;
use anyhow::{Context, Result, ensure};
use wavesynth_models::ar::{Generator, Sampling, Symbol};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;

use super::phones;

/// What ends the letters.
const PROMPT_END: char = '|';

/// What ends an answer.
const LINE_END: char = '\n';

/// Phones of a letter at most.
const PHONES_OF_A_LETTER: usize = 2;

/// Hypotheses that are followed at the same time.
const BEAM: usize = 4;

/// Nats that one of them may be worse than the best: a twentieth as likely.
const WORSE: f32 = 3.0;

/// A model over lines `letters|answer`.
pub struct PromptModel {
    model: TextModel,
    /// Symbols of a line at most, where the family has a limit.
    context: usize,
    prompt_end: Symbol,
    line_end: Symbol,
    /// The symbol of each phone.
    phones: Vec<(u8, Symbol)>,
}

/// A beginning of an answer.
struct Hypothesis {
    stream: Box<dyn Generator>,
    /// Letters written again.
    letters: usize,
    /// Phones behind the last of them.
    run: usize,
    phones: Vec<u8>,
    nats: f32,
}

/// A hypothesis that is one symbol longer than its parent.
struct Child {
    nats: f32,
    parent: usize,
    symbol: Symbol,
    phone: Option<u8>,
}

/// The hypotheses of `next`; the last child of a parent takes its stream over.
fn children(beam: Vec<Hypothesis>, next: &[Child]) -> Vec<Hypothesis> {
    let mut parents: Vec<Option<Hypothesis>> = beam.into_iter().map(Some).collect();
    let mut all = Vec::new();
    for (i, c) in next.iter().enumerate() {
        let is_last = !next[i + 1..].iter().any(|other| other.parent == c.parent);
        let child = match &parents[c.parent] {
            Some(_) if is_last => parents[c.parent].take(),
            Some(h) => Some(Hypothesis { stream: h.stream.fork(), phones: h.phones.clone(), ..*h }),
            None => None,
        };
        let Some(mut h) = child else { continue };
        h.stream.replace(c.symbol.into());
        h.nats = c.nats;
        match c.phone {
            Some(phone) => {
                h.phones.push(phone);
                h.run += 1;
            }
            None => (h.letters, h.run) = (h.letters + 1, 0),
        }
        all.push(h);
    }
    all
}

impl PromptModel {
    /// Opens a checkpoint; `name` is used in errors only, and `phones` is how many its language has.
    ///
    /// # Errors
    /// What is no text model, or one of other lines.
    pub fn open(file: &[u8], name: &str, phones: usize) -> Result<Self> {
        let path = std::path::Path::new(name);
        let checkpoint = Checkpoint::from_bytes(file).at(path)?;
        Self::from_loaded(Loaded::from_checkpoint(checkpoint, Isa::detect()).at(path)?, phones)
            .with_context(|| name.to_string())
    }

    /// The same of a model that was loaded already.
    ///
    /// # Errors
    /// As [`PromptModel::open`].
    pub fn from_loaded(model: Loaded, phones: usize) -> Result<Self> {
        let model = TextModel::from_loaded(model)?;
        let symbol = |c: char| symbol(&model, c);
        let missing = |c: char| format!("no model of pronunciations: it has no symbol {c:?}");
        let prompt_end = symbol(PROMPT_END).with_context(|| missing(PROMPT_END))?;
        let line_end = symbol(LINE_END).with_context(|| missing(LINE_END))?;
        ensure!(
            model.model.config.facts().start == line_end,
            "no model of lines: it does not start with a line break"
        );
        let phones = (0..phones as u8).filter_map(|i| Some((i, symbol(phones::character(i))?))).collect();
        let context = model.model.config.facts().past.unwrap_or(usize::MAX);
        Ok(Self { model, context, prompt_end, line_end, phones })
    }

    /// The symbols of `word`; `None` where one of its letters is none of the model's.
    fn letters(&self, word: &str) -> Option<Vec<Symbol>> {
        let letters: Option<Vec<Symbol>> = word.chars().map(|c| symbol(&self.model, c)).collect();
        letters.filter(|l| !l.is_empty() && !l.contains(&self.prompt_end) && !l.contains(&self.line_end))
    }

    /// A stream that has read `letters` and the end of the prompt.
    fn asked(&self, letters: &[Symbol]) -> Box<dyn Generator> {
        let mut stream = self.model.model.generator(Sampling::default());
        for &x in letters.iter().chain([&self.prompt_end]) {
            stream.score(x.into());
        }
        stream
    }

    /// The phones of `word` by a beam search over answers in which each letter stands again with its phones behind it;
    /// `None` where the model does not know one of its letters.
    pub fn phones(&self, word: &str) -> Option<Vec<u8>> {
        let letters = self.letters(word)?;
        // A line has each letter twice, and about as many phones.
        let piece = (self.context / 3).saturating_sub(2).max(1);
        Some(letters.chunks(piece).flat_map(|letters| self.phones_of(letters)).collect())
    }

    fn phones_of(&self, letters: &[Symbol]) -> Vec<u8> {
        let mut params = vec![0.0; self.model.tokenizer.classes()];
        let mut stream = self.asked(letters);
        // The first letter comes first in any answer.
        stream.score(letters[0].into());
        let mut beam = vec![Hypothesis { stream, letters: 1, run: 0, phones: Vec::new(), nats: 0.0 }];
        let mut best: Option<(f32, Vec<u8>)> = None;
        let mut next: Vec<Child> = Vec::new();
        while !beam.is_empty() {
            next.clear();
            for (parent, h) in beam.iter_mut().enumerate() {
                h.stream.parameters(self.line_end.into(), &mut params);
                let total = log_total(&params);
                let nats = |s: Symbol| h.nats + total - params[usize::from(s)];
                let on = *letters.get(h.letters).unwrap_or(&self.line_end);
                next.push(Child { nats: nats(on), parent, symbol: on, phone: None });
                if h.run < PHONES_OF_A_LETTER {
                    let said = |&(phone, symbol): &(u8, Symbol)| Child {
                        nats: nats(symbol),
                        parent,
                        symbol,
                        phone: Some(phone),
                    };
                    next.extend(self.phones.iter().map(said));
                }
            }
            next.sort_by(|a, b| a.nats.total_cmp(&b.nats));
            let first = next.first().map_or(0.0, |c| c.nats);
            let bound = best.as_ref().map_or(f32::INFINITY, |b| b.0).min(first + WORSE);
            next.truncate(BEAM);
            next.retain(|c| c.nats <= bound);
            next.retain(|c| {
                let ends = c.symbol == self.line_end;
                if ends && best.as_ref().is_none_or(|b| c.nats < b.0) {
                    best = Some((c.nats, beam[c.parent].phones.clone()));
                }
                !ends
            });
            beam = children(beam, &next);
        }
        best.map_or(Vec::new(), |b| b.1)
    }

    /// The likeliest of `answers` to `word`, each a character; with the likeliest of `more` behind it, or none where the line's end
    /// is likelier. `None` where the model does not know a letter, or the word is too long for it.
    pub fn choose(&self, word: &str, answers: &[char], more: char) -> Option<(char, bool)> {
        let letters = self.letters(word)?;
        if letters.len() + 4 > self.context {
            return None;
        }
        let mut params = vec![0.0; self.model.tokenizer.classes()];
        let mut stream = self.asked(&letters);
        stream.parameters(self.line_end.into(), &mut params);
        let known = answers.iter().filter_map(|&c| Some((c, symbol(&self.model, c)?)));
        let weight = |s: Symbol| params[usize::from(s)];
        let (answer, s) = known.max_by(|a, b| weight(a.1).total_cmp(&weight(b.1)))?;
        stream.replace(s.into());
        stream.parameters(self.line_end.into(), &mut params);
        let end = params[usize::from(self.line_end)];
        Some((answer, symbol(&self.model, more).is_some_and(|s| params[usize::from(s)] > end)))
    }
}

/// The symbol of a character that is one.
fn symbol(model: &TextModel, c: char) -> Option<Symbol> {
    let mut bytes = [0; 4];
    match model.tokenizer.encode(c.encode_utf8(&mut bytes).as_bytes(), "").ok()?[..] {
        [s] => Some(s),
        _ => None,
    }
}

/// ln Σ exp of logits.
fn log_total(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::MIN, f32::max);
    max + logits.iter().map(|l| (l - max).exp()).sum::<f32>().ln()
}
