//! Ten lines that speak, as raw 32-bit floats on stdout:
//! `cargo run --release --example speak | aplay -f FLOAT_LE -r 16000`

use std::io::Write;
use wavesynth::{Conditioning, Speech, Voice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    speak(&mut std::io::stdout().lock())
}

/// Writes the samples of a sentence to `out`.
///
/// # Errors
/// A model that can not be opened, or a closed pipe.
pub fn speak(out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let voice = Voice::open("voice")?; // the shipped one, or a path
    let condition = Conditioning::read(&voice, Some("en_allison"), Some("en_greeting"))?;
    for sample in Speech::new(&voice, condition, 7)? {
        out.write_all(&sample.to_le_bytes())?;
    }
    Ok(())
}
