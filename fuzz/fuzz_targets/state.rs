//! The state that a run is resumed from, for the run of a small text model. The first input of a process also makes the seed,
//! where the environment names a file for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use wavesynth::ranks::Ranks;
use wavesynth::train::run_file::Run;
use wavesynth::train::source::Source;
use wavesynth::train::state::TrainingState;
use wavesynth::train::text::TextSource;

include!("file.rs");

static RUN: LazyLock<(Run, Box<dyn Source>)> = LazyLock::new(|| {
    let text = std::env::temp_dir().join("wavesynth-fuzz.txt");
    std::fs::write(&text, "To be, or not to be: that is the question.\n".repeat(20)).unwrap();
    let run = include_str!("../seeds/state.toml").replace("TEXT", text.to_str().unwrap());
    let (run, written) = (Run::parse(&run, "state.toml").unwrap(), run);
    let Run::Text(of_text) = &run else { unreachable!("a run file with a section `text`") };
    let source = Box::new(TextSource::open(of_text, &Ranks::open().unwrap()).unwrap());
    if let Some(path) = std::env::var_os("WAVESYNTH_FUZZ_SEED") {
        let params = vec![0.25; source.network().layout().len()];
        let state = TrainingState::new(params, 2, 2);
        state.write(path.as_ref(), source.as_ref(), &written, &[vec![0.5; 3], vec![-0.5; 3]]).unwrap();
    }
    (run, source)
});

fuzz_target!(|data: &[u8]| {
    let (run, source) = &*RUN;
    if let Ok(state) = TrainingState::read(&file(data), source.as_ref(), run, None) {
        assert!(state.is_finite());
    }
});
