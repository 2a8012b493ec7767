//! What a model's outputs mean: the exact probability of a symbol.

use super::Symbol;

/// The family of distributions that a model's parameters index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likelihood {
    /// Softmax over `classes` logits (van den Oord et al. 2016, section 2.2).
    Categorical {
        /// Number of symbols.
        classes: usize,
    },
}

impl Likelihood {
    /// Number of parameters that the network gives for one symbol.
    pub fn params(self) -> usize {
        match self {
            Likelihood::Categorical { classes } => classes,
        }
    }

    /// Number of symbols; valid ones are `0..classes()`.
    pub fn classes(self) -> usize {
        match self {
            Likelihood::Categorical { classes } => classes,
        }
    }

    /// −ln p(symbol) in nats.
    ///
    /// # Real-time
    /// Yes.
    pub fn nll(self, params: &[f32], symbol: Symbol) -> f32 {
        match self {
            Likelihood::Categorical { classes } => {
                let logits = &params[..classes];
                let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = logits.iter().map(|&l| f64::from((l - max).exp())).sum();
                (f64::from(max) + sum.ln() - f64::from(logits[symbol as usize])) as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_is_ln_classes_and_probabilities_sum_to_one() {
        let like = Likelihood::Categorical { classes: 256 };
        assert!((like.nll(&[3.5; 256], 17) - 256f32.ln()).abs() < 1e-6);
        let logits: Vec<f32> = (0..256).map(|i| ((i * 37) % 101) as f32 * 0.2 - 9.0).collect();
        let total: f64 = (0..256).map(|s| f64::from(-like.nll(&logits, s)).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let like = Likelihood::Categorical { classes: 2 };
        assert_eq!(like.nll(&[1e30, 0.0], 0), 0.0);
        assert!(like.nll(&[1e4, 0.0], 1) > 9999.0);
    }
}
