//! `wavesynth condition check`.

use crate::cli::{output, usage};
use anyhow::{Result, bail};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::progress::Progress;
use wavesynth::recordings::{self, Notes};
use wavesynth_audio::features::SAMPLE_RATE;
use wavesynth_audio::recording::Finding;
use wavesynth_output::shown;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings: files, or folders of them with all their sub-folders
    #[arg(value_name = "PATH", required = true)]
    recordings: Vec<PathBuf>,
    /// Rate of the voice that is to learn from them, in Hz; recordings of lower rates are named
    #[arg(long, value_name = "HZ", default_value_t = SAMPLE_RATE)]
    rate: u32,
    /// Least length, in seconds; shorter recordings are named, because training skips them
    #[arg(long, value_name = "S", default_value_t = 0.3)]
    min_seconds: f64,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    recordings: Vec<Row>,
    left_out: Vec<String>,
    usable: usize,
    with_findings: usize,
    refused: usize,
    minutes: f64,
}

/// One recording.
#[derive(Debug, Serialize)]
struct Row {
    input: PathBuf,
    seconds: Option<f64>,
    sample_rate: Option<u32>,
    findings: Vec<String>,
    error: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    if args.rate == 0 {
        usage!("--rate 0: wanted the rate of a voice in Hz");
    }
    if !args.min_seconds.is_finite() || args.min_seconds < 0.0 {
        usage!("--min-seconds {}: wanted seconds, 0 or more", args.min_seconds);
    }
    let notes = Notes::default();
    let files = recordings::named(&args.recordings, &notes)?;
    let bar = Progress::new(files.len() as u64, "checking {wide_bar} {pos}/{len} recordings, {eta} left");
    let recordings: Vec<Row> = files
        .par_iter()
        .map(|path| {
            let row = row(path, &args);
            bar.inc(1);
            row
        })
        .collect();
    bar.finish();
    let count = |is: &dyn Fn(&Row) -> bool| recordings.iter().filter(|r| is(r)).count();
    let report = Report {
        left_out: notes.take(),
        usable: count(&|r| r.error.is_none()),
        with_findings: count(&|r| !r.findings.is_empty()),
        refused: count(&|r| r.error.is_some()),
        minutes: recordings.iter().filter_map(|r| r.seconds).fold(0.0, |sum, s| sum + s) / 60.0,
        recordings,
    };
    if args.json {
        output::json(&report)?
    } else {
        output::text(&table(&report))?
    }
    if report.refused > 0 {
        bail!("{} of {} recordings can't be read", report.refused, report.recordings.len());
    }
    Ok(())
}

fn row(path: &Path, args: &Args) -> Row {
    let mut row =
        Row { input: path.into(), seconds: None, sample_rate: None, findings: Vec::new(), error: None };
    let read = recordings::read(path, args.rate, &Notes::default())
        .and_then(|recording| recording.at(args.rate).map(|_| recording));
    match read {
        Ok(recording) => {
            let seconds = recording.seconds();
            let short = Finding::Short { seconds, least: args.min_seconds };
            let more = [recording.low_rate(args.rate), (seconds < args.min_seconds).then_some(short)];
            let findings = recording.findings.iter().chain(more.iter().flatten());
            row.findings = findings.map(ToString::to_string).collect();
            (row.seconds, row.sample_rate) = (Some(seconds), Some(recording.sample_rate));
        }
        Err(e) => row.error = Some(e.to_string()),
    }
    row
}

fn table(report: &Report) -> String {
    let mut lines = report.left_out.clone();
    for r in &report.recordings {
        match &r.error {
            // An error begins with the name.
            Some(error) => lines.push(format!("refused: {error}")),
            None if r.findings.is_empty() => {}
            None => lines.push(format!("{}: {}", r.input.display(), r.findings.join("; "))),
        }
    }
    lines.push(format!(
        "{} recordings, {:.2} minutes: {} as they should be, {} with findings, {} refused",
        report.recordings.len(),
        report.minutes,
        report.usable - report.with_findings,
        report.with_findings,
        report.refused
    ));
    // File names and what is wrong with a file are of the file: a line break in them is none of the table.
    lines.iter().map(|line| shown::line(line)).collect::<Vec<_>>().join("\n")
}
