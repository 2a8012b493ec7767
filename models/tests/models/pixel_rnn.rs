//! PixelRNN: the readings of its equations must agree with one another and with PyTorch's (`golden/pixel_rnn.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::images::{GoldenImages, bernoulli, class_of, grey, one_hot_frames};
use crate::suite::{self, Subject};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::pixel_rnn::{Config, Kind};
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::order::{Grid, Scan};
use wavesynth_models::weights::{Init, TensorSpec};

/// A config by its sizes; transposed rasters are `by` columns.
fn config(
    kind: Kind,
    (height, width, by): (usize, usize, Scan),
    [hidden, layers, head]: [usize; 3],
    labels: usize,
    classes: usize,
    likelihood: Option<LikelihoodConfig>,
) -> Config {
    let (start, grid) = ((classes / 2) as u16, Grid { height, width });
    let order = by.order(grid, 0);
    Config { classes, start, kind, hidden, layers, head, labels, likelihood, grid, order }
}

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        vec![
            config(Kind::Row, (3, 7, Scan::Raster), [9, 2, 11], 3, 2, bernoulli()),
            config(Kind::Diagonal, (3, 7, Scan::Column), [7, 2, 5], 2, 5, None),
            config(Kind::Diagonal, (5, 6, Scan::Reverse), [4, 1, 9], 0, 16, grey(2, 16)),
            config(Kind::Row, (1, 7, Scan::Raster), [5, 1, 6], 0, 4, None),
        ]
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        match spec.shape.len() {
            1 => Init::Normal(0.5),
            _ if spec.name == "input.weight" => Init::fan_in(12, 1.4),
            _ => Init::fan_in(spec.shape.iter().rev().skip(1).product::<usize>().max(4), 1.4),
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
    GoldenImages::open("pixel_rnn_row").compare_engine();
    GoldenImages::open("pixel_rnn_diagonal").compare_engine();
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use crate::images::class_of_window;
    use crate::suite::{Learner, Sequence, largest_difference, pack, random_tensors, run_graph, windows};
    use wavesynth_models::ar::{Graph, Uniforms};
    use wavesynth_models::candle_core::Device;
    use wavesynth_models::families::pixel_rnn::fused::Fused;
    use wavesynth_models::families::pixel_rnn::graph::PixelRnnGraph;
    use wavesynth_models::kernels::Isa;
    use wavesynth_models::objective::{Objective, Window};
    use wavesynth_models::weights::Tensors;

    impl Learner for Config {
        const DROPOUT: &[f64] = &[0.0];
        const I8_BOUND: f32 = 0.3;
        const READS_START: bool = false;
        const STEP: f32 = 1e-3;
        /// More than one group, none of a whole number of register tiles.
        const BATCH: usize = 19;

        fn grid() -> Vec<Self> {
            let mut all = Self::few();
            for kind in [Kind::Row, Kind::Diagonal] {
                all.push(config(kind, (1, 2, Scan::Raster), [1, 1, 1], 0, 2, bernoulli()));
                all.push(config(kind, (6, 1, Scan::Raster), [5, 2, 3], 0, 2, bernoulli()));
                all.push(config(kind, (5, 4, Scan::Raster), [17, 3, 30], 2, 9, None));
                all.push(config(kind, (4, 3, Scan::Column), [33, 1, 20], 0, 256, grey(3, 256)));
            }
            all
        }

        fn small() -> Vec<Self> {
            vec![
                config(Kind::Row, (3, 4, Scan::Raster), [5, 2, 9], 2, 5, None),
                config(Kind::Diagonal, (3, 3, Scan::Raster), [4, 2, 9], 0, 2, bernoulli()),
            ]
        }

        fn many() -> Vec<(Self, usize)> {
            [Kind::Row, Kind::Diagonal]
                .map(|kind| (config(kind, (3, 5, Scan::Raster), [10, 2, 12], 3, 2, bernoulli()), 70))
                .into()
        }

        /// Two images and the beginning of a third.
        fn rows(&self) -> usize {
            2 * self.steps() + 1
        }

        /// Whole images and prefixes.
        fn window(&self, i: usize) -> (usize, usize) {
            let t = (self.steps() - 2 * (i % 4)).max(1).min(self.steps());
            (t, (i % 2).min(t - 1))
        }

        fn condition(&self, i: usize, window: &mut Window, _: &mut Uniforms) {
            window.class = class_of_window(self.labels, i);
        }

        fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
            Box::new(PixelRnnGraph::new(self, tensors, &Device::Cpu).unwrap())
        }
    }

    #[test]
    fn pytorchs_gradient_is_the_fused_one_and_the_graphs() {
        GoldenImages::open("pixel_rnn_row").compare_gradient();
        GoldenImages::open("pixel_rnn_diagonal").compare_gradient();
    }

    /// Mistakes planted in the tensors that only the step sees: the comparison must catch them, or it proves nothing.
    #[test]
    fn planted_mistakes_are_caught() {
        for kind in [Kind::Row, Kind::Diagonal] {
            let config = config(kind, (4, 5, Scan::Raster), [8, 2, 12], 3, 4, None);
            let tensors = random_tensors(&config, 7);
            let text = Sequence::random(&config, 45, 1);
            let want = run_graph(&config, &tensors, &text.symbols, &text.frames);
            let difference = |plant: &dyn Fn(&mut Tensors)| {
                let mut planted = tensors.clone();
                plant(&mut planted);
                largest_difference(&text.run(&config, &pack(&config, &planted, Isa::detect())), &want)
            };
            assert!(difference(&|_| {}) < 1e-4);
            for (name, tensor) in &tensors {
                let dropped = difference(&|t| t.get_mut(name).unwrap().data.fill(0.0));
                assert!(dropped > 1e-3, "{kind:?}, {name} dropped: differs by {dropped} only");
                // Another neighbour's matrix.
                if tensor.shape.len() == 3 && tensor.shape[0] > 1 {
                    let place = tensor.data.len() / tensor.shape[0];
                    let moved = difference(&|t| t.get_mut(name).unwrap().data.rotate_left(place));
                    assert!(moved > 1e-3, "{kind:?}, {name} one place further: differs by {moved} only");
                }
            }
        }
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused() {
        let config = config(Kind::Row, (2, 3, Scan::Raster), [4, 1, 4], 2, 4, None);
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
