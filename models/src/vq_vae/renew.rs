//! Code vectors that nothing uses.

use crate::ar::Uniforms;

/// Sets each of the vectors `codes` [K, D] that is the nearest to none of `latents` [n, D] to one of these, drawn in proportion to
/// the square of its distance to its nearest code vector, those set before included (the seeding of k-means++: Arthur and
/// Vassilvitskii 2007). Gives the numbers of those that were set.
///
/// # Panics
/// When `dim` is 0.
pub fn renew(codes: &mut [f32], latents: &[f32], dim: usize, uniforms: &mut Uniforms) -> Vec<usize> {
    let square = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    let mut is_used = vec![false; codes.len() / dim];
    let mut far: Vec<f32> = Vec::with_capacity(latents.len() / dim);
    for z in latents.chunks_exact(dim) {
        let first = (0, f32::INFINITY);
        let (k, distance) = codes.chunks_exact(dim).enumerate().fold(first, |best, (k, e)| {
            let distance = square(z, e);
            if distance < best.1 { (k, distance) } else { best }
        });
        is_used[k] = true;
        far.push(distance);
    }
    let unused: Vec<usize> = (0..is_used.len()).filter(|&k| !is_used[k]).collect();
    let mut renewed = Vec::new();
    for k in unused {
        let all: f64 = far.iter().map(|&d| f64::from(d)).sum();
        let mut rest = f64::from(uniforms.next_uniform()) * all;
        let drawn = far.iter().position(|&d| {
            rest -= f64::from(d);
            rest < 0.0 && d > 0.0
        });
        // Every latent is a code vector already.
        let Some(drawn) = drawn.or_else(|| far.iter().rposition(|&d| d > 0.0)) else { break };
        let z = &latents[drawn * dim..][..dim];
        codes[k * dim..][..dim].copy_from_slice(z);
        for (far, other) in far.iter_mut().zip(latents.chunks_exact(dim)) {
            *far = far.min(square(z, other));
        }
        renewed.push(k);
    }
    renewed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_uses_becomes_what_is_far() {
        // The first code is used; the others, far off, become the two other clusters, whatever the seed.
        let latents = [0.0, 0.1, -0.1, 0.0, 10.0, 0.0, 10.0, 0.1, 0.0, -7.0, 0.1, -7.0];
        for seed in 0..20 {
            let mut codes = [0.0, 0.0, 900.0, 900.0, -900.0, 900.0];
            let renewed = renew(&mut codes, &latents, 2, &mut Uniforms::new(seed));
            assert_eq!(renewed, [1, 2]);
            assert_eq!(codes[..2], [0.0, 0.0]);
            let mut found: Vec<bool> = codes[2..].chunks(2).map(|e| e[0] > 5.0).collect();
            found.sort();
            assert_eq!(found, [false, true], "seed {seed}: {codes:?}");
            let before = codes;
            assert!(renew(&mut codes, &latents, 2, &mut Uniforms::new(seed)).is_empty());
            assert_eq!(codes, before);
        }
    }

    #[test]
    fn fewer_latents_than_codes_leave_the_rest() {
        let mut codes = [5.0, 6.0, 7.0, 8.0];
        assert_eq!(renew(&mut codes, &[1.0, 1.0, 2.0], 1, &mut Uniforms::new(1)).len(), 2);
        assert!(codes.contains(&1.0) && codes.contains(&2.0), "{codes:?}");
    }
}
