//! Recordings as a source of windows, and the voice file.

use super::config::RunFile;
use super::corpus::SpeechCorpus;
use super::held_out::{Evaluation, HeldOutSpeech};
use super::schedules::{Lengths, shorten};
use super::slots::Slots;
use super::source::{Batches, Network, Source, engine};
use super::state::TrainingState;
use super::window::{Cutter, SpeechWindows};
use super::{product, report};
use crate::kinds;
use crate::ranks::Ranks;
use crate::recordings;
use crate::voice::{SpeakerSection, Voice, VoiceSection, wavenet_config};
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::path::Path;
use wavesynth_models::families::wavenet::{self, names};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::objective::Objective;
use wavesynth_models::weights::{self, Checkpoint, Tensor, Tensors};

/// The recordings of a run file.
pub struct Speech {
    run: RunFile,
    corpus: SpeechCorpus,
    family: FamilyConfig,
    /// The same sizes as `family`.
    config: wavenet::Config,
    /// How recordings become windows.
    cutter: Cutter,
    /// How held-out recordings do: always with the whole receptive field, as the engine reads them.
    judge: Cutter,
    held_out: Option<HeldOutSpeech>,
}

impl Speech {
    /// Reads the recordings that `run` names, as far as this one of `ranks` needs them.
    ///
    /// # Errors
    /// A corpus that can't be used.
    pub fn open(run: &RunFile, ranks: &Ranks) -> Result<Self> {
        let corpus = SpeechCorpus::load(run, ranks)?;
        recordings::say(&corpus.notes);
        let family = run.network(corpus.speakers.len())?;
        let config = wavenet_config(&family).context("model")?.clone();
        let cutter = Cutter::new(family.facts(), run.train.window, run.train.max_warmup);
        let judge = Cutter::new(family.facts(), run.train.window, None);
        let held_out = HeldOutSpeech::select(&corpus, run.train.eval_seconds);
        Ok(Self { run: run.clone(), corpus, family, config, cutter, judge, held_out })
    }

    /// Gives `file` a row for each speaker of the corpus.
    fn adopt_speakers(&self, file: &mut Checkpoint, known: &[SpeakerSection]) {
        let Some(table) = file.tensors.get_mut(names::SPEAKERS) else {
            return;
        };
        let [rows, dim] = table.shape[..] else {
            return;
        };
        if rows == 0 || rows != known.len() {
            return;
        }
        let vectors: Vec<&[f32]> = table.data.chunks_exact(dim).collect();
        let mean: Vec<f32> =
            (0..dim).map(|i| vectors.iter().map(|v| v[i]).sum::<f32>() / rows as f32).collect();
        let vector = |name: &str| known.iter().position(|s| s.name == name).map_or(&mean[..], |i| vectors[i]);
        let speakers = &self.corpus.speakers;
        let data = speakers.iter().flat_map(|s| vector(&s.name)).copied().collect();
        *table = Tensor::new(&[speakers.len(), dim], data);
    }
}

impl Source for Speech {
    fn network(&self) -> &dyn Network {
        &self.family
    }

    fn id(&self) -> &str {
        &self.corpus.id
    }

