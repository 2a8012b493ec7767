//! The end of a sound, and its peaks.

use crate::common::{config, voice};
use crate::{all, conditioning, part, synth};
use wavesynth::synth::{CUT_MS, Length, Synth};
use wavesynth_audio::limit::{KNEE, limit};
use wavesynth_audio::pcm::Decoder;

/// A sound that is cut off fades; one that ends with its track, or is asked to end there, stays as it is.
#[test]
fn only_a_cut_fades() {
    let whole = all(&mut synth(1, Length::Track), &[512]);
    assert_eq!(all(&mut synth(1, Length::Samples(whole.len() as u64)), &[100]), whole);
    let fade = 16 * CUT_MS as usize;
    for length in [100, 1000, 1500] {
        let mut s = synth(1, Length::Samples(length as u64));
        let cut = all(&mut s, &[77]);
        assert_eq!(cut.len(), length);
        let fade = fade.min(length);
        for (i, (x, want)) in cut.iter().zip(&whole).enumerate() {
            let left = length - 1 - i;
            let gain = if left < fade { left as f32 / fade as f32 } else { 1.0 };
            assert_eq!(*x, want * gain, "sample {i} of {length}");
        }
    }
}

/// No peak reaches full scale, and the rest is what is decoded, to the bit.
#[test]
fn peaks_are_limited_and_nothing_else() {
    let voice = voice(&config());
    let conditioning = conditioning(&voice, [4.0, -4.0, 4.0, 4.0], 40);
    let mut s = Synth::new(&voice, part(conditioning, 3, Length::Track));
    let sound = all(&mut s, &[512]);
    let mut decoder = Decoder::new(voice.section.preemphasis, voice.encoding);
    let decoded: Vec<f32> = s.codes().unwrap().iter().map(|&code| decoder.decode(code)).collect();
    assert_eq!(decoded.len(), sound.len());
    let loud = decoded.iter().filter(|x| x.abs() > KNEE).count();
    assert!(loud > 0 && loud < sound.len() / 2, "{loud} of {} are loud", sound.len());
    assert!(sound.iter().zip(&decoded).all(|(x, d)| *x == limit(*d) && x.abs() < 1.0));
    assert!(sound.iter().zip(&decoded).all(|(x, d)| d.abs() > KNEE || x == d));
}
