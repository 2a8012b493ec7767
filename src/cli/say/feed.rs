//! Utterances on their way to the engine: from text or phones, on a thread of their own.

use super::Args;
use super::timing::Timing;
use crate::cli::{Usage, usage};
use anyhow::{Context, Result, anyhow, ensure};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use wavesynth::recordings;
use wavesynth::tts::phones::PhoneSet;
use wavesynth::tts::text::pieces;
use wavesynth::tts::utterance::Utterance;
use wavesynth::tts::{FrontEnd, Language, Prepared, SayModel, Unread, Utterances, phones};
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
    /// A text in a file.
    File(PathBuf),
    /// A text that comes in, line by line.
    Stdin,
}

/// Gives utterances to whoever takes them, one after another, until that one takes no more; notes when the first of the text was
/// there.
pub type Coming = Box<dyn FnOnce(&OnceLock<Instant>, &mut Taker<'_>) -> Result<()> + Send>;

/// Whether it takes more.
type Taker<'a> = dyn FnMut(Utterance) -> Result<bool> + 'a;

impl Source {
    /// What the arguments name.
    ///
    /// # Errors
    /// Nothing to say.
    pub fn of(args: &Args) -> Result<Self> {
        let source = match (&args.phones, &args.file) {
            (Some(phones), _) => Self::Phones(phones.clone()),
            (None, Some(file)) => Self::File(file.clone()),
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

    /// What gives the utterances. Phones are checked at once; a text that is there, too, where it is read strictly.
    ///
    /// # Errors
    /// Phones that `model` does not know, a file that can't be read, or a text that a strict reading refuses.
    pub fn utterances(self, model: &SayModel, strict: bool) -> Result<Coming> {
        let text = || Text::new(model, strict);
        let open = |path: &PathBuf| {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok::<_, anyhow::Error>(Lines { from: BufReader::new(file), name: path.display().to_string() })
        };
        match self {
            Self::Phones(written) => {
                let all = phones::read(&written);
                for word in all.iter().flat_map(|u| &u.words) {
                    if let Err(e) = model.phones.check(word) {
                        usage!("--phones: {e}");
                    }
                }
                Ok(Box::new(move |began, take: &mut Taker<'_>| {
                    began.get_or_init(Instant::now);
                    for utterance in all {
                        if !take(utterance)? {
                            break;
                        }
                    }
                    Ok(())
                }))
            }
            Self::Text(written) => {
                let text = text()?;
                if strict {
                    text.check(&mut once(written.clone()))?;
                }
                Ok(Box::new(move |began, take: &mut Taker<'_>| {
                    text.read(&mut once(written), false, began, take)
                }))
            }
            Self::File(path) => {
                let text = text()?;
                if strict {
                    text.check(&mut open(&path)?)?;
                }
                let mut lines = open(&path)?;
                Ok(Box::new(move |began, take: &mut Taker<'_>| text.read(&mut lines, false, began, take)))
            }
            Self::Stdin => {
                let text = text()?;
                let mut lines = Lines { from: BufReader::new(std::io::stdin()), name: "stdin".into() };
                Ok(Box::new(move |began, take: &mut Taker<'_>| text.read(&mut lines, true, began, take)))
            }
        }
    }
}

/// A text in one piece.
fn once(text: String) -> impl Iterator<Item = Result<String>> {
    std::iter::once(Ok(text))
}

/// Lines of a bounded length.
struct Lines<R> {
    from: R,
    name: String,
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
                Some(Err(anyhow!("{name}: a line of more than {MOST_LINE} bytes")))
            }
            Ok(_) => Some(String::from_utf8(line).map_err(|_| anyhow!("{name}: wanted text in UTF-8"))),
        }
    }
}

/// How texts become utterances.
struct Text {
    front_end: FrontEnd,
    /// The phones of what says them.
    phones: PhoneSet,
    /// Whether what can't be said is an error.
    strict: bool,
}

impl Text {
    fn new(model: &SayModel, strict: bool) -> Result<Self> {
        let language = &model.section.language;
        let Some(known) = Language::from_name(language) else {
            usage!("this program reads no text in the language {language}; pass --phones");
        };
        Ok(Self { front_end: FrontEnd::new(known)?, phones: model.phones.clone(), strict })
    }

    /// Reads all of the text in `lines`, and says none of it.
    fn check(&self, lines: &mut dyn Iterator<Item = Result<String>>) -> Result<()> {
        self.read(lines, false, &OnceLock::new(), &mut |_| Ok(true))
    }

    /// Reads the text in `lines`, each of which ends a sentence where `flush` says so. What is read is handed on before the rest of
    /// its line is read; but where that is strict, a line is refused before any of it is said.
    fn read(
        &self,
        lines: &mut dyn Iterator<Item = Result<String>>,
        flush: bool,
        began: &OnceLock<Instant>,
        take: &mut Taker<'_>,
    ) -> Result<()> {
        let mut reader = self.front_end.reader();
        let mut told = Told::default();
        for line in lines {
            let line = line?;
            began.get_or_init(Instant::now);
            if flush && self.strict {
                self.check(&mut once(line.clone()))?;
            }
            for piece in pieces(&line) {
                let utterances = reader.push(piece);
                if !self.hand_on(utterances, reader.unread(), &mut told, take)? {
                    return Ok(());
                }
            }
            if flush {
                let utterances = reader.flush();
                if !self.hand_on(utterances, reader.unread(), &mut told, take)? {
                    return Ok(());
                }
            }
        }
        let utterances = reader.finish();
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
