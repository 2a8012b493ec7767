//! What is WaveNet's own of the readings' agreement.

use crate::common::{bunched, config, random_frames, random_table, typed};
use crate::suite::{Learner, pack, random_symbols, random_tensors, run_graph, step_against_graph, windows};
use wavesynth_models::ar::{Graph, Model, Uniforms};
use wavesynth_models::candle_core::Device;
use wavesynth_models::families::wavenet::fused::Fused;
use wavesynth_models::families::wavenet::graph::WaveNetGraph;
use wavesynth_models::families::wavenet::{Config, names};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Dtype, Layout, Tensors, quantise};

impl Learner for Config {
    const DROPOUT: &[f64] = &[0.0];
    /// Holds for these small random networks, whose logits are a few units wide, and catches a wrong scale or a dropped
    /// product.
    const I8_BOUND: f32 = 0.2;
    const STEP: f32 = 1e-3;
    const BATCH: usize = 3;

    fn grid() -> Vec<Self> {
        let mut all = Vec::new();
        for kernel in [1, 2, 3] {
            for cond in 0..5 {
                all.push(config(5, 7, 3, 9, 11, kernel, &[1, 2, 4, 1, 3], cond));
                all.push(config(16, 16, 24, 32, 32, kernel, &[1, 2, 4, 8], cond));
            }
        }
        all.push(config(32, 32, 64, 40, 256, 2, &[1, 2, 4, 8, 16, 1, 2], 1));
        all.push(config(48, 40, 33, 17, 256, 2, &[16, 1, 5], 2));
        // Past taps in batches of 4 and 8, at dilations that no batch divides.
        all.push(config(9, 6, 8, 10, 16, 3, &[9, 4, 17, 7], 1));
        for bunch in [2, 3, 4] {
            for cond in 0..5 {
                all.push(bunched(config(5, 7, 3, 9, 11, 2, &[1, 2, 4, 1, 3], cond), bunch));
            }
            all.push(bunched(config(16, 16, 24, 32, 32, 3, &[1, 9, 2], 1), bunch));
            all.push(bunched(config(32, 32, 40, 48, 256, 1, &[1, 1], 0), bunch));
        }
        all
    }

    fn small() -> Vec<Self> {
        [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2), (1, 3), (2, 3), (3, 2), (4, 3)]
            .map(|(cond, bunch)| bunched(config(6, 5, 7, 8, 12, 2, &[1, 2, 4], cond), bunch))
            .into()
    }

    fn many() -> Vec<(Self, usize)> {
        vec![(config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8], 1), 7)]
    }

    fn rows(&self) -> usize {
        2 * self.receptive_field() + 3
    }

    fn window(&self, i: usize) -> (usize, usize) {
        (self.receptive_field() + 30 + 17 * i, if i == 0 { 0 } else { self.receptive_field() - 1 })
    }

    fn condition(&self, i: usize, window: &mut Window, uniforms: &mut Uniforms) {
        let Some(c) = &self.condition else { return };
        window.frames = random_table(self, window.inputs.len().div_ceil(c.hop), uniforms);
        window.speaker = (c.speaker_dim > 0).then(|| i % c.speakers);
    }

    fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
        Box::new(WaveNetGraph::new(self, tensors, &Device::Cpu).unwrap())
    }
}

/// A file may hold some layers' weights as i8 and others not: the layers then pass floats to each other, and each product
/// rounds what it is given.
#[test]
fn some_weights_as_codes_are_near_the_graph() {
    let config = config(16, 16, 24, 32, 32, 3, &[1, 2, 4, 8], 1);
    for kept in ["layer.2.gate.weight", "layer.0.residual.weight"] {
        let float = random_tensors(&config, 7);
        let mut tensors = float.clone();
        quantise(&mut tensors, &config.table(), Dtype::I8).unwrap();
        tensors.insert(kept.into(), float[kept].clone());
        for isa in Isa::available() {
            let worst = step_against_graph(&config, &tensors, isa);
            assert!(worst < 0.2, "{} differs by {worst} with {kept} in f32", isa.name());
        }
    }
}

