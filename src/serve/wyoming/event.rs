//! Events of Wyoming's protocol: a line of JSON, then `data_length` bytes of more JSON and `payload_length` bytes of sound.
//! The data of an event are those of the line with those behind it.
//!
//! Source: <https://github.com/OHF-Voice/wyoming>, "Format" in its README.

use serde_json::{Map, Value, json};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of the protocol that is spoken.
const VERSION: &str = "1.8.0";

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub kind: String,
    pub data: Map<String, Value>,
    /// Sound, of an event that has some.
    pub payload: Vec<u8>,
}

/// What is no event.
#[derive(Debug, thiserror::Error)]
pub(super) enum EventError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("an event of more than {0} bytes")]
    Long(usize),
    #[error("no event: {0}")]
    Format(String),
}

impl Event {
    pub(super) fn new(kind: &str, data: Value) -> Self {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Self { kind: kind.into(), data, payload: Vec::new() }
    }

    /// The text under `key`.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.data.get(key)?.as_str()
    }

    /// The bytes of the event.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let data = Value::Object(self.data.clone()).to_string();
        let head = json!({
            "type": self.kind, "version": VERSION, "data_length": data.len(), "payload_length": self.payload.len(),
        });
        let mut bytes = head.to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend(data.into_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Writes the event.
    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        to.write_all(&self.to_bytes()).await?;
        to.flush().await
    }

    /// The next event, of `most` bytes at most; `None` at the end. What is sent as payload is read and dropped.
    pub(super) async fn read(
        from: &mut (impl AsyncBufRead + Unpin),
        most: usize,
    ) -> Result<Option<Self>, EventError> {
        let mut line = Vec::new();
        (&mut *from).take(most as u64).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return match line.len() == most {
                true => Err(EventError::Long(most)),
                false => Err(EventError::Format("the connection ended within a line".into())),
            };
        }
        let wrong = |e: serde_json::Error| EventError::Format(e.to_string());
        let mut head: Map<String, Value> = serde_json::from_slice(&line).map_err(wrong)?;
        let length = |key: &str| match head.get(key) {
            None | Some(Value::Null) => Ok(0),
            Some(n) => match n.as_u64() {
                Some(n) if n <= most as u64 => Ok(n as usize),
                Some(_) => Err(EventError::Long(most)),
                None => Err(EventError::Format(format!("{key} is {n}, wanted a number of bytes"))),
            },
        };
        let (data_length, payload_length) = (length("data_length")?, length("payload_length")?);
        let mut data = match head.remove("data") {
            Some(Value::Object(data)) => data,
            None | Some(Value::Null) => Map::new(),
            Some(other) => return Err(EventError::Format(format!("data is {other}, wanted an object"))),
        };
        if data_length > 0 {
            let mut bytes = vec![0; data_length];
            from.read_exact(&mut bytes).await?;
            data.extend(serde_json::from_slice::<Map<String, Value>>(&bytes).map_err(wrong)?);
        }
        from.read_exact(&mut vec![0; payload_length]).await?;
        match head.remove("type") {
            Some(Value::String(kind)) => Ok(Some(Self { kind, data, payload: Vec::new() })),
            _ => Err(EventError::Format("it has no type".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], most: usize) -> Result<Option<Event>, EventError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Event::read(&mut &bytes[..], most))
    }

    #[test]
    fn what_is_written_is_read() {
        let event = Event::new("synthesize", json!({ "text": "é\n\"", "voice": { "name": "a" } }));
        assert_eq!(read(&event.to_bytes(), 1000).unwrap(), Some(event));
    }

    #[test]
    fn data_may_stand_in_the_line_and_behind_it() {
        let bytes = b"{\"type\":\"t\",\"data\":{\"a\":1,\"b\":2},\"data_length\":7,\"payload_length\":3}\n{\"b\":3}xyz";
        let event = read(bytes, 1000).unwrap().unwrap();
        assert_eq!(Value::Object(event.data), json!({ "a": 1, "b": 3 }));
        assert!(read(b"", 1000).unwrap().is_none());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let long = [&b"{\"type\":\""[..], &[b'a'; 100], b"\"}\n"].concat();
        assert!(matches!(read(&long, 50), Err(EventError::Long(50))));
        let cases: [&[u8]; 7] = [
            b"{\"type\":\"a\"}",
            b"\n",
            b"\xff\xfe\n",
            b"[]\n",
            b"{\"type\":5}\n",
            b"{\"type\":\"a\",\"data\":[]}\n",
            b"{\"type\":\"a\",\"data_length\":-1}\n",
        ];
        for bytes in cases {
            assert!(matches!(read(bytes, 50), Err(EventError::Format(_))), "{bytes:?}");
        }
        assert!(matches!(read(b"{\"type\":\"a\",\"data_length\":99}\n", 50), Err(EventError::Long(50))));
        assert!(matches!(read(b"{\"type\":\"a\",\"data_length\":9}\n{}", 50), Err(EventError::Io(_))));
    }
}
