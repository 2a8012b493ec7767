//! Texts, and what reads them: this program, or espeak-ng where the user asks for it.

use super::feed::Taker;
use crate::cli::usage;
use anyhow::{Result, anyhow, ensure};
use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::sync::OnceLock;
use std::time::Instant;
use wavesynth::recordings;
use wavesynth::tts::phones::PhoneSet;
use wavesynth::tts::pronounce::sounds::Sounds;
use wavesynth::tts::text::espeak::{Espeak, EspeakReader};
use wavesynth::tts::text::pieces;
use wavesynth::tts::utterance::Utterance;
use wavesynth::tts::{FrontEnd, Language, SayModel, TextReader, Unread};
use wavesynth_output::say;

/// Bytes of a line of stdin at most.
const MOST_LINE: u64 = 1 << 20;

/// Who knows the phones of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letters {
    /// This program, in the model's language.
    Own,
    /// espeak-ng, in the language asked for, else the model's.
    Espeak(Option<String>),
}

/// What reads a text.
enum By {
    Own(Box<FrontEnd>),
    Espeak(Espeak),
}

/// Its state.
enum Reader<'a> {
    Own(TextReader<'a>),
    Espeak(EspeakReader<'a>),
}

impl By {
    fn reader(&self) -> Reader<'_> {
        match self {
            Self::Own(front_end) => Reader::Own(front_end.reader()),
            Self::Espeak(espeak) => Reader::Espeak(espeak.reader()),
        }
    }
}

impl Reader<'_> {
    fn push(&mut self, text: &str) -> Result<Vec<Utterance>> {
        Ok(match self {
            Self::Own(reader) => reader.push(text),
            Self::Espeak(reader) => reader.push(text)?,
        })
    }

    fn flush(&mut self) -> Result<Vec<Utterance>> {
        Ok(match self {
            Self::Own(reader) => reader.flush(),
            Self::Espeak(reader) => reader.flush()?,
        })
    }

    fn unread(&self) -> &[Unread] {
        match self {
            Self::Own(reader) => reader.unread(),
            Self::Espeak(reader) => reader.unread(),
        }
    }
}

/// A text in one piece.
pub fn once(text: String) -> impl Iterator<Item = Result<String>> {
    std::iter::once(Ok(text))
}

/// Lines of a bounded length.
pub struct Lines<R> {
    /// Where they come from.
    pub from: R,
    /// Its name in errors.
    pub name: String,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        let mut line = Vec::new();
        let read = self.from.by_ref().take(MOST_LINE).read_until(b'\n', &mut line);
        let name = &self.name;
        match read {
            Err(e) => Some(Err(anyhow!("{name}: {e}"))),
            Ok(0) => None,
            Ok(n) if n as u64 == MOST_LINE => {
                Some(Err(anyhow!("{name}: a line of more than {MOST_LINE} bytes: break the text into lines")))
            }
            Ok(_) => Some(String::from_utf8(line).map_err(|_| anyhow!("{name}: wanted text in UTF-8"))),
        }
    }
}

/// How texts become utterances.
pub struct Text {
    by: By,
    /// The phones of what says them.
    phones: PhoneSet,
    /// Whether what can't be said is an error.
    strict: bool,
}

impl Text {
    /// For what `model` says.
    ///
    /// # Errors
    /// A language that is not read, or no espeak-ng that does.
    pub fn new(model: &SayModel, letters: &Letters, strict: bool) -> Result<Self> {
        let (own, phones) = (&model.section.language, model.phones.clone());
        let by = match (letters, Language::from_name(own)) {
            (Letters::Own, Some(known)) => By::Own(Box::new(FrontEnd::new(known)?)),
            (Letters::Own, None) => {
                usage!("this program reads no text in the language {own}; pass --phones, or --phones espeak")
            }
            (Letters::Espeak(asked), _) => {
                By::Espeak(Espeak::new(asked.as_ref().unwrap_or(own), Sounds::new(own, &phones))?)
            }
        };
        Ok(Self { by, phones, strict })
    }

    /// Reads all of the text in `lines`, and says none of it.
    pub fn check(&self, lines: &mut dyn Iterator<Item = Result<String>>) -> Result<()> {
        self.read(lines, false, &OnceLock::new(), &mut |_| Ok(true))
    }

    /// Reads the text in `lines`, each of which ends a sentence where `flush` says so. What is read is handed on before the rest of
    /// its line is read; but where that is strict, a line is refused before any of it is said.
    pub fn read(
        &self,
        lines: &mut dyn Iterator<Item = Result<String>>,
        flush: bool,
        began: &OnceLock<Instant>,
        take: &mut Taker<'_>,
    ) -> Result<()> {
        let mut reader = self.by.reader();
        let mut told = Told::default();
        for line in lines {
            let line = line?;
            began.get_or_init(Instant::now);
            if flush && self.strict {
                self.check(&mut once(line.clone()))?;
            }
            for piece in pieces(&line) {
                let utterances = reader.push(piece)?;
                if !self.hand_on(utterances, reader.unread(), &mut told, take)? {
                    return Ok(());
                }
            }
            if flush {
                let utterances = reader.flush()?;
                if !self.hand_on(utterances, reader.unread(), &mut told, take)? {
                    return Ok(());
                }
            }
        }
        let utterances = reader.flush()?;
        self.hand_on(utterances, reader.unread(), &mut told, take).map(|_| ())
    }

    /// Gives `utterances` to `take`, and says what of the text is left out or replaced. Whether more is taken.
    fn hand_on(
        &self,
        utterances: Vec<Utterance>,
        unread: &[Unread],
        told: &mut Told,
        take: &mut Taker<'_>,
    ) -> Result<bool> {
        self.tell(unread.get(told.unread..).unwrap_or_default())?;
        told.unread = unread.len();
        for mut utterance in utterances {
            for (gone, now) in self.phones.adapt(&mut utterance) {
                self.tell_replaced(&gone, &now, &mut told.replaced)?;
            }
            if !utterance.words.is_empty() && !take(utterance)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says once which phone the model was not trained on, and what is said in its place.
    fn tell_replaced(&self, gone: &str, now: &str, told: &mut HashSet<String>) -> Result<()> {
        let instead = if now.is_empty() { "nothing".into() } else { format!("`{now}`") };
        ensure!(
            !self.strict,
            "the model was not trained on the phone `{gone}`; without --strict {instead} is said in its place"
        );
        if told.insert(gone.to_string()) {
            say!("the model was not trained on the phone `{gone}`: {instead} is said in its place");
        }
        Ok(())
    }

    /// Says what could not be read.
    fn tell(&self, unread: &[Unread]) -> Result<()> {
        if unread.is_empty() {
            return Ok(());
        }
        let what = recordings::names(unread.iter().map(ToString::to_string));
        ensure!(!self.strict, "can't be said: {what}; without --strict it is left out");
        say!("left out, because it can't be said: {what}");
        Ok(())
    }
}

/// What of a text was already said to be left out or replaced.
#[derive(Default)]
struct Told {
    /// How many of the reader's list.
    unread: usize,
    /// Phones.
    replaced: HashSet<String>,
}
