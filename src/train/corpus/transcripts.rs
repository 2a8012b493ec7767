//! `transcripts.tsv`: which recordings of a speaker are held out, and what is said in them.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use wavesynth_models::in_file;

/// Words of the column `split` for recordings that are kept away from training; any case will do.
const HELD_OUT: [&str; 6] = ["test", "dev", "val", "valid", "validation", "eval"];
/// The word for the others.
const TRAIN: &str = "train";

/// Bytes of the longest table that is read, 64 MiB.
const MOST_TABLE: u64 = 1 << 26;

/// What is said in a recording: the columns `text` and `phones`, empty where there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Its words.
    pub text: String,
    /// Its phones, as [`crate::tts::phones::read`] reads them.
    pub phones: String,
}

/// The split of a speaker's recordings.
#[derive(Debug, Default, PartialEq)]
pub struct Transcripts {
    path: PathBuf,
    /// Whether a recording is held out, by the column `utt`.
    held_out: HashMap<String, bool>,
    /// What is said, by the column `utt`.
    said: HashMap<String, Said>,
    /// The column `utt`, in order.
    rows: Vec<String>,
    /// The first line that says something else of a recording than one before it, and its `utt`.
    contradiction: Option<(usize, String)>,
}

impl Transcripts {
    /// Reads the file at `path`; without one there are no rows.
    ///
    /// # Errors
    /// A file that can't be read as such a table, a word that is no part of a split.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = match in_file::read_text(path, MOST_TABLE) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => {
                return Err(e)
                    .with_context(|| format!("{name}: can't be read as text (UTF-8); correct or remove it"));
            }
        };
        let mut lines = text.lines().enumerate();
        let head: Vec<&str> = lines.next().map_or("", |(_, line)| line).split('\t').map(str::trim).collect();
        let column = |column: &str| {
            head.iter().position(|h| *h == column).ok_or_else(|| {
                anyhow!("{name}: no column `{column}` in its first line; correct or remove it")
            })
        };
        let (utt, split) = (column("utt")?, column("split")?);
        let (text, phones) = (column("text").ok(), column("phones").ok());
        let mut this = Self { path: path.into(), ..Self::default() };
        for (i, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            let (utt, word) = (cells.get(utt).unwrap_or(&""), cells.get(split).unwrap_or(&""));
            let held_out = match word.to_lowercase().as_str() {
                TRAIN => false,
                word if HELD_OUT.contains(&word) => true,
                _ => bail!(
                    "{name} line {}: split `{word}`: wanted {TRAIN}, or, for recordings that are held out, {}",
                    i + 1,
                    HELD_OUT.join(", ")
                ),
            };
            let cell =
                |at: Option<usize>| at.and_then(|at| cells.get(at)).map_or_else(String::new, |c| (*c).into());
            let said = Said { text: cell(text), phones: cell(phones) };
            let before = this.said.insert((*utt).into(), said.clone());
            if this.contradiction.is_none() && before.is_some_and(|before| before != said) {
                this.contradiction = Some((i + 1, (*utt).into()));
            }
            match this.held_out.insert((*utt).into(), held_out) {
                Some(before) if before != held_out => {
                    bail!("{name} line {}: `{utt}` is held out in one line and trained on in another", i + 1)
                }
                Some(_) => {}
                None => this.rows.push((*utt).into()),
            }
        }
        Ok(this)
    }

    /// Whether a recording is held out, by its name without and with its ending; `None` if no row names it.
    pub fn held_out(&self, name: &str, file: &str) -> Option<bool> {
        self.held_out.get(name).or_else(|| self.held_out.get(file)).copied()
    }

    /// What is said in a recording, by its name without and with its ending; `None` if no row names it.
    ///
    /// # Errors
    /// Rows that say different things of one recording, this one or any other.
    pub fn said(&self, name: &str, file: &str) -> Result<Option<&Said>> {
        let path = self.path.display();
        if let Some((line, utt)) = &self.contradiction {
            bail!(
                "{path} line {line}: `{utt}` has a row before it that says something else; remove one of them"
            );
        }
        match (self.said.get(name), self.said.get(file)) {
            (Some(a), Some(b)) if a != b => {
                bail!(
                    "{path}: `{name}` and `{file}` are one recording, and their rows say different things; remove one of them"
                )
            }
            (said, other) => Ok(said.or(other)),
        }
    }

    /// Where recordings and rows do not meet, a line for each: rows without a recording, recordings without a row.
    /// `files` are names without and with their endings; `bare` says what becomes of the latter.
    pub fn strays(&self, files: &[(String, String)], bare: &str) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let names: std::collections::HashSet<&str> =
            files.iter().flat_map(|(name, file)| [name.as_str(), file]).collect();
        let idle: Vec<_> = self.rows.iter().filter(|utt| !names.contains(utt.as_str())).cloned().collect();
        let without = files.iter().filter(|(name, file)| self.held_out(name, file).is_none());
        let without: Vec<String> = without.map(|(name, _)| name.clone()).collect();
        let line = |names: Vec<String>, what: &str| {
            (!names.is_empty()).then(|| {
                let n = names.len();
                format!(
                    "{}: {n} {what}: {}",
                    self.path.display(),
                    crate::recordings::names(names.into_iter())
                )
            })
        };
        let idle = line(idle, "rows name no recording");
        idle.into_iter().chain(line(without, &format!("recordings have no row, so {bare}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Transcripts> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transcripts.tsv");
        std::fs::write(&path, text).unwrap();
        Transcripts::read(&path)
    }

    #[test]
    fn words_of_the_split_are_understood_or_refused() {
        for word in ["test", "Test", "TEST", "dev", "val", "valid", "Validation", "eval", " test "] {
            let t = read(&format!("utt\tsplit\na\t{word}\nb\ttrain\n")).unwrap();
            assert_eq!(
                (t.held_out("a", "a.wav"), t.held_out("b", "b.wav")),
                (Some(true), Some(false)),
                "{word}"
            );
        }
        for word in ["", "tset", "trainings", "1"] {
            let e = read(&format!("utt\tsplit\nb\tTrain\na\t{word}\n")).unwrap_err().to_string();
            assert!(
                e.contains("transcripts.tsv line 3") && e.contains("train") && e.contains("validation"),
                "{e}"
            );
        }
        let e = read("utt\tsplit\na\ttrain\na\ttest\n").unwrap_err().to_string();
        assert!(e.contains("line 3") && e.contains("`a`"), "{e}");
        assert!(read("utt\tsplit\na\n").is_err());
    }

    #[test]
    fn what_editors_add_is_no_part_of_it() {
        let t = read("\u{feff}utt\tseconds\tsplit\r\na\t1\ttest\r\n\r\nb.flac\t2\ttrain\r\n").unwrap();
        assert_eq!(t.held_out("a", "a.wav"), Some(true));
        assert_eq!(t.held_out("b", "b.flac"), Some(false));
        assert_eq!(t.held_out("c", "c.wav"), None);
    }

    #[test]
    fn rows_and_recordings_that_do_not_meet_are_named() {
        let file = |name: &str| (name.to_owned(), format!("{name}.wav"));
        let t = read("utt\tsplit\na\ttrain\nb.wav\ttrain\ngone\ttest\n").unwrap();
        let lines = t.strays(&["a", "b", "new"].map(file), "they are left out");
        assert!(lines[0].contains("1 rows name no recording: gone"), "{lines:?}");
        assert!(lines[1].ends_with("1 recordings have no row, so they are left out: new"), "{lines:?}");
        assert!(t.strays(&["a", "b", "gone"].map(file), "").is_empty());
        assert!(Transcripts::default().strays(&[file("a")], "").is_empty());
    }

    #[test]
    fn rows_of_one_recording_say_the_same() {
        let said = |rows: &str| {
            let t = read(&format!("utt\tsplit\ttext\n{rows}")).unwrap();
            t.said("a", "a.wav").map(|said| said.map(|s| s.text.clone())).map_err(|e| e.to_string())
        };
        assert_eq!(said("a\ttrain\tyes\na\ttrain\tyes\na.wav\ttrain\tyes\n"), Ok(Some("yes".into())));
        assert_eq!(said("b\ttrain\tyes\n"), Ok(None));
        let e = said("a\ttrain\tyes\nb\ttrain\tno\na\ttrain\tno\na\ttrain\tyes\n").unwrap_err();
        assert!(
            e.contains("transcripts.tsv line 4: `a` has a row before it that says something else"),
            "{e}"
        );
        let e = said("a\ttrain\tyes\na.wav\ttrain\tno\n").unwrap_err();
        assert!(e.contains("`a` and `a.wav` are one recording"), "{e}");
    }
}
