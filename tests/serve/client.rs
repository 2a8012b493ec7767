//! A client of HTTP that trusts nothing: what came, as it came.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Lines of the head, in small letters.
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body has come to its end.
    pub is_whole: bool,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The message of an error as OpenAI's clients read it.
    pub fn message(&self) -> String {
        let json = self.json();
        assert!(json["error"]["type"].is_string(), "{json}");
        json["error"]["message"].as_str().unwrap_or_else(|| panic!("{json}")).to_string()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `bytes` and reads the one response; none where the connection ends without.
pub fn exchange(at: SocketAddr, bytes: &[u8]) -> Option<Response> {
    let mut stream = connect(at);
    // The server may have heard enough before it has heard all.
    let _ = stream.write_all(bytes);
    read(&mut stream)
}

pub fn get(at: SocketAddr, path: &str) -> Response {
    exchange(at, format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap()
}

/// The bytes of a request for speech.
pub fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub fn post(at: SocketAddr, body: impl AsRef<[u8]>) -> Response {
    exchange(at, &request(body.as_ref())).unwrap()
}

/// Reads one response.
pub fn read(stream: &mut TcpStream) -> Option<Response> {
    let head = head(stream)?;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut response = Response { status, head, body: Vec::new(), is_whole: false };
    if response.header("transfer-encoding") == Some("chunked") {
        response.is_whole = chunks(stream, &mut response.body).is_some();
    } else {
        let length = response.header("content-length").map_or(0, |n| n.parse().unwrap());
        response.body = vec![0; length];
        response.is_whole = stream.read_exact(&mut response.body).is_ok();
    }
    Some(response)
}

/// The head of a response, in small letters.
pub fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap().to_ascii_lowercase())
}

/// A body in chunks; `None` where the connection ends before it does.
fn chunks(stream: &mut TcpStream, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).ok()?;
        body.extend(&chunk[..length]);
        if length == 0 {
            return Some(());
        }
    }
}
