//! Lines that are sequences of their own: `text.lines`. A window is a line, and what stands before it is the start symbol
//! alone.

use super::config::TextRun;
use super::corpus::TextCorpus;
use super::window::{InputNoise, cut};
use crate::train::slots::Slots;
use anyhow::{Result, anyhow, ensure};
use std::ops::Range;
use wavesynth_models::ar::{Symbol, Uniforms};
use wavesynth_models::objective::Window;

/// A line of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its symbols, the line break among them.
    pub symbols: Range<usize>,
    /// How many of them, from the front, are read and not learned.
    pub prompt: usize,
}

/// The end of the line in `text` that position `at` lies in, behind its line break.
pub fn end(text: &[u8], at: usize) -> usize {
    match at == 0 || text[..at].ends_with(b"\n") {
        true => at,
        false => text[at..].iter().position(|&b| b == b'\n').map_or(text.len(), |i| at + i + 1),
    }
}

/// The lines of the training symbols and of the held-out ones.
///
/// # Errors
/// A text with no line break or no line to train on, a line longer than `train.window`, or one without the prompt's end or
/// with nothing behind it.
pub fn split(run: &TextRun, corpus: &TextCorpus) -> Result<[Vec<Line>; 2]> {
    let name = || format!("text.file {}", run.text.file.display());
    let code = |c: char| {
        let symbol = corpus.tokenizer.encode(c.to_string().as_bytes(), "").ok();
        symbol.and_then(|s| s.first().copied()).ok_or_else(|| anyhow!("{}: no line has a {c:?}", name()))
    };
    let end_of_line = code('\n')?;
    let end_of_prompt = run.text.prompt.map(code).transpose()?;
    let mut number = 0;
    let mut lines_of = |symbols: &[Symbol]| {
        let mut lines = Vec::new();
        let mut at = 0;
        for line in symbols.split_inclusive(|&s| s == end_of_line) {
            number += 1;
            let err = |what: String| anyhow!("{}: line {number} {what}", name());
            let from = match end_of_prompt {
                None => Some(0),
                Some(end) => line.iter().position(|&s| s == end).map(|i| i + 1),
            };
            let (found, window) = (line.len(), run.train.window);
            let prompt = from.filter(|&p| p < found).ok_or_else(|| {
                let end = run.text.prompt.unwrap_or_default();
                err(format!("has no {end:?} with anything behind it, which text.prompt wants of every line"))
            })?;
            ensure!(
                found <= window,
                err(format!("has {found} symbols with its end, wanted at most train.window, {window}"))
            );
            lines.push(Line { symbols: at..at + found, prompt });
            at += found;
        }
        Ok(lines)
    };
    let lines = [lines_of(&corpus.training)?, lines_of(&corpus.held_out)?];
    ensure!(!lines[0].is_empty(), "{}: no line to train on", name());
    Ok(lines)
}

/// Gives this rank's part of the batches of a run: the next lines of the text in each step, and behind the last line the
/// first.
pub struct TextLines<'a> {
    /// The training symbols.
    pub symbols: &'a [Symbol],
    /// Their lines.
    pub lines: &'a [Line],
    /// The symbol before a line.
    pub start: Symbol,
    /// Windows of a step.
    pub slots: Slots,
    /// What is done to the inputs.
    pub noise: InputNoise,
}

impl TextLines<'_> {
    /// This rank's windows of step `step`.
    pub fn batch(&self, step: u64) -> Vec<Window> {
        (self.slots.own.clone())
            .map(|slot| {
                let number = self.slots.number(step, slot);
                let line = &self.lines[(number % self.lines.len() as u64) as usize];
                let symbols = &self.symbols[line.symbols.clone()];
                let mut window = cut(symbols, self.start, line.prompt, symbols.len(), line.prompt);
                self.noise.add(&mut window, number, &mut Uniforms::keyed(self.noise.seed, number));
                window
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::run_file::Run;

    const WORDS: &str = "ab|1\nabc|12\nb|2\nca|31\nbb|22\nac|13\n";

    fn corpus(text: &str, keys: &str) -> Result<(TextCorpus, [Vec<Line>; 2])> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("words.txt");
        std::fs::write(&file, text).unwrap();
        let toml = format!(
            "[text]\nfile = {file:?}\nheld_out = 0.3\nlines = true\nprompt = \"|\"\n[model]\nfamily = \"char_rnn\"\n\
             cell = \"gru\"\nhidden = 4\nlayers = 1\n[train]\nsteps = 10\n{keys}"
        );
        let table = toml.parse().unwrap();
        let run = TextRun::parse(&toml, &table, "run").unwrap();
        let corpus = TextCorpus::load(&run.text)?;
        let lines = split(&run, &corpus)?;
        Ok((corpus, lines))
    }

    #[test]
    fn a_window_is_a_line_whose_prompt_is_not_learned() {
        let (corpus, [training, held_out]) = corpus(WORDS, "window = 16").unwrap();
        // 70 % of the bytes end in the fifth line, which stays whole.
        assert_eq!((training.len(), held_out.len()), (5, 1));
        let noise = InputNoise { rate: 0.0, classes: corpus.tokenizer.classes(), seed: 1 };
        let start = corpus.tokenizer.start();
        let slots = Slots { own: 1..3, all: 3 };
        let sampler = TextLines { symbols: &corpus.training, lines: &training, start, slots, noise };
        let text = |symbols: &[Symbol]| -> String {
            symbols.iter().map(|&s| String::from_utf8_lossy(corpus.tokenizer.bytes(s)).into_owned()).collect()
        };
        for step in 0..7 {
            for (slot, w) in (1..3).zip(sampler.batch(step)) {
                let line = WORDS.lines().nth((3 * step as usize + slot) % 5).unwrap();
                assert_eq!(text(&w.targets), format!("{line}\n"));
                assert_eq!(text(&w.inputs), format!("\n{line}"));
                assert_eq!(w.warmup, line.find('|').unwrap() + 1);
            }
        }
    }

    #[test]
    fn lines_that_can_not_be_learned_are_named() {
        let message = |text: &str, keys: &str| corpus(text, keys).err().unwrap().to_string();
        let long = message(WORDS, "window = 6");
        assert!(
            long.ends_with("line 2 has 7 symbols with its end, wanted at most train.window, 6"),
            "{long}"
        );
        let bare = message("ab|1\nab\nb|1\nc|1\n", "window = 16");
        assert!(bare.contains("line 2 has no '|' with anything behind it"), "{bare}");
        let other = message("ab\nab\nb\nc\n", "window = 16");
        assert!(other.ends_with("no line has a '|'"), "{other}");
    }

    #[test]
    fn lines_and_what_they_exclude() {
        let parse = |text: &str, train: &str| {
            let toml = format!(
                "[text]\nfile = \"a\"\n{text}\n[model]\nfamily = \"gpt\"\nlayers = 1\nheads = 1\nwidth = 4\n[train]\nsteps = 10\n{train}"
            );
            Run::parse(&toml, "run").map(|_| ()).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(parse("lines = true\nprompt = \"|\"", ""), Ok(()));
        for (text, train, words) in [
            ("prompt = \"|\"", "", "set text.lines = true"),
            ("lines = true\ntokenizer = { bpe = 300 }", "", "wanted \"chars\" or \"bytes\""),
            ("lines = true\neval = \"windows\"", "", "each in one go"),
            ("lines = true\nprompt = \"\\n\"", "", "no line break"),
            ("lines = true", "curriculum = { from = 8, until = 0.5 }", "a window is a line"),
        ] {
            let message = parse(text, train).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
