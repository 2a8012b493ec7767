//! Wyoming's protocol, which Home Assistant speaks: events over TCP.
//!
//! `describe` is answered by `info`, `ping` by `pong`, and `synthesize` by `audio-start`, `audio-chunk`s and `audio-stop`.
//! A text may also come in pieces: between `synthesize-start` and `synthesize-stop`, each sentence is said as soon as it is
//! complete, all as one sound, and `synthesize-stopped` follows. Such a text has its slot from the beginning to the end. A
//! `synthesize` in between repeats the text for servers that do not know pieces. Other events are passed over.

mod event;

use super::encoder::{Encoder, Form};
use super::front_end::{Delivery, Input};
use super::net::Client;
use super::sound::{Sound, SoundError};
use super::{Refusal, Request, Server};
use event::{Event, EventError};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Time that a connection may be idle.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of an event beside its text, at most; see the body of a request by HTTP.
const FIELDS: usize = 1 << 16;
const CHAR: usize = 12;

/// Events that have come and are not yet handled, at most.
const WAITING: usize = 64;

/// What a client gets that is one too many.
pub(super) const FULL: &[u8] =
    b"{\"type\":\"error\",\"data\":{\"text\":\"too many connections; try again soon\",\"code\":\"busy\"}}\n";

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The client has left, or takes nothing.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has said all that it wanted.
    #[error("closed")]
    Closed,
    /// It is told why.
    #[error("{text}")]
    Error { text: String, code: &'static str },
}

impl End {
    fn of(code: &'static str, text: impl ToString) -> Self {
        Self::Error { text: text.to_string(), code }
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Request { .. } => "invalid_request",
            Refusal::Busy(_) | Refusal::Slow => "busy",
            Refusal::TooLong => "timeout",
            Refusal::Internal(_) => "internal",
        };
        Self::of(code, refusal)
    }
}

/// Talks to one client.
pub(super) async fn serve(server: Arc<Server>, client: Client) {
    let (from, to) = tokio::io::split(client);
    let (sender, events) = mpsc::channel(WAITING);
    let most = FIELDS + CHAR * server.limits.max_chars;
    let reader = tokio::spawn(read(BufReader::new(from), sender, most));
    let mut talk = Talk { server: server.clone(), events, to };
    let end = tokio::select! {
        end = talk.run() => end,
        () = ended_and_faded(&server) => End::Closed,
    };
    reader.abort();
    if let End::Error { text, code } = end {
        // It may have left, too.
        let _ = Event::new("error", json!({ "text": text, "code": code })).write(&mut talk.to).await;
    }
}

/// Until the server ends, and sounds have had time to fade.
async fn ended_and_faded(server: &Server) {
    server.ended().await;
    sleep(Duration::from_millis(500)).await;
}

/// Passes on the events of a client; the channel ends with the connection.
async fn read(mut from: BufReader<ReadHalf<Client>>, to: Sender<Result<Event, EventError>>, most: usize) {
    loop {
        let event = match Event::read(&mut from, most).await {
            Ok(None) => return,
            Ok(Some(event)) => Ok(event),
            Err(e) => Err(e),
        };
        let is_last = event.is_err();
        if to.send(event).await.is_err() || is_last {
            return;
        }
    }
}

/// A conversation.
struct Talk {
    server: Arc<Server>,
    events: Receiver<Result<Event, EventError>>,
    to: WriteHalf<Client>,
}

/// A sound on its way to a client.
struct Speech {
    sound: Sound,
    encoder: Encoder,
    deadline: Instant,
    block: Vec<f32>,
    is_begun: bool,
    /// Samples sent.
    samples: u64,
}

