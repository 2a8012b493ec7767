//! Draws follow the distribution, and sampling settings change them as they say.

use super::*;

/// Draws of `config` from a fixed seed, as vectors.
fn draws(config: LikelihoodConfig, params: &[f32], sampling: Sampling, n: usize) -> Vec<Vec<f32>> {
    let (likelihood, mut uniforms) = (config.get(), Uniforms::new(77));
    let mut sampler = config.sampler(sampling);
    let mut one = |_| {
        let uniforms: Vec<f32> = (0..likelihood.uniforms()).map(|_| uniforms.next_uniform()).collect();
        match likelihood.draw(params, &mut sampler, &uniforms, &mut [0.0; 8]) {
            Value::Symbol(x) => vec![f32::from(x)],
            Value::Vector(x) => x.to_vec(),
        }
    };
    (0..n).map(&mut one).collect()
}

/// Every symbol is drawn from just below its upper border and just above its lower one.
#[test]
fn symbols_are_drawn_between_their_borders() {
    let finite = all().into_iter().chain([logistics(5, 1, 32), logistics(1, 1, 64)]);
    for config in finite.filter(|c| matches!(c.get().domain(), Domain::Symbols(_))) {
        let likelihood = config.get();
        let Domain::Symbols(n) = likelihood.domain() else { continue };
        let mut params = params(likelihood, 1.0, 5);
        if n > 256 {
            // Narrow enough that single levels have mass.
            params[20..].fill(-9.5);
        }
        let mut sampler = config.sampler(Sampling::default());
        let mut draw = |u: f64| likelihood.draw(&params, &mut sampler, &[u as f32], &mut []).symbol();
        let (mut low, mut tried) = (0.0, 0);
        for k in 0..n {
            let high = low + f64::from(-likelihood.nll(&params, Value::Symbol(k as Symbol))).exp();
            if high - low > 1e-5 {
                assert_eq!(usize::from(draw(low + 2e-6)), k, "{config:?} above {low}");
                assert_eq!(usize::from(draw(high - 2e-6)), k, "{config:?} below {high}");
                tried += 1;
            }
            low = high;
        }
        assert!(tried >= n.min(20), "{config:?}: {tried}");
        let drawn: Vec<u16> = (0..1 << 14).map(|i| draw(f64::from(i) / f64::from(1 << 14))).collect();
        assert!(drawn.is_sorted(), "{config:?}");
    }
}

/// Pearson's statistic against the probabilities; 15 degrees of freedom pass 37.7 once in a thousand.
#[test]
fn vectors_of_levels_follow_the_distribution() {
    let config = logistics(3, 2, 4);
    let params = params(config.get(), 0.7, 8);
    let (mut counts, n) = ([0.0; 16], 40_000);
    for x in draws(config, &params, Sampling::default(), n) {
        counts[x[0] as usize * 4 + x[1] as usize] += 1.0;
    }
    let expected = |i: usize| {
        let x = [(i / 4) as f32, (i % 4) as f32];
        n as f64 * f64::from(-config.get().nll(&params, Value::Vector(&x))).exp()
    };
    let statistic = |(i, &count): (usize, &f64)| (count - expected(i)).powi(2) / expected(i);
    let total: f64 = counts.iter().enumerate().map(statistic).sum();
    assert!((0..16).all(|i| expected(i) > 5.0) && total < 37.7, "{total}");
}

/// Kolmogorov and Smirnov's statistic against the integral of the density: 1.95 / √n is passed once in a thousand.
#[test]
fn vectors_follow_the_density() {
    let params = [0.5, -1.0, 0.2, -2.0, 0.1, 1.5, -1.2, -2.0, 0.4];
    let line = gaussians(3, 1);
    let mut drawn: Vec<f32> =
        draws(line, &params, Sampling::default(), 20_000).into_iter().flatten().collect();
    drawn.sort_by(f32::total_cmp);
    let (step, mut x, mut mass, mut worst) = (1e-3, -14.0, 0.0, 0f64);
    for (i, &v) in drawn.iter().enumerate() {
        while x < v {
            mass +=
                f64::from(-line.get().nll(&params, Value::Vector(&[x + step / 2.0]))).exp() * f64::from(step);
            x += step;
        }
        worst = worst.max((mass - i as f64 / drawn.len() as f64).abs());
    }
    assert!(worst < 1.95 / (drawn.len() as f64).sqrt(), "{worst}");
}

