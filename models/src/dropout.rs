//! Dropout: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", as it is used
//! today: what stays is scaled up while training, so that the engine does nothing.
//!
//! A mask is never stored. Each of its values is a function of the window's key, the layer, the row and the unit, so
//! forward and backward compute the same one, and it depends on no thread, no batch and no vector width.

use crate::objective::Window;

/// The rate of a run, ready to lay masks over rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// A unit is dropped where its random number is below this.
    threshold: u32,
    /// 1 / (1 − rate).
    scale: f32,
}

impl Dropout {
    /// A unit is dropped with probability `rate`, below 1; none for rate 0.
    pub fn new(rate: f64) -> Option<Self> {
        let threshold = (rate * 2f64.powi(32)) as u32;
        (threshold > 0).then_some(Self { threshold, scale: (1.0 / (1.0 - rate)) as f32 })
    }

    /// x ∘ m, for row `row` of the output of layer `layer` in a window with the key `key`.
    #[inline(always)]
    pub fn apply(self, key: u64, layer: usize, row: usize, x: &mut [f32]) {
        let seed = mix(key ^ mix(((layer as u64) << 32) ^ row as u64));
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        for (i, x) in (0u32..).zip(x) {
            // A 32-bit finaliser (Wellons' lowbias32) with the seed's other half between its rounds: a loop of vectors.
            let mut h = low.wrapping_add(i.wrapping_mul(0x9E37_79B9));
            h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D) ^ high;
            h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
            h ^= h >> 16;
            *x *= if h < self.threshold { 0.0 } else { self.scale };
        }
    }

    /// The mask of `rows` rows of `width` values from row `from` on, as the graphs multiply by it; ones without a key.
    pub fn mask(self, key: Option<u64>, layer: usize, from: usize, rows: usize, width: usize) -> Vec<f32> {
        let mut all = vec![1.0; rows * width];
        if let Some(key) = key {
            for (i, row) in all.chunks_exact_mut(width).enumerate() {
                self.apply(key, layer, from + i, row);
            }
        }
        all
    }
}

/// The masks of a group of windows, if there is dropout.
#[derive(Clone, Copy)]
pub(crate) struct Masks<'a> {
    pub dropout: Option<Dropout>,
    pub windows: &'a [Window],
    /// Of a row.
    pub width: usize,
}

impl Masks<'_> {
    /// Lays those of layer `layer` over `rows` of the steps from `first` on, of each step a row for every window.
    #[inline(always)]
    pub fn lay(self, layer: usize, first: usize, rows: &mut [f32]) {
        let (Some(dropout), n) = (self.dropout, self.windows.len()) else { return };
        for (i, row) in rows.chunks_exact_mut(self.width).enumerate() {
            if let Some(key) = self.windows[i % n].dropout {
                dropout.apply(key, layer, first + i / n, row);
            }
        }
    }
}

/// The finaliser of SplitMix64.
#[inline(always)]
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_its_share_and_the_mean() {
        for rate in [0.1, 0.25, 0.5, 0.9] {
            let mask = Dropout::new(rate).unwrap().mask(Some(7), 1, 0, 500, 200);
            let kept = mask.iter().filter(|m| **m != 0.0).count() as f64 / mask.len() as f64;
            let mean = mask.iter().map(|&m| f64::from(m)).sum::<f64>() / mask.len() as f64;
            assert!((kept - (1.0 - rate)).abs() < 6e-3, "{rate}: {kept}");
            assert!((mean - 1.0).abs() < 0.05, "{rate}: {mean}");
        }
        assert_eq!(Dropout::new(0.0), None);
    }

    /// Units, rows, layers and keys drop independently: two masks share what chance gives them.
    #[test]
    fn masks_of_different_places_are_independent() {
        let d = Dropout::new(0.5).unwrap();
        let base = d.mask(Some(1), 0, 0, 100, 100);
        let others = [
            d.mask(Some(2), 0, 0, 100, 100),
            d.mask(Some(1), 1, 0, 100, 100),
            d.mask(Some(1), 0, 1, 100, 100),
        ];
        let shifted: Vec<f32> = base[1..].iter().copied().chain([0.0]).collect();
        for other in others.iter().chain([&shifted]) {
            let same = base.iter().zip(other).filter(|(a, b)| a == b).count();
            assert!((4700..5300).contains(&same), "{same} of 10000");
        }
        assert_eq!(d.mask(Some(1), 0, 40, 60, 100), base[4000..]);
        assert_eq!(d.mask(None, 0, 0, 3, 4), [1.0; 12]);
    }
}
