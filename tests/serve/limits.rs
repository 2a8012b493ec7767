//! Too much, too long, too slow, and not what was asked for.

use crate::client::{connect, exchange, get, head, post, read, request};
use crate::serving::Serving;
use crate::{LONG, SAID};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A request for a sound that is longer than all buffers on the way.
fn long() -> Vec<u8> {
    request(json!({ "input": LONG, "voice": "ann", "speed": 0.5 }).to_string().as_bytes())
}

/// A client that has asked for a long sound and takes no more than its beginning.
fn slow(s: &Serving) -> TcpStream {
    let mut stream = connect(s.http);
    stream.write_all(&long()).unwrap();
    assert!(head(&mut stream).unwrap().contains(" 200 "));
    stream
}

#[test]
fn one_too_many_is_told_so_and_a_client_that_leaves_frees_its_slot() {
    let s = Serving::new("--streams 2");
    let mut first = slow(&s);
    s.wait_for_free(1);
    let second = slow(&s);
    let refused = post(s.http, json!({ "input": SAID[0] }).to_string());
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    assert!(refused.message().contains("all 2 streams"), "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "busy");
    drop(second);
    s.wait_for_free(1);
    // The one that is slow does not hold up the next, and has lost nothing itself.
    let got = post(s.http, json!({ "input": SAID[0], "voice": "bob" }).to_string());
    assert!(got.body == s.said("bob", SAID[0], 0, "--format wav"));
    assert_eq!(
        get(s.http, "/health").json()["streams_free"],
        1,
        "the slow one is done too early to test anything"
    );
    let mut rest = Vec::new();
    let mut block = [0; 1 << 16];
    while !rest.ends_with(b"0\r\n\r\n") {
        let n = first.read(&mut block).unwrap();
        assert!(n > 0, "it broke off");
        rest.extend(&block[..n]);
    }
    s.wait_for_free(2);
}

#[test]
fn what_is_no_request_is_told_so() {
    let s = Serving::new("--max-chars 100 --streams 1");
    let many = "a".repeat(101);
    let cases: [(&[u8], u16, &str); 18] = [
        (b"{", 400, "EOF"),
        (b"\"text\"", 400, "no such request"),
        (b"{\"input\": \"\xff\xfe\"}", 400, "unicode"),
        (b"{}", 400, "input"),
        (b"[null, \"a\", \"ann\", null, null, null, null, null, null]", 400, "JSON object"),
        (b"{\"input\": \"a\", \"voice\": 5}", 400, "wanted a name"),
        (b"{\"input\": \"\"}", 400, "empty"),
        (b"{\"input\": \"  \\n\"}", 400, "empty"),
        (b"{\"input\": 5}", 400, "string"),
        (b"{\"input\": \"a\", \"sped\": 2}", 400, "sped"),
        (b"{\"input\": \"a\", \"speed\": 9}", 400, "0.25 to 4"),
        (b"{\"input\": \"a\", \"voice\": \"alloy\"}", 400, "ann, bob"),
        (b"{\"input\": \"a\", \"voice\": \"ann=x\"}", 400, "NAME=WEIGHT"),
        (b"{\"input\": \"a\", \"response_format\": \"mp3\"}", 400, "wav or pcm"),
        (b"{\"input\": \"a\", \"model\": \"gpt-9\"}", 404, "gpt-9"),
        (b"{\"input\": \"a\", \"stream_format\": \"x\"}", 400, "audio or sse"),
        (b"{\"input\": \"a\", \"language\": \"xx\"}", 400, "one of en"),
        ("{\"input\": \"😀 ?!\"}".as_bytes(), 400, "no word"),
    ];
    for (body, status, word) in cases {
        let got = post(s.http, body);
        assert_eq!(got.status, status, "{}: {got:?}", String::from_utf8_lossy(body));
        assert!(got.message().contains(word), "{}: {}", String::from_utf8_lossy(body), got.message());
    }
    let got = post(s.http, json!({ "input": many }).to_string());
    assert!(got.status == 400 && got.message().contains("101 characters, at most 100"), "{got:?}");
    assert_eq!(get(s.http, "/nowhere").status, 404);
    let got = get(s.http, "/v1/audio/speech");
    assert_eq!((got.status, got.header("allow")), (405, Some("post")));
    let got = exchange(s.http, b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        .unwrap();
    assert!(got.status == 415 && got.message().contains("application/json"), "{got:?}");
    let huge = vec![b' '; 1 << 20];
    assert_eq!(post(s.http, &huge).status, 413);
    let header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 17));
    assert_eq!(exchange(s.http, header.as_bytes()).map(|r| r.status), Some(431));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000));
    assert_eq!(exchange(s.http, headers.as_bytes()).map(|r| r.status), Some(431));
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let got = exchange(s.http, garbage);
        assert!(got.as_ref().is_none_or(|r| r.status >= 400), "{got:?}");
    }
    // Halves of requests.
    let whole = request(json!({ "input": SAID[0] }).to_string().as_bytes());
    for end in (0..whole.len()).step_by(29) {
        connect(s.http).write_all(&whole[..end]).unwrap();
    }
    // Two on one connection, and none of all that has left anything behind.
    s.wait_for_free(1);
    let mut stream = connect(s.http);
    for _ in 0..2 {
        stream.write_all(&whole).unwrap();
        let got = read(&mut stream).unwrap();
        assert!(got.status == 200 && got.is_whole && got.body.len() > 1_000);
    }
    let (_, status, said) = s.end("-TERM");
    assert!(status == Some(0) && !said.contains("panic"), "{said}");
}

