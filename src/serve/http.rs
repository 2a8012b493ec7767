//! HTTP: the interface for speech that OpenAI's clients know, and a page for people.

mod answer;
mod page;
mod speech;

use super::Server;
use super::net::Client;
use answer::{Answer, Body, Failure};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Time that a client has for the head of a request, and that a connection may be idle.
const HEAD: Duration = Duration::from_secs(15);

/// Bytes of a head, and of what waits to be sent, at most.
const BUFFER: usize = 1 << 15;

/// Header lines of a request, at most.
const HEADERS: usize = 64;

/// What a client gets that is one too many.
pub(super) const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Name of the one model.
const MODEL: &str = "wavesynth";

/// Talks to one client.
pub(super) async fn serve(server: Arc<Server>, client: Client) {
    let shared = server.clone();
    let service = service_fn(move |request| {
        let server = shared.clone();
        async move { Ok::<_, Infallible>(respond(&server, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(client), service);
    tokio::pin!(connection);
    let mut is_ending = false;
    loop {
        // What goes wrong with a connection concerns its client alone, and that has been told or has left.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = server.ended(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn respond(server: &Arc<Server>, request: Request<Incoming>) -> hyper::Response<Body> {
    let done = route(server, request).await;
    done.map_or_else(|failure| failure.answer(), Answer::into_response)
}

async fn route(server: &Arc<Server>, request: Request<Incoming>) -> Result<Answer, Failure> {
    let path = request.uri().path();
    let wanted = match path {
        "/v1/audio/speech" => Method::POST,
        "/" | "/health" | "/v1/models" | "/v1/audio/voices" => Method::GET,
        _ => {
            let message = format!("there is nothing at {path}; POST /v1/audio/speech makes speech");
            return Err(Failure::new(StatusCode::NOT_FOUND, message));
        }
    };
    let is_asked = *request.method() == wanted || (wanted == Method::GET && request.method() == Method::HEAD);
    if !is_asked {
        let message = format!("{path} takes {wanted}, not {}", request.method());
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, message).with("allow", wanted.as_str()));
    }
    Ok(match path {
        "/" => page::page(server),
        "/health" => health(server),
        "/v1/models" => Answer::json(json!({ "object": "list", "data": [
                { "id": MODEL, "object": "model", "created": 0, "owned_by": MODEL }
            ] })),
        "/v1/audio/voices" => {
            let voice = |name| json!({ "id": name, "name": name, "language": server.language_of(name) });
            let voices = server.voices.names().map(voice);
            Answer::json(json!({ "voices": voices.collect::<Vec<_>>() }))
        }
        _ => speech::speech(server, request).await?,
    })
}

fn health(server: &Server) -> Answer {
    let (seconds, busy) = server.engine.made();
    let (slots, free) = (server.engine.slots(), server.engine.free());
    Answer::json(json!({
        "status": "ok",
        "streams": slots,
        "streams_free": free,
        "seconds_made": seconds,
        "times_real_time": (busy > 0.0).then(|| seconds / busy),
    }))
}
