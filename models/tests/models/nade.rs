//! NADE: the readings of its equations must agree with one another and with PyTorch's (`golden/nade.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::images::{GoldenImages, bernoulli, class_of, grey, one_hot_frames, random_order};
use crate::suite::{self, Subject};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::nade::Config;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::weights::{Init, TensorSpec};

/// A config by its sizes.
fn config(
    (height, width): (usize, usize),
    hidden: usize,
    labels: usize,
    classes: usize,
    likelihood: Option<LikelihoodConfig>,
) -> Config {
    let start = (classes / 2) as u16;
    Config { classes, start, hidden, labels, likelihood, order: random_order(height, width) }
}

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        vec![
            config((3, 7), 13, 0, 2, bernoulli()),
            config((1, 7), 20, 3, 5, None),
            config((5, 6), 8, 2, 16, grey(2, 16)),
        ]
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        match &spec.name[..] {
            "hidden.weight" => Init::fan_in(self.steps(), 2.0),
            "output.weight" => Init::fan_in(self.hidden, 2.0),
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
    GoldenImages::open("nade").compare_engine();
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
    use wavesynth_models::families::nade::fused::Fused;
    use wavesynth_models::families::nade::graph::NadeGraph;
    use wavesynth_models::kernels::Isa;
    use wavesynth_models::objective::{Objective, Window};
    use wavesynth_models::weights::Tensors;

    impl Learner for Config {
        const DROPOUT: &[f64] = &[0.0];
        const I8_BOUND: f32 = 1e-4;
        const READS_START: bool = false;
        const BATCH: usize = 37;

        fn grid() -> Vec<Self> {
            let mut all = Self::few();
            for (h, labels) in [(1, 0), (7, 2), (33, 0), (100, 4)] {
                all.push(config((1, 2), h, labels, 2, bernoulli()));
                all.push(config((4, 5), h, labels, 2, bernoulli()));
                all.push(config((3, 3), h, labels, 20, None));
                all.push(config((7, 5), h, labels, 256, grey(3, 256)));
            }
            all
        }

        fn small() -> Vec<Self> {
            vec![
                config((3, 4), 6, 0, 2, bernoulli()),
                config((2, 3), 5, 3, 4, None),
                config((2, 2), 5, 0, 16, grey(2, 16)),
            ]
        }

        fn many() -> Vec<(Self, usize)> {
            vec![(config((3, 7), 17, 2, 2, bernoulli()), 150), (config((3, 7), 17, 0, 9, None), 70)]
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
            Box::new(NadeGraph::new(self, tensors, &Device::Cpu).unwrap())
        }
    }

    #[test]
    fn pytorchs_gradient_is_the_fused_one_and_the_graphs() {
        GoldenImages::open("nade").compare_gradient();
    }

    /// Mistakes planted in the tensors that only the step sees: the comparison must catch them, or it proves nothing.
    #[test]
    fn planted_mistakes_are_caught() {
        let config = config((4, 5), 16, 3, 4, None);
        let tensors = random_tensors(&config, 7);
        assert!(step_against_graph(&config, &tensors, Isa::detect()) < 1e-4);
        let text = Sequence::random(&config, 45, 1);
        let want = run_graph(&config, &tensors, &text.symbols, &text.frames);
        let caught = |what: &str, plant: &dyn Fn(&mut Tensors)| {
            let mut planted = tensors.clone();
            plant(&mut planted);
            let got = text.run(&config, &pack(&config, &planted, Isa::detect()));
            let worst = largest_difference(&got, &want);
            assert!(worst > 1e-3, "{what}: differs by {worst} only");
        };
        for name in tensors.keys() {
            caught(&format!("{name} dropped"), &|t| t.get_mut(name).unwrap().data.fill(0.0));
        }
        caught("inputs of the step before", &|t| {
            t.get_mut("hidden.weight").unwrap().data.rotate_left(4 * 16);
        });
        caught("another symbol's row", &|t| t.get_mut("hidden.weight").unwrap().data.rotate_left(16));
        caught("outputs of the step before", &|t| {
            t.get_mut("output.weight").unwrap().data.rotate_right(4 * 16);
        });
        caught("another label", &|t| t.get_mut("hidden.labels").unwrap().data.rotate_left(16));
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused() {
        let config = config((2, 3), 4, 2, 4, None);
        let fused = Fused::new(config.clone(), Isa::PLAIN);
        let params = vec![0.1; fused.layout().len()];
        let refused = |change: &dyn Fn(&mut Window)| {
            let mut batch = windows(&config, 2, 1);
            change(&mut batch[1]);
            fused.loss(&params, &batch, None).unwrap_err().to_string()
        };
        assert_eq!(refused(&|w| w.inputs[0] = 4), "batch: window 1: symbol 4, the model has 4 classes");
        assert_eq!(refused(&|w| w.class = Some(2)), "batch: window 1: class 2, the model has 2");
        assert_eq!(
            refused(&|w| w.speaker = Some(0)),
            "batch: window 1: a condition that the model does not take"
        );
        let long = |w: &mut Window| (w.inputs, w.targets) = (vec![0; 7], vec![0; 7]);
        assert_eq!(refused(&long), "batch: window 1: 7 rows, the model has 6 steps");
    }
}
