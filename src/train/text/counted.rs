//! Families that learn by counting the text once: no steps, no state, nothing to resume.

use super::config::TextRun;
use super::corpus::TextCorpus;
use super::{sections, verdict};
use crate::kinds;
use crate::ranks::Ranks;
use crate::text::TextModel;
use crate::train::device::Device;
use crate::train::folder::RunFolder;
use crate::train::{Outcome, TrainOptions, units};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Instant;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;
use wavesynth_output::say;

/// Counts the text of `run`, whose text is `text`, into a checkpoint in `folder`, and reads the held-out part with it.
///
/// # Errors
/// A text that can't be used, options that mean nothing here, a run that is there already, a file that can't be written.
pub fn train(
    run: &TextRun,
    text: &str,
    folder: &RunFolder,
    options: &TrainOptions,
    ranks: &Ranks,
) -> Result<Outcome> {
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
    let file = folder.path().join(kinds::TEXT_FILE);
    let corpus = TextCorpus::load(&run.text)?;
    let unit = corpus.tokenizer.unit();
    say!("{}", corpus.describe());
    folder.begin(&file)?;
    let began = Instant::now();
    let given = run.given(corpus.tokenizer.classes(), corpus.tokenizer.start());
    let (config, tensors) =
        run.model.count(&given, &corpus.training).context("this family is trained by steps")?;
    let seconds = began.elapsed().as_secs_f64();
    let sizes: Vec<String> =
        config.describe(None).lines.iter().map(|(label, text)| format!("{label} {text}")).collect();
    say!("model: {}, {}, counted in {seconds:.1} s", config.family(), sizes.join(", "));
    say!("to beat: {:.3} nats/{unit}, by the frequencies alone", corpus.frequency_nats);

    let mut header = config.to_header()?;
    header.sections = sections(&corpus, json!({ "seconds": seconds }), None, text)?;
    let mut checkpoint = Checkpoint { header, tensors };
    let model = Loaded::from_checkpoint(checkpoint.clone(), Isa::detect()).at(&file)?;
    let model = TextModel::from_loaded(model).with_context(|| file.display().to_string())?;
    let held_out = (!corpus.held_out.is_empty()).then(|| {
        let nats = model.score(&corpus.held_out);
        nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len() as f64
    });
    // The reading is part of the file, so the file is made again with it.
    let so_far = json!({ "seconds": seconds });
    checkpoint.header.sections = sections(&corpus, so_far, held_out, text)?;
    checkpoint.write(&file)?;
    say!("checkpoint: {}", units::bytes(std::fs::metadata(&file)?.len() as usize));
    let message = |nats| format!("held-out {nats:.4} nats/{unit}: {}", verdict(nats));
    Ok(Outcome {
        voice: file,
        step: 1,
        taken: 1,
        steps: 1,
        held_out,
        is_evaluated: true,
        verdict: held_out.map(message).unwrap_or_default(),
    })
}
