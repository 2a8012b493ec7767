//! The recordings in a folder.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use wavesynth_audio::recording::{ENDINGS, OTHER_ENDINGS};

/// Names that a line gives of many.
const MOST_NAMES: usize = 5;

/// What a folder and its sub-folders hold.
#[derive(Debug, Default, PartialEq)]
pub struct Folder {
    /// The recordings, sorted by name.
    pub recordings: Vec<PathBuf>,
    /// Sound of formats that can't be read.
    pub unreadable: Vec<PathBuf>,
    /// Recordings of the same name as another one, but for the ending.
    pub twins: Vec<PathBuf>,
    /// Links to folders, which are not followed.
    pub links: Vec<PathBuf>,
}

/// The recordings in a folder and its sub-folders; none at all is no error. What begins with a dot is skipped: it is what
/// systems leave behind.
///
/// # Errors
/// A folder that can't be read.
pub fn in_folder(folder: &Path) -> Result<Folder> {
    let mut found = Folder::default();
    found.walk(folder)?;
    for paths in [&mut found.recordings, &mut found.unreadable, &mut found.links] {
        paths.sort();
    }
    found.part_twins();
    Ok(found)
}

impl Folder {
    fn walk(&mut self, folder: &Path) -> Result<()> {
        let at = || format!("folder {}", folder.display());
        for entry in std::fs::read_dir(folder).with_context(at)? {
            let entry = entry.with_context(at)?;
            let path = entry.path();
            if is_hidden(&entry.file_name()) {
                continue;
            }
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
            if path.is_dir() {
                match entry.file_type().with_context(at)?.is_symlink() {
                    true => self.links.push(path),
                    false => self.walk(&path)?,
                }
            } else if !path.is_file() {
            } else if ENDINGS.contains(&&*ending) {
                self.recordings.push(path);
            } else if OTHER_ENDINGS.contains(&&*ending) {
                self.unreadable.push(path);
            }
        }
        Ok(())
    }

    /// Of several files with one name, such as a.wav and a.flac, the one whose ending comes first is kept.
    fn part_twins(&mut self) {
        let rank = |path: &Path| {
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
            ENDINGS.iter().position(|e| *e == ending)
        };
        let mut best: HashMap<PathBuf, PathBuf> = HashMap::new();
        for path in &self.recordings {
            let own = best.entry(path.with_extension("")).or_insert_with(|| path.clone());
            if rank(path) < rank(own) {
                own.clone_from(path);
            }
        }
        let kept = |path: &PathBuf| best.get(&path.with_extension("")) == Some(path);
        (self.recordings, self.twins) = std::mem::take(&mut self.recordings).into_iter().partition(kept);
    }

    /// What is left out, a line for each reason.
    pub fn left_out(&self, folder: &Path) -> Vec<String> {
        let parts = [
            (&self.unreadable, "of formats that can't be read; convert them, as in `ffmpeg -i IN OUT.wav`"),
            (&self.twins, "named like another recording but for the ending"),
            (&self.links, "links to folders; name those folders themselves"),
        ];
        parts.into_iter().filter_map(|(paths, why)| left_out(folder, paths, why)).collect()
    }

    /// The same in brackets, for an error about a folder without recordings.
    pub fn reason(&self) -> String {
        match self.unreadable.len() {
            0 => String::new(),
            n => {
                format!("; {n} are of formats that can't be read: convert them, as in `ffmpeg -i IN OUT.wav`")
            }
        }
    }
}

/// A line about those `paths` of `folder` that are left out; `None` where there are none.
pub fn left_out(folder: &Path, paths: &[PathBuf], why: &str) -> Option<String> {
    let own = paths.iter().map(|p| p.strip_prefix(folder).unwrap_or(p).display().to_string());
    let line = || format!("{}: {} left out ({why}): {}", folder.display(), paths.len(), names(own));
    (!paths.is_empty()).then(line)
}

/// Whether a file or folder is what systems leave behind: its name begins with a dot.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Some names, and how many more there are.
pub fn names(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    match all.len() {
        n if n > MOST_NAMES + 1 => format!("{} and {} more", all[..MOST_NAMES].join(", "), n - MOST_NAMES),
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_all_recordings_and_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        };
        for name in [
            "b.WAV",
            "a.flac",
            "a.wav",
            "c.opus",
            "._b.wav",
            ".DS_Store",
            "t.txt",
            "more/deep/d.m4a",
            ".x/e.wav",
        ] {
            touch(name);
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let found = in_folder(dir.path()).unwrap();
        let own = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(own(&found.recordings), ["a.wav", "b.WAV", "more/deep/d.m4a"]);
        assert_eq!(own(&found.unreadable), ["c.opus"]);
        assert_eq!(own(&found.twins), ["a.flac"]);
        let lines = found.left_out(dir.path());
        assert!(lines[0].contains("1 left out") && lines[0].ends_with(": c.opus"), "{lines:?}");
        assert!(lines[1].ends_with(": a.flac"), "{lines:?}");
        assert_eq!(lines.len(), if cfg!(unix) { 3 } else { 2 }, "{lines:?}");
        assert_eq!(names((0..9).map(|i| i.to_string())), "0, 1, 2, 3, 4 and 4 more");
    }
}
