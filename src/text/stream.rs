//! Bytes that arrive in pieces, as text that is whole at any time.

/// Holds back a UTF-8 sequence until its last byte is there. Bytes that no later byte can make valid become
/// U+FFFD, as in `String::from_utf8_lossy`.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes `bytes` in and gives the text that is complete by now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = &self.pending[..];
        for chunk in rest.utf8_chunks() {
            text += chunk.valid();
            let bad = chunk.invalid();
            rest = &rest[chunk.valid().len()..];
            // Only a cut at the very end can still become valid.
            let cut =
                std::str::from_utf8(rest).is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none());
            if cut {
                break;
            }
            if !bad.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            rest = &rest[bad.len()..];
        }
        self.pending = rest.to_vec();
        text
    }

    /// The rest at the end of the stream: U+FFFD for a sequence that was cut, else nothing.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_text_of_the_whole() {
        let samples: [&[u8]; 4] =
            ["aé€𝄞z".as_bytes(), b"\xff\xc3(\xe2\x82", b"\xf0\x9d\x84", b"ab\xc3\xa9\xc3"];
        for bytes in samples {
            for size in 1..=bytes.len() {
                let mut stream = Utf8Stream::default();
                let mut text: String = bytes.chunks(size).map(|c| stream.push(c)).collect();
                text += &stream.finish();
                assert_eq!(text, String::from_utf8_lossy(bytes), "pieces of {size}");
            }
        }
    }

    #[test]
    fn a_sequence_waits_for_its_last_byte() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(b"a\xe2\x82"), "a");
        assert_eq!(stream.push(b"\xac"), "€");
        assert_eq!(stream.finish(), "");
    }
}