/// Dimensions are drawn apart, and component and value too: moments of a mixture in the plane.
#[test]
fn a_mixture_in_the_plane_has_its_moments() {
    // Two blobs of equal weight at (−1, 2) and (3, −1), standard deviations e⁻¹ and e⁰.
    let params = [0.7, 0.7, -1.0, 2.0, 3.0, -1.0, -1.0, -1.0, 0.0, 0.0];
    let drawn = draws(gaussians(2, 2), &params, Sampling::default(), 40_000);
    let mean =
        |f: &dyn Fn(&[f32]) -> f32| drawn.iter().map(|x| f64::from(f(x))).sum::<f64>() / drawn.len() as f64;
    let spread = 0.5 * ((-2f64).exp() + 1.0);
    let (x, y) = (mean(&|x| x[0]), mean(&|x| x[1]));
    assert!((x - 1.0).abs() < 0.04 && (y - 0.5).abs() < 0.04, "{x} {y}");
    assert!((mean(&|v| (v[0] - 1.0).powi(2)) - 4.0 - spread).abs() < 0.06);
    assert!((mean(&|v| (v[1] - 0.5).powi(2)) - 2.25 - spread).abs() < 0.06);
    assert!((mean(&|v| (v[0] - 1.0) * (v[1] - 0.5)) + 3.0).abs() < 0.04);
}

#[test]
fn temperature_divides_logits_and_multiplies_scales() {
    let t = 0.6f32;
    let cold = Sampling { temperature: t, ..Default::default() };
    for config in [gaussians(4, 2), logistics(3, 1, 256), logistics(3, 3, 256)] {
        let (k, n) = match config {
            LikelihoodConfig::GaussianMixture(g) => (g.components, g.components * g.dims),
            LikelihoodConfig::LogisticMixture(l) => (l.components, l.components * l.channels),
            _ => panic!("no mixture"),
        };
        let params = params(config.get(), 0.8, 3);
        let mut other = params.clone();
        other[..k].iter_mut().for_each(|l| *l /= t);
        other[k + n..][..n].iter_mut().for_each(|s| *s += t.ln());
        let pairs = draws(config, &params, cold, 500).into_iter().zip(draws(
            config,
            &other,
            Sampling::default(),
            500,
        ));
        for (a, b) in pairs {
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{config:?}: {a:?} {b:?}");
        }
    }
}

#[test]
fn temperature_zero_is_the_mean_of_the_likeliest_component() {
    let zero = Sampling { temperature: 0.0, ..Default::default() };
    let one = |config, params: &[f32]| draws(config, params, zero, 1).remove(0);
    assert_eq!(one(LikelihoodConfig::Gaussian(Gaussian { dims: 2 }), &[0.3, -4.0, 1.0, 2.0]), [0.3, -4.0]);
    assert_eq!(one(gaussians(2, 2), &[0.1, 0.2, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]), [3.0, 4.0]);
    assert_eq!(one(LikelihoodConfig::Bernoulli(Bernoulli {}), &[0.01]), [1.0]);
    // Level 200 of 256, and one beyond the last.
    let at = |k: f32| 2.0 * k / 255.0 - 1.0;
    assert_eq!(one(logistics(2, 1, 256), &[1.0, 0.9, at(200.3), 0.0, 0.0, 0.0]), [200.0]);
    assert_eq!(one(logistics(2, 1, 256), &[1.0, 0.9, 1.7, 0.0, 0.0, 0.0]), [255.0]);
    // The second channel's mean is moved by tanh(0.5) times the first's value.
    let moved = (at(200.0) * 0.5f32.tanh() + 0.1 + 1.0) * 127.5;
    assert_eq!(one(logistics(1, 2, 256), &[0.0, at(200.0), 0.1, 0.0, 0.0, 0.5]), [200.0, moved.round()]);
}

#[test]
fn top_k_and_the_others_choose_among_components() {
    let likeliest = Sampling { top_k: 1, ..Default::default() };
    let near = Sampling { min_p: 0.5, ..Default::default() };
    // Components around 0.5, −0.5 and 0.9, the last by far the least likely.
    let params = [1.0, 0.9, -1.0, 0.5, -0.5, 0.9, -5.0, -5.0, -5.0];
    for sampling in [likeliest, near] {
        for x in draws(logistics(3, 1, 256), &params, sampling, 2000) {
            let value = 2.0 * x[0] / 255.0 - 1.0;
            let kept = (value - 0.5).abs() < 0.15 || (sampling == near && (value + 0.5).abs() < 0.15);
            assert!(kept, "{value}");
        }
        for x in draws(gaussians(3, 1), &params, sampling, 2000) {
            let kept = (x[0] - 0.5).abs() < 0.1 || (sampling == near && (x[0] + 0.5).abs() < 0.1);
            assert!(kept, "{x:?}");
        }
    }
}
