//! What a file is: a format, the names that promise it, and how it is told from others.

use crate::shown;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file that a text is told by.
const HEAD: u64 = 1 << 16;
/// Most bytes of a safetensors header, as its own library has it.
const MAX_HEADER: u64 = 100_000_000;

/// A kind of file that the program writes.
#[derive(Debug)]
pub struct Kind {
    /// In messages, with its article.
    pub name: &'static str,
    /// Endings of file names that promise it, the usual one first.
    pub endings: &'static [&'static str],
    /// Whether a terminal can show it.
    pub is_text: bool,
    /// Whether the file at a path is one.
    pub is: fn(&Path) -> bool,
}

/// Endings that promise a format: a file of another kind does not get such a name. Names with any other ending promise
/// nothing.
const PROMISES: &[&str] = &[
    "7z",
    "aac",
    "ac3",
    "aif",
    "aifc",
    "aiff",
    "amr",
    "ape",
    "au",
    "avi",
    "bin",
    "bmp",
    "bz2",
    "c",
    "caf",
    "ckpt",
    "csv",
    "doc",
    "docx",
    "f32",
    "f32le",
    "f64",
    "flac",
    "gif",
    "gguf",
    "gsm",
    "gz",
    "h5",
    "htm",
    "html",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsonl",
    "m4a",
    "m4b",
    "m4r",
    "mat",
    "md",
    "mid",
    "midi",
    "mka",
    "mkv",
    "mov",
    "mp1",
    "mp2",
    "mp3",
    "mp4",
    "mpc",
    "mpeg",
    "mpg",
    "npy",
    "npz",
    "oga",
    "ogg",
    "ogv",
    "onnx",
    "opus",
    "pcm",
    "pdf",
    "pkl",
    "png",
    "pt",
    "pth",
    "py",
    "ra",
    "raw",
    "rs",
    "s16",
    "s16be",
    "s16le",
    "safetensors",
    "sh",
    "snd",
    "spx",
    "svg",
    "tar",
    "tif",
    "tiff",
    "toml",
    "tsv",
    "txt",
    "u8",
    "voc",
    "w64",
    "wav",
    "wave",
    "weba",
    "webm",
    "webp",
    "wma",
    "wv",
    "xml",
    "xz",
    "yaml",
    "yml",
    "zip",
    "zst",
];

impl Kind {
    /// The ending of `path`, where it promises another kind than this.
    pub fn broken_promise(&self, path: &Path) -> Option<String> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        let is = |list: &[&str]| list.contains(&ending.as_str());
        (is(PROMISES) && !is(self.endings)).then_some(ending)
    }

    /// `path` with the usual ending, for hints.
    pub fn usual_name(&self, path: &Path) -> String {
        let ending = self.endings.first().copied().unwrap_or_default();
        shown::path(Path::new(path.with_extension(ending).file_name().unwrap_or_default()))
    }
}

/// The first bytes of the file at `path`; none of one that can't be read.
pub fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(HEAD).read_to_end(&mut bytes);
    }
    bytes
}

/// Whether the file at `path` begins with `bytes`.
pub fn begins(path: &Path, bytes: &[u8]) -> bool {
    head(path).starts_with(bytes)
}

/// Lines of the text at `path`, as far as they are complete in its first bytes; `None` for what is no text.
pub fn lines(path: &Path) -> Option<Vec<String>> {
    let bytes = head(path);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut within a character.
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&bytes[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_text = !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let whole = if (bytes.len() as u64) < HEAD { text } else { text.rsplit_once('\n')?.0 };
    is_text.then(|| whole.lines().map(Into::into).collect())
}

/// The metadata of the safetensors file at `path`, by its header alone; `None` for any other file.
pub fn metadata(path: &Path) -> Option<HashMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Header {
        __metadata__: HashMap<String, String>,
    }
    let mut file = File::open(path).ok()?;
    let mut len = [0; 8];
    file.read_exact(&mut len).ok()?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER {
        return None;
    }
    let mut json = Vec::new();
    file.take(len).read_to_end(&mut json).ok()?;
    Some(serde_json::from_slice::<Header>(&json).ok()?.__metadata__)
}
