//! A text file as symbols: its first part for training, its last held out.

use super::config::Text;
use super::lines;
use crate::text::Tokenizer;
use crate::train::recording::short_hex;
use crate::train::units;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use wavesynth_models::ar::Symbol;
use wavesynth_models::objective::WindowPast;

/// A text.
pub struct TextCorpus {
    /// Its tokeniser.
    pub tokenizer: Tokenizer,
    /// The training symbols.
    pub training: Vec<Symbol>,
    /// The held-out symbols.
    pub held_out: Vec<Symbol>,
    /// Names the content: equal for equal symbols, vocabulary and split.
    pub id: String,
    /// Nats per symbol of the training symbols' own frequencies, scored on themselves.
    pub frequency_nats: f64,
    file: PathBuf,
    bytes: usize,
}

impl TextCorpus {
    /// Reads the file of `text`, learns its tokeniser and splits it.
    ///
    /// # Errors
    /// A file that can't be read, is empty, or is no text that the tokeniser can read.
    pub fn load(text: &Text) -> Result<Self> {
        let name = format!("text.file {}", text.file.display());
        let bytes = crate::text::read(&text.file).context("text.file")?;
        // Not inside a UTF-8 sequence: 10xxxxxx goes on with a character.
        let mut cut = (bytes.len() as f64 * (1.0 - text.held_out)) as usize;
        while cut < bytes.len() && bytes[cut] & 0xC0 == 0x80 {
            cut += 1;
        }
        if text.lines {
            cut = lines::end(&bytes, cut);
        }
        let tokenizer = Tokenizer::learn(text.tokenizer, &bytes, cut, &name)?;
        let training = tokenizer.encode(&bytes[..cut], &name)?;
        let held_out = tokenizer.encode(&bytes[cut..], &name)?;
        let id = content_id(&tokenizer, &training, &held_out)?;
        let frequency_nats = frequency_nats(&training, tokenizer.classes());
        let (file, bytes) = (text.file.clone(), bytes.len());
        Ok(Self { tokenizer, training, held_out, id, frequency_nats, file, bytes })
    }

    /// Checks that there is a text to cut steps of `windows` windows of `window` symbols from.
    ///
    /// # Errors
    /// There is none.
    pub fn check_length(&self, window: usize, windows: usize, past: WindowPast) -> Result<()> {
        let (found, unit) = (self.training.len(), self.tokenizer.unit());
        let want = match past {
            WindowPast::Carried => window * windows,
            WindowPast::Field(_) | WindowPast::Window => window,
        };
        ensure!(
            found > want,
            "text.file {}: {found} {unit}s to train on, wanted more than {want}, {}; lower train.window, or bring more \
             text",
            self.file.display(),
            match past {
                WindowPast::Carried => "a window for each of a step's",
                WindowPast::Field(_) | WindowPast::Window => "the length of train.window",
            }
        );
        Ok(())
    }

    /// One line that describes it.
    pub fn describe(&self) -> String {
        let (t, unit) = (&self.tokenizer, self.tokenizer.unit());
        format!(
            "corpus: {} ({}), {} different {unit}s, {} to train on, {} held out",
            self.file.display(),
            units::bytes(self.bytes),
            t.classes(),
            self.training.len(),
            self.held_out.len()
        )
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of::<Symbol>() * (self.training.len() + self.held_out.len())
    }
}

fn frequency_nats(symbols: &[Symbol], classes: usize) -> f64 {
    let mut counts = vec![0u64; classes];
    symbols.iter().for_each(|&s| counts[usize::from(s)] += 1);
    let total = symbols.len().max(1) as f64;
    counts.iter().filter(|c| **c > 0).map(|&c| c as f64 / total).map(|p| -p * p.ln()).sum()
}

fn content_id(tokenizer: &Tokenizer, training: &[Symbol], held_out: &[Symbol]) -> Result<String> {
    let mut h = Sha256::new();
    h.update(tokenizer.to_json()?.to_string());
    for part in [training, held_out] {
        h.update((part.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = part.iter().flat_map(|s| s.to_le_bytes()).collect();
        h.update(&bytes);
    }
    Ok(short_hex(&h.finalize()))
}