#[test]
fn a_request_that_takes_too_long_breaks_off_and_leaves_its_slot() {
    let s = Serving::new("--streams 1 --timeout 1");
    let mut stream = slow(&s);
    s.wait_for_free(0);
    let start = Instant::now();
    s.wait_for_free(1);
    assert!(start.elapsed() < Duration::from_secs(3));
    // What was sent already comes; its end does not.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

#[test]
fn sounds_fade_when_the_server_ends() {
    for signal in ["-TERM", "-INT"] {
        let s = Serving::new("--streams 2");
        let mut stream = connect(s.http);
        let mut small = slow(&s);
        stream.write_all(&long()).unwrap();
        let reader = std::thread::spawn(move || {
            let got = read(&mut stream).unwrap();
            let samples: Vec<i16> =
                got.body[44..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
            (got.is_whole, samples)
        });
        std::thread::sleep(Duration::from_millis(100));
        let (took, status, said) = s.end(signal);
        assert!(
            status == Some(0) && took < Duration::from_secs(3),
            "{signal}: {status:?} after {took:?}: {said}"
        );
        let (is_whole, samples) = reader.join().unwrap();
        assert!(is_whole && samples.len() > 1600, "{signal}: {} samples", samples.len());
        let loudest = |part: &[i16]| part.iter().map(|x| x.unsigned_abs()).max();
        let (all, end) = (loudest(&samples), loudest(&samples[samples.len() - 8..]));
        assert!(all > Some(10_000) && end < Some(1_000), "{signal}: {all:?}, at the end {end:?}");
        let _ = small.read(&mut [0]);
    }
}

#[test]
fn what_cannot_be_served_is_refused_in_one_line() {
    const SERVE: &str = "serve -m voice.safetensors --speech say.safetensors";
    let s = Serving::new("");
    let taken = s.http;
    for (args, word) in [
        (format!("{SERVE} --listen {taken}"), "cannot listen"),
        ("serve -m plain.safetensors --speech say.safetensors".into(), "track"),
        ("serve -m voice.safetensors --speech voice.safetensors".into(), "voice.safetensors"),
        (format!("{SERVE} --voices track.bin"), "no speaker"),
        (format!("{SERVE} --voices ann.bin,ann.bin"), "two voices"),
        ("serve --streams 0".into(), "--streams 0"),
        ("serve --timeout 0".into(), "--timeout 0"),
        ("serve --max-chars 0".into(), "--max-chars 0"),
        ("serve --listen nowhere".into(), "nowhere"),
    ] {
        let out = s.folder.run(&args);
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.lines().count() == 1 && said.contains(word), "{args}: {said}");
    }
}
