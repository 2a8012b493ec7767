//! An error, and the file that it is about: errors learn their file where it is opened, and nowhere else. And files that are
//! read whole: never more of them than their kind can have.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a pipe or a device that are read, 64 MiB: how many there are is not known before.
pub const MOST_OF_PIPE: u64 = 1 << 26;

/// The bytes of the file at `path`, at most `most`; at most [`MOST_OF_PIPE`] of what is no regular file.
///
/// # Errors
/// A file that can't be read, or a longer one, of which no more is read than that.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > most {
        return Err(too_long(metadata.len(), most));
    }
    let most = if metadata.is_file() { most } else { most.min(MOST_OF_PIPE) };
    read_from(file, most)
}

/// The bytes that `from` gives until it ends, at most `most`.
///
/// # Errors
/// As [`read`].
pub fn read_from(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        len if len > most => Err(too_long(len, most)),
        _ => Ok(bytes),
    }
}

/// As [`read`], for text in UTF-8. A byte order mark at its beginning is left out.
///
/// # Errors
/// As [`read`], or no UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let text =
        String::from_utf8(read(path, most)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

fn too_long(len: u64, most: u64) -> io::Error {
    io::Error::other(format!("{len} bytes or more, at most {most} are read"))
}

/// `error` of the file at `path`.
#[derive(Debug)]
pub struct InFile<E> {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub error: E,
}

impl<E: Display> Display for InFile<E> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)
    }
}

impl<E: Error> Error for InFile<E> {}

/// Attaches a file to an error.
pub trait AtPath<T, E> {
    /// The same, an error with the file at `path`.
    ///
    /// # Errors
    /// What it had before.
    fn at(self, path: &Path) -> Result<T, InFile<E>>;
}

impl<T, E> AtPath<T, E> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, InFile<E>> {
        self.map_err(|error| InFile { path: path.into(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_a_file_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "\u{feff}abc").unwrap();
        assert_eq!(read(&path, 6).unwrap().len(), 6);
        assert_eq!(read_text(&path, 6).unwrap(), "abc");
        assert_eq!(read(&path, 5).unwrap_err().to_string(), "6 bytes or more, at most 5 are read");
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path, 1 << 30).unwrap_err().to_string().starts_with("1099511627776 bytes"));
        #[cfg(unix)]
        {
            let zeros = read(Path::new("/dev/zero"), 1 << 10).unwrap_err().to_string();
            assert_eq!(zeros, "1025 bytes or more, at most 1024 are read");
        }
    }
}
