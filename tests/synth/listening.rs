//! Live speech as conditioning.

use crate::common::{config, voice};
use crate::{all, bursts, conditioning, noise, part, stats};
use std::time::Duration;
use wavesynth::synth::{Conditioning, FrameSource, Length, Listener, Pace, Part, Synth};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{CausalExtractor, Extractor, FEATURES, RunningSpeakerStats};
use wavesynth_audio::resample::StreamResampler;
use wavesynth_audio::ring::{Producer, ring};

fn listening(voice: &Voice, length: Length, listener: Listener) -> Synth {
    let part = part(conditioning(voice, [1.0, 0.0, -1.0, 0.5], 0), 3, length);
    Synth::new(voice, Part { front: Some(Box::new(listener)), ..part })
}

/// The frame at hand with its neighbours.
fn window(listener: &Listener) -> Vec<f32> {
    let mut rows = vec![0.0; 3 * FEATURES];
    assert!(listener.write(0, &mut rows));
    rows
}

fn extractor(voice: &Voice) -> CausalExtractor {
    voice.extractor(RunningSpeakerStats::known(stats())).unwrap()
}

/// Where nothing is voiced, the causal features are those of the whole recording, and so is the sound.
#[test]
fn live_speech_sounds_as_its_track_does() {
    let voice = voice(&config());
    let unvoiced = |pcm: &Vec<f32>| {
        let mut listener = Listener::recording(extractor(&voice), pcm.clone());
        let mut causal = std::iter::from_fn(|| listener.advance().then(|| window(&listener)));
        Extractor::new().extract(pcm).f0_hz.iter().all(|f| *f == 0.0)
            && causal.all(|window| window.chunks_exact(FEATURES).all(|row| row[FEATURES - 1] == 0.0))
    };
    let pcm = (0..99).map(|seed| noise(seed, 9_000)).find(unvoiced).expect("some noise without a pitch");
    let raw = Extractor::new().extract(&pcm);
    let track = Conditioning::from_features(&voice, &raw, Some(&stats())).unwrap();
    let conditioning = conditioning(&voice, [1.0, 0.0, -1.0, 0.5], 0).overlaid(track);
    let want = all(&mut Synth::new(&voice, part(Box::new(conditioning), 3, Length::Track)), &[512]);
    assert_eq!(want.len(), 57 * 160);
    for (sizes, length) in [(&[512][..], Length::Track), (&[1, 333], Length::Samples(9_119))] {
        let listener = Listener::recording(extractor(&voice), pcm.clone());
        let mut synth = listening(&voice, length, listener);
        let got = all(&mut synth, sizes);
        // A length that is given is a cut, and fades.
        let fade = if length == Length::Track { 0 } else { 320 };
        assert_eq!(got[..got.len() - fade], want[..got.len() - fade]);
        assert!(got.len() >= 9_119 && synth.position() == got.len() as u64);
    }
}

/// A pipe gives the same as a recording, however it is cut and read; only its end is not known.
#[test]
fn a_patient_stream_is_a_recording() {
    let voice = voice(&config());
    for rate in [16_000, 44_100] {
        let pcm = bursts(rate as usize / 2 + 11);
        let mut resampler = StreamResampler::new(rate, 16_000, 64).unwrap();
        let mut at_16k = Vec::new();
        resampler.process(&pcm, &mut at_16k);
        resampler.flush(&mut at_16k);
        let recording = Listener::recording(extractor(&voice), at_16k);
        let want = all(&mut listening(&voice, Length::Track, recording), &[700]);
        let (mut ring, consumer) = ring(1_500);
        let stream = Listener::stream(extractor(&voice), consumer, rate, Pace::Patient).unwrap();
        let mut synth = listening(&voice, Length::Track, stream);
        let writer = std::thread::spawn(move || {
            let (mut at, mut n) = (0, 1);
            while at < pcm.len() {
                at += ring.push_slice(&pcm[at..(at + n).min(pcm.len())]);
                n = n % 600 + 7;
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let mut got = Vec::new();
        loop {
            let mut block = vec![0.0; synth.ready(100)];
            let n = synth.fill(&mut block);
            got.extend_from_slice(&block[..n]);
            if n < block.len() {
                break;
            }
        }
        writer.join().unwrap();
        assert!(got == want, "{rate} Hz: {} samples, wanted {}", got.len(), want.len());
    }
}

fn live(voice: &Voice) -> (Producer, Listener) {
    let (producer, consumer) = ring(8_000);
    (producer, Listener::stream(extractor(voice), consumer, 16_000, Pace::Live).unwrap())
}

#[test]
fn missing_input_is_held_and_then_silence() {
    let voice = voice(&config());
    let (mut ring, mut listener) = live(&voice);
    let silence = window(&listener);
    let pcm = bursts(4_000);
    // The first frame wants itself, one frame of context and the window's half behind that; the second a hop more.
    ring.push_slice(&pcm[..280 + 160 - 1]);
    assert!(!listener.is_ready());
    ring.push_slice(&pcm[439..440 + 160]);
    for _ in 0..2 {
        assert!(listener.is_ready() && listener.advance());
    }
    let last = window(&listener);
    assert_ne!(last, silence);
    for held in 1..=8 {
        assert!(!listener.is_ready());
        listener.hold();
        assert!(listener.is_ready() && listener.advance());
        assert_eq!(window(&listener), if held <= 5 { &last[..] } else { &silence });
    }
    ring.push_slice(&pcm[600..760]);
    assert!(listener.is_ready() && listener.advance());
    assert!(window(&listener) != last && window(&listener) != silence);
    let counters = listener.counters();
    assert_eq!((counters.frames(), counters.held(), counters.skipped()), (3, 8, 0));
}

#[test]
fn live_input_that_is_late_is_caught_up_with() {
    let voice = voice(&config());
    let (mut ring, mut listener) = live(&voice);
    let counters = listener.counters();
    let pcm = bursts(8_000);
    // A pause: half a second waits, and all but a frame or two of it is left out.
    ring.push_slice(&pcm);
    assert!(listener.is_ready() && listener.advance());
    let skipped = counters.skipped();
    assert!((44..=46).contains(&skipped), "{skipped}");
    // A device that is slow: what waits is more than is needed, all the time, and one frame a second goes.
    for _ in 0..250 {
        listener.set_ahead(700, 200);
        ring.push_slice(&pcm[..160]);
        while !listener.is_ready() {
            ring.push_slice(&pcm[..160]);
        }
        assert!(listener.advance());
    }
    assert_eq!(counters.skipped() - skipped, 2);
    // Just enough ahead: nothing goes.
    for _ in 0..250 {
        listener.set_ahead(250, 200);
        ring.push_slice(&pcm[..160]);
        assert!(listener.is_ready() && listener.advance());
    }
    assert!(counters.skipped() - skipped <= 3 && counters.held() == 0);
    // The end: what is there is generated, then no more.
    drop(ring);
    let mut frames = 0;
    while listener.advance() {
        frames += 1;
        assert!(frames < 60);
    }
    assert!(!listener.advance() && frames > 0);
}
