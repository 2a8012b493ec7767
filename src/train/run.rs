//! The loop.

use super::device::Device;
use super::files;
use super::guard::Guard;
use super::optim::{self, Optimizer, Schedule};
use super::report::{Reporter, StepLog};
use super::run_file::Run;
use super::setup::RunSetup;
use super::state::TrainingState;
use super::text::counted;
use crate::lookup;
use crate::ranks::Ranks;
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use wavesynth_models::objective::Window;

/// What ranks that differ do not share: only equal sums keep their weights equal.
const SAME: &str = "weights";

/// How a run is started.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Go on from the state in `train.out`.
    pub resume: bool,
    /// Stop after so many steps of this session, as Ctrl-C would.
    pub stop_after: Option<u64>,
    /// Leave out recordings that can't be read, as with `corpus.skip_bad`.
    pub skip_bad: bool,
    /// Where losses are computed. A run may go on on another one, though not with the same bits.
    pub device: Device,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The checkpoint: a voice, or a text model.
    pub voice: PathBuf,
    /// Steps taken, all sessions together.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Nats per held-out symbol at the end; `None` if nothing is held out.
    pub held_out: Option<f64>,
    /// The same in words, with its unit and meaning; empty if nothing is held out.
    pub verdict: String,
}

/// Trains the run file at `path` until it is done or `stop` is set on any rank. Progress goes to stderr. All `ranks`
/// call this together, with the same arguments; they end with the same outcome, and the first one has written it.
///
/// # Errors
/// A bad run file or corpus, a state that belongs to another run, a diverging loss (the last good checkpoint stays), a
/// file that can't be written.
pub fn train(path: &Path, options: &TrainOptions, stop: &AtomicBool, ranks: &Ranks) -> Result<Outcome> {
    let (mut run, text) = Run::read(path)?;
    if let Run::Voice(run) = &mut run {
        run.corpus.skip_bad |= options.skip_bad;
    }
    let stem = path.file_stem().unwrap_or_default();
    let out = run.train().out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    if !options.resume && RunSetup::is_begun(&out) {
        bail!(
            "{} holds a run already: --resume continues it, another train.out begins a new one",
            out.display()
        );
    }
    files::check(path, &run, &out, options.resume)?;
    if let Run::Text(run) = &run
        && run.is_counted()?
    {
        return counted::train(run, &text, &out, options, ranks);
    }
    // Before hours of recordings are read. A run that goes on has weights of its own.
    if let Some(path) = run.train().start_from.as_ref().filter(|_| !options.resume) {
        lookup::checkpoint(path).context("train.start_from")?;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(run.train().threads).build()?;
    pool.install(|| {
        let mut setup = RunSetup::open(run, text, out, options.device, ranks)?;
        let resumed = if options.resume { Some(setup.resume()?) } else { None };
        setup.announce();
        let state = resumed.map_or_else(|| setup.fresh(), Ok)?;
        steps(&setup, state, options, stop).map_err(|e| anyhow!("{e:#}; {}", setup.last_good()))
    })
}

fn steps(
    setup: &RunSetup,
    mut s: TrainingState,
    options: &TrainOptions,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let (train, ranks) = (setup.run.train(), setup.ranks);
    let unit = setup.source.unit();
    let most = Guard::most(setup.source.config().facts().likelihood.classes(), setup.source.frequency_nats());
    let batches = setup.batches(s.steps);
    let schedule = Schedule::new(train, s.steps);
    let optimizer = Optimizer::new(train, setup.objective.layout())?;
    let last = options.stop_after.map_or(s.steps, |n| s.steps.min(s.step + n));
    let mut grads = vec![0.0; s.params.len()];
    let mut report = ranks.is_first().then(|| Reporter::open(&setup.log_file(), &s, unit)).transpose()?;
    ranks.same(&s.digest(), SAME)?;
    let (mut clock, mut saved) = (Instant::now(), Instant::now());

    let mut ending = s.step >= last;
    while !ending {
        let mut batch = batches(s.step);
        setup.mix_own_symbols(&s, &mut batch)?;
        // A copy, for a checkpoint of this step is written before the step is taken.
        let mut carry = setup.carry(&s);
        let loss = setup.objective.loss_carried(&s.params, &batch, &mut carry, Some(&mut grads))?;
        let (loss, samples) = ranks.mean(loss, in_loss(&batch), &mut grads);
        optimizer.silence(&mut grads);
        let norm = optim::clip(&mut grads, train.clip_norm);
        Guard::check(s.step, loss, norm, most)?;
        // Here, because these weights have just given a finite loss.
        let due = saved.elapsed().as_secs_f64() / 60.0 >= train.checkpoint_every_minutes;
        // By the first rank's clock, for all have a part in the state.
        if ranks.any(ranks.is_first() && due) && !s.guard.suspect() {
            setup.save(&s)?;
            saved = Instant::now();
        }
        s.guard.observe(s.step, loss)?;
        let rate = schedule.at(s.step);
        optimizer.update(&mut s.params, &grads, &mut s.moments, s.step, rate);
        optim::average(&mut s.ema, &s.params, train.ema, s.step);
        s.carry = carry;
        s.step += 1;
        s.samples += samples;

        ending = s.step >= last || ranks.any(stop.load(Ordering::Relaxed));
        let due = s.step.is_multiple_of(train.eval_every) || ending;
        if due {
            ranks.same(&s.digest(), SAME)?;
        }
        let reading = if due { setup.evaluate(&mut s)? } else { None };
        s.seconds += clock.elapsed().as_secs_f64();
        clock = Instant::now();
        let log = s.step.is_multiple_of(train.log_every) || reading.is_some();
        if let Some(report) = &mut report {
            let verdict = |nats| setup.source.verdict(nats);
            report.step(&s, &StepLog { loss, norm, rate, reading }, log, &verdict)?;
        }
    }
    if let Some(report) = report {
        report.finish();
    }
    // The last step's weights have not been judged yet.
    let batch = batches(s.step);
    let loss = setup.objective.loss_carried(&s.params, &batch, &mut setup.carry(&s), None)?;
    let (loss, _) = ranks.mean(loss, in_loss(&batch), &mut []);
    Guard::check(s.step, loss, 0.0, most)?;
    setup.save(&s)?;
    let message = |nats| format!("held-out {nats:.4} nats/{unit}: {}", setup.source.verdict(nats));
    let verdict = s.held_out.map(message).unwrap_or_default();
    Ok(Outcome { voice: setup.model_file(), step: s.step, steps: s.steps, held_out: s.held_out, verdict })
}

/// Samples of a batch that count in its loss.
fn in_loss(batch: &[Window]) -> u64 {
    batch.iter().map(|w| (w.rows() - w.warmup) as u64).sum()
}
