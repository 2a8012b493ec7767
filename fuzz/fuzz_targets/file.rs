/// A file with these bytes, the same one for all inputs of a process.
fn file(data: &[u8]) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("wavesynth-fuzz-{}", std::process::id()));
    std::fs::write(&path, data).unwrap();
    path
}
