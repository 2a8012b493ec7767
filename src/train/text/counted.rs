//! Families that learn by counting the text once: no steps, no state, nothing to resume.

use super::config::{TextModelConfig, TextRun};
use super::corpus::TextCorpus;
use super::{sections, verdict};
use crate::ranks::Ranks;
use crate::text::TextModel;
use crate::train::device::Device;
use crate::train::{Outcome, TrainOptions, report};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use wavesynth_models::kernels::Isa;
use wavesynth_models::ngram::{self, count};
use wavesynth_models::weights::{Checkpoint, Header, VERSION};
use wavesynth_models::zoo::Loaded;

/// Counts the text of `run`, whose text is `text`, into a checkpoint in `out`, and reads the held-out part with it.
///
/// # Errors
/// A text that can't be used, options that mean nothing here, a run that is there already, a file that can't be written.
pub fn train(
    run: &TextRun,
    text: &str,
    out: &Path,
    options: &TrainOptions,
    ranks: &Ranks,
) -> Result<Outcome> {
    let TextModelConfig::Ngram(model) = &run.model else {
        bail!("this family is trained by steps");
    };
    ensure!(
        !options.resume,
        "an n-gram table is counted in one pass; there is nothing to resume: leave --resume out"
    );
    ensure!(
        options.stop_after.is_none(),
        "an n-gram table is counted in one pass; there are no steps to stop after: leave --stop-after out"
    );
    ensure!(
        options.device == Device::Cpu,
        "an n-gram table is counted, which no GPU is used for: leave --device {} out",
        options.device
    );
    ensure!(
        ranks.size() == 1,
        "an n-gram table is counted by one process, {} were started together; start one",
        ranks.size()
    );
    let file = out.join("text.safetensors");
    ensure!(!file.exists(), "{} is there already; another train.out keeps both", file.display());
    let corpus = TextCorpus::load(&run.text)?;
    let unit = corpus.tokenizer.unit();
    eprintln!("{}", corpus.describe());
    std::fs::create_dir_all(out).with_context(|| format!("train.out {}", out.display()))?;
    let began = Instant::now();
    let (classes, start) = (corpus.tokenizer.classes(), corpus.tokenizer.start());
    let (config, tensors) = count(&corpus.training, classes, start, model.order, model.max_entries);
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "model: {}-grams, {} contexts with {} entries, counted in {seconds:.1} s",
        config.order, config.contexts, config.entries
    );
    eprintln!("to beat: {:.3} nats/{unit}, by the frequencies alone", corpus.frequency_nats);

    let header = Header {
        version: VERSION,
        family: ngram::FAMILY.into(),
        config: serde_json::to_value(&config)?,
        sections: sections(&corpus, json!({ "seconds": seconds }), None, text)?,
    };
    let mut checkpoint = Checkpoint { header, tensors };
    let model = Loaded::from_checkpoint(checkpoint.clone(), &file, Isa::detect())?;
    let model = TextModel::from_loaded(model, &file)?;
    let held_out = (!corpus.held_out.is_empty()).then(|| {
        let nats = model.score(&corpus.held_out);
        nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len() as f64
    });
    // The reading is part of the file, so the file is made again with it.
    let so_far = json!({ "seconds": seconds });
    checkpoint.header.sections = sections(&corpus, so_far, held_out, text)?;
    checkpoint.write(&file)?;
    eprintln!("checkpoint: {}", report::bytes(std::fs::metadata(&file)?.len() as usize));
    let message = |nats| format!("held-out {nats:.4} nats/{unit}: {}", verdict(nats));
    Ok(Outcome {
        voice: file,
        step: 1,
        steps: 1,
        held_out,
        verdict: held_out.map(message).unwrap_or_default(),
    })
}
