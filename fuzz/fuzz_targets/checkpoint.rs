//! A checkpoint: read, packed, and one step of what it is. Most of its bytes are the head's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::models::ar::Sampling;
use wavesynth::models::kernels::Isa;
use wavesynth::models::loaded::{Loaded, quantise};
use wavesynth::models::memory;
use wavesynth::models::weights::{Checkpoint, Dtype};
use wavesynth::images::{Image, ImageCoder, ImageModel};
use wavesynth::series::SeriesModel;
use wavesynth::text::TextModel;
use wavesynth::{Speech, Voice};

fuzz_target!(|data: &[u8]| {
    memory::set_limit(100_000_000);
    let Ok(file) = Checkpoint::from_bytes(data) else { return };
    let mut small = file.clone();
    if quantise(&mut small, Dtype::I8).is_ok() {
        let _ = Loaded::from_checkpoint(small, Isa::detect());
    }
    if let Ok(coder) = ImageCoder::from_checkpoint(&file, Isa::detect()) {
        let grid = coder.grid();
        let image = Image { grid, channels: 1, levels: vec![0; grid.len()] };
        let codes = coder.encode(&image);
        coder.nats(&image, &codes);
        coder.decode(&codes);
    }
    let Ok(model) = Loaded::from_checkpoint(file, Isa::detect()) else { return };
    let likelihood = model.config.facts().likelihood;
    let mut stream = model.generator(Sampling::default());
    let uniforms = vec![0.5; likelihood.get().uniforms()];
    for _ in 0..3 {
        stream.draw(&uniforms);
    }
    if let Ok(text) = TextModel::from_loaded(model.clone()) {
        if let Ok(symbols) = text.tokenizer.encode(b"To be, or not to be.\n", "a") {
            text.score(&symbols);
        }
    }
    if let Ok(series) = SeriesModel::from_loaded(model.clone()) {
        series.score(&vec![0.0; 2 * series.dims()]);
    }
    if let Ok(images) = ImageModel::from_loaded(model.clone()) {
        let grid = images.image_grid();
        images.decode(&images.encode(&Image { grid, channels: 1, levels: vec![0; grid.len()] }));
    }
    if let Ok(voice) = Voice::from_loaded(model) {
        if let Ok(speech) = Speech::new(&voice, Default::default(), 1) {
            speech.take(20).for_each(drop);
        }
    }
});
