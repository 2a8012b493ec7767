//! Files beside the one that will be replaced: their names, and what a killed process leaves of them.
//!
//! A process holds a lock on each of its own while it lives. A file without a lock is a leftover.

use crate::place;
use std::fs;
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

/// Random characters at the end of a name.
const RANDOM: usize = 6;
/// Bytes of the target's name in the name beside it.
const NAMED: usize = 100;

/// The beginning of all names beside `target`.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let end = (0..=NAMED.min(name.len())).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    format!(".wavesynth-{}-", &name[..end])
}

/// A locked file beside `target`, readable by nobody who can't read `mode` (unix permissions).
pub fn beside(target: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let prefix = prefix(target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    loop {
        let file = builder.tempfile_in(place::folder(target))?;
        // A file system without locks has no leftovers cleared.
        #[cfg(unix)]
        let _ = file.as_file().lock();
        // Another process may have taken it for a leftover before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Names of all files in `folder` that might be leftovers.
pub fn in_folder(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".wavesynth-")).collect()
}

/// Removes those of `names` (from [`in_folder`]) that a killed process left of `target`.
#[cfg(unix)]
pub fn clear(target: &Path, names: &[String]) {
    let prefix = prefix(target);
    let own = |name: &&String| {
        let rest = name.strip_prefix(&prefix).unwrap_or_default();
        rest.len() == RANDOM && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    for name in names.iter().filter(own) {
        let path = place::folder(target).join(name);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file());
        // A pipe of that name would block.
        if let Some(file) = is_file.then(|| fs::File::open(&path).ok()).flatten()
            && file.try_lock().is_ok()
        {
            // One that can't be removed does no harm.
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(not(unix))]
pub fn clear(_: &Path, _: &[String]) {}
