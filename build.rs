//! Lists the files of `models/pretrained/` for `src/shipped.rs` to embed. Without them the program is built all the
//! same and asks for a checkpoint.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dir = root.join("models").join("pretrained");
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo watches only what exists.
    let watched = if dir.exists() { dir.clone() } else { root.join("models") };
    println!("cargo::rerun-if-changed={}", watched.display());

    let mut code = String::new();
    for (constant, folder, extension) in [
        ("MODELS", "", "safetensors"),
        ("SPEAKERS", "speakers", "bin"),
        ("TRACKS", "tracks", "bin"),
        ("SAY", "say", "safetensors"),
        ("EXCEPTIONS", "say", "gz"),
    ] {
        let _ = writeln!(code, "static {constant}: &[(&str, &[u8])] = &[");
        for (name, path) in named(&dir.join(folder), extension)? {
            let _ = writeln!(code, "    ({name:?}, include_bytes!({path:?})),");
        }
        let _ = writeln!(code, "];");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("shipped.rs"), code)
}

/// The files of a folder that have that extension by name, sorted; nothing when there is no such folder.
fn named(dir: &Path, extension: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == extension)
                && let Some(name) = path.file_stem().and_then(|n| n.to_str())
            {
                found.push((name.to_string(), path.clone()));
            }
        }
    }
    found.sort();
    Ok(found)
}
