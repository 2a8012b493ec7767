//! Speaker conversion: own tracks and cross-speaker tracks.

use crate::common::{common, config, speaker, track, voice};
use crate::{all, bursts, part, stats};
use wavesynth::recordings;
use wavesynth::synth::{Conditioning, FrameSource, Length, Listener, Pace, Part, Synth};
use wavesynth::voice::Voice;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::common::{Alignment, Codebook};
use wavesynth_audio::features::{CausalExtractor, Extractor, FEATURES, RunningSpeakerStats, SpeakerStats};
use wavesynth_audio::ring::ring;
use wavesynth_models::condition::TrackSource;
use wavesynth_models::families::wavenet::Config;

fn with_others() -> Config {
    let mut config = config();
    config.condition.as_mut().unwrap().others = 12;
    config
}

/// Of a voice with a network for cross-speaker tracks: a track is the speaker's own where both were made with the same
/// statistics, and not otherwise.
#[test]
fn a_track_is_known_as_the_speakers_own_by_its_statistics() {
    let raw = Extractor::new().extract(&bursts(9_000));
    let other = SpeakerStats { median_f0_hz: 99.0, ..stats() };
    for config in [config(), with_others()] {
        let (own, others) = (TrackSource::Own, TrackSource::CrossSpeaker);
        let voice = voice(&config);
        let conditioning = |condition: Condition| Conditioning::new(&voice, &condition).unwrap();
        let who = |stats| conditioning(Condition { stats, ..speaker([1.0, 0.0, -1.0, 0.5]) });
        let track_of = |stats: &SpeakerStats| Conditioning::from_features(&voice, &raw, Some(stats)).unwrap();
        let source = |conditioning: Conditioning| conditioning.source(false);
        assert_eq!(source(who(Some(stats())).overlaid(track_of(&stats()))), own);
        assert_eq!(source(track_of(&stats()).overlaid(who(Some(stats())))), own);
        assert_eq!(source(who(Some(stats())).overlaid(track_of(&other))), others);
        assert_eq!(source(who(None).overlaid(track_of(&stats()))), others);
        // A file with both: the statistics are the track's, and say nothing of the vector.
        let (track, stats) = (Some(recordings::track(&raw, &stats())), Some(stats()));
        assert_eq!(source(conditioning(Condition { track, stats, ..speaker([1.0; 4]) })), others);
    }
}

/// A map, different for each `by`.
fn map(by: f32) -> Alignment {
    let mut map = Alignment::identity();
    for i in 0..16 {
        map.matrix[i][(i + 3) % 16] += by;
        map.offset[i] = 0.1 * by;
    }
    map
}

/// The same voice, its speakers with a common space.
fn with_common(voice: &Voice) -> Voice {
    let mut voice = voice.clone();
    voice.section.common = Some(common());
    voice
}

