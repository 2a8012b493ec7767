//! Answers: JSON, bytes, sounds while they are made, and errors as OpenAI's clients read them.

use crate::serve::Refusal;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

/// A sound that broke off: the client sees it by the missing end of the body.
#[derive(Debug, thiserror::Error)]
#[error("the sound broke off")]
pub(super) struct Broken;

/// A part of a sound.
pub(super) enum Piece {
    /// More follows.
    More(Bytes),
    /// None does.
    Last(Bytes),
}

/// What is sent behind the head.
pub(super) enum Body {
    Whole(Full<Bytes>),
    /// Pieces while they come. Without a last one, the sound is broken.
    Pieces {
        from: Receiver<Piece>,
        is_over: bool,
    },
}

impl Body {
    pub(super) fn pieces(from: Receiver<Piece>) -> Self {
        Self::Pieces { from, is_over: false }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Whole(bytes) => Pin::new(bytes).poll_frame(cx).map_err(|never| match never {}),
            Self::Pieces { is_over: true, .. } => Poll::Ready(None),
            Self::Pieces { from, is_over } => from.poll_recv(cx).map(|piece| {
                *is_over = matches!(piece, Some(Piece::Last(_)));
                Some(match piece {
                    Some(Piece::More(bytes) | Piece::Last(bytes)) => Ok(Frame::data(bytes)),
                    None => Err(Broken),
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_end_stream(),
            Self::Pieces { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => bytes.size_hint(),
            Self::Pieces { .. } => SizeHint::default(),
        }
    }
}

/// A response under construction.
pub(super) struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

impl Answer {
    pub(super) fn new(content_type: &str, body: Body) -> Self {
        let headers =
            vec![("content-type", content_type.into()), ("x-content-type-options", "nosniff".into())];
        Self { status: StatusCode::OK, headers, body }
    }

    pub(super) fn json(value: Value) -> Self {
        Self::new("application/json", Body::Whole(Bytes::from(value.to_string()).into()))
            .with("cache-control", "no-store")
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// An error for a client.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code: None, headers: Vec::new() }
    }

    /// A value of the request that can't be met.
    pub(super) fn of(param: &'static str, message: impl Into<String>) -> Self {
        Self { param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, message) }
    }

    pub(super) fn code(mut self, status: StatusCode, code: &'static str) -> Self {
        self.status = status;
        self.code = Some(code);
        self
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn answer(self) -> Response<Body> {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let Self { status, message, param, code, headers } = self;
        let value = json!({ "error": { "message": message, "type": kind, "param": param, "code": code } });
        let mut answer = Answer { status, ..Answer::json(value) };
        answer.headers.extend(headers);
        answer.into_response()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Request { param, .. } => Self::of(param, message),
            Refusal::Busy(_) | Refusal::Slow => Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
                .code(StatusCode::SERVICE_UNAVAILABLE, "busy")
                .with("retry-after", "2"),
            Refusal::TooLong => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, message).code(StatusCode::GATEWAY_TIMEOUT, "timeout")
            }
            Refusal::Internal(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, message),
        }
    }
}
