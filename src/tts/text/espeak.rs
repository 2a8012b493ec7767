//! Phones by espeak-ng, a program that the user has installed: for languages that this one does not read.
//!
//! It is called as a program and never linked. A call says one clause, so that what stands between clauses is known.

use super::sentences::{Sentence, Sentences, is_pause};
use super::{MOST_UNREAD, Unread};
use crate::tts::Language;
use crate::tts::pronounce::sounds::Sounds;
use crate::tts::utterance::{Break, Utterance, Word};
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// The program.
const PROGRAM: &str = "espeak-ng";

/// espeak-ng could not be used.
#[derive(Debug, thiserror::Error)]
pub enum EspeakError {
    /// It is not there, or does not start.
    #[error("{PROGRAM} can't be started; install it, or give the phones themselves")]
    Start(#[source] io::Error),
    /// It ended with an error.
    #[error("{PROGRAM}, asked for the language {voice}: {said}")]
    Failed {
        /// The voice that was asked for.
        voice: String,
        /// What it said.
        said: String,
    },
}

/// Reads text by espeak-ng.
#[derive(Debug)]
pub struct Espeak {
    voice: String,
    language: Option<Language>,
    sounds: Sounds,
}

impl Espeak {
    /// By its voice of `language`, in phones of `sounds`.
    ///
    /// # Errors
    /// No espeak-ng, or none that knows the language.
    pub fn new(language: &str, sounds: Sounds) -> Result<Self, EspeakError> {
        let voice = match language {
            "en" => "en-us",
            "es" => "es-419",
            other => other,
        };
        let known = Language::from_name(language.split('-').next().unwrap_or_default());
        let espeak = Self { voice: voice.into(), language: known, sounds };
        espeak.ipa("")?;
        Ok(espeak)
    }

    /// Reads text that comes in pieces.
    pub fn reader(&self) -> EspeakReader<'_> {
        EspeakReader { espeak: self, sentences: Sentences::new(self.language), unread: Vec::new() }
    }

    /// The sounds of a clause: lines of words with blanks between them, of sounds with `_` between them.
    fn ipa(&self, clause: &str) -> Result<String, EspeakError> {
        let mut child = Command::new(PROGRAM)
            .args(["-q", "--ipa", "--sep=_", "--stdin", "-v", &self.voice])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(EspeakError::Start)?;
        // Dropped behind the clause, so that it sees the end. One that refuses its voice reads nothing; it says why below.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = writeln!(stdin, "{clause}");
        }
        let out = child.wait_with_output().map_err(EspeakError::Start)?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = said.lines().next().unwrap_or("it ended with an error").escape_debug().to_string();
            return Err(EspeakError::Failed { voice: self.voice.clone(), said });
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn utterance(&self, sentence: &Sentence, unread: &mut Vec<Unread>) -> Result<Utterance, EspeakError> {
        let mut all = Utterance::default();
        for clause in clauses(&sentence.text) {
            let ipa = self.ipa(clause)?;
            let mut words: Vec<Word> = Vec::new();
            for line in ipa.lines() {
                words.extend(line.split_whitespace().filter_map(|word| self.word(word, unread)));
                if let Some(last) = words.last_mut() {
                    last.after = Break::Phrase;
                }
            }
            // As they were written, where each is one word.
            let written: Vec<&str> =
                clause.split_whitespace().filter(|w| w.contains(char::is_alphanumeric)).collect();
            if written.len() == words.len() {
                words.iter_mut().zip(written).for_each(|(word, written)| word.text = written.into());
            }
            all.words.extend(words);
        }
        if let Some(last) = all.words.last_mut() {
            last.after = sentence.end;
        }
        Ok(all)
    }

    /// A word of sounds with `_` between them.
    fn word(&self, written: &str, unread: &mut Vec<Unread>) -> Option<Word> {
        let mut phones = Vec::new();
        // (en) stands in front of what another language's voice says.
        for token in written.split('_').filter(|token| !token.starts_with('(')) {
            let stress = if token.contains('ˈ') { 1 } else { 2 * u8::from(token.contains('ˌ')) };
            // Neither stress, nor tones, nor the stop of the throat, which few languages tell from nothing.
            let is_sound = |c: &char| {
                let heard = c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}');
                heard && !matches!(c, 'ˈ' | 'ˌ' | 'ʔ')
            };
            let sound: String = token.chars().filter(is_sound).collect();
            if sound.is_empty() {
                continue;
            }
            match self.sounds.phones(&sound, stress) {
                Some(all) => phones.extend(all),
                None => {
                    let sound = Unread::Sound(sound);
                    if unread.len() < MOST_UNREAD && !unread.contains(&sound) {
                        unread.push(sound);
                    }
                }
            }
        }
        let text = phones.join(" ");
        (!phones.is_empty()).then_some(Word { text, phones, after: Break::None })
    }
}

/// A sentence in parts, each to the pause behind it.
fn clauses(sentence: &str) -> impl Iterator<Item = &str> {
    let mut rest = sentence;
    std::iter::from_fn(move || {
        let mut ends = rest.match_indices(' ').map(|(at, _)| at);
        let end = ends.find(|at| is_pause(&rest[..*at])).unwrap_or(rest.len());
        let (clause, behind) = rest.split_at(end);
        rest = behind.trim_start();
        (!clause.is_empty()).then_some(clause)
    })
}

/// As [`TextReader`](super::TextReader), by espeak-ng.
pub struct EspeakReader<'a> {
    espeak: &'a Espeak,
    sentences: Sentences,
    unread: Vec<Unread>,
}

impl EspeakReader<'_> {
    /// Reads on: the utterances that are complete by now.
    ///
    /// # Errors
    /// An espeak-ng that fails.
    pub fn push(&mut self, text: &str) -> Result<Vec<Utterance>, EspeakError> {
        let mut sentences = Vec::new();
        self.sentences.push(text, &mut sentences);
        self.utterances(&sentences)
    }

    /// What has been read so far is the end of a sentence.
    ///
    /// # Errors
    /// As [`EspeakReader::push`].
    pub fn flush(&mut self) -> Result<Vec<Utterance>, EspeakError> {
        let mut sentences = Vec::new();
        self.sentences.flush(&mut sentences);
        self.utterances(&sentences)
    }

    /// What could not be read so far, each once, a thousand at most.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn utterances(&mut self, sentences: &[Sentence]) -> Result<Vec<Utterance>, EspeakError> {
        let mut all = Vec::new();
        for sentence in sentences {
            all.push(self.espeak.utterance(sentence, &mut self.unread)?);
        }
        all.retain(|utterance| !utterance.words.is_empty());
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_read_clause_by_clause() {
        let all: Vec<_> = clauses("Well, at 3,5 km: no — 1:2 (yes) e.g. so.").collect();
        assert_eq!(all, ["Well,", "at 3,5 km:", "no —", "1:2 (yes) e.g. so."]);
        assert_eq!(clauses("").count(), 0);
    }
}
