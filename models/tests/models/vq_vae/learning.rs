//! What the trainer computes: graph and fused layers against the engine, finite differences and PyTorch.

use super::{Pixels, grid, largest_difference, random_tensors};
use crate::common::{Golden, golden_path, relative};
use wavesynth_models::ar::Symbol;
use wavesynth_models::candle_core::{Device, Tensor};
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Engine, Objective, ObjectiveOptions, VectorRows, Window};
use wavesynth_models::vq_vae::graph::VqVaeGraph;
use wavesynth_models::vq_vae::{CODES, Config, Learner, VqVae};
use wavesynth_models::weights::{Checkpoint, Tensors};

fn objective(config: &Config, engine: Engine, isa: Isa) -> Box<dyn Objective> {
    let options = ObjectiveOptions { engine, device: Device::Cpu, isa, dropout: 0.0, learns: &|_| true };
    Learner { config: config.clone(), commitment: 0.3 }.objective(&options)
}

fn window(pixels: &Pixels) -> Window {
    let (dims, rows) = (pixels.dims, &pixels.rows);
    match dims {
        0 => Window { inputs: pixels.symbols.clone(), targets: pixels.symbols.clone(), ..Window::default() },
        _ => {
            let vectors = VectorRows { dims, inputs: rows.clone(), targets: rows.clone() };
            Window { vectors, ..Window::default() }
        }
    }
}

fn images(config: &Config, count: u64) -> Vec<Pixels> {
    (0..count).map(|i| Pixels::random(config, 70 + i)).collect()
}

#[test]
fn the_graph_is_the_engine() {
    for config in grid() {
        let tensors = random_tensors(&config, 3);
        let model = VqVae::pack(&config, &tensors, Isa::PLAIN).unwrap();
        let graph = VqVaeGraph::new(&config, &tensors, &Device::Cpu).unwrap();
        let images = images(&config, 3);
        let latents = graph.latents(images.iter().map(Pixels::values)).unwrap();
        let codes = graph.quantise(&latents).unwrap();
        let parameters = graph.decode(&graph.vectors(&codes).unwrap()).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let own: Vec<f32> = images.iter().flat_map(|i| model.latents(i.values())).collect();
        let d = largest_difference(&flat(&latents), &own);
        assert!(d < 1e-4, "latents differ by {d} for {config:?}");
        let own: Vec<u32> = images.iter().flat_map(|i| model.encode(i.values())).map(u32::from).collect();
        assert_eq!(codes, own, "{config:?}");
        let own: Vec<f32> = images.iter().flat_map(|i| model.decode(&model.encode(i.values()))).collect();
        let d = largest_difference(&flat(&parameters), &own);
        assert!(d < 1e-4, "parameters differ by {d} for {config:?}");
    }
}

#[test]
fn the_fused_loss_and_gradient_are_the_graphs_and_the_engines() {
    for config in grid() {
        let graph = objective(&config, Engine::Graph, Isa::PLAIN);
        let layout = graph.layout();
        let tensors = random_tensors(&config, 3);
        let params = layout.flatten(&tensors);
        // More than one task.
        let images = images(&config, 11);
        let batch: Vec<Window> = images.iter().map(window).collect();
        let mut want = vec![f32::NAN; layout.len()];
        let want_loss = graph.loss(&params, &batch, Some(&mut want)).unwrap();
        let model = VqVae::pack(&config, &tensors, Isa::detect()).unwrap();
        let nats = |i: &Pixels| model.nats(&model.encode(i.values()), i.values());
        let nats: Vec<f64> = images.iter().flat_map(nats).map(f64::from).collect();
        let mean = nats.iter().sum::<f64>() / nats.len() as f64;
        assert!(
            (mean - want_loss).abs() < 1e-4 * (1.0 + mean.abs()),
            "{mean}, graph {want_loss} of {config:?}"
        );
        for isa in Isa::available() {
            let fused = objective(&config, Engine::Fused, isa);
            for pass in 0..2 {
                let what = format!("{} pass {pass} of {config:?}", isa.name());
                let mut got = vec![f32::NAN; layout.len()];
                let loss = fused.loss(&params, &batch, Some(&mut got)).unwrap();
                assert!(
                    (loss - want_loss).abs() < 1e-4 * (1.0 + loss.abs()),
                    "{what}: {loss}, graph {want_loss}"
                );
                for spec in layout.table() {
                    let at = layout.range(&spec.name);
                    let d = relative(&got[at.clone()], &want[at]);
                    assert!(d < 5e-4, "{what}, {}: differs by {d}", spec.name);
                }
                assert_eq!(fused.loss(&params, &batch, None).unwrap(), loss, "{what}");
            }
        }
    }
}

#[test]
fn the_gradient_is_the_independent_one() {
    let golden = Golden::open("vq_vae");
    let file = Checkpoint::read(&golden_path("vq_vae")).unwrap();
    let config = Config::from_header(&file.header).unwrap().expect("a VQ-VAE");
    let symbols = golden.symbols();
    let batch: Vec<Window> = symbols
        .chunks(config.grid().len())
        .map(|x| Window { inputs: x.to_vec(), targets: x.to_vec(), ..Window::default() })
        .collect();
    let options = |engine| ObjectiveOptions {
        engine,
        device: Device::Cpu,
        isa: Isa::detect(),
        dropout: 0.0,
        learns: &|_| true,
    };
    for engine in [Engine::Fused, Engine::Graph] {
        let loss = Learner { config: config.clone(), commitment: 0.25 }.objective(&options(engine));
        let layout = loss.layout();
        let mut grads = vec![f32::NAN; layout.len()];
        loss.loss(&layout.flatten(&file.tensors), &batch, Some(&mut grads)).unwrap();
        for spec in layout.table() {
            let want = golden.read(&format!("gradient.{}", spec.name));
            let d = relative(&grads[layout.range(&spec.name)], &want);
            assert!(d < 2e-4, "{engine:?} {}: differs by {d}", spec.name);
        }
    }
}

