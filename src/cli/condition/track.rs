//! `wavesynth condition track`.

use super::{SkipBadArg, file_names};
use crate::cli::output::{ForceArg, RULE};
use crate::cli::{args, usage};
use anyhow::{Context, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth::recordings::{self, Notes};
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond::{self, Condition};
use wavesynth_audio::features::{Extractor, SAMPLE_RATE};
use wavesynth_audio::recording::STDIN;
use wavesynth_models::in_file::AtPath;
use wavesynth_output::name;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(mut_arg("skip_bad", |a| a.requires("speaker_recordings")))]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Recording, or - for stdin
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// Recordings of the same speaker (files or folders) for the speaker's statistics, instead of INPUT
    /// alone; name INPUT among them to count it too
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "like")]
    speaker_recordings: Vec<PathBuf>,
    /// Speaker of the recording: one of the model's, or that of a condition file
    #[arg(long, value_name = "NAME|C.bin")]
    like: Option<PathBuf>,
    /// Voice that the track is for: --like can name its speakers, and other speakers are aligned with them [default: the
    /// shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Put the speaker vector of this condition into the file too, so that it holds speaker and track
    #[arg(short, long, value_name = "C.bin")]
    condition: Option<PathBuf>,
    /// Condition file to write [default: INPUT's name with .bin, in the current folder]
    #[arg(short, long, value_name = "T.bin")]
    output: Option<PathBuf>,
    #[command(flatten)]
    skip_bad: SkipBadArg,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let stdin = args.input.as_os_str() == STDIN;
    if stdin && args.output.is_none() {
        usage!("-: sound from stdin has no name for the file; pass -o T.bin");
    }
    let input = if stdin { Path::new("stdin") } else { &args.input };
    let not_a_file = || format!("{}: wanted a recording, this is a folder", args.input.display());
    let stem = input.file_stem().filter(|_| !args.input.is_dir()).with_context(not_a_file)?;
    let stem = stem.to_string_lossy();
    let notes = Notes::default();
    let files = recordings::named(&args.speaker_recordings, &notes)?;
    let mut plan = args.force.plan();
    let named = [Some(&args.input), args.like.as_ref(), args.model.as_ref(), args.condition.as_ref()];
    files.iter().chain(named.into_iter().flatten()).for_each(|file| plan.reads(file));
    let output = args.output.unwrap_or_else(|| PathBuf::from(format!("{stem}.bin")));
    let kind = if args.condition.is_some() { &cond::BOTH } else { &cond::TRACK };
    let output = plan.writes("-o", &output, kind)?;
    let raw = recordings::raw_features(&args.input, &mut Extractor::new(), &notes)?;
    let (checkpoint, path) = args::read_checkpoint(args.model.as_deref())?;
    let section = VoiceSection::from_header(&checkpoint.header).at(&path)?;
    let stats = match &args.like {
        Some(like) => args::stats_like(&section.speakers, like)?,
        None => {
            let files = args.skip_bad.readable(files, SAMPLE_RATE, &notes)?;
            let more: Result<Vec<_>> = files
                .par_iter()
                .map_init(Extractor::new, |e, path| recordings::raw_features(path, e, &notes))
                .collect();
            let more = more?;
            let all = more.iter().chain(files.is_empty().then_some(&raw));
            recordings::statistics(all, section.common.as_ref())
                .with_context(|| args.input.display().to_string())?
        }
    };
    notes.say();
    let mut condition = Condition {
        name: name::nearest(&stem),
        source: file_names(std::slice::from_ref(&args.input)),
        track: Some(recordings::track(&raw, &stats)),
        stats: Some(stats),
        speaker: None,
    };
    if let Some(path) = &args.condition {
        let who = lookup::condition(path)?;
        condition.speaker = who.into_speaker();
        if condition.speaker.is_none() {
            usage!("{}: holds no speaker vector to put beside the track", path.display());
        }
    }
    super::hint_at_alignment(&condition, &section);
    super::write(&condition, output)
}
