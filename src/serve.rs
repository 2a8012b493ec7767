//! The server of text to speech: several requests at a time, each heard while it is made.
//!
//! ```text
//! http, wyoming --input--> front end --frames--> slot of the engine --ring--> Sound --> encoder --> http, wyoming
//! ```
//!
//! | part | thread | job |
//! |---|---|---|
//! | [`http`], [`wyoming`] | server | requests in, sound out; who may come in, and for how long |
//! | [`front_end`] | a pool of two | frames of an input |
//! | [`engine`] | engine | samples of all sounds in lockstep; it neither allocates nor locks while it makes them |
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
pub mod voices;
pub mod wyoming;

use crate::voice::Voice;
use anyhow::{Context, Result, bail};
use engine::{Capacity, Engine, Slot};
use front_end::{FrontEnd, Manner, SPEEDS};
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
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to say.
    pub input: String,
    /// Who says it, as [`Voices::find`] takes it; the first voice where it is not said.
    pub voice: Option<String>,
    /// How.
    pub manner: Manner,
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
    /// More memory than is allowed, no thread to spare.
    pub fn new(
        voice: Voice,
        voices: Voices,
        front_end: Box<dyn FrontEnd>,
        streams: Option<usize>,
        limits: Limits,
    ) -> Result<Self> {
        let mut capacity = engine::measure(&voice, voices.first());
        capacity.streams = streams.unwrap_or(capacity.streams);
        let engine = Arc::new(Engine::start(&voice, capacity.streams)?);
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
        self.engine.reserve().ok_or(Refusal::Busy(self.engine.slots()))
    }

    /// Has the engine make the sound of `request`.
    ///
    /// # Errors
    /// A request that can't be met, or no slot for it.
    async fn speak(self: &Arc<Self>, request: Request, deadline: Instant) -> Result<Sound, Refusal> {
        self.check(&request)?;
        let speaker = match &request.voice {
            None => self.voices.first().clone(),
            Some(name) => self.voices.find(&self.voice, name).map_err(|e| Refusal::of("voice", e))?,
        };
        let slot = self.reserve()?;
        let server = self.clone();
        // The slot goes along, so that no more inputs are under way than there are slots, whoever leaves meanwhile.
        let work = tokio::task::spawn_blocking(move || {
            let Request { input, manner, .. } = &request;
            let content = server.front_end.content(&server.voice, input, *manner);
            let content = content.map_err(|e| Refusal::of("input", e))?;
            Ok((slot, front_end::prepare(&server.voice, &speaker, content, manner.seed)))
        });
        let done = timeout_at(deadline, work).await.map_err(|_| Refusal::TooLong)?;
        let (slot, part) = done.map_err(|_| Refusal::Internal("the front end has failed".into()))??;
        slot.start(part).map_err(|e| Refusal::Internal(e.to_string()))
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        let (chars, most) = (request.input.chars().count(), self.limits.max_chars);
        if request.input.trim().is_empty() {
            return Err(Refusal::of("input", "the input is empty"));
        }
        if chars > most {
            return Err(Refusal::of("input", format!("the input has {chars} characters, at most {most}")));
        }
        let speed = request.manner.speed;
        if !SPEEDS.contains(&speed) {
            let (least, most) = (SPEEDS.start(), SPEEDS.end());
            return Err(Refusal::of("speed", format!("speed {speed}: wanted {least} to {most}")));
        }
        Ok(())
    }
}
