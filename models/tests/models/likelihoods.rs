//! All families but n-grams under every likelihood: the engine, the graph and the fused layers are one function.

use crate::common::relative;
use crate::images::random_order;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::candle_core::Device;
use wavesynth_models::families::char_rnn::{self, Cell};
use wavesynth_models::families::{gpt, made, nade, pixel_cnn, pixel_rnn, wavenet};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{
    Bernoulli, Domain, Gaussian, GaussianMixture, LikelihoodConfig, LogisticMixture, Value,
};
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::{Engine, Objective, ObjectiveOptions, VectorRows, Window};
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_models::weights::{Checkpoint, Init, Layout};

fn likelihoods() -> [LikelihoodConfig; 5] {
    [
        LikelihoodConfig::Bernoulli(Bernoulli {}),
        LikelihoodConfig::Gaussian(Gaussian { dims: 3 }),
        LikelihoodConfig::GaussianMixture(GaussianMixture { components: 4, dims: 2 }),
        LikelihoodConfig::LogisticMixture(LogisticMixture { components: 3, channels: 1, levels: 65_536 }),
        LikelihoodConfig::LogisticMixture(LogisticMixture { components: 2, channels: 3, levels: 256 }),
    ]
}

fn configs() -> Vec<FamilyConfig> {
    let mut all = Vec::new();
    for l in likelihoods() {
        let (classes, start) = (l.classes(), (l.classes() / 2) as u16);
        let likelihood = Some(l);
        let wavenet = wavenet::Config {
            classes,
            start,
            residual_channels: 5,
            gate_channels: 7,
            skip_channels: 6,
            head_channels: 9,
            dilations: vec![1, 2, 4],
            likelihood,
            ..wavenet::Config::named("wavenet-30").unwrap()
        };
        all.push(wavenet.into());
        for cell in [Cell::Lstm, Cell::Gru] {
            let order = Order::Time;
            let condition = None;
            let rnn =
                char_rnn::Config { classes, start, cell, hidden: 7, layers: 2, likelihood, order, condition };
            rnn.validate().unwrap();
            all.push(rnn.into());
        }
        // As many variables as the longest window has rows.
        let order = random_order(5, 8);
        let nade = nade::Config { classes, start, hidden: 9, labels: 0, likelihood, order: order.clone() };
        nade.validate().unwrap();
        all.push(nade.into());
        let gpt = gpt::Config {
            classes,
            start,
            layers: 2,
            heads: 2,
            width: 10,
            context: 40,
            bias: true,
            tied_head: false,
            likelihood,
            order: order.clone(),
            labels: 0,
            positions: gpt::Positions::Grid(Grid { height: 5, width: 8 }),
            any_order: false,
            classifier: 0,
        };
        gpt.validate().unwrap();
        all.push(gpt.into());
        for kind in [pixel_rnn::Kind::Row, pixel_rnn::Kind::Diagonal] {
            let (hidden, layers, head, labels) = (6, 2, 9, 0);
            let grid = Grid { height: 5, width: 8 };
            let order = Scan::Reverse.order(grid, 0);
            let rnn = pixel_rnn::Config {
                classes,
                start,
                kind,
                hidden,
                layers,
                head,
                labels,
                likelihood,
                grid,
                order,
            };
            rnn.validate().unwrap();
            all.push(rnn.into());
        }
        let hidden = vec![90, 85];
        let made = made::Config { classes, start, hidden, direct: true, labels: 0, likelihood, order };
        made.validate().unwrap();
        all.push(made.into());
        let grid = Grid { height: 6, width: 7 };
        let images = pixel_cnn::Config {
            classes,
            start,
            grid,
            order: Scan::Serpentine.order(grid, 0),
            labels: 0,
            layers: 2,
            channels: 6,
            embedding: 3,
            first_kernel: 5,
            kernel: 3,
            head_channels: 9,
            likelihood,
        };
        images.validate().unwrap();
        all.push(images.into());
    }
    all
}

fn params(config: &FamilyConfig) -> (Layout, Vec<f32>) {
    let mut table = config.table();
    for spec in &mut table {
        let fan_in = spec.shape.iter().rev().skip(1).product::<usize>().max(4);
        spec.init = Init::fan_in(fan_in, 1.2);
    }
    let layout = Layout::new(table);
    let params = layout.init(3);
    (layout, params)
}

/// A window of `t` random values.
fn window(likelihood: &LikelihoodConfig, t: usize, seed: u64) -> Window {
    let mut uniforms = Uniforms::new(seed);
    let levels = match likelihood {
        LikelihoodConfig::LogisticMixture(l) => Some(l.levels as u64),
        _ => None,
    };
    match likelihood.domain() {
        Domain::Symbols(n) => {
            let mut draw = || (0..t).map(|_| uniforms.below(n as u64) as u16).collect();
            Window { inputs: draw(), targets: draw(), warmup: 3, ..Window::default() }
        }
        Domain::Vectors(dims) => {
            let mut draw = || {
                let value = |_| match levels {
                    None => uniforms.normal(),
                    Some(n) => uniforms.below(n) as f32,
                };
                (0..t * dims).map(value).collect()
            };
            let vectors = VectorRows { dims, inputs: draw(), targets: draw() };
            Window { vectors, warmup: 3, ..Window::default() }
        }
    }
}

fn objective(config: &FamilyConfig, engine: Engine, isa: Isa) -> Box<dyn Objective> {
    let learns = |_: &str| true;
    let options = ObjectiveOptions { engine, device: Device::Cpu, isa, dropout: 0.0, learns: &learns };
    config.objective(&options).unwrap().expect("learns by steps")
}