impl Talk {
    async fn run(&mut self) -> End {
        loop {
            let done = match self.next().await {
                Ok(event) => self.handle(&event).await,
                Err(end) => Err(end),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// The next event of the client.
    async fn next(&mut self) -> Result<Event, End> {
        match timeout(IDLE, self.events.recv()).await {
            Err(_) => Err(End::of("timeout", format!("nothing came for {} s", IDLE.as_secs()))),
            Ok(None) => Err(End::Closed),
            Ok(Some(Err(EventError::Io(e)))) => Err(e.into()),
            Ok(Some(Err(e))) => Err(End::of("invalid_event", e)),
            Ok(Some(Ok(event))) => Ok(event),
        }
    }

    async fn handle(&mut self, event: &Event) -> Result<(), End> {
        match event.kind.as_str() {
            "synthesize" => {
                let mut speech = self.speak(event, Input::Whole(text(event)?.to_string())).await?;
                let server = self.server.clone();
                while speech.wait(&server).await? {
                    self.hand_on(&mut speech).await?;
                }
                self.hand_on(&mut speech).await
            }
            "synthesize-start" => self.pieces(event).await,
            _ => self.answer(event).await,
        }
    }

    /// Answers what is not about speech.
    async fn answer(&mut self, event: &Event) -> Result<(), End> {
        let answer = match event.kind.as_str() {
            "describe" => info(&self.server),
            "ping" => {
                let text = event.data.get("text").cloned().unwrap_or(Value::Null);
                Event::new("pong", json!({ "text": text }))
            }
            _ => return Ok(()),
        };
        self.send(answer).await
    }

    /// A text in pieces, from `synthesize-start` to `synthesize-stopped`.
    async fn pieces(&mut self, start: &Event) -> Result<(), End> {
        let (pieces, input) = std::sync::mpsc::channel();
        let (mut pieces, mut chars) = (Some(pieces), 0);
        let mut speech = self.speak(start, Input::Pieces(input)).await?;
        let (server, most) = (self.server.clone(), self.server.limits.max_chars);
        loop {
            let event = tokio::select! {
                more = speech.wait(&server) => {
                    let more = more?;
                    self.hand_on(&mut speech).await?;
                    if more {
                        continue;
                    }
                    return self.send(Event::new("synthesize-stopped", json!({}))).await;
                }
                event = self.next(), if pieces.is_some() => event?,
            };
            match (event.kind.as_str(), &pieces) {
                ("synthesize-chunk", Some(to)) => {
                    let text = text(&event)?;
                    chars += text.chars().count();
                    if chars > most {
                        return Err(End::of(
                            "invalid_request",
                            format!("the text has more than {most} characters"),
                        ));
                    }
                    // Where nobody reads it any more, the sound says why.
                    let _ = to.send(text.to_string());
                }
                ("synthesize-stop", _) => pieces = None,
                // The whole text once more.
                ("synthesize" | "synthesize-start", _) => {}
                _ => self.answer(&event).await?,
            }
        }
    }

    async fn send(&mut self, event: Event) -> Result<(), End> {
        Ok(event.write(&mut self.to).await?)
    }

    /// Has the engine say `input` by the voice that `event` asks for.
    async fn speak(&self, event: &Event, input: Input) -> Result<Speech, End> {
        if event.data.get("voice").is_some_and(|voice| !voice.is_object() && !voice.is_null()) {
            return Err(End::of("invalid_event", "voice: wanted an object with a name"));
        }
        let voice = |key: &str| Some(event.data.get("voice")?.get(key)?.as_str()?.to_string());
        let delivery = Delivery { speed: 1.0, seed: 0 };
        let request = Request { input, voice: voice("name"), language: voice("language"), delivery };
        let deadline = self.server.deadline();
        let sound = self.server.speak(request, deadline).await?;
        let encoder = Encoder::new(Form::Raw, sound.rate(), None).map_err(|e| End::of("internal", e))?;
        Ok(Speech { sound, encoder, deadline, block: Vec::new(), is_begun: false, samples: 0 })
    }

    /// Sends what [`Speech::wait`] has found, or that there is no more.
    async fn hand_on(&mut self, speech: &mut Speech) -> Result<(), End> {
        for event in speech.events()? {
            let sent = timeout_at(speech.deadline, event.write(&mut self.to)).await;
            sent.map_err(|_| End::of("timeout", SoundError::TooLong))??;
        }
        Ok(())
    }
}

impl Speech {
    /// Waits for more. False at the end.
    async fn wait(&mut self, server: &Server) -> Result<bool, End> {
        let next = self.sound.next(&mut self.block, self.deadline, || server.is_ending()).await;
        next.map_err(|e| End::of(if matches!(e, SoundError::TooLong) { "timeout" } else { "internal" }, e))?;
        Ok(!self.block.is_empty())
    }

    /// The events for what has come, or for the end.
    fn events(&mut self) -> Result<Vec<Event>, End> {
        let rate = self.sound.rate();
        let mut events = Vec::new();
        if !self.is_begun {
            self.is_begun = true;
            events.push(Event::new("audio-start", format(rate, 0)));
        }
        if self.block.is_empty() {
            events.push(Event::new("audio-stop", json!({ "timestamp": milliseconds(rate, self.samples) })));
        } else {
            let payload = self.encoder.push(&self.block).map_err(|e| End::of("internal", e))?;
            events.push(Event { payload, ..Event::new("audio-chunk", format(rate, self.samples)) });
            self.samples += self.block.len() as u64;
        }
        Ok(events)
    }
}

/// The text of an event that has to have one.
fn text(event: &Event) -> Result<&str, End> {
    event.text("text").ok_or_else(|| End::of("invalid_request", format!("{} without a text", event.kind)))
}

/// What says how samples are sent, from `samples` on.
fn format(rate: u32, samples: u64) -> Value {
    json!({ "rate": rate, "width": 2, "channels": 1, "timestamp": milliseconds(rate, samples) })
}

fn milliseconds(rate: u32, samples: u64) -> u64 {
    samples * 1000 / u64::from(rate)
}

/// What the server offers.
fn info(server: &Server) -> Event {
    const PROGRAM: &str = "wavesynth";
    let artifact = |name: &str, description: String| {
        json!({
            "name": name,
            "attribution": { "name": PROGRAM, "url": "" },
            "installed": true,
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
        })
    };
    let voice = |name: &str| {
        let mut voice = artifact(name, name.into());
        // A client that asks for a voice by name says no language.
        voice["languages"] = json!([server.language_of(name)]);
        voice
    };
    let mut program = artifact(PROGRAM, "Autoregressive text to speech".into());
    program["voices"] = server.voices.names().map(voice).collect();
    program["supports_synthesize_streaming"] = true.into();
    Event::new(
        "info",
        json!({ "tts": [program], "asr": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": [] }),
    )
}
