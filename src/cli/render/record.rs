//! What made a file of a list: a line for each in `wavesynth-jobs.tsv`, in the folder of the file.
//!
//! A line holds the digest of all that decides the sound, the digest of the file, and the file's name, tabs between. Of two
//! lines about a file the later one counts. A line that is damaged counts for nothing: its file is made again.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use wavesynth_models::weights::Checkpoint;
use wavesynth_output::{Kind, kind, shown};

/// The record's name.
pub const NAME: &str = "wavesynth-jobs.tsv";

/// Its first line.
const FIRST: &str = "# wavesynth render --jobs: digest of the job, digest of the file, name of the file";

/// Records.
pub const RECORD: Kind = Kind {
    name: "the record of a list of renders",
    endings: &["tsv"],
    is_text: true,
    is: |path| kind::begins(path, FIRST.as_bytes()),
};

/// What decides the bytes of a file, part by part.
#[derive(Clone)]
pub struct JobDigest(Sha256);

impl JobDigest {
    /// Of this program and a model.
    pub fn new(model: &Checkpoint) -> Result<Self> {
        let mut digest = Self(Sha256::new());
        digest.add(env!("CARGO_PKG_VERSION").as_bytes());
        digest.add(serde_json::to_string(&model.header)?.as_bytes());
        for (name, tensor) in &model.tensors {
            digest.add(name.as_bytes());
            digest.add(format!("{:?}", tensor.shape).as_bytes());
            tensor.data.iter().for_each(|v| digest.0.update(v.to_le_bytes()));
            // The scales say which types the engine computes in.
            digest.add(format!("{:?}", tensor.stored).as_bytes());
        }
        Ok(digest)
    }

    /// One more part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// All parts, as text.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The digest of a file.
fn digest_of(path: &Path) -> io::Result<String> {
    let (mut file, mut block, mut digest) = (File::open(path)?, vec![0; 1 << 16], Sha256::new());
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&block[..n]),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The lines about the files of one folder.
#[derive(Default)]
pub struct Record(HashMap<String, (String, String)>);

impl Record {
    /// The record at `path`; an empty one where there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.and_then(|mut f| f.read_to_end(&mut bytes)).with_context(|| shown::path(path))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = |line: &str| {
            let (job, rest) = line.split_once('\t')?;
            let (file, name) = rest.split_once('\t')?;
            Some((name.into(), (job.into(), file.into())))
        };
        Ok(Self(text.lines().filter_map(line).collect()))
    }

    /// Whether the file at `path` is as the job with this digest left it.
    pub fn has(&self, path: &Path, job: &str) -> bool {
        let line = self.0.get(&file_name(path)).filter(|(of, _)| of == job);
        line.is_some_and(|(_, file)| digest_of(path).is_ok_and(|found| found == *file))
    }
}

/// Adds the line about the file at `path`, made by the job with this digest, to the record at `record`. Several processes may
/// do so at once.
///
/// # Errors
/// The system's.
pub fn add(record: &Path, path: &Path, job: &str) -> Result<()> {
    let done = || -> io::Result<()> {
        let mut line = format!("{job}\t{}\t{}\n", digest_of(path)?, file_name(path));
        let mut file = File::options().read(true).append(true).create(true).open(record)?;
        if file.metadata()?.len() == 0 {
            line.insert_str(0, &format!("{FIRST}\n"));
        } else {
            // A killed process may have left half a line.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())
    };
    done().with_context(|| format!("cannot write {}", shown::path(record)))
}
