//! Losses and gradients: finite differences, the graph, kernels.

use super::*;
use crate::kernels::{Isa, Kernel};
use candle_core::{Device, Tensor, Var};

/// Pads to a multiple of 16, with what must not matter.
fn padded(params: &[f32]) -> Vec<f32> {
    let mut row = params.to_vec();
    row.resize(params.len().next_multiple_of(16), f32::NAN);
    row
}

fn gradient(likelihood: &dyn Likelihood, params: &[f32], x: Value, scale: f32) -> (f64, Vec<f32>) {
    let mut row = padded(params);
    let nats = likelihood.loss_and_gradient(&mut row, x, scale);
    let padding = row.split_off(params.len());
    assert!(padding.iter().all(|&v| v == 0.0));
    (nats, row)
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for config in all() {
        let likelihood = config.get();
        let params = params(likelihood, 0.6, 4);
        for x in values(&config, 2) {
            let x = value(likelihood, &x);
            let (nats, got) = gradient(likelihood, &params, x, 0.5);
            assert!((nats - f64::from(likelihood.nll(&params, x))).abs() < 1e-6 * nats.abs().max(1.0));
            for i in 0..params.len() {
                let moved = |by: f32| {
                    let mut params = params.clone();
                    params[i] += by;
                    (params[i], gradient(likelihood, &params, x, 0.0).0)
                };
                let ((a, up), (b, down)) = (moved(1.0 / 512.0), moved(-1.0 / 512.0));
                let want = 0.5 * (up - down) / f64::from(a - b);
                let error = (f64::from(got[i]) - want).abs();
                // The categorical's loss has an f32 sum.
                assert!(error < 1e-4 * (1.0 + want.abs()), "{config:?} {x:?} {i}: {} {want}", got[i]);
            }
        }
    }
}

/// The plain slices against the graph: losses, and gradients by candle, also where scales are at their floor and
/// beyond it, and means on the edges of bins.
#[test]
fn the_graph_has_the_same_loss_and_gradient() {
    for config in all() {
        let likelihood = config.get();
        let p = likelihood.params();
        for spread in [0.0, 0.6, 8.0] {
            let values = values(&config, 6);
            let (b, t) = (2, values.len() / 2);
            let rows: Vec<Vec<f32>> =
                (0..b * t).map(|i| params(likelihood, spread, 100 + i as u64)).collect();
            let vars =
                Var::from_tensor(&Tensor::from_vec(rows.concat(), (b, t, p), &Device::Cpu).unwrap()).unwrap();
            let flat: Vec<f32> = values[..b * t].concat();
            let targets = match likelihood.domain() {
                Domain::Symbols(_) => {
                    let symbols: Vec<u32> = flat.iter().map(|&x| x as u32).collect();
                    Tensor::from_vec(symbols, (b, t), &Device::Cpu).unwrap()
                }
                Domain::Vectors(n) => Tensor::from_vec(flat, (b, t, n), &Device::Cpu).unwrap(),
            };
            let loss = likelihood.graph_loss(vars.as_tensor(), &targets).unwrap();
            assert_eq!(loss.dims(), [b, t]);
            let grads = loss.sum_all().unwrap().backward().unwrap();
            let grads = grads.get(vars.as_tensor()).unwrap().flatten_all().unwrap();
            let grads = grads.to_vec1::<f32>().unwrap();
            let loss = loss.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (i, (row, x)) in rows.iter().zip(&values).enumerate() {
                let (nats, want) = gradient(likelihood, row, value(likelihood, x), 1.0);
                let error = (f64::from(loss[i]) - nats).abs();
                assert!(error < 1e-5 * (1.0 + nats.abs()), "{config:?} {x:?}: {} {nats}", loss[i]);
                for (j, (got, want)) in grads[i * p..][..p].iter().zip(&want).enumerate() {
                    let error = (got - want).abs();
                    assert!(error < 1e-5 * (1.0 + want.abs()), "{config:?} {x:?} {j}: {got} {want}");
                }
            }
        }
    }
}

#[test]
fn gradients_of_parameters_without_bounds_are_finite() {
    for config in all() {
        let likelihood = config.get();
        for seed in 0..50 {
            let mut uniforms = Uniforms::new(seed);
            let extreme = |_| [-1e4, 0.0, 1e4][uniforms.below(3) as usize];
            let params: Vec<f32> = (0..likelihood.params()).map(extreme).collect();
            for x in values(&config, seed) {
                let (nats, row) = gradient(likelihood, &params, value(likelihood, &x), 1.0);
                let finite = nats.is_finite() && row.iter().all(|g| g.is_finite());
                assert!(finite, "{config:?} {params:?} {x:?}: {nats} {row:?}");
            }
        }
    }
}

#[test]
fn a_row_inside_a_kernel_is_the_same_under_every_instruction_set() {
    struct Row<'a>(&'a LikelihoodConfig, &'a mut [f32], Value<'a>);
    impl Kernel for Row<'_> {
        type Output = f64;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f64 {
            self.0.loss_row(s, self.1, self.2, 2.0)
        }
    }
    for config in all() {
        let likelihood = config.get();
        let params = params(likelihood, 1.0, 9);
        let x = &values(&config, 3)[4];
        let (nats, want) = gradient(likelihood, &params, value(likelihood, x), 2.0);
        for isa in Isa::available() {
            let mut row = padded(&params);
            let got = isa.run(Row(&config, &mut row, value(likelihood, x)));
            assert!((got - nats).abs() < 1e-6, "{config:?}, {}", isa.name());
            assert!(row.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{config:?}, {}", isa.name());
        }
    }
}
