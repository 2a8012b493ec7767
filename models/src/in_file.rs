//! An error, and the file that it is about: errors learn their file where it is opened, and nowhere else.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

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