/// The loss whose derivative the gradient is: with the codes, and what no gradient flows through, held as `held` has them.
struct Held {
    codes: Vec<Symbol>,
    latents: Vec<f32>,
    vectors: Vec<f32>,
}

impl Held {
    fn of(config: &Config, tensors: &Tensors, image: &Pixels) -> Self {
        let model = VqVae::pack(config, tensors, Isa::PLAIN).unwrap();
        let latents = model.latents(image.values());
        let codes = model.quantise(&latents);
        Self { vectors: vectors(config, tensors, &codes), latents, codes }
    }

    fn loss(&self, config: &Config, tensors: &Tensors, image: &Pixels) -> f64 {
        let model = VqVae::pack(config, tensors, Isa::PLAIN).unwrap();
        let latents = model.latents(image.values());
        let straight: Vec<f32> = latents
            .iter()
            .zip(self.vectors.iter().zip(&self.latents))
            .map(|(z, (e, held))| z + (e - held))
            .collect();
        let (parameters, of) = (model.decode_vectors(&straight), config.likelihood.get());
        let rows = parameters.chunks(of.params()).enumerate();
        let nats: f64 = rows.map(|(n, row)| f64::from(of.nll(row, image.values().get(n)))).sum();
        let square =
            |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum() };
        nats + square(&self.latents, &vectors(config, tensors, &self.codes))
            + 0.3 * square(&latents, &self.vectors)
    }
}

fn vectors(config: &Config, tensors: &Tensors, codes: &[Symbol]) -> Vec<f32> {
    let (dim, table) = (config.code_dim, &tensors[CODES].data);
    codes.iter().flat_map(|&k| &table[usize::from(k) * dim..][..dim]).copied().collect()
}

/// Central differences of the loss along each tensor's own gradient, where the slope must be the gradient's norm.
#[test]
fn the_gradient_equals_finite_differences() {
    for config in [&grid()[0], &grid()[2], &grid()[4], &grid()[5]] {
        let fused = objective(config, Engine::Fused, Isa::PLAIN);
        let (layout, tensors, images) = (fused.layout(), random_tensors(config, 3), images(config, 2));
        let (params, batch) = (layout.flatten(&tensors), images.iter().map(window).collect::<Vec<_>>());
        let mut grads = vec![0.0; layout.len()];
        fused.loss(&params, &batch, Some(&mut grads)).unwrap();
        let held: Vec<Held> = images.iter().map(|i| Held::of(config, &tensors, i)).collect();
        let pixels = (images.len() * config.grid().len()) as f64;
        let loss = |params: &[f32]| -> f64 {
            let tensors = layout.tensors(params);
            let all = images.iter().zip(&held).map(|(i, held)| held.loss(config, &tensors, i));
            all.sum::<f64>() / pixels
        };
        for spec in layout.table() {
            let at = layout.range(&spec.name);
            let norm = grads[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
            let moved = |sign: f32, step: f32| {
                let mut p = params.clone();
                for (p, g) in p[at.clone()].iter_mut().zip(&grads[at.clone()]) {
                    *p += sign * step * g / norm;
                }
                loss(&p)
            };
            // A rectifier within a step of its kink bends the slope; half as much at half the step, where a wrong gradient is as
            // wrong as before.
            let ratios = [1e-3, 5e-4, 2.5e-4].map(|step| {
                (moved(1.0, step) - moved(-1.0, step)) / (2.0 * f64::from(step) * f64::from(norm))
            });
            let near = ratios.iter().any(|ratio| (0.98..1.02).contains(ratio));
            assert!(near, "{}: {ratios:?} of {norm} for {config:?}", spec.name);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let config = &grid()[0];
    let batch: Vec<Window> = images(config, 40).iter().map(window).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let fused = objective(config, Engine::Fused, Isa::detect());
            let mut grads = vec![0.0; fused.layout().len()];
            let params = fused.layout().flatten(&random_tensors(config, 5));
            (fused.loss(&params, &batch, Some(&mut grads)).unwrap(), grads)
        })
    };
    let one = run(1);
    assert!(run(2) == one && run(3) == one);
}

#[test]
fn what_is_no_image_is_refused() {
    let config = &grid()[0];
    let fused = objective(config, Engine::Fused, Isa::PLAIN);
    let params = vec![0.0; fused.layout().len()];
    let good = window(&Pixels::random(config, 1));
    for (bad, wanted) in [
        (
            Window { inputs: vec![0; 95], targets: vec![0; 95], ..Window::default() },
            "95 pixels, an image has 96",
        ),
        (Window { targets: vec![2; 96], ..good.clone() }, "symbol 2"),
        (Window { class: Some(1), ..good.clone() }, "a condition"),
        (Window { warmup: 3, ..good.clone() }, "an image has 96"),
    ] {
        let message = fused.loss(&params, &[good.clone(), bad], None).unwrap_err().to_string();
        assert!(message.contains("window 1") && message.contains(wanted), "{message}");
    }
}
