//! The file of times: when each word and phone sounds.

use anyhow::{Context, Result};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use wavesynth::tts::Prepared;
use wavesynth::tts::draw::seconds;
use wavesynth_output::{Kind, Output, Pending, Plan, kind, shown};

/// The first line of a table.
const HEAD: &str = "start\tend\tkind\tname";

const TABLE: Kind = Kind {
    name: "a table of times",
    endings: &["tsv", "txt"],
    is_text: true,
    is: |p| kind::lines(p).is_some_and(|lines| lines.first().is_some_and(|l| l.starts_with(HEAD))),
};

const JSON: Kind =
    Kind { name: "times in JSON", endings: &["json"], is_text: true, is: |p| kind::begins(p, b"[") };

/// A word, a phone or a pause.
#[derive(Debug, Serialize)]
struct Row<'a> {
    start: f64,
    end: f64,
    kind: &'static str,
    name: &'a str,
}

/// A file of times that is being written.
pub struct Timing {
    pending: Pending,
    name: String,
    json: bool,
    rows: u64,
}

impl Timing {
    /// Plans the file at `path` and opens it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn open(plan: &mut Plan, path: &Path) -> Result<Self> {
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let output: Output = plan.writes("--timing", path, if json { &JSON } else { &TABLE })?;
        let name = format!("cannot write {}", shown::path(output.path()));
        let mut pending = output.create().with_context(|| name.clone())?;
        match json {
            true => write!(pending, "["),
            false => writeln!(pending, "{HEAD}"),
        }
        .with_context(|| name.clone())?;
        Ok(Self { pending, name, json, rows: 0 })
    }

    /// Adds an utterance that was said.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn add(&mut self, said: &Prepared) -> Result<()> {
        let span = |i: usize| (said.starts[i], said.starts[i + 1]);
        let mut word = None;
        for (i, slot) in said.slots.iter().enumerate().take(said.starts.len().saturating_sub(1)) {
            let is_pause = slot.phone == 0;
            if !is_pause && word != Some(slot.word) {
                word = Some(slot.word);
                let of = |s: &&wavesynth::tts::context::Slot| s.phone != 0 && s.word == slot.word;
                let count = said.slots[i..].iter().take_while(of).count();
                let end = said.starts[(i + count).min(said.starts.len() - 1)];
                self.row(span(i).0, end, "word", &said.utterance.words[slot.word].text)?;
            }
            let kind = if is_pause { "pause" } else { "phone" };
            self.row(span(i).0, span(i).1, kind, &said.names[i])?;
        }
        Ok(())
    }

    fn row(&mut self, start: u64, end: u64, kind: &'static str, name: &str) -> Result<()> {
        let row = Row { start: seconds(start), end: seconds(end), kind, name };
        let before = if self.rows > 0 { "," } else { "" };
        self.rows += 1;
        match self.json {
            true => write!(self.pending, "{before}\n{}", serde_json::to_string(&row)?),
            false => {
                let name = name.replace(['\t', '\n', '\r'], " ");
                writeln!(self.pending, "{:.3}\t{:.3}\t{kind}\t{name}", row.start, row.end)
            }
        }
        .with_context(|| self.name.clone())
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn finish(mut self) -> Result<()> {
        if self.json {
            writeln!(self.pending, "\n]").with_context(|| self.name.clone())?;
        }
        self.pending.flush().with_context(|| self.name.clone())?;
        self.pending.commit().with_context(|| self.name)
    }
}
