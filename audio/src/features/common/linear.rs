//! Small systems of linear equations. Every sum has a fixed order, for condition files keep the last bit.

/// The inverse of `a`, by elimination with each column's largest pivot; `None` for a singular matrix. Rows in, rows out.
pub fn inverse<const N: usize>(mut a: [[f64; N]; N]) -> Option<[[f64; N]; N]> {
    let mut order: [usize; N] = std::array::from_fn(|i| i);
    for i in 0..N {
        let mut pivot = i;
        for r in i + 1..N {
            if a[r][i].abs() > a[pivot][i].abs() {
                pivot = r;
            }
        }
        if a[pivot][i] == 0.0 {
            return None;
        }
        a.swap(i, pivot);
        order.swap(i, pivot);
        let (done, below) = a.split_at_mut(i + 1);
        let (row, reciprocal) = (&done[i], 1.0 / done[i][i]);
        for r in below {
            r[i] *= reciprocal;
            let factor = r[i];
            (i + 1..N).for_each(|k| r[k] -= row[k] * factor);
        }
    }
    let columns: [[f64; N]; N] = std::array::from_fn(|column| {
        let mut x: [f64; N] = std::array::from_fn(|i| f64::from(order[i] == column));
        for i in 0..N {
            (i + 1..N).for_each(|r| x[r] -= x[i] * a[r][i]);
        }
        for i in (0..N).rev() {
            x[i] /= a[i][i];
            (0..i).for_each(|r| x[r] -= x[i] * a[r][i]);
        }
        x
    });
    Some(std::array::from_fn(|r| std::array::from_fn(|column| columns[column][r])))
}

/// The x of `a` x = b for every b of `columns`, in its place, by Cholesky's decomposition; `None` where `a` is not symmetric
/// and positive definite.
pub fn solve<const N: usize>(mut a: [[f64; N]; N], columns: &mut [[f64; N]]) -> Option<()> {
    for j in 0..N {
        for k in 0..j {
            let factor = a[j][k];
            (j..N).for_each(|r| a[r][j] -= factor * a[r][k]);
        }
        let diagonal = a[j][j];
        if diagonal.is_nan() || diagonal <= 0.0 {
            return None;
        }
        a[j][j] = diagonal.sqrt();
        (j + 1..N).for_each(|r| a[r][j] /= a[j][j]);
    }
    for b in columns {
        for i in 0..N {
            b[i] /= a[i][i];
            (i + 1..N).for_each(|r| b[r] -= b[i] * a[r][i]);
        }
        for i in (0..N).rev() {
            b[i] = (b[i] - dot::<N>(i + 1, |r| a[r][i] * b[r])) / a[i][i];
        }
    }
    Some(())
}

/// The sum of `term` from `from` to `N`: eight sums side by side, then what is left.
fn dot<const N: usize>(from: usize, term: impl Fn(usize) -> f64) -> f64 {
    let blocks = (N - from) / 8;
    let mut sums = [0.0; 8];
    for block in 0..blocks {
        (0..8).for_each(|k| sums[k] += term(from + 8 * block + k));
    }
    let paired = (0..4).fold(0.0, |sum, k| sum + (sums[k] + sums[k + 4]));
    (from + 8 * blocks..N).fold(paired, |sum, r| sum + term(r))
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 17;

    /// Numbers from -2 to 2 that any program can make.
    fn matrix() -> [[f64; N]; N] {
        let mut seed = 1u64;
        std::array::from_fn(|_| {
            std::array::from_fn(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 11) as f64 / (1u64 << 51) as f64 - 2.0
            })
        })
    }

    /// Of the product of `a` and `b`, the largest difference from the unit matrix.
    fn beside_unit(a: &[[f64; N]; N], b: &[[f64; N]; N]) -> f64 {
        let at = |i: usize, k: usize| (0..N).map(|j| a[i][j] * b[j][k]).sum::<f64>() - f64::from(i == k);
        (0..N * N).map(|n| at(n / N, n % N).abs()).fold(0.0, f64::max)
    }

    /// The bits of all values, in one number.
    fn bits(values: &[[f64; N]]) -> u64 {
        values.iter().flatten().fold(0, |all: u64, v| all.rotate_left(7) ^ v.to_bits())
    }

    #[test]
    fn an_inverse_undoes_its_matrix() {
        let a = matrix();
        let back = inverse(a).unwrap();
        assert!(beside_unit(&a, &back) < 1e-12 && beside_unit(&back, &a) < 1e-12);
        // As nalgebra 0.35 computes it, whose maps the shipped voice was trained with.
        assert_eq!(bits(&back), 0x5ec3_67e3_5a97_1d0b);
        let mut singular = a;
        singular[3] = [0.0; N];
        assert!(inverse(singular).is_none());
    }

    #[test]
    fn a_solution_fits_its_equations() {
        let a = matrix();
        let squares =
            std::array::from_fn(|i| std::array::from_fn(|k| (0..N).map(|j| a[j][i] * a[j][k]).sum()));
        let mut unit: [[f64; N]; N] = std::array::from_fn(|i| std::array::from_fn(|k| f64::from(i == k)));
        solve(squares, &mut unit).unwrap();
        assert!(beside_unit(&squares, &unit) < 1e-9);
        assert_eq!(bits(&unit), 0x01b8_e117_d589_5699);
        assert!(solve(squares.map(|row| row.map(|v| -v)), &mut unit).is_none());
    }
}
