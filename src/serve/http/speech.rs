//! `POST /v1/audio/speech`.

use super::MODEL;
use super::answer::{Answer, Body, Failure, Piece};
use crate::serve::encoder::{Encoder, Form, PCM_RATE};
use crate::serve::front_end::{Delivery, Input};
use crate::serve::sound::Sound;
use crate::serve::{Request, Server};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, timeout, timeout_at};

/// Time that a client has for the body of its request.
const BODY: Duration = Duration::from_secs(15);

/// Bytes of a body beside its input, at most; a character of the input takes 12 at most, as `\uXXXX\uXXXX`.
const FIELDS: usize = 8192;
const CHAR: usize = 12;

/// Names that mean the one model: its own, and those that clients of OpenAI's send unless told otherwise.
const MODELS: [&str; 4] = [MODEL, "tts-1", "tts-1-hd", "gpt-4o-mini-tts"];

/// Pieces of a sound that wait for the client's socket.
const PIECES: usize = 2;

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Fields {
    model: Option<String>,
    input: String,
    voice: Option<Named>,
    response_format: Option<String>,
    stream_format: Option<String>,
    speed: Option<f32>,
    /// How to speak, in words: there is no model here that could follow them.
    #[serde(rename = "instructions")]
    _instructions: Option<IgnoredAny>,
    /// These two are not of OpenAI's interface.
    language: Option<String>,
    seed: Option<u64>,
}

/// A voice, as OpenAI's interface names one.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "voice: wanted a name, or an object with an id")]
enum Named {
    Name(String),
    Id { id: String },
}

/// The value of `body`, which has to be an object: serde would take the fields of an array by their places.
fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("wanted a JSON object".into());
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

/// Makes speech.
pub(super) async fn speech(
    server: &Arc<Server>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Failure> {
    let deadline = server.deadline();
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        let message = "wanted a body in JSON, with the header Content-Type: application/json";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = read(request.into_body(), FIELDS + CHAR * server.limits.max_chars).await?;
    let fields: Fields = object(&body)
        .map_err(|e| Failure::new(StatusCode::BAD_REQUEST, format!("the body is no such request: {e}")))?;
    if let Some(model) = fields.model.as_deref().filter(|m| !MODELS.contains(m)) {
        let message = format!("there is no model {model:?}; wanted one of {}", MODELS.join(", "));
        return Err(Failure::of("model", message).code(StatusCode::NOT_FOUND, "model_not_found"));
    }
    let form = match fields.response_format.as_deref() {
        None | Some("wav") => Form::Wav,
        Some("pcm") => Form::Pcm,
        Some(other) => {
            let message = format!("response_format {other:?}: wanted wav or pcm");
            return Err(Failure::of("response_format", message));
        }
    };
    let framing = match fields.stream_format.as_deref() {
        None | Some("audio") => Framing::Audio,
        Some("sse") => Framing::Events,
        Some(other) => {
            let message = format!("stream_format {other:?}: wanted audio or sse");
            return Err(Failure::of("stream_format", message));
        }
    };
    let request = Request {
        input: Input::Whole(fields.input),
        language: fields.language,
        voice: fields.voice.map(|v| match v {
            Named::Name(name) | Named::Id { id: name } => name,
        }),
        delivery: Delivery { speed: fields.speed.unwrap_or(1.0), seed: fields.seed.unwrap_or(0) },
    };
    let sound = server.speak(request, deadline).await?;
    let encoder = Encoder::new(form, sound.rate(), sound.samples())
        .map_err(|e| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let (pieces, body) = mpsc::channel(PIECES);
    tokio::spawn(send(server.clone(), sound, encoder, framing, pieces, deadline));
    let content_type = match (framing, form) {
        (Framing::Events, _) => "text/event-stream".to_string(),
        (_, Form::Wav) => "audio/wav".into(),
        (_, Form::Pcm | Form::Raw) => format!("audio/pcm;rate={PCM_RATE};channels=1"),
    };
    Ok(Answer::new(&content_type, Body::pieces(body)).with("cache-control", "no-store"))
}

/// The whole body of a request.
async fn read(body: Incoming, most: usize) -> Result<Bytes, Failure> {
    match timeout(BODY, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => {
            let message = format!("the body has more than {most} bytes");
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message).with("connection", "close"))
        }
        Ok(Err(e)) => Err(Failure::new(StatusCode::BAD_REQUEST, format!("the body can't be read: {e}"))),
        Err(_) => {
            let message = format!("the body did not come within {} s", BODY.as_secs());
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, message).with("connection", "close"))
        }
    }
}

/// How pieces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Framing {
    /// One after another.
    Audio,
    /// As server-sent events.
    Events,
}

impl Framing {
    /// What is sent for `bytes` of sound, the last ones perhaps.
    fn piece(self, bytes: Vec<u8>, is_last: bool) -> Bytes {
        if self == Self::Audio {
            return bytes.into();
        }
        let mut events = String::new();
        let mut add = |value: Value| events += &format!("data: {value}\n\n");
        if !bytes.is_empty() {
            add(json!({ "type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(bytes) }));
        }
        if is_last {
            let usage = json!({ "input_tokens": 0, "output_tokens": 0, "total_tokens": 0 });
            add(json!({ "type": "speech.audio.done", "usage": usage }));
        }
        events.into()
    }
}

/// Hands on a sound while it is made, until its reader leaves.
async fn send(
    server: Arc<Server>,
    mut sound: Sound,
    mut encoder: Encoder,
    framing: Framing,
    pieces: Sender<Piece>,
    deadline: Instant,
) {
    let (mut block, mut is_last) = (Vec::new(), false);
    while !is_last {
        let more = tokio::select! {
            more = sound.next(&mut block, deadline, || server.is_ending()) => more,
            () = pieces.closed() => return,
        };
        is_last = block.is_empty();
        let bytes = more.map_err(anyhow::Error::from).and_then(|()| match is_last {
            true => encoder.finish(),
            false => encoder.push(&block),
        });
        // A body without its end says that it went wrong.
        let Ok(bytes) = bytes.map(|b| framing.piece(b, is_last)) else { return };
        let piece = if is_last { Piece::Last(bytes) } else { Piece::More(bytes) };
        if !matches!(timeout_at(deadline, pieces.send(piece)).await, Ok(Ok(()))) {
            return;
        }
    }
}
