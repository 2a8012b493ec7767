//! From a text to its sound: how soon it begins, and whether it ever falls behind.

use super::exact_percentiles;
use crate::synth::{BLOCK, Conditioning, Percentiles, Synth, without_denormals};
use crate::tts::text::pieces;
use crate::tts::{FrontEnd, Prepared, Prosody, SayModel, SpokenFront, Utterances};
use crate::voice::Voice;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::time::{Duration, Instant};

/// One text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeechRow {
    /// The text, or its beginning.
    pub text: String,
    /// Its words.
    pub words: usize,
    /// Times that it was said.
    pub rounds: usize,
    /// Seconds of sound, of the last time.
    pub seconds: f64,
    /// From the text to its first sample, in ms: reading, pronunciations, durations, frames, and the engine's first block.
    pub first_sound_ms: Percentiles,
    /// Seconds of sound made in a second, over all rounds.
    pub times_real_time: f64,
    /// The least by which the sound was ahead of a listener who began with its first block, in ms, over all rounds. Below 0 it
    /// had a gap.
    pub least_lead_ms: f64,
}

/// Characters of a text that its row shows.
const SHOWN: usize = 32;

/// What says a text.
pub struct Speaker<'a> {
    /// The voice.
    pub voice: &'a Voice,
    /// Its speaker.
    pub conditioning: &'a dyn Fn() -> Result<Conditioning>,
    /// The text-to-speech model.
    pub model: &'a SayModel,
    /// What reads the language of the model.
    pub front_end: &'a FrontEnd,
}

/// Says `text` `rounds` times, with models and threads ready before the clock starts.
///
/// # Errors
/// A text without a word, a voice that takes no track, or numbers that are none.
pub fn speech(speaker: &Speaker<'_>, text: &str, rounds: usize) -> Result<SpeechRow> {
    let (mut first, mut made, mut took, mut least) = (Vec::new(), 0.0, Duration::ZERO, f64::INFINITY);
    let (mut words, mut seconds) = (0, 0.0);
    for round in 0..rounds {
        let said = say(speaker, text, round as u64)?;
        ensure!(said.words > 0, "there is no word in {text:?}");
        first.push(said.first.as_secs_f64() as f32 * 1e3);
        (words, seconds) = (said.words, said.seconds);
        made += said.seconds;
        took += said.took;
        least = least.min(said.least_lead);
    }
    Ok(SpeechRow {
        text: text.chars().take(SHOWN).collect(),
        words,
        rounds,
        seconds,
        first_sound_ms: exact_percentiles(first),
        times_real_time: made / took.as_secs_f64(),
        least_lead_ms: least * 1e3,
    })
}

struct Said {
    words: usize,
    seconds: f64,
    first: Duration,
    took: Duration,
    /// In seconds.
    least_lead: f64,
}

fn say(speaker: &Speaker<'_>, text: &str, seed: u64) -> Result<Said> {
    let Speaker { voice, conditioning, model, front_end } = *speaker;
    let spec = voice.spoken_frames().context("this voice takes no track: it can't be told what to say")?;
    let (front, Utterances { next, said }) = SpokenFront::new(model, &spec, Prosody::default(), seed);
    let front = front.learned_from(model.learned_from(voice));
    let mut synth = Synth::new(voice, front.part(voice, conditioning()?, seed));
    let rate = f64::from(synth.sample_rate());
    std::thread::scope(|scope| {
        let (go, going) = crossbeam_channel::bounded(1);
        let feed = scope.spawn(move || -> Result<usize> {
            going.recv()?;
            let (mut reader, mut words, mut number) = (front_end.reader(), 0, 0);
            let mut hand_on = |utterances: Vec<_>| -> Result<()> {
                for mut utterance in utterances {
                    model.phones.adapt(&mut utterance);
                    for part in utterance.parts()? {
                        words += part.words.len();
                        next.send(Box::new(Prepared::new(model, part, number)?))?;
                        number += 1;
                    }
                }
                Ok(())
            };
            for piece in pieces(text) {
                hand_on(reader.push(piece))?;
            }
            hand_on(reader.finish())?;
            Ok(words)
        });
        // What was said goes where it can be freed.
        scope.spawn(move || said.iter().for_each(drop));
        let start = Instant::now();
        let _ = go.send(());
        let mut block = [0.0; BLOCK];
        let mut first = None;
        let mut least_lead = f64::INFINITY;
        loop {
            let ready = synth.ready(BLOCK);
            if ready == 0 {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let before = synth.position();
            let n = without_denormals(|| synth.fill(&mut block[..ready]));
            synth.check_finite()?;
            match first {
                None if n > 0 => first = Some(start.elapsed()),
                Some(first) if n > 0 => {
                    let lead = before as f64 / rate - (start.elapsed() - first).as_secs_f64();
                    least_lead = least_lead.min(lead);
                }
                _ => {}
            }
            if n < ready {
                break;
            }
        }
        let took = start.elapsed();
        let seconds = synth.position() as f64 / rate;
        drop(synth);
        let words = feed.join().map_err(|_| anyhow::anyhow!("a thread stopped on an internal error"))??;
        Ok(Said { words, seconds, first: first.unwrap_or_default(), took, least_lead })
    })
}
