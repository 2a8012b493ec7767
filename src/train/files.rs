//! The files of a run, checked before its work.

use super::report::LOG;
use super::run_file::Run;
use crate::{kinds, lookup};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use wavesynth_output::{Kind, Plan};

/// The log's name in the folder of a run.
pub const LOG_FILE: &str = "log.csv";

/// A state that is resumed: what it is shows when it is read.
const RESUMED: Kind = Kind { is: |_| true, ..kinds::STATE };

/// Checks that `run`, whose file is at `path`, can be written into the folder `out`, and clears what a killed run left there. A
/// run that is not `resumed` replaces no checkpoint.
///
/// # Errors
/// Another file is in the way, or nothing can be written.
pub fn check(path: &Path, run: &Run, out: &Path, resumed: bool) -> Result<()> {
    let (data, name) = match run {
        Run::Voice(_) => (None, kinds::VOICE_FILE),
        Run::Text(run) => (Some(&run.text.file), kinds::TEXT_FILE),
        Run::Series(run) => (Some(&run.series.file), kinds::SERIES_FILE),
        Run::Say(_) => (None, kinds::SAY_FILE),
        Run::Images(run) => (Some(&run.images.file), kinds::IMAGE_FILE),
        Run::VqVae(run) => (Some(&run.images.file), kinds::VQ_VAE_FILE),
    };
    let kind = run.kind();
    let mut plan = Plan::new(false);
    plan.reads(path);
    let coder = match run {
        Run::Images(run) => run.images.codes.as_ref(),
        _ => None,
    };
    data.into_iter()
        .chain(coder)
        .chain(&run.train().start_from)
        .filter(|p| p.is_file())
        .for_each(|p| plan.reads(p));
    let at = || format!("train.out {}: nothing can be written into it", out.display());
    plan.folder("train.out", out).with_context(at)?;
    let model = out.join(name);
    ensure!(
        resumed || !model.exists(),
        "{} is there already, without the state of a run; another train.out keeps both",
        model.display()
    );
    let state = if resumed { &RESUMED } else { &kinds::STATE };
    let best = run.train().keep_best.then_some((lookup::BEST_FILE, kind));
    for (name, kind) in [(name, kind), (lookup::STATE_FILE, state), (LOG_FILE, &LOG)].into_iter().chain(best)
    {
        plan.writes("train.out", &out.join(name), kind).with_context(at)?;
    }
    Ok(())
}
