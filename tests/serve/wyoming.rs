//! Wyoming's protocol.

use crate::client::connect;
use crate::serving::Serving;
use crate::{LONG, SAID};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    fn new(s: &Serving) -> Self {
        Self { stream: BufReader::new(connect(s.wyoming)) }
    }

    /// Sends an event, its data in the line or behind it.
    fn send(&mut self, kind: &str, data: Value, is_behind: bool) {
        let bytes = match is_behind {
            false => format!("{}\n", json!({ "type": kind, "data": data })),
            true => {
                let data = data.to_string();
                format!("{}\n{data}", json!({ "type": kind, "data_length": data.len() }))
            }
        };
        self.stream.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    /// The next event: type, data, payload; `None` at the end.
    fn next(&mut self) -> Option<(String, Value, Vec<u8>)> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let head: Value = serde_json::from_str(&line).unwrap();
        let mut part = |key: &str| {
            let mut bytes = vec![0; head[key].as_u64().unwrap_or(0) as usize];
            self.stream.read_exact(&mut bytes).unwrap();
            bytes
        };
        let (data, payload) = (part("data_length"), part("payload_length"));
        let data =
            if data.is_empty() { head["data"].clone() } else { serde_json::from_slice(&data).unwrap() };
        Some((head["type"].as_str().unwrap().into(), data, payload))
    }

    /// The sound from `audio-start` to `audio-stop`.
    fn sound(&mut self) -> Vec<u8> {
        let (kind, start, _) = self.next().unwrap();
        assert_eq!(
            (kind.as_str(), &start["rate"], &start["width"]),
            ("audio-start", &json!(16_000), &json!(2))
        );
        let mut sound = Vec::new();
        loop {
            match self.next().unwrap() {
                (kind, data, payload) if kind == "audio-chunk" => {
                    assert_eq!((&data["rate"], &data["channels"]), (&json!(16_000), &json!(1)));
                    assert_eq!(data["timestamp"], sound.len() / 32);
                    sound.extend(payload);
                }
                (kind, ..) => {
                    assert_eq!(kind, "audio-stop");
                    return sound;
                }
            }
        }
    }
}

#[test]
fn a_conversation() {
    let s = Serving::new("--streams 2");
    let mut talk = Talk::new(&s);
    talk.send("describe", json!({}), false);
    let (kind, info, _) = talk.next().unwrap();
    let program = &info["tts"][0];
    assert_eq!((kind.as_str(), &program["supports_synthesize_streaming"]), ("info", &json!(true)));
    assert_eq!(program["voices"][1]["name"], "bob");
    assert!(program["voices"][1]["languages"].as_array().is_some_and(|l| !l.is_empty()));
    talk.send("ping", json!({ "text": "x" }), true);
    assert_eq!(talk.next().unwrap(), ("pong".into(), json!({ "text": "x" }), Vec::new()));
    talk.send("play-football", json!({}), false);

    let want = |voice, at: usize| s.said(voice, SAID[at], 0, "--format s16");
    talk.send("synthesize", json!({ "text": SAID[0], "voice": { "name": "bob" } }), true);
    assert!(talk.sound() == want("bob", 0));
    talk.send("synthesize", json!({ "text": SAID[1], "voice": { "language": "en" } }), false);
    assert!(talk.sound() == want("ann", 1));

    // In pieces, with the repetition that servers without pieces want. The first sentence is said before the second is there.
    talk.send("synthesize-start", json!({ "voice": { "name": "bob" } }), true);
    let (a, rest) = SAID[1].split_at(5);
    let (b, c) = rest.split_at(12);
    for piece in [a, b] {
        talk.send("synthesize-chunk", json!({ "text": piece }), true);
    }
    let (kind, ..) = talk.next().unwrap();
    assert_eq!(kind, "audio-start");
    let (kind, _, mut sound) = talk.next().unwrap();
    assert_eq!(kind, "audio-chunk");
    talk.send("synthesize-chunk", json!({ "text": c }), true);
    talk.send("ping", json!({ "text": "still there?" }), false);
    talk.send("synthesize", json!({ "text": SAID[1] }), true);
    talk.send("synthesize-stop", json!({}), false);
    let mut ponged = false;
    loop {
        match talk.next().unwrap() {
            (kind, _, payload) if kind == "audio-chunk" => sound.extend(payload),
            (kind, ..) if kind == "pong" => ponged = true,
            (kind, ..) => {
                assert_eq!(kind, "audio-stop");
                break;
            }
        }
    }
    assert!(ponged && sound == want("bob", 1));
    assert_eq!(talk.next().unwrap().0, "synthesize-stopped");

    // Nothing in pieces.
    talk.send("synthesize-start", json!({}), false);
    talk.send("synthesize-stop", json!({}), false);
    assert!(talk.sound().is_empty());
    assert_eq!(talk.next().unwrap().0, "synthesize-stopped");
}

#[test]
fn what_is_no_event_ends_the_conversation() {
    let s = Serving::new("--streams 1");
    let long = format!("{{\"type\":\"{}\"}}\n", "x".repeat(1 << 20));
    let cases: [(&[u8], &str); 6] = [
        (b"hello\n", "no event"),
        (b"\xff\xff\n", "no event"),
        (b"{\"type\":\"synthesize\",\"data_length\":99999999}\n", "bytes"),
        (long.as_bytes(), "bytes"),
        (b"{\"type\":\"synthesize\"}\n", "without a text"),
        (b"{\"type\":\"synthesize\",\"data\":{\"text\":\"a\",\"voice\":{\"name\":\"alloy\"}}}\n", "ann, bob"),
    ];
    for (bytes, word) in cases {
        let mut talk = Talk::new(&s);
        let _ = talk.stream.get_mut().write_all(bytes);
        let (kind, data, _) = talk.next().unwrap();
        assert_eq!(kind, "error");
        assert!(data["text"].as_str().unwrap().contains(word), "{data}");
        assert!(matches!(talk.stream.read(&mut [0]), Ok(0) | Err(_)), "{word}: it goes on");
    }
    // Halves of events, and clients that leave in the middle of a sound.
    for bytes in [&b"{\"type\""[..], b"{\"type\":\"synthesize\",\"data_length\":9}\n{\"te"] {
        connect(s.wyoming).write_all(bytes).unwrap();
    }
    for _ in 0..3 {
        let mut talk = Talk::new(&s);
        talk.send("synthesize", json!({ "text": LONG }), false);
        assert_eq!(talk.next().unwrap().0, "audio-start");
        drop(talk);
        s.wait_for_free(1);
    }
    let (_, status, said) = s.end("-TERM");
    assert!(status == Some(0) && !said.contains("panic"), "{said}");
}
