//! Text to speech as the server's front end: the text of each sound is read on a thread of its own, and its frames are drawn
//! while it is made.

use super::front_end::{FrontEnd, Input, Manner};
use crate::synth::FrameSource;
use crate::tts::text::FrontEnd as TextFrontEnd;
use crate::tts::utterance::Utterance;
use crate::tts::{Language, Prepared, Prosody, SayModel, SpokenFront, Utterances};
use crate::voice::Voice;
use crate::{lookup, shipped};
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;

/// The languages that the program speaks.
pub struct Spoken(Vec<Arc<Reader>>);

/// What reads the texts of a language aloud.
struct Reader {
    model: SayModel,
    text: TextFrontEnd,
}

impl Spoken {
    /// All languages that the program has models of, English first.
    ///
    /// # Errors
    /// None at all, or a damaged one.
    pub fn shipped(isa: Isa) -> Result<Self> {
        let mut readers = Vec::new();
        for name in shipped::languages() {
            if let Some((file, path)) = lookup::shipped_say(name)? {
                let model = SayModel::from_loaded(Loaded::from_checkpoint(file, isa).at(&path)?);
                let reader = model.and_then(Reader::new).with_context(|| path.display().to_string())?;
                readers.push(Arc::new(reader));
            }
        }
        ensure!(
            !readers.is_empty(),
            "this program was built without text-to-speech models; pass one with --speech"
        );
        readers.sort_by_key(|reader| reader.text.language() != Language::English);
        Ok(Self(readers))
    }

    /// The language of `model`.
    ///
    /// # Errors
    /// One whose texts this program can't read.
    pub fn one(model: SayModel) -> Result<Self> {
        Ok(Self(vec![Arc::new(Reader::new(model)?)]))
    }
}

impl FrontEnd for Spoken {
    fn languages(&self) -> Vec<&str> {
        self.0.iter().map(|reader| reader.text.language().name()).collect()
    }

    fn example(&self, language: &str) -> &str {
        match Language::from_name(language) {
            Some(Language::Russian) => "Здравствуйте! Я говорю то, что вы здесь напишете.",
            Some(Language::Spanish) => "Buenos días. Digo lo que usted escriba aquí.",
            Some(Language::Italian) => "Buongiorno. Dico quello che lei scrive qui.",
            Some(Language::French) => "Bonjour. Je dis ce que vous écrivez ici.",
            _ => "Good morning. I say what you write here.",
        }
    }

    fn frames(
        &self,
        voice: &Voice,
        language: &str,
        input: Input,
        manner: Manner,
    ) -> Result<Box<dyn FrameSource>, String> {
        let reader = self.0.iter().find(|r| r.text.language().name() == language);
        let reader = reader.ok_or_else(|| format!("this server speaks no {language}"))?.clone();
        let spec = voice.model.config.facts().condition.as_ref().and_then(|c| c.frames);
        let spec = spec.ok_or("this voice takes no frames")?;
        let (first, pieces) = match input {
            Input::Pieces(pieces) => (Vec::new(), Some(pieces)),
            Input::Whole(text) => {
                let (utterances, unread) = reader.text.read(&text);
                if utterances.is_empty() {
                    let unread: Vec<_> = unread.iter().take(5).map(ToString::to_string).collect();
                    let why = if unread.is_empty() {
                        String::new()
                    } else {
                        format!("; it can't say {}", unread.join(", "))
                    };
                    return Err(format!("there is no word in the input{why}"));
                }
                (reader.parts(utterances)?, None)
            }
        };
        let prosody = Prosody { rate: manner.speed, ..Prosody::default() };
        let (front, ends) = SpokenFront::new(&reader.model, &spec, prosody, manner.seed);
        let thread = std::thread::Builder::new().name("text".into());
        let feed = move || reader.feed(first, pieces, ends);
        thread.spawn(feed).map_err(|e| format!("a thread could not be started: {e}"))?;
        Ok(Box::new(front))
    }
}

impl Reader {
    fn new(model: SayModel) -> Result<Self> {
        let name = &model.section.language;
        let language = Language::from_name(name);
        let language = language.with_context(|| format!("texts of the language {name} can't be read"))?;
        Ok(Self { text: TextFrontEnd::new(language)?, model })
    }

    /// `utterances` in parts that can be said in one go, by the phones that the model knows.
    ///
    /// # Errors
    /// A word that is too long, or a phone that it does not know.
    fn parts(&self, utterances: Vec<Utterance>) -> Result<Vec<Utterance>, String> {
        let mut all = Vec::new();
        for utterance in utterances {
            utterance
                .words
                .iter()
                .try_for_each(|word| self.model.phones.check(word))
                .map_err(|e| e.to_string())?;
            all.extend(utterance.parts().map_err(|e| e.to_string())?);
        }
        Ok(all)
    }

    /// Hands on `first`, then the utterances of `pieces` as they come, until there are no more or nobody listens.
    fn feed(&self, first: Vec<Utterance>, pieces: Option<Receiver<String>>, ends: Utterances) {
        let Utterances { next, said } = ends;
        let mut number = 0;
        let mut hand_on = |utterances: Vec<Utterance>| {
            let prepared = utterances.into_iter().filter_map(|utterance| {
                // What the engine is done with is dropped here, and not there.
                said.try_iter().for_each(drop);
                let prepared = Prepared::new(&self.model, utterance, number).ok();
                number += u64::from(prepared.is_some());
                prepared
            });
            prepared.map(Box::new).all(|p| next.send(p).is_ok())
        };
        let mut is_heard = hand_on(first);
        if let Some(pieces) = pieces {
            let mut reader = self.text.reader();
            // What can't be said is left out, as is what can't be read.
            let parts = |all| self.parts(all).unwrap_or_default();
            let mut each = pieces.iter();
            while is_heard && let Some(piece) = each.next() {
                is_heard = hand_on(parts(reader.push(&piece)));
            }
            if is_heard {
                hand_on(parts(reader.finish()));
            }
        }
        drop(next);
        said.iter().for_each(drop);
    }
}
