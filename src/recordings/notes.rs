//! What is said about recordings.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use wavesynth_audio::recording::Finding;

/// Recordings that get a line of their own; the others of many are counted.
const MOST_LINES: usize = 20;

/// What is wrong with recordings: gathered while they are read, by any thread, and said once.
#[derive(Debug, Default)]
pub struct Notes {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// About folders, in the order in which they came.
    lines: Vec<String>,
    /// Errors of recordings.
    left_out: Vec<String>,
    /// Why recordings are of no use to a run.
    unused: Vec<String>,
    /// About recordings, by name.
    files: BTreeMap<PathBuf, Vec<String>>,
}

impl Notes {
    /// A line that is about no single recording.
    pub fn line(&self, line: String) {
        self.with(|kept| kept.lines.push(line));
    }

    /// A recording that is left out because of an error.
    pub fn left_out(&self, error: String) {
        self.with(|kept| kept.left_out.push(error));
    }

    /// A recording that is left out because of what a run wants of it.
    pub fn unused(&self, why: String) {
        self.with(|kept| kept.unused.push(why));
    }

    /// Notes the findings about `path`, each once.
    pub fn add(&self, path: &Path, findings: impl IntoIterator<Item = Finding>) {
        for text in findings.into_iter().map(|f| f.to_string()) {
            self.with(|kept| {
                let texts = kept.files.entry(path.into()).or_default();
                if !texts.contains(&text) {
                    texts.push(text);
                }
            });
        }
    }

    /// All lines, one for each recording with a finding, and none is kept.
    pub fn take(&self) -> Vec<String> {
        let Kept { mut lines, left_out, unused, files } = self.with(std::mem::take);
        for (mut about, why) in [(left_out, "can't be read"), (unused, "can't be used")] {
            about.sort();
            if !about.is_empty() {
                lines.push(format!("{} recordings left out that {why}:", about.len()));
            }
            lines.append(&mut about);
        }
        lines.extend(files.iter().map(|(path, texts)| format!("{}: {}", path.display(), texts.join("; "))));
        lines
    }

    /// Says all lines on stderr, and keeps none.
    pub fn say(&self) {
        say(&self.take());
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says `lines` on stderr: the first of many, and how many more there are.
pub fn say(lines: &[String]) {
    let mut err = std::io::stderr().lock();
    // Where nobody listens there is nobody to tell.
    let mut line = |text: &str| drop(writeln!(err, "{text}"));
    lines.iter().take(MOST_LINES).for_each(|text| line(text));
    if lines.len() > MOST_LINES {
        line(&format!(
            "and {} more lines about recordings: `wavesynth condition check` lists all of a folder",
            lines.len() - MOST_LINES
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recording_has_one_line_and_each_finding_is_said_once() {
        let notes = Notes::default();
        let offset = Finding::Offset { percent: 5.0, mended: true };
        notes.add(Path::new("b.wav"), [offset.clone()]);
        notes.add(Path::new("a.wav"), [offset.clone(), Finding::Clipped { percent: 1.0 }]);
        notes.add(Path::new("b.wav"), [offset]);
        notes.add(Path::new("c.wav"), []);
        notes.line("first".into());
        let lines = notes.take();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "first");
        assert!(
            lines[1].starts_with("a.wav: an offset of 5.0 %") && lines[1].contains("; 1.00 %"),
            "{lines:?}"
        );
        assert_eq!(lines[2], "b.wav: an offset of 5.0 % of full scale: removed");
        assert!(notes.take().is_empty());
        notes.unused("c.wav: too short".into());
        notes.left_out("b.wav: cut off".into());
        notes.left_out("a.wav: cut off".into());
        assert_eq!(
            notes.take(),
            [
                "2 recordings left out that can't be read:",
                "a.wav: cut off",
                "b.wav: cut off",
                "1 recordings left out that can't be used:",
                "c.wav: too short"
            ]
        );
    }
}
