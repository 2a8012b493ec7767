//! Utterances on their way to the engine: from text or phones, on a thread of their own.

use super::Args;
use super::text::{Letters, Lines, Text, once};
use super::timing::Timing;
use crate::cli::{Usage, usage};
use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use wavesynth::tts::utterance::Utterance;
use wavesynth::tts::{Prepared, SayModel, Utterances, phones};

/// Name of stdin.
const DASH: &str = "-";

/// What --phones names in place of phones.
const ESPEAK: &str = "espeak";

/// What is to be said.
pub enum Source {
    /// Written phones.
    Phones(String),
    /// A text, and who reads it.
    Text(Written, Letters),
}

/// Where a text is.
pub enum Written {
    /// Here.
    Here(String),
    /// In a file.
    File(PathBuf),
    /// It comes in, line by line.
    Stdin,
}

/// Gives utterances to whoever takes them, one after another, until that one takes no more; notes when the first of the text was
/// there.
pub type Coming = Box<dyn FnOnce(&OnceLock<Instant>, &mut Taker<'_>) -> Result<()> + Send>;

/// Whether it takes more.
pub type Taker<'a> = dyn FnMut(Utterance) -> Result<bool> + 'a;

impl Source {
    /// What the arguments name.
    ///
    /// # Errors
    /// Nothing to say.
    pub fn of(args: &Args) -> Result<Self> {
        let written = match &args.file {
            Some(file) => Written::File(file.clone()),
            None if args.text == [DASH] => Written::Stdin,
            None => Written::Here(args.text.join(" ")),
        };
        let source = match args.phones.as_deref() {
            None => Self::Text(written, Letters::Own),
            Some(ESPEAK) => {
                Self::Text(written, Letters::Espeak(args.models.asked_language().map(String::from)))
            }
            Some(phones) if args.text.is_empty() && args.file.is_none() => Self::Phones(phones.into()),
            Some(_) => usage!(
                "--phones says phones: give no text beside them, or let `--phones espeak` find those of the text"
            ),
        };
        match &source {
            Self::Phones(text) | Self::Text(Written::Here(text), _) if text.trim().is_empty() => {
                usage!("nothing to say: wanted words, as in `wavesynth say \"Good morning.\"`")
            }
            _ => Ok(source),
        }
    }

    /// What gives the utterances. Phones are checked at once; a text that is there, too, where it is read strictly.
    ///
    /// # Errors
    /// Phones that `model` does not know, a file that can't be read, or a text that a strict reading refuses.
    pub fn utterances(self, model: &SayModel, strict: bool) -> Result<Coming> {
        let open = |path: &PathBuf| {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok::<_, anyhow::Error>(Lines { from: BufReader::new(file), name: path.display().to_string() })
        };
        let (written, letters) = match self {
            Self::Text(written, letters) => (written, letters),
            Self::Phones(written) => {
                let all = phones::read(&written);
                for word in all.iter().flat_map(|u| &u.words) {
                    if let Err(e) = model.phones.check(word) {
                        usage!("--phones: {e}");
                    }
                }
                return Ok(Box::new(move |began, take: &mut Taker<'_>| {
                    began.get_or_init(Instant::now);
                    for utterance in all {
                        if !take(utterance)? {
                            break;
                        }
                    }
                    Ok(())
                }));
            }
        };
        let text = Text::new(model, &letters, strict)?;
        match written {
            Written::Here(written) => {
                if strict {
                    text.check(&mut once(written.clone()))?;
                }
                Ok(Box::new(move |began, take: &mut Taker<'_>| {
                    text.read(&mut once(written), false, began, take)
                }))
            }
            Written::File(path) => {
                if strict {
                    text.check(&mut open(&path)?)?;
                }
                let mut lines = open(&path)?;
                Ok(Box::new(move |began, take: &mut Taker<'_>| text.read(&mut lines, false, began, take)))
            }
            Written::Stdin => {
                let mut lines = Lines { from: BufReader::new(std::io::stdin()), name: "stdin".into() };
                Ok(Box::new(move |began, take: &mut Taker<'_>| text.read(&mut lines, true, began, take)))
            }
        }
    }
}

/// What has been said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// When the first of the text was there.
    pub began: Option<Instant>,
    /// Utterances.
    pub sentences: u64,
    /// Their words.
    pub words: u64,
}

/// The threads around the engine.
pub struct Feed {
    feeding: JoinHandle<()>,
    collecting: JoinHandle<Result<Option<Timing>>>,
    shared: Arc<Mutex<(Count, Option<anyhow::Error>)>>,
}

impl Feed {
    /// Begins to hand `utterances` to the engine by `ends`, and to write down when what was said sounds.
    ///
    /// # Errors
    /// A system without threads to spare.
    pub fn start(
        utterances: Coming,
        model: Arc<SayModel>,
        ends: Utterances,
        mut timing: Option<Timing>,
    ) -> Result<Self> {
        let Utterances { next, said } = ends;
        let shared = Arc::new(Mutex::new((Count::default(), None)));
        let own = shared.clone();
        let feed = move || {
            let locked = || own.lock().unwrap_or_else(PoisonError::into_inner);
            let mut number = 0;
            let began = OnceLock::new();
            let done = utterances(&began, &mut |utterance| {
                for piece in utterance.parts()? {
                    {
                        let count = &mut locked().0;
                        count.began = began.get().copied();
                        count.sentences += 1;
                        count.words += piece.words.len() as u64;
                    }
                    let prepared = Prepared::new(&model, piece, number)?;
                    number += 1;
                    // Nobody listens any more: an interrupt.
                    if next.send(Box::new(prepared)).is_err() {
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            locked().1 = match done {
                Ok(()) if number == 0 => Some(Usage("nothing to say: there is no word in it".into()).into()),
                done => done.err(),
            };
        };
        let collect = move || {
            for utterance in said {
                if let Some(timing) = &mut timing {
                    timing.add(&utterance)?;
                }
            }
            Ok(timing)
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        Ok(Self {
            feeding: thread("text").spawn(feed).context("the thread of the text could not be started")?,
            collecting: thread("timing").spawn(collect).context("a thread could not be started")?,
            shared,
        })
    }

    /// The error that ended the text, if one did.
    ///
    /// # Errors
    /// That one.
    pub fn check(&self) -> Result<()> {
        match self.shared.lock().unwrap_or_else(PoisonError::into_inner).1.take() {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    /// Waits for the rest, once the engine has ended; keeps the file of times.
    ///
    /// # Errors
    /// The text's, or a file that can't be written.
    pub fn end(self) -> Result<Count> {
        self.check()?;
        let gone = |_| anyhow!("a thread stopped on an internal error");
        let timing = self.collecting.join().map_err(gone)??;
        self.feeding.join().map_err(gone)?;
        timing.map_or(Ok(()), Timing::finish)?;
        Ok(self.shared.lock().unwrap_or_else(PoisonError::into_inner).0)
    }
}
