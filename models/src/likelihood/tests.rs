//! What holds for every likelihood.

use super::*;
use crate::ar::Uniforms;

mod draws;
#[cfg(feature = "train")]
mod training;

fn logistics(components: usize, channels: usize, levels: usize) -> LikelihoodConfig {
    LikelihoodConfig::LogisticMixture(LogisticMixture { components, channels, levels })
}

fn gaussians(components: usize, dims: usize) -> LikelihoodConfig {
    LikelihoodConfig::GaussianMixture(GaussianMixture { components, dims })
}

fn all() -> Vec<LikelihoodConfig> {
    vec![
        LikelihoodConfig::Categorical(Categorical { classes: 7 }),
        LikelihoodConfig::Bernoulli(Bernoulli {}),
        LikelihoodConfig::Gaussian(Gaussian { dims: 3 }),
        gaussians(1, 1),
        gaussians(4, 2),
        logistics(1, 1, 2),
        logistics(3, 1, 256),
        logistics(10, 1, 1 << 16),
        logistics(3, 2, 16),
        logistics(4, 3, 256),
    ]
}

/// Parameters around 0, `spread` wide.
fn params(likelihood: &dyn Likelihood, spread: f32, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    (0..likelihood.params()).map(|_| spread * uniforms.normal()).collect()
}

/// Values as a vector each: of symbols and levels both ends, their neighbours and some between.
fn values(config: &LikelihoodConfig, seed: u64) -> Vec<Vec<f32>> {
    let mut uniforms = Uniforms::new(seed);
    let levels = match (config, config.get().domain()) {
        (LikelihoodConfig::LogisticMixture(l), _) => l.levels,
        (_, Domain::Symbols(n)) => n,
        _ => 0,
    };
    let dims = if let Domain::Vectors(n) = config.get().domain() { n } else { 1 };
    let mut one = |i: usize| match (levels, i) {
        (0, _) => 2.0 * uniforms.normal(),
        (n, 0..3) => [0, n - 1, n / 2][i] as f32,
        (n, _) => uniforms.below(n as u64) as f32,
    };
    let mut all: Vec<Vec<f32>> = (0..12).map(|i| (0..dims).map(|_| one(i)).collect()).collect();
    if dims > 1 {
        // The ends of different channels meet.
        all.extend([0, 1].map(|i| (0..dims).map(|d| one((i + d) % 2)).collect()));
    }
    all
}

fn value<'a>(likelihood: &dyn Likelihood, x: &'a [f32]) -> Value<'a> {
    match likelihood.domain() {
        Domain::Symbols(_) => Value::Symbol(x[0] as Symbol),
        Domain::Vectors(_) => Value::Vector(x),
    }
}

/// Σ p over all vectors of levels, or over all symbols.
fn total(config: LikelihoodConfig, params: &[f32]) -> f64 {
    let likelihood = config.get();
    let p = |x: &[f32]| f64::from(-likelihood.nll(params, value(likelihood, x))).exp();
    match (config, likelihood.domain()) {
        (LikelihoodConfig::LogisticMixture(l), Domain::Vectors(n)) => {
            let digit = |i: usize, c| (i / l.levels.pow(c as u32) % l.levels) as f32;
            let vector = |i| -> Vec<f32> { (0..n).map(|c| digit(i, c)).collect() };
            (0..l.levels.pow(n as u32)).map(|i| p(&vector(i))).sum()
        }
        (_, Domain::Symbols(n)) => (0..n).map(|i| p(&[i as f32])).sum(),
        _ => panic!("not finite"),
    }
}

#[test]
fn every_finite_one_sums_to_one() {
    let finite = [
        LikelihoodConfig::Categorical(Categorical { classes: 256 }),
        LikelihoodConfig::Bernoulli(Bernoulli {}),
        logistics(1, 1, 2),
        logistics(3, 1, 3),
        logistics(5, 1, 256),
        logistics(10, 1, 1 << 16),
        logistics(3, 2, 64),
        logistics(3, 3, 12),
    ];
    for (i, config) in finite.into_iter().enumerate() {
        for (j, spread) in [0.3, 1.0, 4.0, 30.0].into_iter().enumerate() {
            let params = params(config.get(), spread, (10 * i + j) as u64);
            let total = total(config, &params);
            assert!((total - 1.0).abs() < 3e-6, "{config:?}, spread {spread}: {total}");
        }
    }
}

/// Scales at and beyond both clamps, means on edges, between them and far outside.
#[test]
fn logistics_sum_to_one_at_every_scale() {
    for levels in [2, 256, 1 << 16] {
        let config = logistics(1, 1, levels);
        for log_scale in [-100.0, -12.5, -7.0, -3.0, 0.0, 5.0, 14.0, 100.0] {
            for mean in [0.0, 0.3, 1.0, -1.0, 1.5, -40.0, 1e4] {
                let total = total(config, &[0.0, mean, log_scale]);
                assert!((total - 1.0).abs() < 3e-6, "{levels} levels, {mean}, ln s {log_scale}: {total}");
            }
        }
    }
}

