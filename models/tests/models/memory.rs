//! The memory that a model takes is known from its sizes: never less than it takes, and not much more.

use crate::common::{bunched, config};
use crate::images::{bernoulli, grey, random_order};
use wavesynth_models::ar::Sampling;
use wavesynth_models::families::{char_rnn, gpt, made, nade, pixel_cnn, pixel_rnn};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{GaussianMixture, LikelihoodConfig};
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::memory::Memory;
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_models::weights::{Checkpoint, Dtype};

fn compare(config: impl Into<FamilyConfig>) {
    let config: FamilyConfig = config.into();
    let known = Memory::of(&config);
    let layout = config.layout();
    for dtype in Dtype::ALL {
        for isa in Isa::available() {
            let tensors = layout.tensors(&layout.init(1));
            let mut file = Checkpoint { header: config.to_header().unwrap(), tensors };
            quantise(&mut file, dtype).unwrap();
            let model = Loaded::from_checkpoint(file, isa).unwrap();
            let stream = model.generator(Sampling::default());
            let (weights, state) = (stream.weight_bytes() as u64, stream.state_bytes() as u64);
            assert!(weights <= known.weights, "{config:?} {dtype}: weights {weights} of {known:?}");
            assert!(state <= known.stream, "{config:?} {dtype}: state {state} of {known:?}");
            if dtype == Dtype::F32 && isa.lanes() == 16 {
                let near = 2 * state + 4096 * (layout.table().len() as u64 + 4);
                assert!(known.stream <= near, "{config:?}: state {state} of {known:?}");
            }
        }
    }
}

#[test]
fn the_memory_of_every_family_is_known_before_it_is_taken() {
    for cond in 0..5 {
        compare(config(5, 7, 3, 9, 11, 2, &[1, 2], cond));
        compare(config(1, 1, 1, 1, 2, 5, &[1, 64, 1000], cond));
        compare(bunched(config(33, 17, 40, 65, 256, 3, &[1, 2, 4, 8, 512], cond), 3));
    }
    let rnn = |cell, hidden, likelihood: Option<LikelihoodConfig>| {
        let classes = if likelihood.is_some() { 0 } else { 65 };
        char_rnn::Config {
            classes,
            start: 0,
            cell,
            hidden,
            layers: 3,
            likelihood,
            order: Order::Time,
            condition: None,
        }
    };
    let given = |features| Some(char_rnn::ConditionConfig { features });
    let mixture = LikelihoodConfig::GaussianMixture(GaussianMixture { components: 5, dims: 3 });
    for cell in [char_rnn::Cell::Lstm, char_rnn::Cell::Gru] {
        for hidden in [1, 12, 100] {
            compare(rnn(cell, hidden, None));
            compare(rnn(cell, hidden, Some(mixture)));
            for features in [1, 250] {
                compare(char_rnn::Config { condition: given(features), ..rnn(cell, hidden, Some(mixture)) });
            }
        }
    }
    for (heads, width, context) in [(1, 8, 4), (8, 8, 100), (3, 48, 1000)] {
        for tied_head in [true, false] {
            compare(gpt::Config {
                classes: 65,
                start: 0,
                layers: 2,
                heads,
                width,
                context,
                bias: true,
                tied_head,
                likelihood: None,
                order: Order::Time,
                labels: 0,
                positions: gpt::Positions::Steps,
                any_order: false,
                classifier: 0,
            });
        }
    }
    for (likelihood, labels) in [(None, 10), (grey(5, 65), 10), (grey(5, 65), 0)] {
        compare(gpt::Config {
            classes: 65,
            start: 0,
            layers: 2,
            heads: 3,
            width: 33,
            context: 35,
            bias: true,
            tied_head: likelihood.is_none(),
            likelihood,
            order: random_order(5, 7),
            labels,
            positions: gpt::Positions::Grid(Grid { height: 5, width: 7 }),
            any_order: true,
            classifier: if labels == 0 { 10 } else { 0 },
        });
    }
    for (classes, likelihood) in [(2, bernoulli()), (5, None), (256, grey(5, 256))] {
        for (hidden, labels) in [(1, 16), (33, 0), (500, 10)] {
            let order = random_order(5, 7);
            let order = || order.clone();
            compare(nade::Config { classes, start: 0, hidden, labels, likelihood, order: order() });
            for (hidden, direct) in [(vec![hidden], true), (vec![hidden, 40], false)] {
                compare(made::Config {
                    classes,
                    start: 0,
                    hidden,
                    direct,
                    labels,
                    likelihood,
                    order: order(),
                });
            }
        }
    }
    let grid = Grid { height: 9, width: 10 };
    for (scan, channels, labels) in [(Scan::Raster, 33, 0), (Scan::Spiral, 5, 16), (Scan::Random, 16, 1)] {
        for likelihood in [None, Some(mixture)] {
            compare(pixel_cnn::Config {
                classes: if likelihood.is_some() { 0 } else { 65 },
                start: 0,
                grid,
                order: scan.order(grid, 1),
                labels,
                layers: 3,
                channels,
                embedding: 7,
                first_kernel: 5,
                kernel: 3,
                head_channels: 2 * channels + 1,
                likelihood,
            });
        }
    }
    for (kind, hidden, likelihood) in
        [(pixel_rnn::Kind::Row, 12, grey(5, 65)), (pixel_rnn::Kind::Diagonal, 33, None)]
    {
        let grid = Grid { height: 9, width: 11 };
        let order = Scan::Column.order(grid, 0);
        let (classes, start, layers, head, labels) = (65, 0, 3, 50, 10);
        compare(pixel_rnn::Config {
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
        });
    }
}
