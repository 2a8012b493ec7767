//! The loop.

use super::device::Device;
use super::files;
use super::folder::RunFolder;
use super::guard::Limits;
use super::held_out::Evaluation;
use super::optim::{self, Optimizer, Schedule};
use super::report::{Reporter, StepLog};
use super::run_file::Run;
use super::setup::RunSetup;
use super::source::Batches;
use super::state::TrainingState;
use super::stop::Stop;
use super::text::counted;
use crate::lookup;
use crate::ranks::Ranks;
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wavesynth_models::objective::Window;
use wavesynth_output::say;

/// What ranks that differ do not share: only equal sums keep their weights equal.
const SAME: &str = "weights";

/// How a run is started.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Go on from the state in `train.out`.
    pub resume: bool,
    /// Extend a run that is resumed to so many steps in all.
    pub steps: Option<u64>,
    /// Stop after so many steps of this session, as Ctrl-C would.
    pub stop_after: Option<u64>,
    /// Leave out recordings that can't be read, as with `corpus.skip_bad` or `say.skip_bad`.
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
    /// Steps taken in this session.
    pub taken: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The last reading of nats per held-out symbol; `None` if nothing is held out.
    pub held_out: Option<f64>,
    /// Whether that was read at the end, and not left out because the run was hurried.
    pub is_evaluated: bool,
    /// The same in words, with its unit and meaning; empty if nothing is held out or was read at the end.
    pub verdict: String,
}

/// Trains the run file at `path` until it is done or `stop` is asked on any rank. Progress goes to stderr. All `ranks`
/// call this together, with the same arguments; they end with the same outcome, and the first one has written it.
///
/// # Errors
/// A bad run file or corpus, a state that belongs to another run, another run in the same folder, a diverging loss (the last
/// good checkpoint stays), a file that can't be written at the end.
pub fn train(path: &Path, options: &TrainOptions, stop: &Stop, ranks: &Ranks) -> Result<Outcome> {
    let (mut run, text) = Run::read(path)?;
    match &mut run {
        Run::Voice(run) => run.corpus.skip_bad |= options.skip_bad,
        Run::Say(run) => run.say.skip_bad |= options.skip_bad,
        _ if options.skip_bad => {
            bail!("--skip-bad is for runs of recordings; {} is of another kind", path.display())
        }
        _ => {}
    }
    let stem = path.file_stem().unwrap_or_default();
    let out = run.train().out.clone().unwrap_or_else(|| Path::new("runs").join(stem));
    let folder = RunFolder::claim(out, ranks.is_first())?;
    let out = folder.path();
    if !options.resume && folder.is_begun() {
        bail!(
            "{} holds a run already: --resume continues it, another train.out begins a new one",
            out.display()
        );
    }
    files::check(path, &run, out, options.resume)?;
    if let Run::Text(run) = &run
        && run.is_counted()?
    {
        return counted::train(run, &text, &folder, options, ranks);
    }
    // Before hours of recordings are read. A run that goes on has weights of its own.
    if let Some(path) = run.train().start_from.as_ref().filter(|_| !options.resume) {
        let (file, _) = lookup::checkpoint(path).context("train.start_from")?;
        run.check_start(&file.header).with_context(|| format!("train.start_from {}", path.display()))?;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(run.train().threads).build()?;
    pool.install(|| {
        let mut setup = RunSetup::open(run, text, folder, options.device, ranks)?;
        let resumed = if options.resume { Some(setup.resume(options.steps)?) } else { None };
        setup.announce();
        let state = resumed.map_or_else(|| setup.fresh(), Ok)?;
        let network = setup.source.network();
        let limits = Limits::new(network.classes(), network.dims(), setup.source.frequency_nats());
        let steps = Loop { setup: &setup, stop, batches: setup.batches(state.steps), limits };
        steps.run(state, options).map_err(|e| anyhow!("{e:#}; {}", setup.last_good()))
    })
}

/// The loop of a run.
struct Loop<'a> {
    setup: &'a RunSetup<'a>,
    stop: &'a Stop,
    batches: Batches<'a>,
    /// A loss above these has diverged.
    limits: Limits,
}

/// What came of the end of a step.
#[derive(Default)]
struct Judged {
    reading: Option<Evaluation>,
    /// The run was hurried, and the evaluation is left out.
    is_cut: bool,
}

