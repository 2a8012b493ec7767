//! Lists of sounds to render: on each line condition, track, seed, output and, if wanted, seconds, tabs between.
//!
//! `-` or nothing stands for no condition, no track, no seconds. Blank lines and those that begin with `#` are passed over, as
//! is a first line that names the [`COLUMNS`].

use std::path::{Path, PathBuf};

/// The columns of a list.
pub const COLUMNS: [&str; 5] = ["condition", "track", "seed", "output", "seconds"];

/// One line, as far as it can be understood without looking at any file.
#[derive(Debug, Clone, PartialEq)]
pub struct JobLine {
    /// Its number in the list, from 1.
    pub line: usize,
    /// A condition file, or the name of a shipped one.
    pub condition: Option<PathBuf>,
    /// The same whose track is used.
    pub track: Option<PathBuf>,
    /// Seed of the uniform numbers.
    pub seed: u64,
    /// The file to make; it ends in a name.
    pub output: PathBuf,
    /// Length in seconds, any number.
    pub seconds: Option<f64>,
}

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JobListError {
    /// None of its lines is a job.
    #[error("no line names a job")]
    Empty,
    /// Too few columns, or too many.
    #[error("{found} columns, wanted 4 or 5, tabs between: {columns}", columns = COLUMNS.join(", "))]
    Columns {
        /// The line, from 1.
        line: usize,
        /// Its columns.
        found: usize,
    },
    /// A seed that is none.
    #[error("seed `{found}`: wanted a whole number from 0")]
    Seed {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A length that is no number.
    #[error("seconds `{found}`: wanted a number")]
    Seconds {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// An output that is no file's name.
    #[error("output `{found}` names no file")]
    Output {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
}

impl JobListError {
    /// The line that it is about, from 1; `None` for the list as a whole.
    pub fn line(&self) -> Option<usize> {
        match *self {
            Self::Empty => None,
            Self::Columns { line, .. }
            | Self::Seed { line, .. }
            | Self::Seconds { line, .. }
            | Self::Output { line, .. } => Some(line),
        }
    }
}

/// The jobs of a list, at least one.
///
/// # Errors
/// The first line that is neither a job nor to be passed over.
pub fn parse(text: &str) -> Result<Vec<JobLine>, JobListError> {
    let lines = text.lines().zip(1..).filter(|(text, _)| !text.trim().is_empty() && !text.starts_with('#'));
    let mut jobs = Vec::new();
    for (i, (text, line)) in lines.enumerate() {
        let cells: Vec<&str> = text.split('\t').map(str::trim).collect();
        let names_columns = cells.len() >= 4 && COLUMNS.starts_with(&cells);
        if i > 0 || !names_columns {
            jobs.push(JobLine::of(line, &cells)?);
        }
    }
    if jobs.is_empty() { Err(JobListError::Empty) } else { Ok(jobs) }
}

impl JobLine {
    fn of(line: usize, cells: &[&str]) -> Result<Self, JobListError> {
        let (condition, track, seed, output, seconds) = match *cells {
            [condition, track, seed, output] => (condition, track, seed, output, ""),
            [condition, track, seed, output, seconds] => (condition, track, seed, output, seconds),
            _ => return Err(JobListError::Columns { line, found: cells.len() }),
        };
        let given = |cell: &str| (!matches!(cell, "" | "-")).then(|| cell.to_owned());
        let wrong_seed = |_| JobListError::Seed { line, found: seed.into() };
        let wrong_seconds = |_| JobListError::Seconds { line, found: seconds.into() };
        if output == "-" || Path::new(output).file_name().is_none() {
            return Err(JobListError::Output { line, found: output.into() });
        }
        Ok(Self {
            line,
            condition: given(condition).map(PathBuf::from),
            track: given(track).map(PathBuf::from),
            seed: seed.parse().map_err(wrong_seed)?,
            output: output.into(),
            seconds: given(seconds).map(|s| s.parse().map_err(wrong_seconds)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_job_or_passed_over() {
        let text =
            "condition\ttrack\tseed\toutput\n\n# none\nann\t-\t7\tout/a.wav\r\n \t t.bin \t0\tb.wav\t 0.5 \n";
        let jobs = parse(text).unwrap();
        let first = JobLine {
            line: 4,
            condition: Some("ann".into()),
            track: None,
            seed: 7,
            output: "out/a.wav".into(),
            seconds: None,
        };
        let second = JobLine {
            line: 5,
            condition: None,
            track: Some("t.bin".into()),
            seed: 0,
            output: "b.wav".into(),
            seconds: Some(0.5),
        };
        assert_eq!(jobs, [first, second]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, words) in [
            ("", None, "no line names a job"),
            ("condition\ttrack\tseed\toutput\tseconds\n#\n", None, "no line names a job"),
            ("a\tb\tc\n", Some(1), "3 columns, wanted 4 or 5"),
            ("-\t-\t1\ta.wav\n-\t-\t-1\ta.wav", Some(2), "seed `-1`"),
            ("-\t-\t1\ta.wav\tsoon", Some(1), "seconds `soon`"),
            ("-\t-\t1\t..\n", Some(1), "output `..` names no file"),
            ("-\t-\t1\t-\n", Some(1), "output `-` names no file"),
            ("-\t-\t1\t\t1\n", Some(1), "output `` names no file"),
        ] {
            let e = parse(text).unwrap_err();
            assert!(e.line() == line && e.to_string().contains(words), "{text:?}: {e:?}");
        }
    }
}
