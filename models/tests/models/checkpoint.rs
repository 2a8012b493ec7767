//! Checkpoints: whole ones come back as they were written, damaged ones are refused with one line.

use crate::common::config;
use crate::suite::random_tensors;
use std::path::{Path, PathBuf};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::{CHECKSUM_KEY, Checkpoint, Dtype, Header, Stored};

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

/// The same file without its checksum, as earlier versions wrote it.
fn without_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.windows(CHECKSUM_KEY.len()).position(|w| w == CHECKSUM_KEY.as_bytes()).unwrap();
    bytes[at] = b'x';
    bytes
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
    let whole = without_checksum(bytes(&quantised(Dtype::I8)));
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
    let whole = without_checksum(bytes(&checkpoint()));
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

/// Whatever bit of a file flips, it is refused or means the same.
#[test]
fn no_flipped_bit_changes_a_model_in_silence() {
    let config = config(1, 1, 1, 1, 2, 1, &[1], 0);
    let header = Header {
        version: 1,
        family: "wavenet".into(),
        config: serde_json::to_value(&config).unwrap(),
        sections: Default::default(),
    };
    let file = Checkpoint { header, tensors: random_tensors(&config, 1) };
    let whole = bytes(&file);
    let mut noticed = 0;
    for bit in 0..8 * whole.len() {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match load(&damaged) {
            Ok(_) => assert_eq!(Checkpoint::from_bytes(&damaged).unwrap(), file, "bit {bit}"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 7 * whole.len(), "{noticed} of {}", 8 * whole.len());
}

#[test]
fn a_damaged_file_says_what_it_is() {
    let whole = bytes(&checkpoint());
    let n = whole.len();
    let refused = |bytes: &[u8], words: &str| {
        let message = load(bytes).err().expect("refused");
        assert!(message.contains(words), "`{message}` does not say `{words}`");
    };
    refused(&whole[..n - 1], &format!("a file of {} bytes, its head says {n}: cut off or damaged", n - 1));
    refused(&[&whole[..], b"\n"].concat(), &format!("a file of {} bytes, its head says {n}", n + 1));
    let mut flipped = whole.clone();
    flipped[n - 3] ^= 4;
    refused(&flipped, "damaged: its content does not match the checksum in its head");
    let old = Checkpoint::from_bytes(&without_checksum(whole.clone())).unwrap();
    assert_eq!(old, checkpoint(), "files of earlier versions open");
    let mut long = whole.clone();
    long[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    refused(&long, "a head of 1099511627776 bytes, at most 16777216 are read");
    let twice = |from: &str, to: &str| {
        let head = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(whole[8..8 + head].to_vec()).unwrap().replacen(from, to, 1);
        [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &whole[8 + head..]].concat()
    };
    refused(&twice(r#"\"classes\""#, r#"\"classes\":3,\"classes\""#), r#"the key "classes" stands twice"#);
    refused(&twice(r#""skip.bias""#, r#""skip.bias":{},"skip.bias""#), r#"the key "skip.bias" stands twice"#);
}

#[test]
fn a_model_of_more_memory_than_allowed_is_refused_by_its_sizes() {
    // 11 kB of file, gigabytes of queues.
    let mut long = config(64, 1, 1, 1, 2, 64, &[1], 0);
    long.dilations = vec![1 << 17];
    let file = Checkpoint {
        header: Header { config: serde_json::to_value(&long).unwrap(), ..checkpoint().header },
        tensors: random_tensors(&long, 1),
    };
    let message = load(&bytes(&file)).err().expect("refused");
    let words = "would take 2.1 GB of memory, at most 2.0 GB are allowed; --max-memory raises the limit";
    assert!(message.contains(words), "{message}");
    // A head alone says how much its tensors would take.
    let head = format!(
        "{{\"__metadata__\":{{\"wavesynth\":{}}},\"a\":{{\"dtype\":\"I8\",\"shape\":[{n}],\"data_offsets\":[0,{n}]}}}}",
        serde_json::to_string(&serde_json::to_string(&file.header).unwrap()).unwrap(),
        n = 1u64 << 40
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse.safetensors");
    let bytes = [&(head.len() as u64).to_le_bytes(), head.as_bytes()].concat();
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len((1 << 40) + bytes.len() as u64)
        .unwrap();
    let message = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(message.contains("sparse.safetensors: reading its tensors would take 5497.6 GB"), "{message}");
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