#[test]
fn continuous_ones_integrate_to_one() {
    let line = gaussians(3, 1);
    let params = [0.5, -1.0, 0.2, -2.0, 0.1, 1.5, -1.2, -20.0, 0.4];
    // The second is at the clamp, e⁻⁷.
    let (n, low, high) = (400_000, -14.0, 14.0);
    let step = (high - low) / f64::from(n);
    let at = |i| [(low + f64::from(i) * step) as f32];
    let p = |i| f64::from(-line.get().nll(&params, Value::Vector(&at(i)))).exp();
    let total = (0..n).map(p).sum::<f64>() * step;
    assert!((total - 1.0).abs() < 1e-4, "{total}");

    let plane = [
        (gaussians(2, 2), vec![0.4, -0.6, -1.0, 0.5, 1.2, -0.3, -1.0, 0.2, 0.0, -0.7]),
        (LikelihoodConfig::Gaussian(Gaussian { dims: 2 }), vec![0.3, -0.8, -0.5, 0.4]),
    ];
    for (config, params) in plane {
        let (n, low, step) = (400, -10.0, 0.05);
        let at = |i: usize| [low + step * (i % n) as f32, low + step * (i / n) as f32];
        let p = |i| f64::from(-config.get().nll(&params, Value::Vector(&at(i)))).exp();
        let total = (0..n * n).map(p).sum::<f64>() * f64::from(step * step);
        assert!((total - 1.0).abs() < 1e-5, "{config:?}: {total}");
    }
}

#[test]
fn a_mixture_of_one_is_its_component() {
    let (gaussian, x) = (Gaussian { dims: 2 }, Value::Vector(&[0.3, -2.0]));
    let params = [3.0, 0.1, -1.0, 0.5, 0.2];
    let (mixed, alone) = (gaussians(1, 2).get().nll(&params, x), gaussian.nll(&params[1..], x));
    assert!((mixed - alone).abs() < 1e-6, "{mixed} {alone}");
}

#[test]
fn parameters_without_bounds_give_finite_numbers() {
    for config in all() {
        let likelihood = config.get();
        let n = likelihood.params();
        let mut sampler = config.sampler(Sampling::default());
        let mut out = [0.0; 8];
        for seed in 0..50 {
            let mut uniforms = Uniforms::new(seed);
            let params: Vec<f32> = (0..n).map(|_| [-1e4, 0.0, 1e4][uniforms.below(3) as usize]).collect();
            for x in values(&config, seed) {
                let nats = likelihood.nll(&params, value(likelihood, &x));
                assert!(nats.is_finite(), "{config:?} {params:?} {x:?}: {nats}");
            }
            for u in [0.0, 0.5, 1.0 - f32::EPSILON / 2.0] {
                let drawn = likelihood.draw(&params, &mut sampler, &[u; 8], &mut out);
                match (drawn, likelihood.domain()) {
                    (Value::Symbol(x), Domain::Symbols(n)) => assert!(usize::from(x) < n),
                    (Value::Vector(x), Domain::Vectors(n)) => {
                        assert!(
                            x.len() == n && x.iter().all(|v| v.is_finite()),
                            "{config:?} {params:?}: {x:?}"
                        );
                    }
                    other => panic!("{config:?}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn parameters_that_are_no_numbers_do_not_panic() {
    for config in all() {
        let likelihood = config.get();
        for i in 0..=likelihood.params() {
            let mut params = params(likelihood, 1.0, 1);
            // One after the other, then all.
            if i == params.len() {
                params.fill(f32::NAN)
            } else {
                params[i] = f32::NAN
            }
            let x = &values(&config, 1)[3];
            likelihood.nll(&params, value(likelihood, x));
            for sampling in [Sampling::default(), Sampling { temperature: 0.0, ..Default::default() }] {
                likelihood.draw(&params, &mut config.sampler(sampling), &[0.5; 8], &mut [0.0; 8]);
            }
        }
    }
}

#[test]
fn configs_are_read_by_name_and_checked() {
    for config in all() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LikelihoodConfig>(&text).unwrap(), config, "{text}");
        config.validate().unwrap();
    }
    let read = |text| serde_json::from_str::<LikelihoodConfig>(text);
    let mono = read(r#"{"name": "logistic_mixture", "components": 10, "levels": 65536}"#).unwrap();
    assert_eq!(mono, logistics(10, 1, 65536));
    let unknown = read(r#"{"name": "gaussian", "dims": 2, "correlated": true}"#).unwrap_err().to_string();
    assert!(unknown.contains("correlated"), "{unknown}");
    assert!(read(r#"{"name": "bernoulli", "dims": 2}"#).is_err());
    for (config, field) in [
        (gaussians(129, 2), "components"),
        (gaussians(1, 0), "dims"),
        (logistics(10, 0, 256), "channels"),
        (logistics(10, 1, 65537), "levels"),
        (LikelihoodConfig::Categorical(Categorical { classes: 1 }), "classes"),
    ] {
        assert_eq!(config.validate().unwrap_err().field, field);
    }
}

#[test]
fn the_narrowest_scale_is_as_many_to_a_bin_for_any_number_of_levels() {
    let least = |levels| LogisticMixture { components: 1, channels: 1, levels }.log_scale_min();
    assert_eq!(least(256), -7.0);
    assert!((least(1 << 16) + 12.549).abs() < 1e-3);
}
