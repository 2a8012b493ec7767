//! Every likelihood against numbers that an independent program computed with 60 digits (`golden/likelihood.py`).

use crate::common::{Golden, golden_path};
use safetensors::SafeTensors;
use wavesynth_models::ar::Sampling;
use wavesynth_models::likelihood::{Domain, Gaussian, Likelihood, LikelihoodConfig, Value};

const NAMES: [&str; 8] =
    ["categorical", "bernoulli", "gaussian", "gaussian_mixture", "sound", "grey", "tails", "colour"];

/// The config, and what reads the numbers of that name in rows.
fn golden(name: &str) -> (LikelihoodConfig, impl Fn(&str) -> Vec<Vec<f32>>) {
    let bytes = std::fs::read(golden_path("likelihood.golden")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let config = serde_json::from_str(&header.metadata().as_ref().unwrap()[name]).unwrap();
    let (file, name) = (Golden::open("likelihood"), name.to_owned());
    let rows = move |of: &str| {
        let all = file.read(&format!("{name}.{of}"));
        all.chunks(all.len() / 10).map(<[f32]>::to_vec).collect()
    };
    (config, rows)
}

fn value<'a>(likelihood: &dyn Likelihood, x: &'a [f32]) -> Value<'a> {
    match likelihood.domain() {
        Domain::Symbols(_) => Value::Symbol(x[0] as u16),
        Domain::Vectors(_) => Value::Vector(x),
    }
}

fn near(got: f32, want: f32, within: f32, what: &str) {
    assert!((got - want).abs() <= within * (1.0 + want.abs()), "{what}: {got}, wanted {want}");
}

#[test]
fn large_logits_cancel_nothing() {
    for scale in [1.0f32, 1e8, 1e20, 1e38] {
        let nats = |config: &LikelihoodConfig, params: &[f32], x: Value| config.get().nll(params, x);
        let even = LikelihoodConfig::of(None, 4);
        near(nats(&even, &[scale; 4], Value::Symbol(2)), 4f32.ln(), 1e-6, "four equal logits");
        let one = [scale, 0.0, -scale, 0.0];
        near(
            nats(&even, &one, Value::Symbol(2)),
            2.0 * scale + if scale == 1.0 { 0.626 } else { 0.0 },
            1e-3,
            "far below",
        );
        let mixture = LikelihoodConfig::gaussians(2, 1);
        let normal = 0.5 * (2.0 * std::f32::consts::PI).ln();
        let params = [scale, scale, 0.0, 0.0, 0.0, 0.0];
        near(nats(&mixture, &params, Value::Vector(&[0.0])), normal, 1e-6, "a mixture of two alike");
    }
}

#[test]
fn probabilities_are_the_independent_ones() {
    for name in NAMES {
        let (config, rows) = golden(name);
        let likelihood = config.get();
        for ((params, x), nats) in rows("params").iter().zip(rows("values")).zip(rows("nats").concat()) {
            assert_eq!(params.len(), likelihood.params());
            near(likelihood.nll(params, value(likelihood, &x)), nats, 1e-6, name);
        }
    }
}

#[test]
fn draws_are_the_independent_ones() {
    for name in NAMES {
        let (config, rows) = golden(name);
        let likelihood = config.get();
        let mut sampler = config.sampler(Sampling::default());
        for ((params, uniforms), want) in rows("params").iter().zip(rows("uniforms")).zip(rows("draws")) {
            assert_eq!(uniforms.len(), likelihood.uniforms());
            match likelihood.draw(params, &mut sampler, &uniforms, &mut [0.0; 4]) {
                Value::Symbol(x) => assert_eq!(f32::from(x), want[0], "{name}"),
                Value::Vector(x) => x.iter().zip(&want).for_each(|(&x, &want)| near(x, want, 1e-6, name)),
            }
        }
    }
}

#[test]
fn normal_quantiles_are_the_independent_ones() {
    let file = Golden::open("likelihood");
    let (config, mut out) = (LikelihoodConfig::Gaussian(Gaussian { dims: 64 }), [0.0; 64]);
    let mut sampler = config.sampler(Sampling::default());
    config.get().draw(&[0.0; 128], &mut sampler, &file.read("normal.uniforms"), &mut out);
    for (&got, &want) in out.iter().zip(&file.read("normal.draws")) {
        near(got, want, 1e-7, "quantile");
    }
}

#[cfg(feature = "train")]
#[test]
fn gradients_are_the_independent_ones() {
    for name in NAMES {
        let (config, rows) = golden(name);
        let likelihood = config.get();
        for ((params, x), want) in rows("params").iter().zip(rows("values")).zip(rows("gradient")) {
            let mut row = params.clone();
            row.resize(params.len().next_multiple_of(16), 0.0);
            likelihood.loss_and_gradient(&mut row, value(likelihood, &x), 1.0);
            row.iter().zip(&want).for_each(|(&got, &want)| near(got, want, 2e-6, name));
        }
    }
}

#[cfg(feature = "train")]
#[test]
fn the_graph_has_the_independent_nats_and_gradients() {
    use wavesynth_models::candle_core::{Device, Tensor, Var};

    for name in NAMES {
        let (config, rows) = golden(name);
        let likelihood = config.get();
        let (params, x) = (rows("params").concat(), rows("values").concat());
        let vars = Var::from_vec(params, (5, 2, likelihood.params()), &Device::Cpu).unwrap();
        let targets = match likelihood.domain() {
            Domain::Symbols(_) => {
                let symbols: Vec<u32> = x.iter().map(|&x| x as u32).collect();
                Tensor::from_vec(symbols, (5, 2), &Device::Cpu).unwrap()
            }
            Domain::Vectors(n) => Tensor::from_vec(x, (5, 2, n), &Device::Cpu).unwrap(),
        };
        let loss = likelihood.graph_loss(vars.as_tensor(), &targets).unwrap();
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        flat(&loss).iter().zip(rows("nats").concat()).for_each(|(&got, want)| near(got, want, 1e-6, name));
        let grads = loss.sum_all().unwrap().backward().unwrap();
        let grads = flat(grads.get(vars.as_tensor()).unwrap());
        grads.iter().zip(rows("gradient").concat()).for_each(|(&got, want)| near(got, want, 2e-6, name));
    }
}
