//! `wavesynth render --jobs`: many files from one list, shared by cores and ranks.

use super::record::{self, JobDigest, RECORD, Record};
use super::{Args, BLOCK, format, inputs};
use crate::cli::args::{ConditionArgs, LengthArgs};
use crate::cli::{interrupt, output};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use wavesynth::job_list::{self, JobLine};
use wavesynth::lookup;
use wavesynth::progress::Progress;
use wavesynth::ranks::Ranks;
use wavesynth::recordings;
use wavesynth::synth::{Ensemble, Length, Part, SamplingPolicy, UniformSource, without_denormals};
use wavesynth::voice::Voice;
use wavesynth_audio::sink::{self, Format, Sink};
use wavesynth_models::ar::NotFinite;
use wavesynth_models::in_file::{self, AtPath};
use wavesynth_models::loaded::Loaded;
use wavesynth_output::{Output, say};

/// Streams that a thread renders in lockstep, at most: beyond it, little is gained by reading weights for more at once.
const STREAMS: usize = 8;

/// Bytes of the longest list that is read, 16 MiB.
const MOST_LIST: u64 = 1 << 24;

/// One line of a list.
struct Job {
    /// `LIST.tsv line 3`, for errors.
    at: String,
    condition: ConditionArgs,
    seed: u64,
    output: PathBuf,
    /// The same, checked.
    place: Option<Output>,
    /// Of all that decides the sound.
    digest: String,
    length: Length,
    /// The same, at the voice's rate.
    samples: u64,
}

/// The result of a list, on all ranks together.
#[derive(Debug, Serialize)]
struct Summary {
    rendered: u64,
    /// Outputs that the same job had made already.
    skipped: u64,
    /// Sound made.
    seconds: f64,
    /// Time that passed.
    wall_s: f64,
    /// Seconds of sound made in a second of work.
    times_real_time: f64,
    /// Samples beyond full scale that were clamped.
    clipped: u64,
    /// Processes that shared the list.
    ranks: usize,
}

/// Renders the list at `path`.
pub fn run(args: &Args, path: &Path, ranks: &Ranks) -> Result<()> {
    interrupt::watch()?;
    let (checkpoint, model) = args.model.playing()?;
    let isa = args.model.isa()?;
    let format = format(args.format, false);
    let mut digest = JobDigest::new(&checkpoint)?;
    digest.add(format!("{} {format:?}", isa.name()).as_bytes());
    let voice = Voice::from_loaded(Loaded::from_checkpoint(checkpoint, isa).at(&model)?).at(&model)?;
    let voice = args.conversion.of(voice)?;
    let rate = voice.section.sample_rate;
    let mut jobs = read(args, path, &voice, &digest)?;
    let records = places(args, &mut jobs, format)?;
    interrupt::working();
    let start = Instant::now();
    // Files that one rank makes must not count as whole for another, so the first one looks for all.
    let found: Vec<u8> = match ranks.is_first() {
        true => {
            let is_made = |j: &Job| {
                !args.force.force
                    && format.is_whole(&j.output, rate, j.samples)
                    && records[j.folder()].has(&j.output, &j.digest)
            };
            jobs.par_iter().map(|j| is_made(j).into()).collect()
        }
        false => Vec::new(),
    };
    let found = ranks.gather(found)?.swap_remove(0);
    let missing: Vec<&Job> = jobs.iter().zip(&found).filter(|(_, f)| **f == 0).map(|(j, _)| j).collect();
    let skipped = (jobs.len() - missing.len()) as u64;
    let own = share(missing, ranks);

    let total: u64 = own.iter().map(|j| j.samples).sum();
    let bar = Progress::new(total, "{wide_bar} {percent:>3} %  {eta} left");
    let (next, clipped) = (AtomicUsize::new(0), AtomicU64::new(0));
    let crew = Crew { args, voice: &voice, format, jobs: &own, next, clipped, bar: &bar };
    let threads = rayon::current_num_threads().min(own.len());
    let streams = own.len().div_ceil(threads.max(1)).min(STREAMS);
    voice.model.check_room(threads * streams)?;
    let done = (0..threads).into_par_iter().try_for_each(|_| crew.work(streams));
    bar.finish();
    if interrupt::count() > 0 {
        bail!("interrupted; the same command makes the files that are missing");
    }
    done?;
    let mut sums = [own.len() as u64, total, crew.clipped.into_inner()];
    ranks.sum(&mut sums);
    let (seconds, wall_s) = (sums[1] as f64 / f64::from(rate), start.elapsed().as_secs_f64());
    let times_real_time = seconds / wall_s;
    let (rendered, clipped, ranks_size) = (sums[0], sums[2], ranks.size());
    if ranks.is_first() {
        recordings::say(sink::clipped_line(clipped, sums[1]).as_slice());
    }
    let summary = Summary { rendered, skipped, seconds, wall_s, times_real_time, clipped, ranks: ranks_size };
    match (ranks.is_first(), args.json) {
        (false, _) => Ok(()),
        (true, true) => output::json(&summary),
        (true, false) => {
            say!(
                "{}: rendered {}, skipped {skipped} that were made before; {seconds:.1} s of sound in {wall_s:.1} s, \
                 {times_real_time:.2} x real time",
                path.display(),
                summary.rendered
            );
            Ok(())
        }
    }
}

