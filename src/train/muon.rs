//! Muon: a matrix is moved by the orthogonal part of its momentum, so that all its directions learn at one pace and not
//! only those with large gradients (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>; with the scale of
//! the step as in Liu et al. 2025, arXiv:2502.16982, which takes it to the size of AdamW's).

use anyhow::{Result, ensure};
use rayon::prelude::*;
use std::ops::Range;
use wavesynth_models::kernels::Isa;
use wavesynth_models::kernels::tile::{Strided, multiply_with};
use wavesynth_models::weights::Layout;

/// Momentum.
const MOMENTUM: f32 = 0.95;

/// Root mean square of a step's entries at a learning rate of 1, as AdamW's on the average.
const STEP_RMS: f32 = 0.2;

/// Iterations, and the polynomial x ↦ ax + bx³ + cx⁵ that each applies to the singular values: five bring those that
/// are neither tiny nor 0 to about 1.
const ITERATIONS: usize = 5;
const POLYNOMIAL: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// A matrix that Muon moves.
#[derive(Debug, Clone)]
struct Matrix {
    at: Range<usize>,
    rows: usize,
    columns: usize,
}

/// The matrices of a network.
#[derive(Debug, Clone)]
pub struct Muon {
    isa: Isa,
    matrices: Vec<Matrix>,
}

impl Muon {
    /// The products between hidden layers in `layout`, of those whose names `learn`. Axes before the last are inputs.
    ///
    /// # Errors
    /// `layout` has no such product.
    pub fn new(layout: &Layout, learns: impl Fn(&str) -> bool) -> Result<Self> {
        let inner = layout.table().iter().filter(|s| s.inner && learns(&s.name));
        let matrices: Vec<Matrix> = inner
            .map(|s| {
                let columns = s.shape.last().copied().unwrap_or(1);
                let at = layout.range(&s.name);
                Matrix { rows: at.len() / columns.max(1), columns, at }
            })
            .collect();
        ensure!(
            !matrices.is_empty(),
            "train.optimizer is \"muon\", but no product that learns lies between hidden layers; wanted \"adamw\""
        );
        Ok(Self { isa: Isa::detect(), matrices })
    }

    /// The parts of the flat vector that it moves.
    pub fn parts(&self) -> impl Iterator<Item = &Range<usize>> {
        self.matrices.iter().map(|m| &m.at)
    }

    /// One step at learning rate `rate`; `momentum` is as long as `params`, and only the matrices' parts are read.
    pub fn update(&self, params: &mut [f32], grads: &[f32], momentum: &mut [f32], rate: f64) {
        for m in self.parts() {
            for (m, g) in momentum[m.clone()].iter_mut().zip(&grads[m.clone()]) {
                *m = MOMENTUM * *m + (1.0 - MOMENTUM) * g;
            }
        }
        let momentum = &*momentum;
        // Nesterov's: where the momentum will be after another such gradient.
        let ahead = |m: &Matrix| -> Vec<f32> {
            let pairs = grads[m.at.clone()].iter().zip(&momentum[m.at.clone()]);
            pairs.map(|(g, m)| (1.0 - MOMENTUM) * g + MOMENTUM * m).collect()
        };
        let moves: Vec<Vec<f32>> =
            self.matrices.par_iter().map(|m| orthogonal(self.isa, &ahead(m), m.rows, m.columns)).collect();
        for (m, moved) in self.matrices.iter().zip(moves) {
            let step = rate as f32 * STEP_RMS * (m.rows.max(m.columns) as f32).sqrt();
            params[m.at.clone()].iter_mut().zip(moved).for_each(|(p, o)| *p -= step * o);
        }
    }
}

