//! The server of text to speech: several requests at a time, each heard while it is made.
//!
//! ```text
//! http, wyoming --text--> front end --frames--> slot of the engine --ring--> Sound --> encoder --> http, wyoming
//! ```
//!
//! | part | thread | job |
//! |---|---|---|
//! | [`http`], [`wyoming`] | server | requests in, sound out; who may come in, and for how long |
//! | [`front_end`], [`spoken`] | one for each sound | a text's sentences, words and phones |
//! | [`engine`] | engine | frames and samples of all sounds, in lockstep; it neither allocates nor locks while it makes them |
//! | [`sound`] | server | the reader's end of a slot |
//!
//! A request has a slot before any work is done for it. Where there is none it is refused at once: those who are in hear no
//! gap. The slot is free again when the sound is made, or when its reader leaves.

pub mod encoder;
pub mod engine;
pub mod front_end;
pub mod http;
mod net;
pub mod sound;
pub mod spoken;
pub mod voices;
pub mod wyoming;

use crate::synth::PreparedPart;
use crate::voice::Voice;
use anyhow::{Context, Result, anyhow, bail};
use engine::{Capacity, Engine, Slot};
use front_end::{Delivery, FrontEnd, Input, SPEEDS};
use net::Listener;
use sound::Sound;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use voices::Voices;

/// Time that sounds have to fade and connections to end when the server does.
const GRACE: Duration = Duration::from_millis(1500);

/// Time between two looks at what may end the server.
const WATCH: Duration = Duration::from_millis(50);

/// What a request may ask for at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Characters of an input.
    pub max_chars: usize,
    /// Time from a request to the end of its sound.
    pub timeout: Duration,
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Addresses {
    /// HTTP.
    pub http: SocketAddr,
    /// Wyoming's protocol.
    pub wyoming: Option<SocketAddr>,
}

/// A request for speech.
#[derive(Debug)]
pub struct Request {
    /// What to say.
    pub input: Input,
    /// Who says it, as [`Voices::find`] takes it; where it is not said, the first voice, of that language if there is one.
    pub voice: Option<String>,
    /// The language of the input; where it is not said, that of the voice.
    pub language: Option<String>,
    /// How.
    pub delivery: Delivery,
}

/// Why there is no sound for a request.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request can't be met as it is.
    #[error("{message}")]
    Request {
        /// What of it, by its name in HTTP's request.
        param: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Every slot is taken.
    #[error("all {0} streams that this machine plays in real time are taken; try again soon")]
    Busy(usize),
    /// The machine does something else, too.
    #[error("this machine is too busy to play one more stream in real time; try again soon")]
    Slow,
    /// It took too long.
    #[error("the frames of the input took longer than a request may (--timeout)")]
    TooLong,
    /// A fault of the server.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Refusal {
    fn of(param: &'static str, message: impl Into<String>) -> Self {
        Self::Request { param, message: message.into() }
    }
}

/// What all connections share.
pub struct Server {
    voice: Voice,
    voices: Voices,
    front_end: Box<dyn FrontEnd>,
    engine: Arc<Engine>,
    capacity: Capacity,
    limits: Limits,
    /// Whether the server ends.
    ending: watch::Sender<bool>,
}

impl Server {
    /// Starts the engine for the sounds of `voices`, `streams` at a time or as many as it has measured that this machine makes.
    ///
    /// # Errors
    /// A front end that can't say its own example, more memory than is allowed, no thread to spare.
    pub fn new(
        voice: Voice,
        voices: Voices,
        front_end: Box<dyn FrontEnd>,
        streams: Option<usize>,
        limits: Limits,
    ) -> Result<Self> {
        let languages = front_end.languages();
        let language = languages.first().copied().unwrap_or_default();
        let text = format!("{} ", front_end.example(language)).repeat(8);
        let part = |seed| {
            let delivery = Delivery { speed: 1.0, seed };
            let front = front_end.frames(&voice, language, Input::Whole(text.clone()), delivery);
            Ok(front_end::part(&voice, voices.first(), front.map_err(|e| anyhow!(e))?, seed))
        };
        let mut capacity = engine::measure(&voice, part)?;
        capacity.streams = streams.unwrap_or(capacity.streams);
        let engine = Arc::new(Engine::start(&voice, capacity.streams, streams.is_none())?);
        let ending = watch::Sender::new(false);
        Ok(Self { voice, voices, front_end, engine, capacity, limits, ending })
    }