/// The jobs of this rank: the longest first, each to the rank that has the least to do.
fn share<'a>(mut jobs: Vec<&'a Job>, ranks: &Ranks) -> Vec<&'a Job> {
    jobs.sort_by_key(|j| std::cmp::Reverse(j.samples));
    let mut loads = vec![0; ranks.size()];
    jobs.retain(|job| {
        let least = (0..loads.len()).min_by_key(|&r| loads[r]).unwrap_or(0);
        loads[least] += job.samples;
        least == ranks.rank()
    });
    jobs
}

/// Reads the list at `path` and checks all of it: nothing is rendered for a list with a mistake in its last line.
fn read(args: &Args, path: &Path, voice: &Voice, digest: &JobDigest) -> Result<Vec<Job>> {
    let text =
        in_file::read_text(path, MOST_LIST).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = job_list::parse(&text).map_err(|e| match e.line() {
        Some(line) => anyhow!("{}: {e}", at(path, line)),
        None => anyhow!("{}: {e}", path.display()),
    })?;
    lines.into_par_iter().map(|line| Job::new(args, path, line, voice, digest)).collect()
}

/// How errors call a line of the list.
fn at(list: &Path, line: usize) -> String {
    format!("{} line {line}", list.display())
}

/// Checks the places of all outputs and gives each job its own; what the records in their folders say.
fn places(args: &Args, jobs: &mut [Job], format: Format) -> Result<HashMap<PathBuf, Record>> {
    let mut plan = args.force.plan();
    inputs(args, &mut plan);
    jobs.iter().flat_map(|job| job.condition.files()).for_each(|file| plan.reads(file));
    if args.json {
        plan.prints("--json")?;
    }
    let mut records = HashMap::new();
    for job in jobs {
        let at = |e| anyhow!("{}: {e}", job.at);
        // Nothing waits for the reader of a pipe in the middle of a list.
        let is_special = job.output.exists() && !job.output.is_file();
        ensure!(!is_special, "{}: output {} is no regular file", job.at, job.output.display());
        job.place = Some(plan.writes(&job.at, &job.output, format.kind()).map_err(at)?);
        if let Entry::Vacant(entry) = records.entry(job.folder().to_path_buf()) {
            let path = job.record();
            plan.writes("the record of --jobs", &path, &RECORD)?;
            // Lines are added to it, so that no --force helps.
            ensure!(
                !path.exists() || (RECORD.is)(&path),
                "{}: there is a file that is not {}; move it away",
                path.display(),
                RECORD.name
            );
            entry.insert(Record::read(&path)?);
        }
    }
    Ok(records)
}

