//! `wavesynth eval` for a VQ-VAE: the nats of images given their codes, and how many codes are in use.

use super::images::{Outputs, map, mean_and_error};
use super::{Args, finite};
use crate::cli::{image_input, output, usage};
use anyhow::{Context, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::images::{ImageCoder, entropy};
use wavesynth::progress::Progress;
use wavesynth_models::ar::Symbol;
use wavesynth_models::weights::Checkpoint;

#[derive(Debug, Serialize)]
struct Score {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "output::path")]
    input: Option<PathBuf>,
    images: usize,
    /// −ln p(x | codes of x).
    nats_per_image_given_codes: f64,
    /// Of 95 %, by the scatter of the images.
    nats_per_image_given_codes_error: f64,
    bits_per_dimension_given_codes: f64,
    /// e to the entropy of the codes' frequencies.
    code_perplexity: f64,
    /// Codes that occur.
    codes_used: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    codes: usize,
    codes_per_image: usize,
    inputs: Vec<Score>,
    #[serde(flatten)]
    total: Score,
}

/// The codes and nats of images.
#[derive(Default)]
struct Read {
    codes: Vec<Symbol>,
    /// Of every pixel.
    nats: Vec<Vec<f32>>,
}

/// Runs the command for a VQ-VAE.
pub fn run(args: &Args, checkpoint: &Checkpoint, path: &Path, outputs: Outputs) -> Result<()> {
    let name = path.display();
    if args.condition.is_given() {
        usage!("{name}: a VQ-VAE takes no speaker and no track");
    }
    if args.surprise {
        usage!("--surprise: {name} is no text model; --map OUT.png shows what becomes of images");
    }
    if args.images.asks_for_classes() {
        usage!("{name} is a VQ-VAE, which knows no classes: neither --labels nor --classify has a meaning");
    }
    if args.images.needs_any_order() {
        usage!(
            "{name} is a VQ-VAE, which has no order: neither --orders nor --steps nor --squares has a meaning"
        );
    }
    let coder =
        ImageCoder::from_checkpoint(checkpoint, args.model.isa()?).with_context(|| name.to_string())?;
    let grid = coder.grid();
    let (mut all, mut scores, mut maps) = (Read::default(), Vec::new(), Vec::new());
    for input in &args.inputs {
        let (images, count) = image_input::images(input, grid, args.images.most())?;
        if outputs.map.is_some() {
            map::check(count, grid)?;
        }
        let bar = Progress::new(count as u64, "{wide_bar} {pos}/{len} images");
        let each: Vec<(Vec<Symbol>, Vec<f32>)> = (0..count)
            .into_par_iter()
            .map(|i| {
                let image = images.get(i);
                let codes = coder.encode(&image);
                let nats = coder.nats(&image, &codes);
                bar.inc(1);
                (codes, nats)
            })
            .collect();
        bar.finish();
        let mut one = Read::default();
        for (i, (codes, nats)) in each.into_iter().enumerate() {
            if outputs.map.is_some() {
                maps.push(coder.pixels.decode(&coder.pixels.encode(&images.get(i)), grid));
                maps.push(coder.decode(&codes));
            }
            one.codes.extend(codes);
            one.nats.push(finite(nats, input)?);
        }
        scores.push(score(&coder, Some(input.into()), &one));
        all.codes.extend(one.codes);
        all.nats.extend(one.nats);
    }
    outputs.write(grid, &all.nats, grid, maps)?;
    let config = coder.vq_vae.config();
    let (codes, codes_per_image) = (config.codes, config.code_grid().len());
    let report = Report { codes, codes_per_image, inputs: scores, total: score(&coder, None, &all) };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

fn score(coder: &ImageCoder, input: Option<PathBuf>, read: &Read) -> Score {
    let of_image: Vec<f64> = read.nats.iter().map(|n| n.iter().map(|&x| f64::from(x)).sum()).collect();
    let (mean, error) = mean_and_error(&of_image);
    let bits = coder.pixels.bits_per_dimension(mean / coder.grid().len() as f64);
    let mut counts = vec![0u64; coder.vq_vae.config().codes];
    read.codes.iter().for_each(|&k| counts[usize::from(k)] += 1);
    Score {
        input,
        images: of_image.len(),
        nats_per_image_given_codes: mean,
        nats_per_image_given_codes_error: error,
        bits_per_dimension_given_codes: bits,
        code_perplexity: entropy(&counts).exp(),
        codes_used: counts.iter().filter(|&&n| n > 0).count(),
    }
}

fn table(report: &Report) -> String {
    let total = (report.inputs.len() > 1).then_some(&report.total);
    let mut t =
        String::from("    images  nats/image         ±  bits/dimension  perplexity  codes used  input");
    for s in report.inputs.iter().chain(total) {
        let name = output::input_name(s.input.as_deref(), "in total");
        t += &format!(
            "\n{:>10}  {:>10.3}  {:>8.3}  {:>14.4}  {:>10.2}  {:>10}  {name}",
            s.images,
            s.nats_per_image_given_codes,
            s.nats_per_image_given_codes_error,
            s.bits_per_dimension_given_codes,
            s.code_perplexity,
            s.codes_used
        );
    }
    t += &format!(
        "\nnats and bits of pixels given the codes of their image, {} of {}; a model of the codes, by images.codes in a run file, bounds \
         the images' own",
        report.codes_per_image, report.codes
    );
    t
}
