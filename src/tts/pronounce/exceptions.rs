//! What a model would get wrong: a sorted list of words and their pronunciations, compressed.
//!
//! A file is gzip of UTF-8 lines in the order of the words' bytes. A line is the character U+0041 + n, n how many bytes it shares
//! with the front of the word before (at most 25), the rest of the word, a space, the pronunciation.

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use std::io::{Read, Write};

/// Bytes that a list may have when it is unpacked.
const MOST: u64 = 64 << 20;

/// Bytes that a line shares with the one before at most.
const MOST_SHARED: usize = 25;

/// Words with their pronunciations.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// Words and pronunciations, one behind the other.
    text: String,
    /// Where each word begins, and where its pronunciation does.
    starts: Vec<(u32, u32)>,
}

impl Exceptions {
    /// Unpacks a file.
    ///
    /// # Errors
    /// What is no such file.
    pub fn read(file: &[u8]) -> Result<Self> {
        let mut lines = String::new();
        GzDecoder::new(file).take(MOST).read_to_string(&mut lines).context("a list of exceptions")?;
        let mut all = Self::default();
        let mut last = String::new();
        for (number, line) in lines.lines().enumerate() {
            let err = || format!("a list of exceptions: line {}: wanted `Aword pronunciation`", number + 1);
            let (front, said) = line.split_once(' ').with_context(err)?;
            let shared = front.bytes().next().and_then(|b| b.checked_sub(b'A')).with_context(err)?;
            let shared = last.get(..usize::from(shared)).with_context(err)?;
            let word = format!("{shared}{}", &front[1..]);
            ensure!(number == 0 || last < word, "a list of exceptions: line {}: not in order", number + 1);
            all.push(&word, said);
            last = word;
        }
        Ok(all)
    }

    fn push(&mut self, word: &str, said: &str) {
        let start = self.text.len() as u32;
        self.text.push_str(word);
        self.starts.push((start, self.text.len() as u32));
        self.text.push_str(said);
    }

    /// Writes the lines of `words`, each with its pronunciation, to `file`, not compressed; the last of two that are the same word counts.
    ///
    /// # Errors
    /// A word with a space, one that a line can't begin with, or a file that can't be written.
    pub fn write<'a>(
        words: impl IntoIterator<Item = (&'a str, &'a str)>,
        mut file: impl Write,
    ) -> Result<()> {
        let words: std::collections::BTreeMap<&str, &str> = words.into_iter().collect();
        let mut last = "";
        for (word, said) in words {
            ensure!(
                !word.contains([' ', '\n']) && !said.contains('\n'),
                "{word:?}: has a space or a line break"
            );
            let same = last.bytes().zip(word.bytes()).take(MOST_SHARED).take_while(|(a, b)| a == b).count();
            let shared = (0..=same).rev().find(|&n| word.is_char_boundary(n)).unwrap_or(0);
            writeln!(file, "{}{} {said}", char::from(b'A' + shared as u8), &word[shared..])?;
            last = word;
        }
        Ok(())
    }

    /// The pronunciation of `word`, if it is an exception.
    pub fn get(&self, word: &str) -> Option<&str> {
        let i = self.starts.binary_search_by(|&(from, to)| self.text[from as usize..to as usize].cmp(word));
        self.entry(i.ok()?).map(|(_, said)| said)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Word number `i` in their order, and its pronunciation.
    pub fn entry(&self, i: usize) -> Option<(&str, &str)> {
        let &(from, to) = self.starts.get(i)?;
        let end = self.starts.get(i + 1).map_or(self.text.len(), |next| next.0 as usize);
        Some((&self.text[from as usize..to as usize], &self.text[to as usize..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gz(lines: &[u8]) -> Vec<u8> {
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        file.write_all(lines).unwrap();
        file.finish().unwrap()
    }

    #[test]
    fn words_come_back_in_any_alphabet() {
        let words = [("ёж", "1"), ("word", "ĀāĂ"), ("words", "ĀāĂă"), ("ель", "2"), ("елью", "1"), ("a", "")];
        let mut lines = Vec::new();
        Exceptions::write(words, &mut lines).unwrap();
        let read = Exceptions::read(&gz(&lines)).unwrap();
        assert_eq!(read.len(), words.len());
        for (word, said) in words {
            assert_eq!(read.get(word), Some(said));
        }
        assert_eq!([read.get("wor"), read.get("wordss"), read.get("")], [None, None, None]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert!(Exceptions::read(&gz(b"Ab 1\nBc 2\n")).unwrap().get("bc").is_some());
        for bad in ["Ab\n", "Bb 1\n", "Ab 1\nAa 1\n", " 1\n", "Aж 1\nBа 2\n"] {
            assert!(Exceptions::read(&gz(bad.as_bytes())).is_err(), "{bad}");
        }
        assert!(Exceptions::read(b"word").is_err());
    }
}
