//! The same inputs give the same bytes: one table of checksums, and all that must not change them.
//!
//! The table is for debug and release builds alike (`cargo test --test determinism`, the same with `--release`), on x86-64
//! processors with AVX2 or AVX-512. Other instruction sets add up in another order: how far that goes is the last test.

mod common;

use common::Folder;
use crossbeam_channel::bounded;
use std::path::Path;
use wavesynth::lookup;
use wavesynth::synth::{
    Conditioning, Ensemble, Forced, Length, Part, SamplingPolicy, Synth, UniformSource, Worker,
    without_denormals,
};
use wavesynth::voice::Voice;
use wavesynth_audio::ring::ring;
use wavesynth_audio::sink::to_s16;
use wavesynth_models::ar::{Sampling, Symbol, Uniforms};
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::{Checkpoint, Dtype};

/// Samples, and symbols of text.
const LENGTH: usize = 1600;
/// Of the uniform numbers.
const SEED: u64 = 7;
/// Speaker and track of the voice.
const SPEAKER: &str = "en_allison";
const TRACK: &str = "en_greeting";

/// CRC-32 (ISO 3309) of what a shipped model draws, as 16-bit little-endian numbers.
struct Row {
    model: &'static str,
    dtype: Dtype,
    /// Of the symbols.
    symbols: u32,
    /// Of the sound as a 16-bit file has it; of text there is none.
    sound: u32,
}

const fn row(model: &'static str, dtype: Dtype, symbols: u32, sound: u32) -> Row {
    Row { model, dtype, symbols, sound }
}

const TABLE: [Row; 7] = [
    row("voice", Dtype::F32, 0x5324_d47d, 0x6262_b32d),
    row("voice", Dtype::F16, 0x99c9_0d5e, 0x6d22_53b4),
    row("voice", Dtype::I8, 0x3790_19f4, 0x6990_4fe6),
    row("music", Dtype::F32, 0x68ba_0cd5, 0xb7d6_4b8d),
    row("music", Dtype::I8, 0xc6a4_17ec, 0x53dd_b77a),
    row("text", Dtype::F32, 0xab9d_0368, 0),
    row("text", Dtype::F16, 0xab9d_0368, 0),
];

fn crc<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    values.into_iter().for_each(|bytes| crc.update(&bytes));
    crc.finalize()
}

fn crc_of_symbols(symbols: &[Symbol]) -> u32 {
    crc(symbols.iter().map(|x| x.to_le_bytes()))
}

fn crc_of_sound(sound: &[f32]) -> u32 {
    crc(sound.iter().map(|x| to_s16(*x).to_le_bytes()))
}

impl Row {
    fn checkpoint(&self) -> Checkpoint {
        let (mut file, _) = lookup::checkpoint(Path::new(self.model)).unwrap();
        quantise(&mut file, self.dtype).unwrap();
        file
    }

    fn loaded(&self, isa: Isa) -> Loaded {
        let loaded = Loaded::from_checkpoint(self.checkpoint(), isa).unwrap();
        assert_eq!(loaded.dtype, self.dtype, "{}", self.name());
        loaded
    }

    fn voice(&self, isa: Isa) -> Voice {
        Voice::from_loaded(self.loaded(isa)).unwrap()
    }

    fn is_text(&self) -> bool {
        self.model == "text"
    }

    fn name(&self) -> String {
        format!("{} {}", self.model, self.dtype)
    }
}

/// The rows that make sound.
fn sounds() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| !row.is_text())
}

/// Whether the table is about this processor.
fn is_known(isa: Isa) -> bool {
    isa.name().starts_with("avx")
}

fn conditioning(voice: &Voice) -> Conditioning {
    let named = voice.config.condition.is_some();
    Conditioning::read(voice, named.then_some(SPEAKER), named.then_some(TRACK)).unwrap()
}

/// What `render --seconds 0.1` plays.
fn part(voice: &Voice, seed: u64) -> Part {
    let conditioning = Box::new(conditioning(voice));
    Part {
        policy: SamplingPolicy::usual(voice, conditioning.has_track()),
        conditioning,
        front: None,
        uniforms: UniformSource::seed(seed),
        length: Length::Samples(LENGTH as u64),
        record: true,
        post_filter: true,
    }
}