/// The matrix nearest to `x` [rows, columns] whose singular values are all about 1; zeros stay zeros.
fn orthogonal(isa: Isa, x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let transposed = |x: &[f32], columns: usize| -> Vec<f32> {
        (0..columns).flat_map(|c| x.iter().skip(c).step_by(columns)).copied().collect()
    };
    if columns > rows {
        let tall = orthogonal(isa, &transposed(x, columns), columns, rows);
        return transposed(&tall, rows);
    }
    let width = columns.next_multiple_of(isa.lanes());
    let norm = x.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { (1.0 / norm) as f32 } else { 0.0 };
    let mut y = vec![0.0; rows * width];
    for (to, from) in y.chunks_exact_mut(width).zip(x.chunks_exact(columns)) {
        to.iter_mut().zip(from).for_each(|(t, f)| *t = f * scale);
    }
    let square = width * width;
    let [a, b, c] = POLYNOMIAL;
    for _ in 0..ITERATIONS {
        // Y ← aY + Y (bG + cG²), G = YᵀY.
        let mut gram = vec![0.0; square];
        multiply_with(isa, (width, width, rows), &mut gram, Strided::transposed(&y, width), &y);
        let mut poly = vec![0.0; square];
        multiply_with(isa, (width, width, width), &mut poly, Strided::rows(&gram, width), &gram);
        poly.iter_mut().zip(&gram).for_each(|(p, g)| *p = b * g + c * *p);
        let mut next: Vec<f32> = y.iter().map(|v| a * v).collect();
        multiply_with(isa, (rows, width, width), &mut next, Strided::rows(&y, width), &poly);
        y = next;
    }
    y.chunks_exact(width).flat_map(|row| &row[..columns]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_models::ar::Uniforms;
    use wavesynth_models::weights::{Init, TensorSpec};

    fn random(rows: usize, columns: usize) -> Vec<f32> {
        let mut uniforms = Uniforms::new(3);
        // Columns of very different sizes, as gradients have.
        (0..rows * columns).map(|i| uniforms.normal() / (1 + i % columns) as f32).collect()
    }

    #[test]
    fn a_step_has_about_the_same_length_in_every_direction() {
        for (rows, columns) in [(8, 8), (20, 5), (5, 20), (96, 48)] {
            let x = random(rows, columns);
            let y = orthogonal(Isa::detect(), &x, rows, columns);
            let small = rows.min(columns);
            // YᵀY or YYᵀ, whichever is small, has eigenvalues in the square of what the polynomial leaves.
            let at = |v: &[f32], i: usize, k: usize| {
                f64::from(if columns <= rows { v[k * columns + i] } else { v[i * columns + k] })
            };
            let long = rows.max(columns);
            let gram = |i: usize, j: usize| (0..long).map(|k| at(&y, i, k) * at(&y, j, k)).sum::<f64>();
            let lengths: Vec<f64> = (0..small).map(|i| gram(i, i)).collect();
            assert!(lengths.iter().all(|l| (0.4..1.5).contains(l)), "{rows} x {columns}: {lengths:?}");
            // It stays on the side of the gradient.
            let along: f64 = x.iter().zip(&y).map(|(a, b)| f64::from(a * b)).sum();
            assert!(along > 0.0);
        }
        assert!(orthogonal(Isa::detect(), &[0.0; 12], 3, 4).iter().all(|v| *v == 0.0));
    }

    #[test]
    fn only_inner_products_are_moved_and_by_the_rate() {
        let layout = Layout::new(vec![
            TensorSpec::new("table", &[4, 4], Init::Zeros),
            TensorSpec::new("product", &[2, 2, 4], Init::Zeros).inner(),
            TensorSpec::new("bias", &[4], Init::Zeros),
        ]);
        let muon = Muon::new(&layout, |_| true).unwrap();
        assert_eq!(muon.parts().cloned().collect::<Vec<_>>(), [layout.range("product")]);
        let (mut params, mut momentum) = (vec![0.0; layout.len()], vec![0.0; layout.len()]);
        let grads = random(1, layout.len());
        muon.update(&mut params, &grads, &mut momentum, 0.5);
        let (before, after) = (&params[..16], &params[32..]);
        assert!(before.iter().chain(after).all(|p| *p == 0.0));
        let rms = (params[16..32].iter().map(|p| p * p).sum::<f32>() / 16.0).sqrt();
        assert!((0.5 * STEP_RMS * 0.6..0.5 * STEP_RMS * 1.2).contains(&rms), "{rms}");
        assert!(Muon::new(&layout, |name| name != "product").is_err());
    }
}