    fn item(&self) -> &'static str {
        "recording"
    }

    fn unit(&self) -> &'static str {
        "sample"
    }

    fn file_name(&self) -> &'static str {
        kinds::VOICE_FILE
    }

    fn describe(&self) -> Vec<String> {
        let c = &self.corpus;
        let names: Vec<&str> = c.speakers.iter().map(|s| s.name.as_str()).collect();
        let corpus = format!(
            "corpus: {} speakers ({}), {} recordings, {:.2} h to train on, {:.2} h held out{}",
            names.len(),
            names.join(", "),
            c.files.len(),
            c.hours(false),
            c.hours(true),
            match c.skipped {
                0 => String::new(),
                n => format!(", {n} shorter than {} s skipped", self.run.corpus.min_seconds),
            }
        );
        let field = self.config.receptive_field() as f64 / f64::from(c.sample_rate) * 1e3;
        let model = format!(
            "network: {} layers, receptive field {field:.0} ms, {:.2} million multiply-adds a sample",
            self.config.dilations.len(),
            self.config.macs_per_sample() as f64 / 1e6
        );
        vec![corpus, model]
    }

    fn bytes(&self) -> usize {
        self.corpus.bytes()
    }

    fn frequency_nats(&self) -> f64 {
        self.corpus.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.cutter.max_rows()
    }

    /// Any recording gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    /// A speaker whose name the checkpoint has keeps the vector, a new one begins with the mean of all. A narrower
    /// network is widened. A new network for cross-speaker tracks begins as that for all tracks, and one that this run
    /// does not use is left out.
    fn adopt(&self, file: &mut Checkpoint, path: &Path) -> Result<Option<String>> {
        let section = VoiceSection::from_header(&file.header).at(path)?;
        self.adopt_speakers(file, &section.speakers);
        let narrow = FamilyConfig::from_header(&file.header).at(path)?;
        let mut narrow = wavenet_config(&narrow).at(path)?.clone();
        if let (Some(c), Some(own)) = (&mut narrow.condition, &self.config.condition) {
            c.speakers = own.speakers;
        }
        weights::check(&file.tensors, &narrow.table())?;
        let mut notes = Vec::new();
        if let (Some(c), Some(own)) = (&mut narrow.condition, &self.config.condition)
            && c.others > 0
            && own.others == 0
        {
            c.others = 0;
            file.tensors.retain(|name, _| !name.starts_with(names::OTHERS));
            notes.push("left out, as model.others is 0: its network for cross-speaker tracks".into());
        }
        if let Some(wider) = self.config.wider_than(&narrow).filter(|wider| !wider.is_empty()) {
            file.tensors = self.config.widened(&file.tensors, self.run.train.seed);
            let change = |(name, from, to): &(&str, usize, usize)| format!("{name} from {from} to {to}");
            let changes: Vec<String> = wider.iter().map(change).collect();
            notes.push(format!("widened, with the same outputs at first: {}", changes.join(", ")));
        }
        Ok((!notes.is_empty()).then(|| notes.join("; ")))
    }

    fn batches(&self, slots: Slots, steps: u64) -> Batches<'_> {
        let sampler = SpeechWindows::new(&self.run.train, &self.corpus, &self.cutter, slots, steps);
        let Some(curriculum) = &self.run.train.curriculum else {
            return Box::new(move |step| sampler.batch(step));
        };
        let lengths = Lengths::new(self.run.train.window, Some(curriculum), steps);
        let hop = self.config.hop();
        Box::new(move |step| {
            let mut batch = sampler.batch(step);
            batch.iter_mut().for_each(|w| shorten(w, lengths.at(step), hop));
            batch
        })
    }

    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        ranks: &Ranks,
    ) -> Result<Option<Evaluation>> {
        let Some(held_out) = &self.held_out else {
            return Ok(None);
        };
        let voice = Voice::from_loaded(engine(checkpoint, self.file_name())?).context(self.file_name())?;
        let dim = self.config.condition.as_ref().map_or(0, |c| c.speaker_dim);
        let vectors = match dim {
            0 => &[][..],
            _ => &params[objective.layout().range(names::SPEAKERS)],
        };
        let (by_engine, trainer) = ((&voice, vectors), (objective, params));
        let read = |held_out: &HeldOutSpeech| held_out.read(by_engine, trainer, &self.judge, windows, ranks);
        let cross_speaker = held_out.cross_speaker().as_ref().map(read).transpose()?;
        Ok(Some(Evaluation { own: read(held_out)?, cross_speaker }))
    }

    fn verdict(&self, nats: f64) -> String {
        report::verdict(nats).into()
    }

    fn sections(&self, tensors: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>> {
        product::sections((&self.run, run), &self.corpus, &self.config, tensors, state)
    }
}
