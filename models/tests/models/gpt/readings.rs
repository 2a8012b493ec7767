//! What is GPT's own of the readings' agreement.

use super::{any_order, config, golden, golden_checkpoint, golden_config, image, shuffled, telling};
use crate::images::{GoldenImages, bernoulli, class_of_window, grey};
use crate::suite::{
    Learner, Sequence, largest_difference, pack, random_symbols, random_tensors, run, run_graph, windows,
};
use wavesynth_models::ar::{Generator, Graph, Model, Sampling, Stream, Uniforms};
use wavesynth_models::candle_core::Device;
use wavesynth_models::condition::Condition;
use wavesynth_models::families::gpt::Config;
use wavesynth_models::families::gpt::fused::Fused;
use wavesynth_models::families::gpt::graph::GptGraph;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Checkpoint, Tensors};

impl Learner for Config {
    const DROPOUT: &[f64] = &[0.0, 0.4];
    const I8_BOUND: f32 = 0.6;
    const GRADIENT_BOUND: f64 = 3e-4;
    const BATCH: usize = 5;

    fn grid() -> Vec<Self> {
        let mut all = Vec::new();
        for (classes, layers, heads, width, context) in
            [(9, 2, 1, 5, 7), (17, 1, 2, 14, 8), (33, 3, 3, 27, 19), (16, 2, 2, 32, 1), (65, 2, 2, 64, 70)]
        {
            for (bias, tied_head) in [(false, false), (false, true), (true, false), (true, true)] {
                all.push(Config { bias, tied_head, ..config(classes, layers, heads, width, context) });
            }
        }
        for (labels, on_grid) in [(0, true), (3, true), (2, false)] {
            all.push(image((4, 5), labels, on_grid, 20, None));
            all.push(image((3, 3), labels, on_grid, 2, bernoulli()));
            all.push(Config { bias: false, ..image((7, 5), labels, on_grid, 256, grey(3, 256)) });
        }
        all.push(any_order(image((4, 5), 2, true, 20, None)));
        all.push(any_order(image((3, 4), 0, true, 2, bernoulli())));
        all.push(telling(3, image((4, 5), 0, true, 20, None)));
        all.push(telling(17, any_order(image((3, 4), 0, true, 2, bernoulli()))));
        all
    }

    fn small() -> Vec<Self> {
        [(false, true), (true, false), (true, true)]
            .map(|(bias, tied_head)| Config { bias, tied_head, ..config(12, 2, 2, 10, 9) })
            .into_iter()
            .chain([image((3, 3), 2, true, 9, None), image((3, 4), 0, true, 16, grey(2, 16))])
            .chain([any_order(image((3, 3), 2, true, 9, None)), telling(4, image((3, 3), 0, true, 9, None))])
            .collect()
    }

    /// A batch that takes more than one round.
    fn many() -> Vec<(Self, usize)> {
        let images = image((8, 8), 3, true, 2, bernoulli());
        vec![(config(17, 2, 2, 16, 32), 21), (images.clone(), 40), (telling(3, images), 40)]
    }

    fn rows(&self) -> usize {
        3 * self.context + 3
    }

    /// Shorter and longer than the context; of images, whole ones and prefixes.
    fn window(&self, i: usize) -> (usize, usize) {
        if self.has_fixed_length() {
            let t = self.context - i % 3;
            return (t, [0, t / 3][i % 2]);
        }
        let t = 1 + (self.context + 5) * i / 2 + self.context / 2;
        (t, [0, t / 3, t - 1][i % 3])
    }

    fn condition(&self, i: usize, window: &mut Window, _: &mut Uniforms) {
        window.class = class_of_window(self.labels.max(self.classifier), i);
        if self.any_order && i % 4 != 3 {
            window.sites = shuffled(self.context, i as u64);
        }
    }

    fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
        Box::new(GptGraph::new(self, tensors, &Device::Cpu).unwrap())
    }
}

