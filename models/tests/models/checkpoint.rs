//! Checkpoints: whole ones come back as they were written, damaged ones are refused with one line.

use crate::common::config;
use crate::suite::random_tensors;
use std::path::{Path, PathBuf};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::{Checkpoint, Dtype, Header, Stored};

fn checkpoint() -> Checkpoint {
    let config = config(5, 7, 3, 9, 11, 2, &[1, 2], 1);
    Checkpoint {
        header: Header {
            version: 1,
            family: "wavenet".into(),
            config: serde_json::to_value(&config).unwrap(),
            sections: [("note".to_string(), "kept".into())].into_iter().collect(),
        },
        tensors: random_tensors(&config, 1),
    }
}

fn bytes(file: &Checkpoint) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file.write(&path).unwrap();
    std::fs::read(path).unwrap()
}

fn load(bytes: &[u8]) -> Result<Loaded, String> {
    let path = Path::new("some/model.safetensors");
    let message = Checkpoint::from_bytes(bytes)
        .at(path)
        .map_err(|e| e.to_string())
        .and_then(|c| Loaded::from_checkpoint(c, Isa::PLAIN).at(path).map_err(|e| e.to_string()));
    if let Err(e) = &message {
        assert!(e.starts_with("some/model.safetensors: ") && !e.contains('\n'), "{e}");
    }
    message
}

fn refused(change: impl FnOnce(&mut Checkpoint), words: &str) {
    let mut file = checkpoint();
    change(&mut file);
    let message = load(&bytes(&file)).err().expect("refused");
    assert!(message.contains(words), "`{message}` does not say `{words}`");
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let file = checkpoint();
    let again = Checkpoint::from_bytes(&bytes(&file)).unwrap();
    assert_eq!(again, file);
    assert_eq!(again.header.sections["note"], "kept");
    assert_eq!(bytes(&file), bytes(&again), "the same bytes, so that a checkpoint can be compared");
}

/// A checkpoint of smaller weights.
fn quantised(dtype: Dtype) -> Checkpoint {
    let mut file = checkpoint();
    quantise(&mut file, dtype).unwrap();
    file
}

#[test]
fn smaller_weights_come_back_as_they_were() {
    let size = bytes(&checkpoint()).len();
    for dtype in [Dtype::F16, Dtype::I8] {
        let file = quantised(dtype);
        let written = bytes(&file);
        let again = Checkpoint::from_bytes(&written).unwrap();
        assert_eq!(again, file, "{dtype}");
        assert!(written.len() < size, "{dtype}: {} bytes, {size} as f32", written.len());
        let model = load(&written).unwrap();
        assert_eq!(model.dtype, dtype);
        let stream = |file| {
            let model = Loaded::from_checkpoint(file, Isa::detect()).unwrap();
            let mut stream = model.generator(Sampling::default());
            let mut uniforms = Uniforms::new(1);
            (0..200).map(|_| stream.next(uniforms.next_uniform())).collect::<Vec<_>>()
        };
        assert_eq!(stream(again), stream(file), "{dtype}: the file and the same weights in memory");
    }
}

fn refused_i8(change: impl FnOnce(&mut Checkpoint), words: &str) {
    let mut file = quantised(Dtype::I8);
    change(&mut file);
    let message = load(&bytes(&file)).err().expect("refused");
    assert!(message.contains(words), "`{message}` does not say `{words}`");
}

#[test]
fn codes_that_mean_nothing_are_refused() {
    let scales = |f: &mut Checkpoint, name: &str, to: Vec<f32>| {
        f.tensors.get_mut(name).unwrap().stored = Stored::I8 { scales: to };
    };
    refused_i8(|f| scales(f, "head.0.weight", vec![-1.0; 9]), "head.0.weight is I8, one of its scales is -1");
    refused_i8(
        |f| scales(f, "head.0.weight", vec![f32::NAN; 9]),
        "head.0.weight is I8, one of its scales is NaN",
    );
    refused_i8(|f| scales(f, "head.0.weight", vec![1.0; 8]), "its scales have shape [8], wanted F32 [9]");
    refused_i8(
        |f| scales(f, "layer.1.skip.weight", vec![1.0; 3]),
        "layer.0.skip.weight and layer.1.skip.weight",
    );
    refused_i8(|f| scales(f, "skip.bias", vec![1.0; 3]), "skip.bias is stored as i8, f32 is the smallest");
    // The scales renamed, the same length: no tensor is theirs.
    let whole = bytes(&quantised(Dtype::I8));
    let at = whole.windows(19).position(|w| w == b"head.0.weight.scale").unwrap();
    let mut lost = whole.clone();
    lost[at..at + 19].copy_from_slice(b"head.0.weight.stale");
    let message = load(&lost).err().unwrap();
    assert!(message.contains("head.0.weight is I8, and has no scales beside it"), "{message}");
    let mut uniforms = Uniforms::new(5);
    for _ in 0..2000 {
        let mut damaged = whole.clone();
        let at = uniforms.below(damaged.len() as u64) as usize;
        damaged[at] = if at.is_multiple_of(2) { 0x80 } else { damaged[at] ^ (1 << uniforms.below(8)) };
        // One line or a model, never a panic.
        let _ = load(&damaged);
    }
}

#[test]
fn what_differs_from_the_config_is_named() {
    refused(|f| drop(f.tensors.remove("skip.bias")), "tensor skip.bias is missing, wanted [3]");
    refused(
        |f| {
            let t = f.tensors.get_mut("head.0.weight").unwrap();
            t.shape = vec![27];
        },
        "tensor head.0.weight has shape [27], wanted [3, 9]",
    );
    refused(
        |f| {
            let t = f.tensors["skip.bias"].clone();
            f.tensors.insert("layer.9.what".into(), t);
        },
        "tensor layer.9.what is not one of this model's",
    );
    refused(
        |f| f.tensors.get_mut("head.1.bias").unwrap().data[4] = f32::NAN,
        "head.1.bias holds NaN at position 4",
    );
    refused(|f| f.header.family = "organ".into(), "family `organ`");
    refused(|f| f.header.version = 7, "version 7");
    refused(|f| f.header.config["residual_channels"] = 0.into(), "residual_channels is 0");
    refused(|f| f.header.config["dilations"] = serde_json::json!([u64::MAX / 4]), "dilations is");
    refused(|f| f.header.config["colour"] = 1.into(), "unknown field `colour`");
}

#[test]
fn damage_is_refused_and_never_panics() {
    let whole = bytes(&checkpoint());
    for n in (0..whole.len()).step_by(7) {
        assert!(load(&whole[..n]).is_err(), "cut to {n} bytes");
    }
    let mut uniforms = wavesynth_models::ar::Uniforms::new(5);
    for _ in 0..3000 {
        let mut damaged = whole.clone();
        let at = uniforms.below(damaged.len().min(4000) as u64) as usize;
        damaged[at] ^= 1 << uniforms.below(8);
        // A flipped weight can be a weight; what matters is one line or a model, never a panic.
        let _ = load(&damaged);
    }
    assert!(load(b"RIFF....WAVEfmt ").is_err());
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("missing").join("x.safetensors");
    let message = checkpoint().write(&path).unwrap_err().to_string();
    assert!(message.contains("missing"), "{message}");
    let path = dir.path().join("x.safetensors");
    std::fs::create_dir(&path).unwrap();
    assert!(checkpoint().write(&path).is_err(), "a folder stands in the way");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half-written stays behind: {left:?}");
}
