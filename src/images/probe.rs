//! A linear probe: how well a linear classifier tells classes by features (Alain and Bengio 2016, arXiv:1610.01644).

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

/// Rounds of [`LinearProbe::fit`], each over all rows, and their rate.
const ROUNDS: usize = 300;
const RATE: f64 = 0.05;
/// Decoupled weight decay, for rows that are few.
const DECAY: f64 = 1e-3;

/// Rows of features with the class of each.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// [N, width].
    pub rows: &'a [f32],
    /// `[N]`.
    pub labels: &'a [u8],
}

impl Labelled<'_> {
    fn width(&self) -> usize {
        self.rows.len() / self.labels.len().max(1)
    }
}

/// A multinomial logistic regression over normalised features.
pub struct LinearProbe {
    /// [width]: what is taken off a feature, and what it is divided by then.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// [width, classes].
    weight: Tensor,
    /// `[classes]`.
    bias: Tensor,
}

impl LinearProbe {
    /// Fits the regression to `rows` by AdamW over all of them at once: no random numbers, so the same rows give the same probe.
    ///
    /// # Errors
    /// None on a processor.
    pub fn fit(rows: &Labelled) -> Result<Self> {
        let (width, n) = (rows.width(), rows.labels.len());
        let classes = rows.labels.iter().max().map_or(1, |&l| usize::from(l) + 1);
        let column = |k: usize| rows.rows.iter().skip(k).step_by(width).map(|&x| f64::from(x));
        let mean: Vec<f64> = (0..width).map(|k| column(k).sum::<f64>() / n as f64).collect();
        let variance = |k: usize| column(k).map(|x| (x - mean[k]).powi(2)).sum::<f64>() / n as f64;
        // A feature that never changes says nothing.
        let std = |k: usize| Some(variance(k).sqrt()).filter(|&s| s > 1e-9).unwrap_or(f64::INFINITY) as f32;
        let (weight, bias) = (
            Var::zeros((width, classes), DType::F32, &Device::Cpu)?,
            Var::zeros(classes, DType::F32, &Device::Cpu)?,
        );
        let mut probe = Self {
            std: (0..width).map(std).collect(),
            mean: mean.iter().map(|&m| m as f32).collect(),
            weight: weight.as_tensor().clone(),
            bias: bias.as_tensor().clone(),
        };
        let x = probe.normalised(rows)?;
        let labels = Tensor::from_iter(rows.labels.iter().map(|&l| u32::from(l)), &Device::Cpu)?;
        let settings = ParamsAdamW { lr: RATE, weight_decay: DECAY, ..ParamsAdamW::default() };
        let mut optimiser = AdamW::new(vec![weight.clone(), bias.clone()], settings)?;
        for round in 0..ROUNDS {
            let logits = x.matmul(weight.as_tensor())?.broadcast_add(bias.as_tensor())?;
            optimiser.set_learning_rate(RATE * (1.0 - round as f64 / ROUNDS as f64));
            optimiser.backward_step(&candle_nn::loss::cross_entropy(&logits, &labels)?)?;
        }
        (probe.weight, probe.bias) = (weight.as_detached_tensor(), bias.as_detached_tensor());
        Ok(probe)
    }

    fn normalised(&self, rows: &Labelled) -> Result<Tensor> {
        let row = |row: &[f32]| -> Vec<f32> {
            row.iter().zip(&self.mean).zip(&self.std).map(|((x, m), s)| (x - m) / s).collect()
        };
        let width = self.mean.len();
        let x: Vec<f32> = rows.rows.chunks_exact(width).flat_map(row).collect();
        Tensor::from_vec(x, (rows.labels.len(), width), &Device::Cpu)
    }

    /// The part of `rows` whose class is the likeliest.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn accuracy(&self, rows: &Labelled) -> Result<f64> {
        let logits = self.normalised(rows)?.matmul(&self.weight)?.broadcast_add(&self.bias)?;
        let found: Vec<u32> = logits.argmax(1)?.to_vec1()?;
        let right = found.iter().zip(rows.labels).filter(|&(&f, &l)| f == u32::from(l)).count();
        Ok(right as f64 / rows.labels.len().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_models::ar::Uniforms;

    #[test]
    fn classes_that_a_line_divides_are_told_and_noise_is_not() {
        let mut random = Uniforms::keyed(1, 2);
        let n = 600;
        let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
        let told: Vec<f32> = labels
            .iter()
            .flat_map(|&l| {
                let angle = f32::from(l) * 2.1;
                [
                    100.0 + angle.cos() + 0.3 * random.next_uniform(),
                    5.0 * angle.sin() + random.next_uniform(),
                    7.0,
                ]
            })
            .collect();
        let noise: Vec<f32> = (0..3 * n).map(|_| random.next_uniform()).collect();
        let accuracy = |rows: &[f32]| {
            let (fit, test) = rows.split_at(3 * n / 2);
            let probe = LinearProbe::fit(&Labelled { rows: fit, labels: &labels[..n / 2] }).unwrap();
            probe.accuracy(&Labelled { rows: test, labels: &labels[n / 2..] }).unwrap()
        };
        assert_eq!(accuracy(&told), 1.0);
        let chance = accuracy(&noise);
        assert!((0.2..0.5).contains(&chance), "{chance}");
    }
}