impl Job {
    fn new(args: &Args, list: &Path, line: JobLine, voice: &Voice, digest: &JobDigest) -> Result<Self> {
        let at = at(list, line.line);
        let JobLine { condition, track, seed, output, .. } = line;
        let condition = ConditionArgs { condition, track };
        let seconds = LengthArgs { seconds: line.seconds.or(args.length.seconds) };
        let conditioning = condition.conditioning(voice).with_context(|| at.clone())?;
        let length = seconds.get(&conditioning, voice.section.sample_rate).with_context(|| at.clone())?;
        ensure!(!output.is_dir(), "{at}: output `{}` is a folder", output.display());
        let (place, digest_of_all) = (None, digest.clone());
        let digest = String::new();
        let mut job = Self { at, condition, seed, output, place, digest, length, samples: 0 };
        let part = job.part(args, voice)?;
        let how = format!("{:?} {} {:?}", part.policy, part.post_filter, voice.likeness);
        job.samples = part.samples(voice);
        job.digest = job.digest(digest_of_all, &how).with_context(|| job.at.clone())?;
        Ok(job)
    }

    /// The digest of all that decides the sound; `digest` has what is the same for all jobs.
    fn digest(&self, mut digest: JobDigest, how: &str) -> Result<String> {
        digest.add(format!("{} {} {how}", self.seed, self.samples).as_bytes());
        let speaker = self.condition.condition()?;
        let track = self.condition.track.as_deref().map(lookup::track).transpose()?;
        for condition in [speaker, track] {
            digest.add(&condition.map(|c| c.to_bytes()).transpose()?.unwrap_or_default());
        }
        Ok(digest.finish())
    }

    /// The file that says what made this one.
    fn record(&self) -> PathBuf {
        self.folder().join(record::NAME)
    }

    fn folder(&self) -> &Path {
        wavesynth_output::folder(&self.output)
    }

    fn part(&self, args: &Args, voice: &Voice) -> Result<Part> {
        let conditioning = Box::new(self.condition.conditioning(voice)?);
        let (policy, uniforms) = (
            args.policy.get(SamplingPolicy::usual(voice, conditioning.has_track()))?,
            UniformSource::seed(self.seed),
        );
        Ok(Part {
            conditioning,
            front: None,
            policy,
            uniforms,
            length: self.length,
            record: false,
            post_filter: args.policy.post_filter(),
        })
    }
}

/// The state that the threads of a list share.
struct Crew<'a> {
    args: &'a Args,
    voice: &'a Voice,
    format: Format,
    jobs: &'a [&'a Job],
    /// The first job that no thread has taken.
    next: AtomicUsize,
    /// Samples that were clamped.
    clipped: AtomicU64,
    bar: &'a Progress,
}

impl Crew<'_> {
    /// One thread's work: up to `streams` jobs in lockstep, another one wherever one ends. After a failure no thread
    /// takes another job.
    fn work(&self, streams: usize) -> Result<()> {
        without_denormals(|| self.run(streams))
            .inspect_err(|_| self.next.store(self.jobs.len(), Ordering::Relaxed))
    }

    fn run(&self, streams: usize) -> Result<()> {
        let mut ensemble = Ensemble::new(self.voice, streams);
        let mut sinks: Vec<Option<(&Job, Box<dyn Sink>)>> = (0..streams).map(|_| None).collect();
        let mut blocks = vec![vec![0.0; BLOCK]; streams];
        let mut written = vec![0; streams];
        loop {
            for (at, sink) in sinks.iter_mut().enumerate() {
                while sink.is_none() || !ensemble.is_running(at) {
                    if let Some((job, whole)) = sink.take() {
                        self.clipped.fetch_add(whole.clipped(), Ordering::Relaxed);
                        whole.finish()?;
                        record::add(&job.record(), &job.output, &job.digest)?;
                    }
                    let Some(job) = self.take() else { break };
                    let place = job.place.as_ref().context("an output without a place")?;
                    *sink = Some((job, sink::open(place, self.format, self.voice.section.sample_rate)?));
                    ensemble.start(at, self.voice, job.part(self.args, self.voice)?);
                }
            }
            if ensemble.running() == 0 {
                return Ok(());
            }
            ensemble.fill(BLOCK, &mut blocks, &mut written);
            for (at, ((sink, block), &n)) in sinks.iter_mut().zip(&blocks).zip(&written).enumerate() {
                if let Some((_, sink)) = sink {
                    ensure!(n == 0 || ensemble.is_finite(at), NotFinite);
                    sink.write(&block[..n])?;
                }
                self.bar.inc(n as u64);
            }
            if interrupt::count() > 0 {
                bail!("interrupted");
            }
        }
    }

    fn take(&self) -> Option<&Job> {
        self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}
