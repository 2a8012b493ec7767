//! Utterances on their way to the engine: from text or phones, on a thread of their own.

use super::Args;
use super::timing::Timing;
use crate::cli::usage;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use wavesynth::recordings;
use wavesynth::tts::utterance::Utterance;
use wavesynth::tts::{FrontEnd, Language, Prepared, SayModel, Utterances, phones};
use wavesynth_models::in_file::{self, MOST_OF_PIPE};
use wavesynth_output::say;

/// Bytes of a line of stdin at most.
const MOST_LINE: u64 = 1 << 20;

/// Name of stdin.
const DASH: &str = "-";

/// What is to be said.
pub enum Source {
    /// Written phones.
    Phones(String),
    /// A text.
    Text(String),
    /// A text that comes in, line by line.
    Stdin,
}

/// How texts become utterances.
struct Text {
    front_end: FrontEnd,
    /// Whether what can't be said is an error.
    strict: bool,
}

/// Utterances, one after another.
pub type Coming = Box<dyn Iterator<Item = Result<Utterance>> + Send>;

impl Source {
    /// What the arguments name.
    ///
    /// # Errors
    /// A file that can't be read, or nothing to say.
    pub fn of(args: &Args) -> Result<Self> {
        let source = match (&args.phones, &args.file) {
            (Some(phones), _) => Self::Phones(phones.clone()),
            (None, Some(file)) => {
                let at = || format!("--file {}", file.display());
                Self::Text(in_file::read_text(file, MOST_OF_PIPE).with_context(at)?)
            }
            (None, None) if args.text == [DASH] => Self::Stdin,
            (None, None) => Self::Text(args.text.join(" ")),
        };
        match &source {
            Self::Phones(text) | Self::Text(text) if text.trim().is_empty() => {
                usage!("nothing to say: wanted words, as in `wavesynth say \"Good morning.\"`")
            }
            _ => Ok(source),
        }
    }

    /// The utterances. Those of phones are checked at once.
    ///
    /// # Errors
    /// Phones that `model` does not know, nothing to say, or a text that a strict reading refuses.
    pub fn utterances(self, model: &SayModel, strict: bool) -> Result<Coming> {
        let text = || Text::new(&model.section.language, strict);
        match self {
            Self::Phones(written) => {
                let all = phones::read(&written);
                if all.is_empty() {
                    usage!("--phones: nothing to say in {written:?}");
                }
                for word in all.iter().flat_map(|u| &u.words) {
                    if let Err(e) = model.phones.check(word) {
                        usage!("--phones: {e}");
                    }
                }
                Ok(Box::new(all.into_iter().map(Ok)))
            }
            Self::Text(written) => {
                let all = text()?.read(&written)?;
                if all.is_empty() {
                    usage!("nothing to say: no word in the text");
                }
                Ok(Box::new(all.into_iter().map(Ok)))
            }
            Self::Stdin => {
                let text = text()?;
                let mut lines = Lines(BufReader::new(std::io::stdin()));
                let each = move || match lines.next() {
                    Ok(None) => None,
                    Ok(Some(line)) => Some(text.read(&line)),
                    Err(e) => Some(Err(e)),
                };
                let all = std::iter::from_fn(each).flat_map(|read| match read {
                    Ok(all) => all.into_iter().map(Ok).collect::<Vec<_>>(),
                    Err(e) => vec![Err(e)],
                });
                Ok(Box::new(all))
            }
        }
    }
}

/// Lines of a bounded length.
struct Lines<R>(R);

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>> {
        use std::io::Read;
        let mut line = Vec::new();
        let n = self.0.by_ref().take(MOST_LINE).read_until(b'\n', &mut line).context("stdin")?;
        if n as u64 == MOST_LINE {
            bail!("stdin: a line of more than {MOST_LINE} bytes");
        }
        let text = String::from_utf8(line).map_err(|_| anyhow!("stdin: wanted text in UTF-8"))?;
        Ok((n > 0).then_some(text))
    }
}

impl Text {
    fn new(language: &str, strict: bool) -> Result<Self> {
        let Some(known) = Language::from_name(language) else {
            usage!("this program reads no text in the language {language}; pass --phones");
        };
        Ok(Self { front_end: FrontEnd::new(known)?, strict })
    }

    fn read(&self, text: &str) -> Result<Vec<Utterance>> {
        let (utterances, unread) = self.front_end.read(text);
        if unread.is_empty() {
            return Ok(utterances);
        }
        let what = recordings::names(unread.iter().map(ToString::to_string));
        ensure!(!self.strict, "can't be said: {what}; without --strict it is left out");
        say!("left out, because it can't be said: {what}");
        Ok(utterances)
    }
}

/// What has been said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// When the first words were there.
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
            let mut number = 0;
            for utterance in utterances {
                let pieces = utterance.and_then(|u| Ok(u.parts()?));
                let mut each = |utterance: Utterance| -> Result<bool> {
                    let words = utterance.words.len() as u64;
                    {
                        let mut shared = own.lock().unwrap_or_else(PoisonError::into_inner);
                        shared.0.began.get_or_insert_with(Instant::now);
                        shared.0.sentences += 1;
                        shared.0.words += words;
                    }
                    let prepared = Prepared::new(&model, utterance, number)?;
                    number += 1;
                    // Nobody listens any more: an interrupt.
                    Ok(next.send(Box::new(prepared)).is_ok())
                };
                let done = pieces.and_then(|all| {
                    for utterance in all {
                        if !each(utterance)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                });
                match done {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(e) => {
                        own.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(e);
                        return;
                    }
                }
            }
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
