use super::*;
use hound::{SampleFormat, WavSpec, WavWriter};

/// A file may vanish between the listing and the reading, as on a network drive.
#[test]
fn a_recording_that_vanishes_is_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("ada");
    std::fs::create_dir(&folder).unwrap();
    let spec =
        WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
    for i in 0..3 {
        let mut wav = WavWriter::create(folder.join(format!("{i}.wav")), spec).unwrap();
        (0..8000).for_each(|t| wav.write_sample(((t * 37) % 2000) as i16).unwrap());
        wav.finalize().unwrap();
    }
    let text = format!(
        "[corpus]\nroot = {:?}\nheld_out = 0\n[model]\nresidual_channels = 4\nskip_channels = 4\ndilations = [1]\n[train]\nsteps = 1\n",
        dir.path()
    );
    let run = RunFile::parse(&text, "run").unwrap();
    let ranks = Ranks::solo();
    let mut corpus = SpeechCorpus::load(&run, &ranks).unwrap();
    corpus.recordings.clear();
    std::fs::remove_file(folder.join("1.wav")).unwrap();
    let front = FrontEnd {
        sample_rate: 16_000,
        preemphasis: 0.0,
        encoding: run.audio.bits.encoding(),
        features: false,
    };
    let (notes, bar) = (Notes::default(), Progress::hidden());
    let read = corpus.read(0, "ada", &(0..3), (&front, &notes), &ranks, &bar);
    let said = format!("{:#}", read.unwrap_err());
    assert!(said.contains("1.wav") && !said.contains('\n'), "{said}");
}
