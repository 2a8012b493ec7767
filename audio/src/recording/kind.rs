//! What a file is, by its first bytes.

use super::caf;

/// Bytes that are looked at.
pub(super) const HEAD: usize = 64;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Read by [`crate::wav`].
    Wav,
    /// Read by the library, front to back.
    Stream(&'static str),
    /// Read by the library, which has to jump in it.
    Jumping(&'static str),
    /// Not read.
    Other(&'static str, &'static str),
}

const CONVERT: &str = "; convert it, as in `ffmpeg -i IN OUT.wav`";
const AGAIN: &str = "; copy or record it again";
const NONE: &str = "";

/// Where the bytes stand, the bytes, and what they tell.
const SIGNS: &[(usize, &[u8], Kind)] = &[
    (0, b"fLaC", Kind::Stream("FLAC")),
    (28, b"OpusHead", Kind::Other("sound in Opus", CONVERT)),
    (28, b"Speex   ", Kind::Other("sound in Speex", CONVERT)),
    (28, b"\x80theora", Kind::Other("an OGG video", CONVERT)),
    (0, b"OggS", Kind::Stream("OGG")),
    (0, b"ID3", Kind::Stream("MP3")),
    (4, b"ftyp", Kind::Jumping("M4A")),
    (4, b"moov", Kind::Jumping("M4A")),
    (8, b"AIFF", Kind::Jumping("AIFF")),
    (8, b"AIFC", Kind::Jumping("AIFF")),
    (0, b"caff", Kind::Jumping(caf::KIND)),
    (8, b"AVI ", Kind::Other("an AVI video", CONVERT)),
    (8, b"WEBP", Kind::Other("a WebP picture", NONE)),
    (0, b"RIFX", Kind::Other("a WAV file with its bytes in big-endian order", CONVERT)),
    (0, b"riff\x2e\x91\xcf\x11", Kind::Other("a Wave64 file", CONVERT)),
    (0, b"\x1a\x45\xdf\xa3", Kind::Other("a Matroska or WebM file", CONVERT)),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind::Other("a Windows Media file", CONVERT)),
    (0, b"#!AMR", Kind::Other("an AMR recording", CONVERT)),
    (0, b"wvpk", Kind::Other("a WavPack file", CONVERT)),
    (0, b"MAC ", Kind::Other("a Monkey's Audio file", CONVERT)),
    (0, b"TTA1", Kind::Other("a True Audio file", CONVERT)),
    (0, b"DSD ", Kind::Other("a DSD file", CONVERT)),
    (0, b".snd", Kind::Other("an AU file", CONVERT)),
    (0, b"FLV\x01", Kind::Other("a Flash video", CONVERT)),
    (0, b"\0\0\x01\xba", Kind::Other("an MPEG video", CONVERT)),
    (0, b"MThd", Kind::Other("a MIDI file, which holds notes and no sound", NONE)),
    (0, b"\x89PNG", Kind::Other("a PNG picture", NONE)),
    (0, b"\xff\xd8\xff", Kind::Other("a JPEG picture", NONE)),
    (0, b"GIF8", Kind::Other("a GIF picture", NONE)),
    (0, b"%PDF", Kind::Other("a PDF document", NONE)),
    (0, b"PK\x03\x04", Kind::Other("a ZIP archive", "; unpack it first")),
    (0, b"Rar!", Kind::Other("a RAR archive", "; unpack it first")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind::Other("a 7z archive", "; unpack it first")),
    (0, b"\x1f\x8b", Kind::Other("gzip data", "; unpack it first")),
    (0, b"BZh", Kind::Other("bzip2 data", "; unpack it first")),
    (0, b"\xfd7zXZ", Kind::Other("xz data", "; unpack it first")),
    (0, b"\x28\xb5\x2f\xfd", Kind::Other("Zstandard data", "; unpack it first")),
    (0, b"\x93NUMPY", Kind::Other("a NumPy array", NONE)),
    (0, b"\x7fELF", Kind::Other("a program", NONE)),
    (8, b"{\"", Kind::Other("a safetensors file (a checkpoint or a condition file)", NONE)),
    (
        0,
        b"version https://git-lfs",
        Kind::Other("the pointer that Git LFS leaves in a file's place", "; `git lfs pull`"),
    ),
];

impl Kind {
    /// By the first [`HEAD`] bytes of a file, or all of a shorter one.
    pub fn of(head: &[u8]) -> Self {
        let at = |at: usize, sign: &[u8]| head.get(at..at + sign.len()) == Some(sign);
        if head.is_empty() {
            return Self::Other("an empty file", AGAIN);
        }
        if [b"RIFF", b"RF64", b"BW64"].iter().any(|sign| at(0, *sign)) && (at(8, b"WAVE") || head.len() < 12)
        {
            return Self::Wav;
        }
        if let Some((.., kind)) = SIGNS.iter().find(|(place, sign, _)| at(*place, sign)) {
            return *kind;
        }
        match head {
            // Eleven bits of ones begin a frame; then its version and layer. Layer 0 is that of AAC.
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Self::Stream("AAC"),
            [0xff, second, third, ..]
                if second & 0xe0 == 0xe0
                    && second & 0x18 != 0x08
                    && second & 0x06 != 0
                    && third & 0xf0 != 0xf0 =>
            {
                Self::Stream("MP3")
            }
            _ if head.iter().all(|b| *b == 0) => Self::Other("nothing but zero bytes", AGAIN),
            _ if is_text(head) => Self::of_text(head),
            _ => Self::Other("no file of a kind that is known here", NONE),
        }
    }

    fn of_text(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head).trim_start().to_lowercase();
        match ["<!doctype html", "<html"].iter().any(|tag| text.starts_with(tag)) {
            true => Self::Other("an HTML page", "; perhaps a download that went wrong"),
            false => Self::Other("text", NONE),
        }
    }
}

fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut.
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or("\0"),
        Err(_) => return false,
    };
    whole.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_a_file_is() {
        let what = |head: &[u8]| match Kind::of(head) {
            Kind::Wav => "WAV",
            Kind::Stream(kind) | Kind::Jumping(kind) | Kind::Other(kind, _) => kind,
        };
        for (head, wanted) in [
            (&b"RIFF\x24\0\0\0WAVEfmt "[..], "WAV"),
            (b"RF64\xff\xff\xff\xffWAVEds64", "WAV"),
            (b"RIFF", "WAV"),
            (b"RIFF\x24\0\0\0AVI LIST", "an AVI video"),
            (b"fLaC\0\0\0\x22", "FLAC"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1e\x01vorbis", "OGG"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead", "sound in Opus"),
            (b"ID3\x04\0\0\0\0\0\0", "MP3"),
            (b"\xff\xfb\x90\x44", "MP3"),
            (b"\xff\xf1\x50\x80", "AAC"),
            (b"\0\0\0\x1cftypM4A ", "M4A"),
            (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
            (b"", "an empty file"),
            (&[0; 64], "nothing but zero bytes"),
            ("Ad\u{e9}la \u{10d}".as_bytes(), "text"),
            (b"\n<!DOCTYPE html><html>", "an HTML page"),
            (
                b"\x90\x01\0\0\0\0\0\0{\"__metadata__\"",
                "a safetensors file (a checkpoint or a condition file)",
            ),
            (b"\x01\x02\x80\x90", "no file of a kind that is known here"),
        ] {
            assert_eq!(what(head), wanted);
        }
    }
}