/// Of a voice whose speakers have a common space: a cross-speaker track is mapped there and back by the inverse of the
/// speaker's map, and the speaker's vector moves away from the source's, or from the mean.
#[test]
fn a_cross_speaker_track_is_converted_and_an_own_one_is_not() {
    let plain = voice(&config());
    let aligned = with_common(&plain);
    let person = |median_f0_hz, by| SpeakerStats { median_f0_hz, common: Some(map(by)), ..stats() };
    let (ann, bob) = (person(200.0, 0.3), person(100.0, -0.2));
    let vector = [1.0, 0.0, -1.0, 0.5];
    let new = |voice: &Voice, condition: Condition| Conditioning::new(voice, &condition).unwrap();
    let who = |voice: &Voice| new(voice, Condition { stats: Some(bob.clone()), ..speaker(vector) });
    let track_of =
        |voice: &Voice, by: &SpeakerStats| new(voice, Condition { stats: Some(by.clone()), ..track(12) });
    let render = |voice: &Voice, conditioning: Conditioning| {
        all(&mut Synth::new(voice, part(Box::new(conditioning), 3, Length::Track)), &[512])
    };

    let table = plain.model.embeddings();
    let by = |far: f32, other: [f32; 4]| -> [f32; 4] {
        std::array::from_fn(|i| vector[i] + far * (vector[i] - other[i]))
    };
    let middle_of = |voice: &Voice| -> [f32; 4] {
        let table = voice.model.embeddings();
        std::array::from_fn(|i| table[i] / 2.0 + table[4 + i] / 2.0)
    };
    let middle = middle_of(&plain);
    let way = ann.common.as_ref().unwrap().then(&bob.common.as_ref().unwrap().inverse().unwrap());
    let mut moved = track(12);
    moved.track.as_mut().unwrap().frames.chunks_exact_mut(FEATURES).for_each(|row| way.apply(row));
    let by_hand = |other| new(&plain, speaker(by(1.0, other))).overlaid(new(&plain, moved.clone()));
    // Less far in a voice with a network for cross-speaker tracks, which reads it.
    let plain_told = voice(&with_others());
    let aligned_told = with_common(&plain_told);
    let nearer = speaker(by(0.7, middle_of(&plain_told)));
    let nearer = new(&plain_told, nearer).overlaid(new(&plain_told, moved.clone()));
    let converted = render(&aligned_told, who(&aligned_told).overlaid(track_of(&aligned_told, &ann)));
    assert_eq!(converted, render(&plain_told, nearer));
    // As far as somebody wants it: the vector, and below 0.7 the map.
    for (likeness, share) in [(0.0, 0.0), (0.35, 0.5), (0.9, 1.0)] {
        let as_wanted = Voice { likeness: Some(likeness), ..aligned_told.clone() };
        let mut moved = track(12);
        let part = if share < 1.0 { way.in_part(share) } else { way.clone() };
        moved.track.as_mut().unwrap().frames.chunks_exact_mut(FEATURES).for_each(|row| part.apply(row));
        let wanted =
            new(&plain_told, speaker(by(likeness, middle_of(&plain_told)))).overlaid(new(&plain_told, moved));
        let converted = render(&as_wanted, who(&as_wanted).overlaid(track_of(&as_wanted, &ann)));
        assert_eq!(converted, render(&plain_told, wanted), "{likeness}");
    }
    // For a source without a vector the mean of the speakers stands in.
    let converted = render(&aligned, who(&aligned).overlaid(track_of(&aligned, &ann)));
    let as_it_is = render(&plain, who(&plain).overlaid(track_of(&plain, &ann)));
    assert_eq!(converted, render(&plain, by_hand(middle)));
    assert_ne!(converted, as_it_is);
    // Own tracks, and tracks and vectors of unknown speakers, stay as they are.
    assert_eq!(render(&aligned, who(&aligned).overlaid(track_of(&aligned, &bob))), as_it_is);
    assert_eq!(render(&aligned, who(&aligned).overlaid(new(&aligned, track(12)))), as_it_is);
    assert_eq!(render(&aligned, new(&aligned, speaker(vector)).overlaid(track_of(&aligned, &ann))), as_it_is);
    let conditioning = who(&aligned).overlaid(track_of(&aligned, &ann)).unconverted();
    assert_eq!(render(&aligned, conditioning), as_it_is);
    // The vector moves away from that of the voice's own speaker.
    let mut knowing = aligned.clone();
    knowing.section.speakers[0].stats = Some(ann.clone());
    let row: [f32; 4] = table[..4].try_into().unwrap();
    let from_ann = render(&knowing, who(&knowing).overlaid(track_of(&knowing, &ann)));
    assert_eq!(from_ann, render(&plain, by_hand(row)));
    assert_ne!(from_ann, converted);
    // A file without the map identifies its speaker, and the voice has the map.
    let older = SpeakerStats { common: None, ..ann.clone() };
    assert_eq!(render(&knowing, who(&knowing).overlaid(track_of(&knowing, &older))), from_ann);

    // A vector beside a track in one file is the voice's speaker's who has it.
    let row: [f32; 4] = table[4..8].try_into().unwrap();
    knowing.section.speakers[1].stats = Some(bob.clone());
    let alone = new(&knowing, Condition { stats: Some(bob.clone()), ..speaker(row) });
    let both = Condition { stats: Some(ann.clone()), track: track(12).track, ..speaker(row) };
    let apart = render(&knowing, alone.overlaid(track_of(&knowing, &ann)));
    assert_eq!(render(&knowing, new(&knowing, both)), apart);

    // While it runs, too: an own track is followed by a cross-speaker one.
    let run = |voice: &Voice, first: Conditioning, second: Conditioning| {
        let mut synth = Synth::new(voice, part(Box::new(first), 3, Length::Samples(3_000)));
        let mut out = vec![0.0; 320];
        synth.fill(&mut out);
        synth.change(Box::new(second), 0);
        out.extend(all(&mut synth, &[333]));
        out
    };
    let changed = run(&aligned, who(&aligned).overlaid(track_of(&aligned, &bob)), track_of(&aligned, &ann));
    assert_eq!(changed, run(&plain, who(&plain).overlaid(track_of(&plain, &bob)), by_hand(middle)));

    // And live.
    let live = |voice: &Voice, speaker_stats: &SpeakerStats| {
        let extractor = voice.extractor(RunningSpeakerStats::known(speaker_stats.clone())).unwrap();
        let front: Option<Box<dyn FrameSource>> =
            Some(Box::new(Listener::recording(extractor, bursts(3_000))));
        let part = part(Box::new(who(voice)), 3, Length::Samples(3_000));
        all(&mut Synth::new(voice, Part { front, ..part }), &[512])
    };
    assert_eq!(live(&aligned, &bob), live(&plain, &bob));
    assert_ne!(live(&aligned, &ann), live(&plain, &ann));
}