#[test]
fn fused_loss_and_gradient_equal_the_graphs() {
    for config in configs() {
        let (layout, params) = params(&config);
        let likelihood = config.facts().likelihood;
        let batch = [window(&likelihood, 29, 5), window(&likelihood, 17, 6)];
        let run = |objective: &dyn Objective| {
            let mut grads = vec![f32::NAN; layout.len()];
            (objective.loss(&params, &batch, Some(&mut grads)).unwrap(), grads)
        };
        let (want, slope) = run(objective(&config, Engine::Graph, Isa::PLAIN).as_ref());
        for isa in Isa::available() {
            let (loss, grads) = run(objective(&config, Engine::Fused, isa).as_ref());
            let what = format!("{} {likelihood:?} {}", config.family(), isa.name());
            assert!((loss - want).abs() < 1e-4 * want.abs().max(1.0), "{what}: {loss}, graph {want}");
            for spec in layout.table() {
                let at = layout.range(&spec.name);
                let off = relative(&grads[at.clone()], &slope[at]);
                assert!(off < 2e-3, "{what} {}: {off}", spec.name);
            }
        }
    }
}

#[test]
fn the_engine_scores_as_the_trainer_does() {
    for config in configs() {
        let (layout, params) = params(&config);
        let likelihood = config.facts().likelihood;
        let mut truth = window(&likelihood, 40, 9);
        // Teacher forcing from the first value on: row t reads x_{t−1}, and the start before the first.
        truth.warmup = 0;
        truth.inputs = [config.facts().start].iter().chain(&truth.targets).copied().collect();
        truth.inputs.truncate(truth.targets.len());
        let dims = truth.vectors.dims;
        if dims > 0 {
            truth.inputs.clear();
            truth.vectors.inputs = [vec![0.0; dims], truth.vectors.targets.clone()].concat();
            truth.vectors.inputs.truncate(truth.vectors.targets.len());
        }
        let trainer = objective(&config, Engine::Fused, Isa::detect());
        let want = trainer.loss(&params, std::slice::from_ref(&truth), None).unwrap();
        let file = Checkpoint { header: config.to_header().unwrap(), tensors: layout.tensors(&params) };
        for isa in Isa::available() {
            let model = Loaded::from_checkpoint(file.clone(), isa).unwrap();
            let mut stream = model.generator(Default::default());
            let nats: f64 = (0..40).map(|t| f64::from(stream.score(truth.target(t)))).sum::<f64>() / 40.0;
            let what = format!("{} {likelihood:?} {}", config.family(), isa.name());
            assert!((nats - want).abs() < 1e-3 * want.abs().max(1.0), "{what}: {nats}, trainer {want}");
        }
    }
}

/// Central differences of the fused loss along each tensor's own gradient.
#[test]
fn fused_gradients_equal_finite_differences() {
    for config in configs() {
        let (layout, params) = params(&config);
        let likelihood = config.facts().likelihood;
        let batch = [window(&likelihood, 23, 11)];
        let fused = objective(&config, Engine::Fused, Isa::PLAIN);
        let mut grads = vec![0.0; layout.len()];
        fused.loss(&params, &batch, Some(&mut grads)).unwrap();
        for spec in layout.table() {
            let at = layout.range(&spec.name);
            let norm = grads[at.clone()].iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt();
            let h = 1e-3 / norm.max(1.0);
            let moved = |sign: f64| {
                let mut p = params.clone();
                for (p, g) in p[at.clone()].iter_mut().zip(&grads[at.clone()]) {
                    *p += (sign * h * f64::from(*g) / norm) as f32;
                }
                fused.loss(&p, &batch, None).unwrap()
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
            let what = format!("{} {likelihood:?} {}", config.family(), spec.name);
            assert!((slope - norm).abs() < 0.03 * norm + 3e-3, "{what}: {slope}, gradient says {norm}");
        }
    }
}

#[test]
fn a_drawn_value_is_absorbed_as_a_given_one_is() {
    for config in configs() {
        let (layout, params) = params(&config);
        let file = Checkpoint { header: config.to_header().unwrap(), tensors: layout.tensors(&params) };
        let model = Loaded::from_checkpoint(file, Isa::detect()).unwrap();
        let (mut drawing, mut forced) =
            (model.generator(Default::default()), model.generator(Default::default()));
        let likelihood = config.facts().likelihood;
        let mut uniforms = Uniforms::new(4);
        let mut rows = [vec![0.0; likelihood.params()], vec![0.0; likelihood.params()]];
        for _ in 0..30 {
            let u: Vec<f32> = (0..likelihood.get().uniforms()).map(|_| uniforms.next_uniform()).collect();
            match drawing.draw(&u) {
                Value::Symbol(x) => _ = forced.score(x.into()),
                Value::Vector(x) => _ = forced.score(Value::Vector(x)),
            }
        }
        let a = match drawing.draw(&vec![0.5; likelihood.get().uniforms()]) {
            Value::Symbol(x) => vec![f32::from(x)],
            Value::Vector(x) => x.to_vec(),
        };
        let given = match likelihood.domain() {
            Domain::Symbols(_) => Value::Symbol(a[0] as u16),
            Domain::Vectors(_) => Value::Vector(&a),
        };
        forced.score(given);
        drawing.parameters(given, &mut rows[0]);
        forced.parameters(given, &mut rows[1]);
        assert_eq!(rows[0], rows[1], "{} {likelihood:?}", config.family());
    }
}
