//! The loop.

use super::config::RunFile;
use super::device::Device;
use super::guard::Guard;
use super::optim::{self, AdamW, Schedule};
use super::report::{Reporter, Step};
use super::setup::Setup;
use super::state::State;
use crate::ranks::Ranks;
use anyhow::{Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use wavesynth_models::objective::Window;

/// What ranks that differ do not share: only equal sums keep their weights equal.
const SAME: &str = "weights";

/// How a run is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Go on from the state in `train.out`.
    pub resume: bool,
    /// Stop after so many steps of this session, as Ctrl-C would.
    pub stop_after: Option<u64>,
    /// Where losses are computed. A run may go on on another one, though not with the same bits.
    pub device: Device,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The voice file.
    pub voice: PathBuf,
    /// Steps taken, all sessions together.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Nats per held-out sample at the end; `None` if nothing is held out.
    pub held_out: Option<f64>,
}

/// Trains the run file at `path` until it is done or `stop` is set on any rank. Progress goes to stderr. All `ranks`
/// call this together, with the same arguments; they end with the same outcome, and the first one has written it.
///
/// # Errors
/// A bad run file or corpus, a state that belongs to another run, a diverging loss (the last good checkpoint stays), a
/// file that can't be written.
pub fn train(path: &Path, options: &Options, stop: &AtomicBool, ranks: &Ranks) -> Result<Outcome> {
    let (run, text) = RunFile::read(path)?;
    let stem = path.file_stem().unwrap_or_default();
    let out = run.train.out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    if !options.resume && Setup::is_begun(&out) {
        bail!(
            "{} holds a run already: --resume continues it, another train.out begins a new one",
            out.display()
        );
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(run.train.threads).build()?;
    pool.install(|| {
        let mut setup = Setup::open(run, text, out, options.device, ranks)?;
        let resumed = if options.resume { Some(setup.resume()?) } else { None };
        setup.announce();
        let state = resumed.map_or_else(|| setup.fresh(), Ok)?;
        steps(&setup, state, options, stop).map_err(|e| anyhow!("{e:#}; {}", setup.last_good()))
    })
}

fn steps(setup: &Setup, mut s: State, options: &Options, stop: &AtomicBool) -> Result<Outcome> {
    let (train, ranks) = (&setup.run.train, setup.ranks);
    let sampler = setup.sampler(s.steps);
    let schedule = Schedule::new(train, s.steps);
    let adam = AdamW::new(train, setup.objective.layout());
    let last = options.stop_after.map_or(s.steps, |n| s.steps.min(s.step + n));
    let mut grads = vec![0.0; s.params.len()];
    let mut report = ranks.is_first().then(|| Reporter::open(&setup.log_file(), &s)).transpose()?;
    ranks.same(&s.digest(), SAME)?;
    let (mut clock, mut saved) = (Instant::now(), Instant::now());

    let mut ending = s.step >= last;
    while !ending {
        let batch = sampler.batch(s.step);
        let loss = setup.objective.loss(&s.params, &batch, Some(&mut grads))?;
        let (loss, samples) = ranks.mean(loss, in_loss(&batch), &mut grads);
        let norm = optim::clip(&mut grads, train.clip_norm);
        Guard::check(s.step, loss, norm, setup.config.classes)?;
        // Here, because these weights have just shown a sane loss.
        let minutes = saved.elapsed().as_secs_f64() / 60.0;
        if minutes >= train.checkpoint_every_minutes && !s.guard.suspect() {
            setup.save(&s)?;
            saved = Instant::now();
        }
        s.guard.observe(s.step, loss)?;
        let rate = schedule.at(s.step);
        adam.update(&mut s.params, &grads, &mut s.moments, s.step, rate);
        optim::average(&mut s.ema, &s.params, train.ema, s.step);
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
            report.step(&s, &Step { loss, norm, rate, reading }, log)?;
        }
    }
    if let Some(report) = report {
        report.finish();
    }
    // The last step's weights have not been judged yet.
    let batch = sampler.batch(s.step);
    let loss = setup.objective.loss(&s.params, &batch, None)?;
    let (loss, _) = ranks.mean(loss, in_loss(&batch), &mut []);
    Guard::check(s.step, loss, 0.0, setup.config.classes)?;
    setup.save(&s)?;
    Ok(Outcome { voice: setup.voice_file(), step: s.step, steps: s.steps, held_out: s.held_out })
}

/// Samples of a batch that count in its loss.
fn in_loss(batch: &[Window]) -> u64 {
    batch.iter().map(|w| (w.targets.len() - w.warmup) as u64).sum()
}
