//! Wyoming's protocol, which Home Assistant speaks: events over TCP.
//!
//! `describe` is answered by `info`, `ping` by `pong`, and `synthesize` by `audio-start`, `audio-chunk`s and `audio-stop`.
//! A text may also come in pieces: between `synthesize-start` and `synthesize-stop`, each sentence is said as soon as it is
//! complete, all as one sound, and `synthesize-stopped` follows. A `synthesize` in between repeats the text for servers that
//! do not know pieces. Other events are passed over.

mod event;
mod sentences;

use super::encoder::{Encoder, Form};
use super::front_end::Manner;
use super::net::Client;
use super::{Refusal, Request, Server};
use event::{Event, EventError};
use sentences::Sentences;
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

/// Time that a sentence of a text in pieces waits for a slot, where an earlier one has been said.
const SLOT: Duration = Duration::from_secs(5);

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
            Refusal::Busy(_) => "busy",
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

/// A text that comes in pieces.
struct Pieces {
    voice: Option<String>,
    sentences: Sentences,
    chars: usize,
    /// Samples said so far, and their rate; `None` before the first.
    said: Option<(u64, u32)>,
    deadline: Instant,
}

impl Talk {
    async fn run(&mut self) -> End {
        let mut pieces = None;
        loop {
            let event = match timeout(IDLE, self.events.recv()).await {
                Err(_) => return End::of("timeout", format!("nothing came for {} s", IDLE.as_secs())),
                Ok(None) => return End::Closed,
                Ok(Some(Err(EventError::Io(e)))) => return e.into(),
                Ok(Some(Err(e))) => return End::of("invalid_event", e),
                Ok(Some(Ok(event))) => event,
            };
            if let Err(end) = self.handle(&event, &mut pieces).await {
                return end;
            }
        }
    }

    async fn handle(&mut self, event: &Event, pieces: &mut Option<Pieces>) -> Result<(), End> {
        match (event.kind.as_str(), pieces.as_mut()) {
            ("describe", _) => self.send(info(&self.server)).await?,
            ("ping", _) => {
                let text = event.data.get("text").cloned().unwrap_or(Value::Null);
                self.send(Event::new("pong", json!({ "text": text }))).await?;
            }
            ("synthesize", None) => {
                let mut whole = Pieces::new(voice(event), self.server.deadline());
                self.say(&mut whole, text(event)?.to_string()).await?;
                self.stop(&whole).await?;
            }
            ("synthesize-start", _) => *pieces = Some(Pieces::new(voice(event), self.server.deadline())),
            ("synthesize-chunk", Some(p)) => {
                let text = text(event)?;
                p.chars += text.chars().count();
                let most = self.server.limits.max_chars;
                if p.chars > most {
                    return Err(End::of(
                        "invalid_request",
                        format!("the text has more than {most} characters"),
                    ));
                }
                for sentence in p.sentences.push(text) {
                    self.say(p, sentence).await?;
                }
            }
            ("synthesize-stop", Some(p)) => {
                if let Some(rest) = p.sentences.finish() {
                    self.say(p, rest).await?;
                }
                self.stop(p).await?;
                self.send(Event::new("synthesize-stopped", json!({}))).await?;
                *pieces = None;
            }
            _ => {}
        }
        Ok(())
    }

    async fn send(&mut self, event: Event) -> Result<(), End> {
        Ok(event.write(&mut self.to).await?)
    }

    /// Says `input` behind what `pieces` has said so far.
    async fn say(&mut self, pieces: &mut Pieces, input: String) -> Result<(), End> {
        let manner = Manner { speed: 1.0, seed: 0 };
        let request = Request { input, voice: pieces.voice.clone(), manner };
        let start = Instant::now();
        let mut sound = loop {
            match self.server.speak(request.clone(), pieces.deadline).await {
                Err(Refusal::Busy(_)) if pieces.said.is_some() && start.elapsed() < SLOT => {
                    sleep(Duration::from_millis(20)).await;
                }
                sound => break sound?,
            }
        };
        let rate = sound.rate();
        let (mut samples, is_first) = (pieces.said.map_or(0, |(n, _)| n), pieces.said.is_none());
        if is_first {
            self.send(Event::new("audio-start", format(rate, 0))).await?;
        }
        let mut encoder = Encoder::new(Form::Raw, rate, None).map_err(|e| End::of("internal", e))?;
        let (server, mut block) = (self.server.clone(), Vec::new());
        loop {
            let next = sound.next(&mut block, pieces.deadline, || server.is_ending()).await;
            next.map_err(|e| End::of("internal", e))?;
            if block.is_empty() {
                break;
            }
            let payload = encoder.push(&block).map_err(|e| End::of("internal", e))?;
            let chunk = Event { payload, ..Event::new("audio-chunk", format(rate, samples)) };
            let sent = timeout_at(pieces.deadline, chunk.write(&mut self.to)).await;
            sent.map_err(|_| End::of("timeout", "the request took longer than it may (--timeout)"))??;
            samples += block.len() as u64;
        }
        pieces.said = Some((samples, rate));
        Ok(())
    }

    /// Ends the sound of `pieces`, if there was any.
    async fn stop(&mut self, pieces: &Pieces) -> Result<(), End> {
        match pieces.said {
            Some((samples, rate)) => {
                self.send(Event::new("audio-stop", json!({ "timestamp": milliseconds(rate, samples) }))).await
            }
            None => Ok(()),
        }
    }
}

impl Pieces {
    fn new(voice: Option<String>, deadline: Instant) -> Self {
        Self { voice, sentences: Sentences::default(), chars: 0, said: None, deadline }
    }
}

/// The text of an event that has to have one.
fn text(event: &Event) -> Result<&str, End> {
    event.text("text").ok_or_else(|| End::of("invalid_request", format!("{} without a text", event.kind)))
}

/// The voice that an event asks for by name.
fn voice(event: &Event) -> Option<String> {
    event.data.get("voice")?.get("name")?.as_str().map(String::from)
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
    let languages = json!(server.front_end.languages());
    let voice = |name: &str| {
        let mut voice = artifact(name, name.into());
        voice["languages"] = languages.clone();
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
