//! A palette for images: k-means of their colours, as image GPT has it (Chen et al. 2020, "Generative pretraining from pixels",
//! section 3.2).

use crate::images::ImageSet;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use wavesynth_models::ar::Uniforms;

/// Pixels that the means are of, at most: a sample of all.
const SAMPLE: u64 = 200_000;

/// Rounds of Lloyd's iteration at most.
const ROUNDS: usize = 40;

/// `count` colours for `images`, in the order of their brightness.
///
/// # Errors
/// Images, or what is read of their pixels, that have fewer colours.
pub fn of(images: &ImageSet, count: usize, seed: u64) -> Result<Vec<[u8; 3]>> {
    let mut uniforms = Uniforms::new(seed);
    let mut weights: BTreeMap<[u8; 3], f32> = BTreeMap::new();
    let all = (images.len() * images.grid.len()) as u64;
    let mut add = |i: u64| {
        let n = images.grid.len() as u64;
        let (levels, c) = (images.levels_of((i / n) as usize), images.channels);
        let at = (i % n) as usize * c;
        *weights.entry([0, 1, 2].map(|k| levels[at + k % c])).or_default() += 1.0;
    };
    let is_sampled = all > SAMPLE;
    match is_sampled {
        false => (0..all).for_each(&mut add),
        true => (0..SAMPLE).for_each(|_| add(uniforms.below(all))),
    }
    let points: Vec<([f32; 3], f32)> = weights.into_iter().map(|(c, w)| (c.map(f32::from), w)).collect();
    let of = if is_sampled { format!("{SAMPLE} of the pixels of ") } else { String::new() };
    ensure!(points.len() >= count, "{of}the training images have only {} colours", points.len());
    let mut means = seeded(&points, count, &mut uniforms);
    for _ in 0..ROUNDS {
        let mut sums = vec![([0f64; 3], 0f64); count];
        for (p, w) in &points {
            let (sum, weight) = &mut sums[nearest(&means, *p).0];
            (0..3).for_each(|i| sum[i] += f64::from(p[i] * w));
            *weight += f64::from(*w);
        }
        let moved: Vec<[f32; 3]> = sums
            .iter()
            .zip(&means)
            .map(|((sum, n), mean)| if *n > 0.0 { sum.map(|s| (s / n) as f32) } else { *mean })
            .collect();
        if moved == means {
            break;
        }
        means = moved;
    }
    let mut colours: Vec<[u8; 3]> = means.into_iter().map(|m| m.map(|v| v.round() as u8)).collect();
    colours.sort_by_key(|c| (c.iter().map(|&v| u32::from(v)).sum::<u32>(), *c));
    Ok(colours)
}

/// The nearest of `means` to `p`, and the square of its distance.
fn nearest(means: &[[f32; 3]], p: [f32; 3]) -> (usize, f32) {
    let square = |m: &[f32; 3]| (0..3).map(|i| (m[i] - p[i]) * (m[i] - p[i])).sum::<f32>();
    means.iter().enumerate().fold((0, f32::MAX), |best, (i, m)| {
        let d = square(m);
        if d < best.1 { (i, d) } else { best }
    })
}

/// First means by k-means++ (Arthur and Vassilvitskii 2007): each drawn in proportion to the square of its distance to the
/// nearest one before.
fn seeded(points: &[([f32; 3], f32)], count: usize, uniforms: &mut Uniforms) -> Vec<[f32; 3]> {
    let mut far: Vec<f32> = points.iter().map(|(_, w)| *w).collect();
    let mut means: Vec<[f32; 3]> = Vec::with_capacity(count);
    while means.len() < count {
        let all: f64 = far.iter().map(|&d| f64::from(d)).sum();
        let mut rest = f64::from(uniforms.next_uniform()) * all;
        let drawn = far.iter().position(|&d| {
            rest -= f64::from(d);
            rest < 0.0 && d > 0.0
        });
        let drawn = drawn.or_else(|| far.iter().rposition(|&d| d > 0.0)).unwrap_or(0);
        let mean = points[drawn].0;
        for (far, (p, w)) in far.iter_mut().zip(points) {
            let d = nearest(&[mean], *p).1 * w;
            *far = if means.is_empty() { d } else { far.min(d) };
        }
        means.push(mean);
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recordings::Notes;

    #[test]
    fn clusters_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        // Three groups of two colours each.
        let centres = [[10u8, 20, 30], [200, 100, 50], [90, 250, 240]];
        let pixels: Vec<u8> = (0..48u8)
            .flat_map(|i| {
                let c = centres[usize::from(i % 3)];
                [c[0] + i % 2, c[1] + i / 3 % 2, c[2]]
            })
            .collect();
        let mut bytes = vec![0, 0, 8, 4];
        [1u32, 4, 12, 3].iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(pixels);
        std::fs::write(&path, bytes).unwrap();
        let images = ImageSet::read(&path, &Notes::default()).unwrap();
        for seed in 0..10 {
            let found = of(&images, 3, seed).unwrap();
            for (found, want) in found.iter().zip([centres[0], centres[1], centres[2]]) {
                let near = found.iter().zip(want).all(|(&a, b)| a.abs_diff(b) <= 1);
                assert!(near, "{found:?}, wanted {want:?}");
            }
        }
        let message = of(&images, 7, 0).unwrap_err().to_string();
        assert_eq!(message, "the training images have only 6 colours");
    }

    #[test]
    fn colours_of_a_sample_are_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut bytes = vec![0, 0, 8, 3];
        [1u32, 500, 500].iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend((0..250_000u32).map(|i| (i % 3) as u8));
        std::fs::write(&path, bytes).unwrap();
        let images = ImageSet::read(&path, &Notes::default()).unwrap();
        let message = of(&images, 4, 0).unwrap_err().to_string();
        assert_eq!(message, "200000 of the pixels of the training images have only 3 colours");
    }
}
