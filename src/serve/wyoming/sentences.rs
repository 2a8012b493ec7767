//! Sentences of a text that comes in pieces.

/// What ends a sentence, where a blank follows.
const ENDS: [char; 5] = ['.', '!', '?', '…', ':'];

/// What may stand between the end of a sentence and the blank behind it.
const CLOSING: [char; 6] = ['"', '\'', ')', ']', '”', '’'];

/// Cuts a text that comes in pieces where sentences end.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    text: String,
}

impl Sentences {
    /// The sentences that `piece` completes.
    pub(super) fn push(&mut self, piece: &str) -> Vec<String> {
        self.text += piece;
        let mut found = Vec::new();
        while let Some(end) = end(&self.text) {
            let rest = self.text.split_off(end);
            found.extend(trimmed(&std::mem::replace(&mut self.text, rest)));
        }
        found
    }

    /// What is left at the end of the text.
    pub(super) fn finish(&mut self) -> Option<String> {
        trimmed(&std::mem::take(&mut self.text))
    }
}

/// Where the first sentence of `text` ends, if it is known to: a blank follows, or it is the end of a line.
fn end(text: &str) -> Option<usize> {
    let mut is_ended = false;
    for (at, c) in text.char_indices() {
        if c == '\n' || is_ended && c.is_whitespace() {
            return Some(at + c.len_utf8());
        }
        is_ended = ENDS.contains(&c) || is_ended && CLOSING.contains(&c);
    }
    None
}

fn trimmed(text: &str) -> Option<String> {
    Some(text.trim().to_string()).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_comes_as_soon_as_it_is_complete() {
        let mut s = Sentences::default();
        assert!(s.push("It is 3.").is_empty());
        assert!(s.push("5 degrees").is_empty());
        assert_eq!(s.push(". \"Really?\" she"), ["It is 3.5 degrees.", "\"Really?\""]);
        assert_eq!(s.push(" said.\n\nYes"), ["she said."]);
        assert_eq!(s.finish().as_deref(), Some("Yes"));
        assert_eq!(s.finish(), None);
    }

    #[test]
    fn it_does_not_matter_how_a_text_is_cut() {
        let text = "Où est-il ? Là. (Vraiment.) Non… peut-être: \n oui!";
        let mut whole = Sentences::default();
        let mut want = whole.push(text);
        want.extend(whole.finish());
        assert_eq!(want, ["Où est-il ?", "Là.", "(Vraiment.)", "Non…", "peut-être:", "oui!"]);
        let mut letters = Sentences::default();
        let mut got: Vec<_> = text.chars().flat_map(|c| letters.push(&c.to_string())).collect();
        got.extend(letters.finish());
        assert_eq!(got, want);
    }
}