impl Loop<'_> {
    /// The loop from `s` on.
    fn run(&self, mut s: TrainingState, options: &TrainOptions) -> Result<Outcome> {
        let (setup, stop) = (self.setup, self.stop);
        let (train, ranks) = (setup.run.train(), setup.ranks);
        let unit = setup.source.unit();
        let schedule = Schedule::new(train, s.steps);
        let optimizer = Optimizer::new(train, setup.objective.layout())?;
        let first = s.step;
        let last = options.stop_after.map_or(s.steps, |n| s.steps.min(first.saturating_add(n)));
        stop.begin();
        let mut grads = vec![0.0; s.params.len()];
        let mut report = ranks.is_first().then(|| Reporter::open(&setup.log_file(), &s, unit)).transpose()?;
        ranks.same(&s.digest(), SAME)?;
        let (mut clock, mut saved) = (Instant::now(), Instant::now());
        let lap = |s: &mut TrainingState, clock: &mut Instant| {
            s.seconds += clock.elapsed().as_secs_f64();
            *clock = Instant::now();
        };

        // A run that is at its end may lack its evaluation.
        let mut ending = s.step >= last;
        let mut judged = if ending { self.judge(&mut s, true)? } else { Judged::default() };
        while !ending {
            let mut batch = (self.batches)(s.step);
            setup.mix_own_symbols(&s, &mut batch)?;
            // A copy, for a checkpoint of this step is written before the step is taken.
            let mut carry = setup.carry(&s);
            let loss = setup.objective.loss_carried(&s.params, &batch, &mut carry, Some(&mut grads))?;
            let (loss, samples) = ranks.mean(loss, in_loss(&batch), &mut grads);
            optimizer.silence(&mut grads);
            let norm = optim::clip(&mut grads, train.clip_norm);
            self.limits.check(s.step, loss, norm)?;
            // Here, because these weights have just given a finite loss.
            let due = saved.elapsed().as_secs_f64() / 60.0 >= train.checkpoint_every_minutes;
            // By the first rank's clock, for all have a part in the state.
            if ranks.any(ranks.is_first() && due) && !s.guard.suspect(self.limits) {
                self.save_or_say(&s)?;
                saved = Instant::now();
            }
            s.guard.observe(s.step, loss, self.limits)?;
            stop.set_unsaved(true);
            let rate = schedule.at(s.step);
            optimizer.update(&mut s.params, &grads, &mut s.moments, s.step, rate);
            optim::average(&mut s.ema, &s.params, train.ema, s.step);
            s.carry = carry;
            s.step += 1;
            s.samples += samples;
            setup.source.revise(&mut s, ranks)?;

            ending = s.step >= last || ranks.any(stop.is_asked());
            let due = s.step.is_multiple_of(train.eval_every) || ending;
            judged = Judged::default();
            if due {
                ranks.same(&s.digest(), SAME)?;
                lap(&mut s, &mut clock);
                judged = self.judge(&mut s, ending)?;
                // Asked meanwhile, and all that the end has to do is done.
                ending |= ranks.any(stop.is_asked());
            }
            lap(&mut s, &mut clock);
            let reading = judged.reading;
            let log = s.step.is_multiple_of(train.log_every) || reading.is_some();
            if let Some(report) = &mut report {
                let verdict = |nats| setup.source.verdict(nats);
                report.step(&s, &StepLog { loss, norm, rate, reading }, log, &verdict);
            }
        }
        // Again, with the evaluation.
        setup.check_savable(&s)?;
        setup.save(&s)?;
        report.map(Reporter::finish).transpose()?;
        let message = |nats| format!("held-out {nats:.4} nats/{unit}: {}", setup.source.verdict(nats));
        let verdict = s.held_out.filter(|_| !judged.is_cut).map(message).unwrap_or_default();
        Ok(Outcome {
            voice: setup.model_file(),
            step: s.step,
            taken: s.step - first,
            steps: s.steps,
            held_out: s.held_out,
            is_evaluated: !judged.is_cut,
            verdict,
        })
    }

    /// Makes sure that nothing is lost if the process ends now, then reads the held-out part.
    fn judge(&self, s: &mut TrainingState, ending: bool) -> Result<Judged> {
        let (setup, ranks) = (self.setup, self.setup.ranks);
        // These weights have not given a loss yet.
        let batch = (self.batches)(s.step);
        let loss = setup.objective.loss_carried(&s.params, &batch, &mut setup.carry(s), None)?;
        let (loss, _) = ranks.mean(loss, in_loss(&batch), &mut []);
        self.limits.check(s.step, loss, 0.0)?;
        let is_saved = if ending {
            setup.check_savable(s)?;
            setup.save(s)?;
            true
        } else {
            !s.guard.suspect(self.limits) && self.save_or_say(s)?
        };
        // Each rank may end only when the first one has written the files of all.
        if !ranks.any(!is_saved) {
            self.stop.set_unsaved(false);
        }
        if ranks.any(self.stop.is_hurried()) {
            return Ok(Judged { reading: None, is_cut: true });
        }
        Ok(Judged { reading: setup.evaluate(s)?, is_cut: false })
    }

    /// Saves, and gives whether it could: a full disk may have room again for the next checkpoint.
    fn save_or_say(&self, s: &TrainingState) -> Result<bool> {
        self.setup.check_savable(s)?;
        let done = self.setup.save(s);
        if let Err(e) = &done {
            say!("step {}: no checkpoint: {e:#}; the run goes on and tries again with the next one", s.step);
        }
        Ok(done.is_ok())
    }
}

/// Samples of a batch that count in its loss.
fn in_loss(batch: &[Window]) -> u64 {
    batch.iter().map(|w| (w.rows() - w.warmup) as u64).sum()
}
