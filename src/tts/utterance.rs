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
