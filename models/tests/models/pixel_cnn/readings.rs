//! What is the PixelCNN's own of the readings' agreement.

use super::{GOLDEN, SCANS, config};
use crate::common::{Golden, golden_path, relative};
use crate::suite::{Learner, Sequence, largest_difference, pack, random_tensors, run_graph, windows};
use wavesynth_models::ar::{Graph, Uniforms};
use wavesynth_models::candle_core::Device;
use wavesynth_models::families::pixel_cnn::Config;
use wavesynth_models::families::pixel_cnn::fused::Fused;
use wavesynth_models::families::pixel_cnn::graph::{GraphObjective, PixelCnnGraph};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::order::Scan;
use wavesynth_models::weights::{Checkpoint, Tensors};

impl Learner for Config {
    const DROPOUT: &[f64] = &[0.0, 0.4];
    const I8_BOUND: f32 = 0.2;
    const GRADIENT_BOUND: f64 = 3e-4;
    /// The first pixel reads nothing.
    const READS_START: bool = false;
    const BATCH: usize = 5;

    /// Orders × sizes; images of more rows than a tile, of one line and of one column.
    fn grid() -> Vec<Self> {
        let mut all: Vec<_> = SCANS.map(|scan| config(scan, 5, 6, (5, 3), 2)).into();
        all.extend([
            Config { layers: 1, ..config(Scan::Raster, 6, 4, (3, 3), 0) },
            Config { layers: 3, channels: 16, head_channels: 16, ..config(Scan::Raster, 11, 12, (7, 3), 2) },
            Config { layers: 3, channels: 33, ..config(Scan::Spiral, 12, 11, (3, 5), 0) },
            config(Scan::Raster, 1, 20, (7, 3), 0),
            config(Scan::Raster, 20, 1, (7, 3), 3),
            config(Scan::Raster, 1, 1, (3, 3), 2),
        ]);
        all
    }

    fn small() -> Vec<Self> {
        vec![config(Scan::Raster, 4, 5, (5, 3), 2), config(Scan::Spiral, 4, 5, (3, 3), 0)]
    }

    /// More than one image a task.
    fn many() -> Vec<(Self, usize)> {
        vec![(Config { channels: 16, ..config(Scan::Serpentine, 6, 6, (5, 3), 2) }, 21)]
    }

    /// Several images.
    fn rows(&self) -> usize {
        2 * self.grid.len() + 3
    }

    /// Whole images, and such as end within a line.
    fn window(&self, i: usize) -> (usize, usize) {
        let n = self.grid.len();
        let t = [n, n.div_ceil(2), n - n / 5, 1 + n / 4][i % 4];
        (t, [0, t / 3, t - 1][i % 3])
    }

    fn condition(&self, i: usize, window: &mut Window, uniforms: &mut Uniforms) {
        if self.labels > 0 && i % 4 != 3 {
            window.class = Some(uniforms.below(self.labels as u64) as usize);
        }
    }

    fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
        Box::new(PixelCnnGraph::new(self, tensors, &Device::Cpu).unwrap())
    }
}

