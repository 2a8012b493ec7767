//! The orthonormal DCT-II: c_k = s_k sum_b e_b cos(pi k (b + 1/2) / B), s_0 = sqrt(1/B), else sqrt(2/B).

pub(crate) struct Dct {
    /// `[coefficients x bands]`
    table: Vec<f32>,
    bands: usize,
}

/// Row k of the transform of `bands` values at position `place`, which may lie between them.
fn basis(bands: usize, k: usize, place: f64) -> f32 {
    let b = bands as f64;
    let scale = if k == 0 { 1.0 / b } else { 2.0 / b }.sqrt();
    (scale * (std::f64::consts::PI * k as f64 * (place + 0.5) / b).cos()) as f32
}

impl Dct {
    pub(crate) fn new(bands: usize, coefficients: usize) -> Self {
        let table =
            (0..coefficients).flat_map(|k| (0..bands).map(move |j| basis(bands, k, j as f64))).collect();
        Self { table, bands }
    }

    /// Value of basis function `k` at position `place`, counted in bands.
    pub(crate) fn basis(&self, k: usize, place: f32) -> f32 {
        basis(self.bands, k, place.into())
    }

    /// `input` [bands] -> `out` [coefficients].
    pub(crate) fn transform(&self, input: &[f32], out: &mut [f32]) {
        for (row, c) in self.table.chunks_exact(self.bands).zip(out) {
            *c = row.iter().zip(input).map(|(w, x)| w * x).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dct;

    #[test]
    fn rows_are_orthonormal() {
        let dct = Dct::new(24, 24);
        for i in 0..24 {
            for j in 0..24 {
                let row = |k: usize| &dct.table[k * 24..][..24];
                let dot: f32 = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((dot - want).abs() < 1e-5);
            }
        }
    }
}