/// Planted mistakes, each in a copy of the config, the tensors or the symbols that only the step sees. What the
/// comparison must catch, or it proves nothing.
#[test]
fn planted_mistakes_are_caught() {
    let good = config(17, 3, 3, 27, 16);
    let tensors = random_tensors(&good, 7);
    let symbols = random_symbols(&good, 40, 1);
    let want = run_graph(&good, &tensors, &symbols, &[]);
    let caught = |what: &str, config: &Config, change: &dyn Fn(&mut Tensors)| {
        let mut changed = tensors.clone();
        change(&mut changed);
        let model = pack(config, &changed, Isa::detect());
        let d = largest_difference(&run(&model, &mut model.state(), &symbols), &want);
        assert!(d > 1e-3, "{what}: differs by {d} only");
    };
    let scaled = |t: &mut Tensors, name: &str, by: f32| {
        t.get_mut(name).unwrap().data.iter_mut().for_each(|v| *v *= by);
    };
    let columns = |t: &mut Tensors, name: &str, each: &dyn Fn(&mut [f32])| {
        let t = t.get_mut(name).unwrap();
        let width = *t.shape.last().unwrap();
        t.data.chunks_exact_mut(width).for_each(each);
    };
    let qkv = ["layer.1.attention.qkv.weight", "layer.1.attention.qkv.bias"];
    caught("a dropped scale", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[..27].iter_mut().for_each(|v| *v *= 3.0));
        }
    });
    caught("keys and values swapped", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[27..].rotate_left(27));
        }
    });
    caught("heads in another order", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[54..].rotate_left(9));
        }
    });
    caught("positions off by one", &good, &|t| {
        t.get_mut("input.position").unwrap().data.rotate_left(27);
    });
    caught("a dropped bias", &good, &|t| scaled(t, "layer.2.mlp.up.bias", 0.0));
    caught("a norm's dropped bias", &good, &|t| scaled(t, "layer.0.mlp.norm.bias", 0.0));
    caught("the last norm without its gain", &good, &|t| {
        t.get_mut("output.norm.weight").unwrap().data.fill(1.0);
    });
    caught("a residual of another scale", &good, &|t| scaled(t, "layer.1.mlp.down.weight", 6f32.sqrt()));
    caught("a longer window", &Config { context: 17, ..good.clone() }, &|t| {
        let position = t.get_mut("input.position").unwrap();
        position.shape[0] = 17;
        position.data.extend_from_within(15 * 27..);
    });
    caught("a residual stream of another scale", &good, &|t| {
        scaled(t, "input.embed", 3.0);
        scaled(t, "input.position", 3.0);
    });
}

#[test]
fn planted_mistakes_of_images_are_caught() {
    let config = image((4, 5), 3, true, 9, None);
    let tensors = random_tensors(&config, 7);
    let text = Sequence::random(&config, 45, 1);
    let want = run_graph(&config, &tensors, &text.symbols, &text.frames);
    let difference = |plant: &dyn Fn(&mut Tensors)| {
        let mut planted = tensors.clone();
        plant(&mut planted);
        largest_difference(&text.run(&config, &pack(&config, &planted, Isa::detect())), &want)
    };
    assert!(difference(&|_| {}) < 1e-4);
    for name in ["input.row", "input.column", "input.entering.row", "input.entering.column", "input.labels"] {
        let rotated = difference(&|t| t.get_mut(name).unwrap().data.rotate_left(10));
        assert!(rotated > 1e-3, "{name} one further differs by {rotated} only");
    }
    let swapped = difference(&|t| {
        let row = t["input.row"].clone();
        let entering = t.insert("input.entering.row".into(), row).unwrap();
        t.insert("input.row".into(), entering);
    });
    assert!(swapped > 1e-3, "the wanted pixel for the entering one differs by {swapped} only");
}

#[test]
fn pytorchs_gradient_of_images_is_the_fused_one_and_the_graphs() {
    GoldenImages::open("gpt_image").compare_gradient();
}

/// What a class adds to the trainer's loss of an image is −ln p of that class by the engine.
#[test]
fn the_engine_tells_the_classes_that_the_trainer_learns() {
    for config in
        [telling(3, image((4, 5), 0, true, 9, None)), telling(5, image((3, 4), 0, false, 2, bernoulli()))]
    {
        let tensors = random_tensors(&config, 7);
        let symbols = random_symbols(&config, config.context, 3);
        for isa in Isa::available() {
            let model = std::sync::Arc::new(pack(&config, &tensors, isa));
            let mut stream = Stream::new(model.clone(), Sampling::default());
            let shape = stream.hidden().unwrap();
            let (mut row, mut mean) = (vec![0.0; shape.values()], vec![0.0; shape.width]);
            for &x in &symbols {
                let nats = stream.read_hidden(x.into(), &mut row).unwrap();
                assert!(nats.is_finite());
                let last = &row[row.len() - shape.width..];
                mean.iter_mut().zip(last).for_each(|(m, x)| *m += x / symbols.len() as f32);
            }
            let logits = model.class_logits(&mean);
            assert_eq!((logits.len(), model.classifier()), (config.classifier, config.classifier));
            let log_sum = logits.iter().map(|&y| f64::from(y).exp()).sum::<f64>().ln();
            let fused = Fused::new(config.clone(), isa);
            let params = fused.layout().flatten(&tensors);
            let inputs = [&[config.start], &symbols[..symbols.len() - 1]].concat();
            let loss = |class: Option<usize>| {
                let window =
                    Window { inputs: inputs.clone(), targets: symbols.clone(), class, ..Window::default() };
                fused.loss(&params, &[window], None).unwrap()
            };
            for (class, &logit) in logits.iter().enumerate() {
                let (added, want) = (loss(Some(class)) - loss(None), log_sum - f64::from(logit));
                assert!((added - want).abs() < 1e-4, "{}: {added}, the engine {want}", isa.name());
            }
        }
    }
}