/// Planted mistakes, each in a copy of the config or the tensors that only the step sees. What the comparison must
/// catch, or it proves nothing.
#[test]
fn planted_mistakes_are_caught() {
    let good = config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8], 1);
    let tensors = random_tensors(&good, 7);
    let isa = Isa::detect();
    let caught = |what: &str, graph: &Config, step: &Config, for_graph: &Tensors, for_step: &Tensors| {
        let t = 2 * graph.receptive_field() + 3;
        let symbols = random_symbols(graph, t, 1);
        let frames = random_frames(graph, t, 2);
        let want = run_graph(graph, for_graph, &symbols, &frames);
        let model = pack(step, for_step, isa);
        let mut state = model.state();
        let mut worst = 0f32;
        for (i, &x) in symbols.iter().enumerate() {
            if i % graph.hop() == 0 && what != "ignored conditioning" {
                let frame = &frames[i / graph.hop() * graph.cond_len()..][..graph.cond_len()];
                model.condition(&mut state, &typed(graph, frame));
            }
            for (a, b) in model.step(&mut state, Value::Symbol(x)).iter().zip(&want[i]) {
                worst = worst.max((a - b).abs());
            }
        }
        assert!(worst > 1e-3, "{what}: differs by {worst} only");
    };
    let mut dilated = good.clone();
    dilated.dilations[3] += 1;
    caught("dilation + 1", &good, &dilated, &tensors, &tensors);
    let mut no_bias = tensors.clone();
    no_bias.get_mut("layer.2.gate.bias").unwrap().data.fill(0.0);
    caught("a dropped bias", &good, &good, &tensors, &no_bias);
    caught("ignored conditioning", &good, &good, &tensors, &tensors);
    // Push before read: the tap of a queue written first is one sample nearer.
    let mut pushed = good.clone();
    pushed.dilations[2] -= 1;
    caught("push before read", &good, &pushed, &tensors, &tensors);
    let mut swapped = tensors.clone();
    for row in swapped.get_mut("layer.1.gate.weight").unwrap().data.chunks_exact_mut(32) {
        let (a, b) = row.split_at_mut(16);
        a.swap_with_slice(b);
    }
    caught("swapped gate halves", &good, &good, &tensors, &swapped);
}

/// What is left out where only the frame's part learns changes nothing of what is asked for.
#[test]
fn gradients_of_a_part_are_those_of_the_whole() {
    let config = bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4], 4), 2);
    let layout = Layout::new(config.table());
    let params = layout.flatten(&random_tensors(&config, 3));
    let batch = windows(&config, 3, 5);
    let gradient = |fused: &Fused| {
        let mut grads = vec![f32::NAN; layout.len()];
        (fused.loss(&params, &batch, Some(&mut grads)).unwrap(), grads)
    };
    let fused = |learns: fn(&str) -> bool| Fused::new(config.clone(), Isa::detect()).learning(learns);
    let (loss, whole) = gradient(&Fused::new(config.clone(), Isa::detect()));
    let (same, frames) = gradient(&fused(|name| name.starts_with("cond.")));
    assert_eq!(loss, same);
    for spec in layout.table() {
        let at = layout.range(&spec.name);
        if spec.name == names::SPEAKERS || names::is_of_frames(&spec.name) {
            assert_eq!(frames[at.clone()], whole[at], "{}", spec.name);
        } else if spec.name == names::gate(1) {
            assert!(frames[at].iter().all(|g| *g == 0.0), "work that nobody asked for");
        }
    }
    for learns in [|name: &str| name == names::OUT, |name: &str| name == "layer.1.cond.weight"] {
        assert_eq!(gradient(&fused(learns)).1, whole);
    }
}
