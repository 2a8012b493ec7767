//! The interface for speech by HTTP.

use crate::SAID;
use crate::client::{get, post};
use crate::serving::Serving;
use serde_json::{Value, json};
use wavesynth_audio::resample::StreamResampler;
use wavesynth_audio::sink::to_s16;

fn body(input: &str, voice: &str, seed: u64) -> Value {
    json!({ "model": "tts-1", "input": input, "voice": voice, "seed": seed })
}

#[test]
fn speech_is_what_say_makes_alone_and_in_lockstep() {
    let s = Serving::new("--streams 4");
    let asked: Vec<_> = (0..6)
        .map(|i| (["ann", "bob"][i / 2 % 2], SAID[i % 2], i as u64))
        .map(|(voice, input, seed)| (voice, input, seed, s.said(voice, input, seed, "--format wav")))
        .collect();
    let ask = |&(voice, input, seed, _): &(&str, &str, u64, _)| {
        let got = post(s.http, body(input, voice, seed).to_string());
        assert!(got.status == 200 && got.is_whole, "{got:?}");
        assert_eq!(got.header("content-type"), Some("audio/wav"));
        got.body
    };
    for one in &asked[..2] {
        assert!(ask(one) == one.3, "alone: {}", one.1);
    }
    std::thread::scope(|threads| {
        let together: Vec<_> = asked[..4].iter().map(|one| (one, threads.spawn(|| ask(one)))).collect();
        for (one, got) in together {
            assert!(got.join().unwrap() == one.3, "in lockstep: {}", one.1);
        }
    });
    s.wait_for_free(4);
    assert!(ask(&asked[5]) == asked[5].3, "in a slot that was another's");
}

#[test]
fn pcm_is_24_khz_and_a_mixture_is_a_voice() {
    let s = Serving::new("");
    let floats: Vec<f32> = (s.said("ann", SAID[0], 0, "--format f32").chunks_exact(4))
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let (mut resampler, mut want) = (StreamResampler::new(16_000, 24_000, 160).unwrap(), Vec::new());
    resampler.process(&floats, &mut want);
    resampler.flush(&mut want);
    let want: Vec<u8> = want.iter().flat_map(|x| to_s16(*x).to_le_bytes()).collect();
    let pcm = |extra: Value| {
        let mut all = json!({ "input": SAID[0], "voice": "ann", "response_format": "pcm" });
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        post(s.http, all.to_string())
    };
    let got = pcm(json!({ "model": "wavesynth", "instructions": "Be kind.", "speed": 1 }));
    assert!(got.is_whole && got.body == want);
    assert!(got.header("content-type").unwrap().starts_with("audio/pcm"));
    // The first voice speaks where none is named; a whole share of one voice is that voice.
    assert!(post(s.http, json!({ "input": SAID[0], "response_format": "pcm" }).to_string()).body == want);
    for voice in [json!("ann=1 bob=0"), json!({ "id": "ann" })] {
        assert!(pcm(json!({ "voice": voice })).body == want, "{voice}");
    }
    let mixed = pcm(json!({ "voice": "ann=0.5 bob=0.5" }));
    assert!(mixed.is_whole && mixed.body.len() == want.len() && mixed.body != want);
    let slow = pcm(json!({ "response_format": "wav", "speed": 0.5 })).body;
    assert!(slow == s.said("ann", SAID[0], 0, "--rate 0.5"));

    let events = pcm(json!({ "stream_format": "sse" }));
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let text = String::from_utf8(events.body).unwrap();
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let (last, deltas) = events.split_last().unwrap();
    assert_eq!(last["type"], "speech.audio.done");
    let mut bytes = Vec::new();
    for delta in deltas {
        assert_eq!(delta["type"], "speech.audio.delta");
        bytes.extend(decoded(delta["audio"].as_str().unwrap()));
    }
    assert!(bytes == want);
}

/// Base64.
fn decoded(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks_exact(4) {
        let filled = four.iter().filter(|c| **c != b'=').count();
        let bits = four[..filled].iter().fold(0u32, |bits, c| bits << 6 | u32::from(value(*c)));
        let bits = bits << (6 * (4 - filled));
        bytes.extend(&bits.to_be_bytes()[1..filled]);
    }
    bytes
}

#[test]
fn models_voices_health_and_the_page() {
    let s = Serving::new("--streams 3 --max-chars 1234");
    assert_eq!(get(s.http, "/v1/models").json()["data"][0]["id"], "wavesynth");
    let voices = get(s.http, "/v1/audio/voices").json();
    let voice = |name| json!({ "id": name, "name": name, "language": "en" });
    assert_eq!(voices, json!({ "voices": [voice("ann"), voice("bob")] }));
    let health = get(s.http, "/health").json();
    assert_eq!(
        (&health["status"], &health["streams"], &health["streams_free"]),
        (&json!("ok"), &json!(3), &json!(3))
    );
    let page = get(s.http, "/");
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(text.contains(r#""voices":["ann","bob"]"#) && text.contains("1234"), "{text}");
    for outside in ["http:", "https:", "src=", "@import"] {
        assert!(!text.contains(outside), "the page has {outside}");
    }
}