/// For an unknown speaker at the input, the map to the common space is learned, and used from then on; whether from a
/// file or in pieces.
#[test]
fn an_unknown_speakers_map_is_used_as_soon_as_it_is_learned() {
    let voice = with_common(&voice(&config()));
    let speech = bursts(64_000);
    let prior = SpeakerStats { common: Some(Alignment::identity()), ..stats() };
    let bob = SpeakerStats { median_f0_hz: 100.0, ..prior.clone() };
    let who = || Conditioning::new(&voice, &Condition { stats: Some(bob.clone()), ..speaker([1.0; 4]) });
    let synth = |space: Option<&Codebook>, listener: &dyn Fn(CausalExtractor) -> Listener| {
        let speaker_stats = RunningSpeakerStats::learning(prior.clone(), space);
        let extractor = voice.extractor(speaker_stats).unwrap();
        let part = part(Box::new(who().unwrap()), 3, Length::Samples(64_000));
        Synth::new(&voice, Part { front: Some(Box::new(listener(extractor))), ..part })
    };
    let file = |extractor| Listener::recording(extractor, speech.clone());
    let learned = all(&mut synth(Some(&common()), &file), &[512]);
    let fixed = all(&mut synth(None, &file), &[512]);
    let agree = learned.iter().zip(&fixed).take_while(|(a, b)| a == b).count();
    // Not before two seconds of speech.
    assert!((32_000..52_000).contains(&agree), "{agree}");

    let pipe = |extractor| {
        let (mut input, output) = ring(speech.len());
        assert_eq!(input.push_slice(&speech), speech.len());
        input.close();
        Listener::stream(extractor, output, 16_000, Pace::Patient).unwrap()
    };
    assert_eq!(all(&mut synth(Some(&common()), &pipe), &[77, 512]), learned);
}

/// A track as a front end, whose frames are known to be as these speakers would say it.
struct Imitation {
    track: Condition,
    at: usize,
    speakers: Vec<SpeakerStats>,
}

impl FrameSource for Imitation {
    fn frames(&self) -> Option<usize> {
        self.track.track.as_ref().map(|track| track.len())
    }

    fn advance(&mut self) -> bool {
        self.at += 1;
        self.frames().is_some_and(|n| self.at <= n)
    }

    fn write(&self, ahead: usize, rows: &mut [f32]) -> bool {
        let frames = &self.track.track.as_ref().unwrap().frames;
        let (n, c) = (frames.len() / FEATURES, rows.len() / FEATURES / 2);
        for (k, row) in rows.chunks_exact_mut(FEATURES).enumerate() {
            let t = (self.at + ahead + k).saturating_sub(1 + c).min(n - 1);
            row.copy_from_slice(&frames[t * FEATURES..][..FEATURES]);
        }
        self.at + ahead <= n
    }

    fn learned_from(&self) -> &[SpeakerStats] {
        &self.speakers
    }

    fn is_own(&self) -> bool {
        true
    }
}

