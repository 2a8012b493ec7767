//! The masked perceptron: the readings of its equations must agree with one another and with PyTorch's
//! (`golden/made.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::images::{GoldenImages, bernoulli, class_of, grey, one_hot_frames, random_order};
use crate::suite::{self, Subject};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::made::Config;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::weights::{Init, TensorSpec};

/// A config by its sizes.
fn config(
    (height, width): (usize, usize),
    hidden: &[usize],
    direct: bool,
    labels: usize,
    classes: usize,
    likelihood: Option<LikelihoodConfig>,
) -> Config {
    let (start, order) = ((classes / 2) as u16, random_order(height, width));
    Config { classes, start, hidden: hidden.to_vec(), direct, labels, likelihood, order }
}

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        vec![
            config((3, 7), &[90], false, 0, 2, bernoulli()),
            config((1, 7), &[40, 23], true, 3, 5, None),
            config((5, 6), &[8, 70], true, 2, 16, grey(2, 16)),
        ]
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        match &spec.name[..] {
            "layer.0.weight" | "direct.weight" => Init::fan_in(self.steps() / 2, 1.4),
            "layer.1.weight" => Init::fan_in(self.hidden[0] / 2, 1.4),
            "output.weight" => Init::fan_in(self.hidden[self.hidden.len() - 1] / 2, 1.4),
            _ => Init::Normal(0.5),
        }
    }

    fn frames(&self, t: usize, seed: u64) -> Vec<f32> {
        one_hot_frames(self.labels, self.steps(), t, seed)
    }

    fn typed<'a>(&self, frame: &'a [f32]) -> Condition<'a> {
        class_of(frame)
    }
}

#[test]
fn the_engine_gives_pytorchs_logits_and_likelihood() {
    GoldenImages::open("made").compare_engine();
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use crate::images::class_of_window;
    use crate::suite::{
        Learner, Sequence, largest_difference, pack, random_tensors, run_graph, step_against_graph, windows,
    };
    use wavesynth_models::ar::{Graph, Uniforms};
    use wavesynth_models::candle_core::Device;
    use wavesynth_models::families::made::fused::Fused;
    use wavesynth_models::families::made::graph::MadeGraph;
    use wavesynth_models::kernels::Isa;
    use wavesynth_models::objective::{Objective, Window};
    use wavesynth_models::weights::Tensors;

    impl Learner for Config {
        const DROPOUT: &[f64] = &[0.0, 0.3];
        const I8_BOUND: f32 = 1e-4;
        const READS_START: bool = false;
        /// More than one group, none of a whole number of register tiles.
        const BATCH: usize = 71;
        /// A small one, so that few units pass their kink on it.
        const STEP: f32 = 1e-3;

        fn grid() -> Vec<Self> {
            let mut all = Self::few();
            let layers: [&[usize]; 5] = [&[1], &[17], &[200], &[100, 7], &[33, 150]];
            for (i, hidden) in layers.into_iter().enumerate() {
                let (direct, labels) = (i % 2 == 0, [0, 3][i / 2 % 2]);
                all.push(config((1, 2), hidden, direct, labels, 2, bernoulli()));
                all.push(config((9, 9), hidden, !direct, labels, 2, bernoulli()));
                all.push(config((3, 3), hidden, direct, labels, 20, None));
                all.push(config((4, 5), hidden, direct, labels, 256, grey(3, 256)));
            }
            all
        }

        fn small() -> Vec<Self> {
            vec![
                config((3, 4), &[30], true, 0, 2, bernoulli()),
                config((2, 3), &[20, 25], false, 3, 6, None),
                config((2, 2), &[12, 9], true, 0, 16, grey(2, 16)),
            ]
        }

        fn many() -> Vec<(Self, usize)> {
            vec![
                (config((3, 7), &[170, 90], true, 2, 2, bernoulli()), 150),
                (config((3, 7), &[70], true, 0, 9, None), 70),
            ]
        }

        /// Two sequences and the beginning of a third.
        fn rows(&self) -> usize {
            2 * self.steps() + 1
        }

        /// Whole sequences and prefixes.
        fn window(&self, i: usize) -> (usize, usize) {
            let t = (self.steps() - i % 3).max(1);
            (t, (i % 2).min(t - 1))
        }

        fn condition(&self, i: usize, window: &mut Window, _: &mut Uniforms) {
            window.class = class_of_window(self.labels, i);
        }

        fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
            Box::new(MadeGraph::new(self, tensors, &Device::Cpu).unwrap())
        }
    }

    #[test]
    fn pytorchs_gradient_is_the_fused_one_and_the_graphs() {
        GoldenImages::open("made").compare_gradient();
    }

    /// Mistakes planted in the tensors that only the step sees: the comparison must catch them, or it proves nothing.
    #[test]
    fn planted_mistakes_are_caught() {
        let config = config((4, 5), &[60, 64], true, 3, 4, None);
        let tensors = random_tensors(&config, 7);
        assert!(step_against_graph(&config, &tensors, Isa::detect()) < 1e-4);
        let text = Sequence::random(&config, 45, 1);
        let want = run_graph(&config, &tensors, &text.symbols, &text.frames);
        let difference = |plant: &dyn Fn(&mut Tensors)| {
            let mut planted = tensors.clone();
            plant(&mut planted);
            largest_difference(&text.run(&config, &pack(&config, &planted, Isa::detect())), &want)
        };
        let caught = |what: &str, plant: &dyn Fn(&mut Tensors)| {
            let worst = difference(plant);
            assert!(worst > 1e-3, "{what}: differs by {worst} only");
        };
        for name in tensors.keys() {
            caught(&format!("{name} dropped"), &|t| t.get_mut(name).unwrap().data.fill(0.0));
        }
        let rotated = |name: &'static str, by: usize| {
            move |t: &mut Tensors| t.get_mut(name).unwrap().data.rotate_left(by)
        };
        caught("inputs of the step before", &rotated("layer.0.weight", 4 * 60));
        caught("another symbol's row", &rotated("layer.0.weight", 60));
        caught("units of the other layer one further", &rotated("layer.1.weight", 64));
        caught("outputs of the step before", &rotated("output.bias", 4));
        caught("direct connections of the step before", &rotated("direct.weight", 4 * 80));
        caught("another label", &rotated("layer.0.labels", 60));
        caught("another label's outputs", &rotated("output.labels", 80));
        // What the masks cover is not read: the last unit of the first layer reaches no unit but the last.
        let covered = difference(&|t| {
            let weight = &mut t.get_mut("layer.1.weight").unwrap().data;
            weight[59 * 64..59 * 64 + 60].fill(9.0);
        });
        assert_eq!(covered, difference(&|_| {}), "a masked weight counts");
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused() {
        let config = config((2, 3), &[4], false, 2, 4, None);
        let fused = Fused::new(config.clone(), Isa::PLAIN);
        let params = vec![0.1; fused.layout().len()];
        let refused = |change: &dyn Fn(&mut Window)| {
            let mut batch = windows(&config, 2, 1);
            change(&mut batch[1]);
            fused.loss(&params, &batch, None).unwrap_err().to_string()
        };
        assert_eq!(refused(&|w| w.targets[0] = 4), "batch: window 1: symbol 4, the model has 4 classes");
        assert_eq!(refused(&|w| w.class = Some(2)), "batch: window 1: class 2, the model has 2");
        let long = |w: &mut Window| (w.inputs, w.targets) = (vec![0; 7], vec![0; 7]);
        assert_eq!(refused(&long), "batch: window 1: 7 rows, the model has 6 steps");
    }
}