    /// What the machine can do, and how many streams there are.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Serves at `addresses` until `is_to_end`; `listening` is told where it does.
    ///
    /// # Errors
    /// An address that can't be had, or the engine has stopped on an internal error.
    pub fn run(
        self,
        addresses: Addresses,
        listening: impl FnOnce(&Self, Addresses),
        is_to_end: impl Fn() -> bool,
    ) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_name("front-end")
            .build()
            .context("the server could not be started")?;
        let server = Arc::new(self);
        let done = runtime.block_on(server.clone().listen(addresses, listening, is_to_end));
        // Not to be waited for: inputs whose frames are still being made.
        runtime.shutdown_background();
        done.and(server.engine.end())
    }

    async fn listen(
        self: Arc<Self>,
        addresses: Addresses,
        listening: impl FnOnce(&Self, Addresses),
        is_to_end: impl Fn() -> bool,
    ) -> Result<()> {
        let http = Listener::bind(addresses.http).context("--listen")?;
        let wyoming = addresses.wyoming.map(|a| Listener::bind(a).context("--wyoming")).transpose()?;
        let wyoming_at = wyoming.as_ref().map(Listener::address).transpose()?;
        listening(&self, Addresses { http: http.address()?, wyoming: wyoming_at });
        let connections = net::Connections::new();
        tokio::spawn(http.run(connections.clone(), self.clone(), http::FULL, http::serve));
        if let Some(wyoming) = wyoming {
            tokio::spawn(wyoming.run(connections.clone(), self.clone(), wyoming::FULL, wyoming::serve));
        }
        while !is_to_end() && self.engine.is_alive() {
            self.engine.drop_retired();
            sleep(WATCH).await;
        }
        self.ending.send_replace(true);
        // Those that do not end by then are cut.
        let _ = timeout(GRACE, connections.all_ended()).await;
        match self.engine.is_alive() {
            true => Ok(()),
            false => bail!("the engine stopped on an internal error"),
        }
    }

    /// Whether the server ends.
    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Waits until the server ends.
    async fn ended(&self) {
        // It can't be closed: the sender is here.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// The moment by which a request of now is to be over.
    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.timeout
    }

    /// Keeps a slot.
    ///
    /// # Errors
    /// There is none.
    fn reserve(&self) -> Result<Slot, Refusal> {
        self.engine.reserve().ok_or_else(|| match self.engine.free() {
            0 => Refusal::Busy(self.engine.slots()),
            _ => Refusal::Slow,
        })
    }

    /// Has the engine make the sound of `request`.
    ///
    /// # Errors
    /// A request that can't be met, or no slot for it.
    async fn speak(self: &Arc<Self>, request: Request, deadline: Instant) -> Result<Sound, Refusal> {
        self.check(&request)?;
        let Request { input, voice, language, delivery } = request;
        let voice = voice.unwrap_or_else(|| self.voice_for(language.as_deref()).to_string());
        let speaker = self.voices.find(&self.voice, &voice).map_err(|e| Refusal::of("voice", e))?;
        let language = language.unwrap_or_else(|| self.language_of(&voice).to_string());
        let slot = self.reserve()?;
        let server = self.clone();
        // The slot goes along, so that no more inputs are under way than there are slots, whoever leaves meanwhile.
        let work = tokio::task::spawn_blocking(move || {
            let front = server.front_end.frames(&server.voice, &language, input, delivery);
            let front = front.map_err(|e| Refusal::of("input", e))?;
            let part = front_end::part(&server.voice, &speaker, front, delivery.seed);
            Ok((slot, PreparedPart::new(&server.voice, part)))
        });
        let done = timeout_at(deadline, work).await.map_err(|_| Refusal::TooLong)?;
        let (slot, part) = done.map_err(|_| Refusal::Internal("the front end has failed".into()))??;
        slot.start(part).map_err(|e| Refusal::Internal(e.to_string()))
    }

    /// The language that a voice speaks where none is asked for: that which its name begins with, as `en_allison`.
    fn language_of(&self, voice: &str) -> &str {
        let languages = self.front_end.languages();
        let own = languages.iter().find(|l| voice.split_once('_').is_some_and(|(before, _)| before == **l));
        own.or(languages.first()).copied().unwrap_or_default()
    }

    /// The voice that speaks `language` where none is asked for.
    fn voice_for(&self, language: Option<&str>) -> &str {
        let own = self.voices.names().find(|name| language.is_some_and(|l| l == self.language_of(name)));
        own.unwrap_or(self.voices.first_name())
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if let Input::Whole(input) = &request.input {
            let (chars, most) = (input.chars().count(), self.limits.max_chars);
            if input.trim().is_empty() {
                return Err(Refusal::of("input", "the input is empty"));
            }
            if chars > most {
                return Err(Refusal::of(
                    "input",
                    format!("the input has {chars} characters, at most {most}"),
                ));
            }
        }
        let speed = request.delivery.speed;
        if !SPEEDS.contains(&speed) {
            let (least, most) = (SPEEDS.start(), SPEEDS.end());
            return Err(Refusal::of("speed", format!("speed {speed}: wanted {least} to {most}")));
        }
        let languages = self.front_end.languages();
        if let Some(language) = request.language.as_deref().filter(|l| !languages.contains(l)) {
            let message =
                format!("there is no language {language:?}; wanted one of {}", languages.join(", "));
            return Err(Refusal::of("language", message));
        }
        Ok(())
    }
}
