//! Text to speech as the server's front end: the text of each sound is read on a thread of its own, and its frames are drawn
//! while it is made.

use super::front_end::{Delivery, FrontEnd, Input};
use crate::shipped;
use crate::synth::FrameSource;
use crate::tts::text::{FrontEnd as TextFrontEnd, pieces};
use crate::tts::utterance::Utterance;
use crate::tts::{Language, Prepared, Prosody, SayModel, SpokenFront, Utterances};
use crate::voice::Voice;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use wavesynth_models::kernels::Isa;

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
            if let Some(model) = SayModel::shipped(name, isa)? {
                readers.push(Arc::new(Reader::new(model)?));
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
        delivery: Delivery,
    ) -> Result<Box<dyn FrameSource>, String> {
        let reader = self.0.iter().find(|r| r.text.language().name() == language);
        let reader = reader.ok_or_else(|| format!("this server speaks no {language}"))?.clone();
        let spec = voice.spoken_frames().ok_or("this voice takes no frames")?;
        let prosody = Prosody { rate: delivery.speed, ..Prosody::default() };
        let (front, ends) = SpokenFront::new(&reader.model, &spec, prosody, delivery.seed);
        let front = front.learned_from(reader.model.learned_from(voice));
        // Of a text that is written only now it can't be awaited.
        let (begun, beginning) = sync_channel(1);
        let is_whole = matches!(input, Input::Whole(_));
        let thread = std::thread::Builder::new().name("text".into());
        let feed = move || reader.feed(input, ends, &begun);
        thread.spawn(feed).map_err(|e| format!("a thread could not be started: {e}"))?;
        if is_whole {
            beginning.recv().map_err(|_| "the text could not be read")??;
        }
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

    /// Hands on the utterances of `input` as they come, until there are no more or nobody listens. `begun` is told when there
    /// is one, or why there is none. What can't be said is left out.
    fn feed(&self, input: Input, ends: Utterances, begun: &SyncSender<Result<(), String>>) {
        let Utterances { next, said } = ends;
        let pieces: Box<dyn Iterator<Item = String>> = match input {
            Input::Whole(ref text) => Box::new(pieces(text).map(String::from)),
            Input::Pieces(pieces) => Box::new(pieces.into_iter()),
        };
        let mut reader = self.text.reader();
        let mut number = 0;
        let mut hand_on = |utterances: Vec<Utterance>| {
            let sayable = |mut utterance: Utterance| {
                self.model.phones.adapt(&mut utterance);
                utterance.parts().ok()
            };
            for utterance in utterances.into_iter().filter_map(sayable).flatten() {
                // What the engine is done with is dropped here, and not there.
                said.try_iter().for_each(drop);
                let Ok(prepared) = Prepared::new(&self.model, utterance, number) else { continue };
                if next.send(Box::new(prepared)).is_err() {
                    return false;
                }
                number += 1;
                // It has room for one.
                let _ = begun.try_send(Ok(()));
            }
            true
        };
        for piece in pieces {
            if !hand_on(reader.push(&piece)) {
                return;
            }
        }
        hand_on(reader.finish());
        if number == 0 {
            let unread: Vec<_> = reader.unread().iter().take(5).map(ToString::to_string).collect();
            let but = if unread.is_empty() {
                String::new()
            } else {
                format!("; it can't say {}", unread.join(", "))
            };
            let _ = begun.try_send(Err(format!("there is no word in the input{but}")));
        }
        drop(next);
        said.iter().for_each(drop);
    }
}