/// Mistakes planted in the config or the tensors that only the step sees: the comparison must catch them, or it proves
/// nothing.
#[test]
fn planted_mistakes_are_caught() {
    for scan in [Scan::Raster, Scan::Spiral] {
        let good = Config { layers: 3, ..config(scan, 6, 6, (5, 3), 2) };
        let tensors = random_tensors(&good, 7);
        let mut text = Sequence::random(&good, 36, 1);
        text.frames = vec![0.0, 1.0];
        let want = run_graph(&good, &tensors, &text.symbols, &text.frames);
        let caught = |what: &str, config: &Config, change: &dyn Fn(&mut Tensors)| {
            let mut changed = tensors.clone();
            change(&mut changed);
            let got = text.run(config, &pack(config, &changed, Isa::detect()));
            let d = largest_difference(&got, &want);
            assert!(d > 1e-3, "{scan:?}, {what}: differs by {d} only");
        };
        for stack in ["vertical", "horizontal"] {
            for l in 0..3 {
                let weight = format!("layer.{l}.{stack}.weight");
                let tap = if l == 0 { 3 * 10 } else { 5 * 10 };
                caught(&format!("taps of {weight} turned by one"), &good, &|t| {
                    t.get_mut(&weight).unwrap().data.rotate_left(tap);
                });
                for what in ["bias", "class"] {
                    let name = format!("layer.{l}.{stack}.{what}");
                    caught(&format!("{name} dropped"), &good, &|t| t.get_mut(&name).unwrap().data.fill(0.0));
                }
                let halves = format!("{weight}, halves swapped");
                caught(&halves, &good, &|t| {
                    let rows = t.get_mut(&weight).unwrap().data.chunks_exact_mut(10);
                    rows.for_each(|row| row.rotate_left(5));
                });
            }
        }
        for l in 0..3 {
            let name = format!("layer.{l}.vertical_to_horizontal.weight");
            caught(&format!("{name} turned over"), &good, &|t| {
                let old = t[&name].data.clone();
                let new = &mut t.get_mut(&name).unwrap().data;
                (0..100).for_each(|i| new[i] = old[i % 10 * 10 + i / 10]);
            });
            let name = format!("layer.{l}.residual.bias");
            caught(&format!("{name} dropped"), &good, &|t| t.get_mut(&name).unwrap().data.fill(0.0));
        }
        caught("labels counted from one", &good, &|t| {
            for l in 0..3 {
                t.get_mut(&format!("layer.{l}.vertical.class")).unwrap().data.rotate_left(10);
            }
        });
        if scan == Scan::Raster {
            let order = Scan::Reverse.order(good.grid, 0);
            caught("the taps of another order", &Config { order, ..good.clone() }, &|_| {});
        }
    }
}

#[test]
fn pytorchs_gradient_is_the_fused_one_and_the_graphs() {
    for (name, class) in GOLDEN {
        let golden = Golden::open(name);
        let file = Checkpoint::read(&golden_path(name)).unwrap();
        let config = FamilyConfig::from_header(&file.header).unwrap();
        let config: &Config = config.downcast().expect("a PixelCNN");
        let targets = golden.symbols();
        let mut inputs = vec![config.start];
        inputs.extend(&targets[..targets.len() - 1]);
        let batch = [Window { inputs, targets, class, ..Default::default() }];
        let nats = golden.read("nats");
        let mean = nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len() as f64;
        let fused = Isa::available().into_iter().map(|isa| {
            let objective: Box<dyn Objective> = Box::new(Fused::new(config.clone(), isa));
            (isa.name(), objective)
        });
        let graph: Box<dyn Objective> = Box::new(GraphObjective::new(config.clone(), Device::Cpu));
        for (reading, objective) in fused.chain([("graph", graph)]) {
            let layout = objective.layout();
            let mut grads = vec![f32::NAN; layout.len()];
            let loss = objective.loss(&layout.flatten(&file.tensors), &batch, Some(&mut grads)).unwrap();
            assert!((loss - mean).abs() < 1e-6, "{name} {reading}: {loss}, wanted {mean}");
            for spec in layout.table() {
                let want = golden.read(&format!("gradient.{}", spec.name));
                let d = relative(&grads[layout.range(&spec.name)], &want);
                assert!(d < 2e-5, "{name} {reading} {}: differs by {d}", spec.name);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = config(Scan::Raster, 4, 5, (3, 3), 2);
    let fused = Fused::new(config.clone(), Isa::PLAIN);
    let params = vec![0.1; fused.layout().len()];
    let refused = |change: &dyn Fn(&mut Window)| {
        let mut batch = windows(&config, 2, 1);
        change(&mut batch[1]);
        fused.loss(&params, &batch, None).unwrap_err().to_string()
    };
    assert_eq!(refused(&|w| w.class = Some(2)), "batch: window 1: class 2, the model has 2");
    assert_eq!(
        refused(&|w| w.speaker = Some(0)),
        "batch: window 1: frames or a speaker, the model takes none"
    );
    assert_eq!(
        refused(&|w| (w.inputs, w.targets) = (vec![0; 21], vec![0; 21])),
        "batch: window 1: 21 rows, an image has 20 pixels"
    );
}
