//! The scale of rows of numbers: mean and standard deviation of each column, as a model's section holds them.

use anyhow::{Result, ensure};

/// Mean and standard deviation of each of D columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Columns<'a> {
    /// `[D]`
    pub mean: &'a [f32],
    /// `[D]`, above 0.
    pub std: &'a [f32],
}

impl Columns<'_> {
    /// Refuses what is no scale of `dims` columns; `section` is where it was read.
    ///
    /// # Errors
    /// Another number of columns, a mean that is no number, a deviation that is not above 0.
    pub fn check(self, dims: usize, section: &str) -> Result<()> {
        let (means, stds) = (self.mean.len(), self.std.len());
        ensure!(
            means == dims && stds == dims,
            "`{section}` has {means} means and {stds} deviations, the model has {dims} columns"
        );
        let sound = self.mean.iter().all(|m| m.is_finite()) && self.std.iter().all(|s| is_deviation(*s));
        ensure!(sound, "`{section}` holds a bad scale: wanted finite means and deviations above 0");
        Ok(())
    }

    /// Rows [T, D] in the scale of the data become rows of mean 0 and deviation 1.
    pub fn normalise(self, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.mean.len()) {
            for ((x, mean), std) in row.iter_mut().zip(self.mean).zip(self.std) {
                *x = (*x - mean) / std;
            }
        }
    }

    /// A normalised row `[D]` in the scale of the data.
    ///
    /// # Real-time
    /// Yes.
    pub fn restored(self, row: &[f32]) -> impl Iterator<Item = f32> {
        row.iter().zip(self.mean).zip(self.std).map(|((x, mean), std)| x * std + mean)
    }

    /// Σ ln σ: −ln p of a row in the scale of the data is this much above −ln p of the normalised row.
    pub fn log_scale(self) -> f64 {
        self.std.iter().map(|s| f64::from(*s).ln()).sum()
    }
}

fn is_deviation(std: f32) -> bool {
    std.is_normal() && std > 0.0
}

/// Means and standard deviations of the columns of `rows`, each `[D]`.
///
/// # Errors
/// The number, from 0, of a column that never changes, or that holds what is no number.
pub fn measured<'a, R>(dims: usize, rows: impl Fn() -> R) -> Result<(Vec<f32>, Vec<f32>), usize>
where
    R: Iterator<Item = &'a [f32]>,
{
    let count = rows().count().max(1) as f64;
    let mean_of =
        |k: usize, of: &dyn Fn(f64) -> f64| rows().map(|r| of(f64::from(r[k]))).sum::<f64>() / count;
    let mean: Vec<f64> = (0..dims).map(|k| mean_of(k, &|x| x)).collect();
    let std: Vec<f32> = (0..dims).map(|k| mean_of(k, &|x| (x - mean[k]).powi(2)).sqrt() as f32).collect();
    match std.iter().position(|s| !is_deviation(*s)) {
        Some(k) => Err(k),
        None => Ok((mean.iter().map(|&m| m as f32).collect(), std)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_columns_normalise_and_restore() {
        let mut rows = vec![1.0, 10.0, 3.0, 30.0, 5.0, 50.0];
        let before = rows.clone();
        let (mean, std) = measured(2, || before.chunks_exact(2)).unwrap();
        assert_eq!(mean, [3.0, 30.0]);
        let scale = Columns { mean: &mean, std: &std };
        scale.check(2, "here").unwrap();
        scale.normalise(&mut rows);
        let squares = rows.iter().step_by(2).map(|x| x * x).sum::<f32>() / 3.0;
        assert!((squares - 1.0).abs() < 1e-6, "{rows:?}");
        let restored: Vec<f32> = rows.chunks_exact(2).flat_map(|r| scale.restored(r)).collect();
        assert!(restored.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-5), "{restored:?}");
    }

    #[test]
    fn what_is_no_scale_is_refused() {
        let constant = [1.0, 2.0, 1.0, 3.0];
        assert_eq!(measured(2, || constant.chunks_exact(2)), Err(0));
        let refused =
            |mean: &[f32], std: &[f32]| Columns { mean, std }.check(2, "here").unwrap_err().to_string();
        assert!(refused(&[0.0], &[1.0, 1.0]).contains("1 means and 2 deviations"));
        for (mean, std) in
            [([0.0, f32::NAN], [1.0, 1.0]), ([0.0, 0.0], [1.0, 0.0]), ([0.0, 0.0], [1.0, -1.0])]
        {
            assert!(refused(&mean, &std).contains("bad scale"));
        }
    }
}