/// Frames as a speaker would say them are, for another one, that speaker's track: converted, and told to be another's.
#[test]
fn frames_that_imitate_another_are_converted_as_a_track_is() {
    for config in [config(), with_others()] {
        let voice = with_common(&voice(&config));
        let person = |median_f0_hz, by| SpeakerStats { median_f0_hz, common: Some(map(by)), ..stats() };
        let (ann, bob) = (person(200.0, 0.3), person(100.0, -0.2));
        let new = |condition: Condition| Conditioning::new(&voice, &condition).unwrap();
        let bobs = || new(Condition { stats: Some(bob.clone()), ..speaker([1.0, 0.0, -1.0, 0.5]) });
        let render = |conditioning, front: Option<Box<dyn FrameSource>>| {
            let part = Part { front, ..part(Box::new(conditioning), 3, Length::Track) };
            all(&mut Synth::new(&voice, part), &[512])
        };
        let imitating = |speakers: &[&SpeakerStats]| -> Option<Box<dyn FrameSource>> {
            let speakers = speakers.iter().copied().cloned().collect();
            Some(Box::new(Imitation { track: track(12), at: 0, speakers }))
        };
        let track_of = |by: &SpeakerStats| new(Condition { stats: Some(by.clone()), ..track(12) });
        let (of_ann, own) =
            (render(bobs().overlaid(track_of(&ann)), None), render(bobs().overlaid(track_of(&bob)), None));
        assert!(of_ann != own);
        assert!(render(bobs(), imitating(&[&ann])) == of_ann);
        assert!(render(bobs(), imitating(&[&bob])) == own);
        assert!(render(bobs(), imitating(&[&ann, &bob])) == own, "one of those it learned from");
        assert!(render(bobs(), imitating(&[])) == own, "not known whose");
    }
}

/// A speaker whose tracks are read in another's numbers: an own track is what it would be, normalised by those; another's is
/// converted first.
#[test]
fn tracks_are_read_in_the_numbers_that_the_condition_names() {
    let voice = with_common(&voice(&with_others()));
    let raw = Extractor::new().extract(&bursts(9_000));
    let own = SpeakerStats { median_f0_hz: 180.0, common: Some(map(0.1)), ..stats() };
    let reads = SpeakerStats {
        mean: own.mean.map(|m| m + 0.3),
        std: own.std.map(|s| 1.2 * s),
        median_f0_hz: 120.0,
        common: None,
    };
    let who = |reads: Option<SpeakerStats>| {
        let mut condition = Condition { stats: Some(own.clone()), ..speaker([1.0, 0.0, -1.0, 0.5]) };
        condition.speaker.as_mut().unwrap().reads = reads;
        Conditioning::new(&voice, &condition).unwrap()
    };
    let table = |who: Conditioning, stats: &SpeakerStats| {
        let track = Conditioning::from_features(&voice, &raw, Some(stats)).unwrap();
        let samples = raw.len() * 160;
        wavesynth::synth::frame_table(&voice, who.overlaid(track), samples)
    };
    let near =
        |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    let renumbered = table(who(Some(reads.clone())), &own);
    assert!(!near(&renumbered, &table(who(None), &own)));
    // The speaker without numbers of its own, over the track that these normalise.
    let by_reads = Conditioning::from_features(&voice, &raw, Some(&reads)).unwrap().unconverted();
    let plain = Conditioning::new(&voice, &speaker([1.0, 0.0, -1.0, 0.5])).unwrap();
    let mut wanted = wavesynth::synth::frame_table(&voice, plain.overlaid(by_reads), raw.len() * 160);
    // The flag says whose it is, and stands behind the vector.
    let width = voice.config.cond_len();
    wanted.chunks_exact_mut(width).zip(renumbered.chunks_exact(width)).for_each(|(w, r)| w[4] = r[4]);
    assert!(near(&renumbered, &wanted));
    assert!(renumbered.chunks_exact(width).all(|row| row[4] == 1.0));
    let other = SpeakerStats { median_f0_hz: 99.0, common: Some(map(-0.2)), ..stats() };
    let converted = table(who(Some(reads)), &other);
    assert!(converted.chunks_exact(width).all(|row| row[4] == 2.0) && !near(&converted, &renumbered));
}
