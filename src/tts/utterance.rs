//! What is said: words, how each is pronounced, and what follows it. Text front ends write it, frame models read it.

/// What stands between a word and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Break {
    /// Nothing: the words run on.
    #[default]
    None,
    /// A comma, a colon, a dash: a short pause.
    Phrase,
    /// The end of a statement.
    Statement,
    /// The end of a question.
    Question,
    /// The end of an exclamation.
    Exclamation,
}

impl Break {
    /// Whether a sentence ends here.
    pub fn ends_sentence(self) -> bool {
        !matches!(self, Self::None | Self::Phrase)
    }
}

/// A word as it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it was written.
    pub text: String,
    /// Names of its phones, in the phone set of its language; a vowel's stress is a part of the name.
    pub phones: Vec<String>,
    /// What follows it.
    pub after: Break,
}

/// One sentence, or as much of one as is said in one breath; its last word has a [`Break`] that is not `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Utterance {
    /// In the order of speaking.
    pub words: Vec<Word>,
}

/// Phones of an utterance that is said in one go, at most.
const MOST_PHONES: usize = 400;

/// A word of more phones than can be said in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word of {0} phones, at most {MOST_PHONES} can be said")]
pub struct LongWord(usize);

impl Utterance {
    /// Its parts, none too long to be said in one go: it is cut between words.
    ///
    /// # Errors
    /// A word that is too long itself.
    pub fn parts(self) -> Result<Vec<Self>, LongWord> {
        let mut all = vec![Self::default()];
        let mut phones = 0;
        for word in self.words {
            let n = word.phones.len();
            if n > MOST_PHONES {
                return Err(LongWord(n));
            }
            if phones + n > MOST_PHONES {
                if let Some(last) = all.last_mut().and_then(|u| u.words.last_mut()) {
                    last.after = Break::Phrase;
                }
                all.push(Self::default());
                phones = 0;
            }
            phones += n;
            if let Some(last) = all.last_mut() {
                last.words.push(word);
            }
        }
        all.retain(|u| !u.words.is_empty());
        Ok(all)
    }
}
