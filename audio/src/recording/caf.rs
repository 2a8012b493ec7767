//! What of a CAF file is checked before the library reads it, which multiplies its numbers as they are and takes what memory they ask for.

use super::RecordingError;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Its name in errors.
pub(super) const KIND: &str = "CAF";

/// Bytes, or frames, of a packet at most.
const MOST: u32 = 1 << 16;

/// Bytes of the file's head, of a chunk's, and of the chunk that describes the sound.
const HEAD: u64 = 8;
const CHUNK: u64 = 12;
const DESCRIPTION: usize = 32;

/// Reads all chunks' heads and goes back to the beginning.
///
/// # Errors
/// Sound that is encoded, a description that is not where it belongs or out of range, or a chunk longer than the file.
pub(super) fn check(file: &mut (impl Read + Seek + ?Sized), path: &Path) -> Result<(), RecordingError> {
    let io = |source| RecordingError::Io { path: path.into(), source };
    let found = chunks(file).map_err(io)?;
    file.rewind().map_err(io)?;
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(RecordingError::Unknown {
            path: path.into(),
            found: "CAF with encoded sound".into(),
            advice: "; convert it, as in `ffmpeg -i IN OUT.wav`",
        }),
        Err(what) => Err(RecordingError::Format { path: path.into(), kind: KIND, what }),
    }
}

/// Whether all packets are alike, as in sound that is not encoded.
fn chunks(file: &mut (impl Read + Seek + ?Sized)) -> io::Result<Result<bool, String>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = HEAD;
    let mut alike = None;
    while at + CHUNK <= end {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; CHUNK as usize];
        file.read_exact(&mut head)?;
        let (name, size) = head.split_at(4);
        let size = i64::from_be_bytes(size.try_into().unwrap_or_default());
        at += CHUNK;
        if (name == b"desc") != alike.is_none() {
            return Ok(Err("its first chunk, and no other one, should be `desc`".into()));
        }
        if alike.is_none() {
            if size != DESCRIPTION as i64 || end - at < DESCRIPTION as u64 {
                return Ok(Err(format!("its chunk `desc` has {size} bytes, wanted {DESCRIPTION}")));
            }
            let mut text = [0; DESCRIPTION];
            file.read_exact(&mut text)?;
            let number = |i: usize| u32::from_be_bytes(text[i..i + 4].try_into().unwrap_or_default());
            let (bytes, frames) = (number(16), number(20));
            if bytes > MOST || frames > MOST {
                return Ok(Err(format!(
                    "it has packets of {bytes} bytes and {frames} frames, at most {MOST} are read"
                )));
            }
            alike = Some(bytes > 0 && frames > 0);
        }
        // Sound that was written to a pipe has no size: it goes on to the end.
        if size == -1 && name == b"data" {
            break;
        }
        let left = end - at;
        match u64::try_from(size) {
            Ok(size) if size <= left => at += size,
            _ => {
                let name = name.escape_ascii();
                return Ok(Err(format!(
                    "its chunk `{name}` has {size} bytes, of which the file holds {left}: copy it again"
                )));
            }
        }
    }
    Ok(alike.ok_or_else(|| "it ends before its first chunk".into()))
}
