//! Checkpoints: whole ones come back as they were written, damaged ones are refused with one line.

use crate::common::{config, random_tensors};
use std::path::{Path, PathBuf};
use wavesynth_models::kernels::Isa;
use wavesynth_models::weights::{Checkpoint, Header};
use wavesynth_models::zoo::Loaded;

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
    let said = Checkpoint::from_bytes(bytes, path)
        .map_err(|e| e.to_string())
        .and_then(|c| Loaded::from_checkpoint(c, path, Isa::PLAIN).map_err(|e| e.to_string()));
    if let Err(e) = &said {
        assert!(e.starts_with("some/model.safetensors: ") && !e.contains('\n'), "{e}");
    }
    said
}

fn refused(change: impl FnOnce(&mut Checkpoint), words: &str) {
    let mut file = checkpoint();
    change(&mut file);
    let said = load(&bytes(&file)).err().expect("refused");
    assert!(said.contains(words), "`{said}` does not say `{words}`");
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let file = checkpoint();
    let again = Checkpoint::from_bytes(&bytes(&file), Path::new("x")).unwrap();
    assert_eq!(again, file);
    assert_eq!(again.header.sections["note"], "kept");
    assert_eq!(bytes(&file), bytes(&again), "the same bytes, so that a checkpoint can be compared");
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
    let mut coins = wavesynth_models::ar::Coins::new(5);
    for _ in 0..3000 {
        let mut damaged = whole.clone();
        let at = coins.below(damaged.len().min(4000) as u64) as usize;
        damaged[at] ^= 1 << coins.below(8);
        // A flipped weight can be a weight; what matters is one line or a model, never a panic.
        let _ = load(&damaged);
    }
    assert!(load(b"RIFF....WAVEfmt ").is_err());
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("missing").join("x.safetensors");
    let said = checkpoint().write(&path).unwrap_err().to_string();
    assert!(said.contains("missing"), "{said}");
    let path = dir.path().join("x.safetensors");
    std::fs::create_dir(&path).unwrap();
    assert!(checkpoint().write(&path).is_err(), "a folder stands in the way");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half-written stays behind: {left:?}");
}