/// Symbols and sound in blocks of `block`.
fn drawn(voice: &Voice, block: usize) -> (Vec<Symbol>, Vec<f32>) {
    without_denormals(|| {
        let mut synth = Synth::new(voice, part(voice, SEED));
        let (mut sound, mut out) = (Vec::new(), vec![9.0; block]);
        loop {
            let n = synth.fill(&mut out);
            sound.extend_from_slice(&out[..n]);
            if n < block {
                return (synth.codes().unwrap().to_vec(), sound);
            }
        }
    })
}

fn text(model: &Loaded) -> Vec<Symbol> {
    let (mut stream, mut uniforms) = (model.generator(Sampling::default()), Uniforms::new(SEED));
    without_denormals(|| (0..LENGTH).map(|_| stream.next(uniforms.next_uniform())).collect())
}

/// The table, on every instruction set that it is about.
#[test]
fn every_checksum_is_that_of_the_table() {
    let mut wrong = Vec::new();
    for isa in Isa::available().into_iter().flat_map(|isa| [isa, isa.without_dot()]).filter(|i| is_known(*i))
    {
        for row in &TABLE {
            let (symbols, sound) = match row.is_text() {
                true => (text(&row.loaded(isa)), Vec::new()),
                false => drawn(&row.voice(isa), LENGTH + 1),
            };
            assert_eq!(symbols.len(), LENGTH, "{}", row.name());
            let found = (crc_of_symbols(&symbols), if row.is_text() { 0 } else { crc_of_sound(&sound) });
            if found != (row.symbols, row.sound) {
                wrong.push(format!("{} {}: {:#010x}, {:#010x}", isa.name(), row.name(), found.0, found.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn blocks_and_threads_change_no_byte() {
    for row in sounds() {
        let voice = row.voice(Isa::detect());
        let whole = drawn(&voice, LENGTH + 1);
        for block in [1, 64, 1000] {
            assert!(drawn(&voice, block) == whole, "{} in blocks of {block}", row.name());
        }
        let others = std::thread::scope(|threads| {
            let all: Vec<_> = (0..3).map(|_| threads.spawn(|| drawn(&voice, 333))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(others.iter().all(|other| *other == whole), "{} in three threads", row.name());
    }
}

/// Beside streams with other seeds, by the worker through a ring, and from a file that was written and read.
#[test]
fn lockstep_the_worker_and_saving_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    for row in sounds() {
        let voice = row.voice(Isa::detect());
        let (_, whole) = drawn(&voice, LENGTH + 1);

        let mut ensemble = Ensemble::new(&voice, 3);
        let (mut blocks, mut written) = (vec![vec![9.0; LENGTH]; 3], [0; 3]);
        ensemble.start(0, &voice, part(&voice, 1));
        without_denormals(|| ensemble.fill(100, &mut blocks, &mut written));
        ensemble.start(2, &voice, part(&voice, SEED));
        ensemble.start(1, &voice, part(&voice, 2));
        let mut sound = Vec::new();
        while ensemble.running() > 0 {
            without_denormals(|| ensemble.fill(300, &mut blocks, &mut written));
            sound.extend_from_slice(&blocks[2][..written[2]]);
        }
        assert!(sound == whole, "{} in lockstep", row.name());

        let (producer, mut consumer) = ring(LENGTH + 1);
        let ((_commands, inbox), (outbox, _events)) = (bounded(1), bounded(1));
        let synth = Synth::new(&voice, part(&voice, SEED));
        let mut worker = Worker::new(synth, voice.section.sample_rate, producer, inbox, outbox).unwrap();
        without_denormals(|| worker.run());
        let mut played = vec![9.0; LENGTH];
        assert_eq!(consumer.fill(&mut played), LENGTH);
        assert!(played == whole, "{} by the worker", row.name());

        let path = folder.path().join("saved.safetensors");
        row.checkpoint().write(&path).unwrap();
        let saved = Loaded::open(&path, Isa::detect()).unwrap();
        assert_eq!(saved.dtype, row.dtype);
        assert!(drawn(&Voice::from_loaded(saved).unwrap(), 64).1 == whole, "{} saved", row.name());
    }
}

/// A fork goes on as its origin does, and streams of text in lockstep are as they are alone.
#[test]
fn forks_and_streams_of_text_change_no_symbol() {
    for row in TABLE.iter().filter(|row| row.is_text()) {
        let model = row.loaded(Isa::detect());
        let whole = text(&model);
        without_denormals(|| {
            let (mut stream, mut uniforms) = (model.generator(Sampling::default()), Uniforms::new(SEED));
            for x in &whole[..LENGTH / 2] {
                assert_eq!(stream.next(uniforms.next_uniform()), *x);
            }
            let mut fork = stream.fork();
            for x in &whole[LENGTH / 2..] {
                let u = uniforms.next_uniform();
                assert_eq!((stream.next(u), fork.next(u)), (*x, *x), "{}", row.name());
            }
            let mut streams = model.generators(3, Sampling::default());
            (0..3).for_each(|at| streams.start(at));
            let (mut uniforms, mut symbols) = ([1, SEED, 2].map(Uniforms::new), [0; 3]);
            for x in &whole {
                streams.next(&uniforms.each_mut().map(Uniforms::next_uniform), &mut symbols);
                assert_eq!(symbols[1], *x, "{} in lockstep", row.name());
            }
        });
    }
}

/// The program: rendered alone, from a list by one thread and by two, played where there is no device, and read back from its
/// own conversion.
#[test]
fn the_program_gives_the_same_bytes_by_every_way() {
    let f = Folder::new();
    let sound = |name: &str| {
        let wav = hound::WavReader::open(f.path(name)).unwrap();
        crc(wav.into_samples::<i16>().map(|x| x.unwrap().to_le_bytes()))
    };
    for row in sounds() {
        let (speaker, track) = if row.model == "voice" { (SPEAKER, TRACK) } else { ("-", "-") };
        let condition = if row.model == "voice" {
            format!("--condition {speaker} --track {track}")
        } else {
            String::new()
        };
        let how = format!("{condition} --seed {SEED} --seconds 0.1");
        let model = format!("-m {} --dtype {}", row.model, row.dtype);
        let mut want = None;
        let mut same = |name: &str, way: &str| {
            let found = sound(name);
            let want = *want.get_or_insert(found);
            assert_eq!(found, want, "{} {way}", row.name());
        };
        f.ok(&format!("render {model} {how} -o a.wav"));
        same("a.wav", "rendered");
        f.ok(&format!("convert {model} -o saved.safetensors"));
        f.ok(&format!("render -m saved.safetensors --dtype {} {how} -o b.wav", row.dtype));
        same("b.wav", "saved");
        let line = |seed: u64, to: &str| format!("{speaker}\t{track}\t{seed}\t{to}\t0.1\n");
        std::fs::write(f.path("list"), [line(1, "d.wav"), line(SEED, "c.wav"), line(2, "e.wav")].concat())
            .unwrap();
        for threads in ["1", "2"] {
            let mut command = f.command(&format!("render {model} --jobs list --force"));
            assert!(command.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
            same("c.wav", "from a list");
        }
        if cfg!(all(target_os = "linux", feature = "device")) {
            let out = f.without_device(&format!("play {model} {how} -o p.wav")).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            same("p.wav", "played");
        }
        if is_known(Isa::detect()) {
            assert_eq!(want, Some(row.sound), "{} by the program", row.name());
        }
    }
}

/// Most by which an output differs between two instruction sets that read the same symbols, as a share of the outputs'
/// spread: between AVX2 and AVX-512, and between one of them and the plain reference. With i8 weights a rounded activation
/// may come out as its neighbour.
const APART: [(Dtype, f32, f32); 3] =
    [(Dtype::F32, 1e-4, 1e-4), (Dtype::F16, 1e-4, 1e-4), (Dtype::I8, 0.0, 0.2)];

#[test]
fn instruction_sets_differ_by_rounding_alone() {
    for row in sounds() {
        let (symbols, _) = drawn(&row.voice(Isa::detect()), LENGTH + 1);
        let outputs = |isa: Isa| {
            let voice = row.voice(isa);
            let mut forced = Forced::new(&voice, conditioning(&voice));
            let mut rows = vec![0.0; 256 * symbols.len()];
            without_denormals(|| {
                for (row, x) in rows.chunks_exact_mut(256).zip(&symbols) {
                    forced.parameters(*x, row);
                }
            });
            rows
        };
        let want = outputs(Isa::detect());
        let mean = want.iter().sum::<f32>() / want.len() as f32;
        let spread = (want.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / want.len() as f32).sqrt();
        for isa in Isa::available() {
            let worst =
                outputs(isa).iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / spread;
            let &(_, known, plain) = APART.iter().find(|a| a.0 == row.dtype).unwrap();
            let most = if is_known(isa) { known } else { plain };
            assert!(worst <= most, "{} {}: {worst:e} apart", isa.name(), row.name());
        }
    }
}