#[test]
fn the_graph_gives_pytorchs_logits() {
    let (symbols, logits, _) = golden();
    let file = Checkpoint::read(&golden_checkpoint()).unwrap();
    let config = golden_config(&file);
    let mut inputs = vec![config.start];
    inputs.extend(&symbols[..symbols.len() - 1]);
    for (got, want) in run_graph(&config, &file.tensors, &inputs, &[]).iter().flatten().zip(&logits) {
        assert!((got - want).abs() < 2e-5, "{got}, wanted {want}");
    }
}

#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let config = config(17, 1, 1, 4, 8);
    let fused = Fused::new(config.clone(), Isa::PLAIN);
    let params = vec![0.1; fused.layout().len()];
    let refused = |change: &dyn Fn(&mut Window)| {
        let mut batch = windows(&config, 2, 1);
        change(&mut batch[1]);
        fused.loss(&params, &batch, None).unwrap_err().to_string()
    };
    assert!(refused(&|w| w.inputs[0] = 17).contains("window 1: symbol 17"));
    assert!(refused(&|w| w.warmup = w.inputs.len()).contains("warm-up"));
    assert!(refused(&|w| w.speaker = Some(0)).contains("takes none"));
    assert!(fused.loss(&params, &[], None).is_err());
}

/// By groups: what is asked of several pixels at once is what each is as the next one, and what is absorbed at once is what
/// steps one by one absorb.
#[test]
fn groups_are_steps_side_by_side() {
    for config in
        [any_order(image((4, 5), 2, true, 9, None)), any_order(image((3, 4), 0, true, 2, bernoulli()))]
    {
        let tensors = random_tensors(&config, 7);
        for isa in Isa::available() {
            let model = std::sync::Arc::new(pack(&config, &tensors, isa));
            let stream = || {
                let mut stream = Stream::new(model.clone(), Sampling::default());
                stream.condition(&Condition { class: Some(1), ..Condition::default() });
                stream
            };
            let n = config.context;
            // Two images, one behind the other, in groups of several sizes.
            let mut together = stream();
            for image in 0..2 {
                let sites = shuffled(n, 40 + image);
                let symbols = random_symbols(&config, n, 50 + image);
                let mut from = 0;
                for size in [1, 3, 1, n - 5] {
                    let group = &sites[from..from + size];
                    let mut values: Vec<f32> =
                        symbols[from..from + size].iter().map(|&x| f32::from(x)).collect();
                    let mut nats = vec![f32::NAN; size];
                    assert!(together.group(group, None, &mut values, &mut nats));
                    for (i, nats) in nats.iter().enumerate() {
                        // The order up to the group, then pixel i of it, then all others.
                        let mut order = sites.clone();
                        order.swap(from, from + i);
                        let mut alone = stream();
                        alone.condition(&Condition {
                            class: Some(1),
                            order: Some(&order),
                            ..Condition::default()
                        });
                        symbols[..from].iter().for_each(|&x| {
                            alone.score(x.into());
                        });
                        let want = alone.score(symbols[from + i].into());
                        let far = (nats - want).abs();
                        assert!(
                            far < 1e-4,
                            "{} image {image} at {from} + {i}: {nats}, alone {want}",
                            isa.name()
                        );
                    }
                    from += size;
                }
            }
            assert!(
                !Stream::new(
                    std::sync::Arc::new(pack(
                        &image((3, 4), 0, true, 9, None),
                        &random_tensors(&image((3, 4), 0, true, 9, None), 1),
                        isa
                    )),
                    Sampling::default()
                )
                .group(&[0], None, &mut [0.0], &mut [0.0]),
                "a model of one order has no groups"
            );
        }
    }
}
