//! Why a device can't be used.

use thiserror::Error;

/// Why there is no sound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has no output device. One can still render to a file.
    #[error("no sound output device was found ({0}): connect one, or render to a file")]
    None(String),
    /// The machine has no input device. One can still read a file.
    #[error("no sound input device was found ({0}): connect one, or read a recording")]
    NoInput(String),
    /// The input device is there but cannot record.
    #[error("device {name:?} cannot record: {what}")]
    Deaf {
        /// The device.
        name: String,
        /// The host's message.
        what: String,
    },
    /// No device of that name.
    #[error("no {direction} device is called {name:?}; there are: {}", found.join(", "))]
    NotFound {
        /// Which way the sound was to go.
        direction: Direction,
        /// The name asked for.
        name: String,
        /// The names of the devices there are.
        found: Vec<String>,
    },
    /// The device is there but cannot play.
    #[error("device {name:?} cannot play: {what}")]
    Unusable {
        /// The device.
        name: String,
        /// The host's message.
        what: String,
    },
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
    /// The sound system could not be asked.
    #[error("the sound system does not answer: {0}")]
    Host(String),
}

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a microphone.
    Input,
    /// To a loudspeaker.
    Output,
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}
