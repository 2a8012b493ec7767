//! `wavesynth sample` for a series model: sequences of vectors as text, or as a picture.

use super::Args;
use crate::cli::output::{self, PNG};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::Path;
use wavesynth::series::SeriesModel;
use wavesynth::synth::without_denormals;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::memory;
use wavesynth_output::{Kind, kind};

/// Pixels of a picture's side, and of the margin inside it.
const SIDE: usize = 480;
const MARGIN: usize = 16;

/// Rows of numbers.
const ROWS: Kind = Kind {
    name: "rows of numbers",
    endings: &["csv", "txt"],
    is_text: true,
    is: |path| kind::lines(path).is_some_and(|lines| lines.iter().all(|line| is_row(line))),
};

fn is_row(line: &str) -> bool {
    line.trim().is_empty() || line.split(',').all(|cell| cell.trim().parse::<f32>().is_ok())
}

/// Draws `args.count` sequences of `model`, the checkpoint at `path`. Rows are written as they are drawn.
pub fn run(args: &Args, model: &SeriesModel, path: &Path) -> Result<()> {
    let sampling = args.sampling.get(1.0)?;
    let picture = args.output.as_deref().is_some_and(|o| o.extension().is_some_and(|e| e == "png"));
    let to = args.output.as_deref().unwrap_or(Path::new("-"));
    let dims = model.dims();
    if picture {
        ensure!(dims == 2, "{}: a picture shows rows of 2 numbers, this model's have {dims}", to.display());
    }
    let mut plan = args.force.plan();
    args.model.file().into_iter().for_each(|file| plan.reads(file));
    let output = plan.writes("-o", to, if picture { &PNG } else { &ROWS })?;
    let rows = args.length.unwrap_or(model.section.rows as u64);
    let mut uniforms = Uniforms::new(args.sampling.seed);
    let name = || path.display().to_string();
    if picture {
        let bytes = u64::from(args.count).saturating_mul(rows).saturating_mul(4 * dims as u64);
        memory::check(format!("the {rows} rows of {} sequences in one picture", args.count), bytes)?;
        let sequences: Result<Vec<Vec<f32>>, _> = without_denormals(|| {
            (0..args.count).map(|_| model.draw(rows as usize, sampling, &mut uniforms)).collect()
        });
        return Ok(output.write(&scatter(&sequences.with_context(name)?)?)?);
    }
    // Whoever reads a pipe gets each row when it is there.
    let waits = !output.is_file();
    output::whole_file(output, |out| {
        without_denormals(|| {
            for i in 0..args.count {
                if i > 0 {
                    writeln!(out)?;
                }
                let mut stream = model.sequence(sampling);
                for _ in 0..rows {
                    let row = stream.draw(&mut uniforms).with_context(name)?;
                    let row: Vec<String> = row.iter().map(f32::to_string).collect();
                    writeln!(out, "{}", row.join(","))?;
                    if waits {
                        out.flush()?;
                    }
                }
            }
            Ok(())
        })
    })
}

/// A PNG of the points of sequences [T, 2], each sequence in a colour of its own, one scale for both axes.
fn scatter(sequences: &[Vec<f32>]) -> Result<Vec<u8>> {
    let points = || sequences.iter().flat_map(|s| s.chunks_exact(2));
    let bounds = |axis: usize| {
        let values = points().map(|p| p[axis]).filter(|x| x.is_finite());
        values.fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(x), high.max(x)))
    };
    let [(left, right), (bottom, top)] = [bounds(0), bounds(1)];
    let span = (right - left).max(top - bottom).max(f32::MIN_POSITIVE);
    let scale = (SIDE - 2 * MARGIN) as f32 / span;
    let mut pixels = vec![255u8; 3 * SIDE * SIDE];
    for (i, sequence) in sequences.iter().enumerate() {
        let c = colorous::TURBO.eval_rational(i + 1, sequences.len() + 2);
        for p in sequence.chunks_exact(2).filter(|p| p[0].is_finite() && p[1].is_finite()) {
            let x = MARGIN + ((p[0] - left) * scale) as usize;
            let y = SIDE - 1 - MARGIN - ((p[1] - bottom) * scale) as usize;
            for (dx, dy) in (0..9).map(|i| (i % 3, i / 3)) {
                let at = 3 * ((y + dy).min(SIDE - 1) * SIDE + (x + dx).min(SIDE - 1));
                pixels[at..at + 3].copy_from_slice(&[c.r, c.g, c.b]);
            }
        }
    }
    output::png(SIDE, SIDE, &pixels)
}
