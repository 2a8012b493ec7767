//! The trainer's own forward and backward: every layer one product for many windows, the masked parts left out.
//!
//! Some windows of the batch are one task: a thread takes the group through all layers forward, through the loss, and back,
//! and keeps each matrix's inputs and the gradient of its outputs. The gradients of the matrices come after: a task is a
//! block of rows of one matrix, and sums over all groups in their order. So no gradient is held twice, and the result is the
//! same bits at any number of threads.
//!
//! ```text
//! masked   products with a masked matrix, forward, back, and its gradient
//! group    one group of windows through the layers and back
//! ```

mod group;
mod masked;

use super::{Config, names};
use crate::dropout::Dropout;
use crate::fixed_length::check_batch;
use crate::fused::padded::{PaddedTable, Weights};
use crate::fused::rows::add_rows;
use crate::fused::{groups, locked};
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::add;
use crate::kernels::{Isa, Kernel, Simd};
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use group::{GroupPass, Tape};
use masked::{BLOCK, Masked};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;

/// Windows of a group at most: enough rows for each reading of a matrix, few enough for several threads.
const GROUP: usize = 64;

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    layout: Layout,
    places: Places,
    isa: Isa,
    dropout: Option<Dropout>,
    /// Kept from one call for the next.
    buffers: Mutex<Buffers>,
}

#[derive(Default)]
struct Buffers {
    weights: Weights,
    gradient: Aligned,
    tapes: Vec<Tape>,
}

/// Where the parameters stand in the padded buffer.
struct Places {
    table: PaddedTable,
    /// W_l and c_l.
    layers: Vec<(Masked, Range<usize>)>,
    /// V and b.
    output: (Masked, Range<usize>),
    direct: Option<Masked>,
    /// e and f.
    labels: Option<[Range<usize>; 2]>,
}

impl Places {
    fn new(config: &Config, lanes: usize) -> Self {
        let table = PaddedTable::new(&config.table(), lanes, |_| 1);
        let masked = |name: &str, mask| Masked::new(table.matrix(name), mask, lanes);
        let layer = |l| (masked(&names::weight(l), config.layer_mask(l)), table.range(&names::bias(l)));
        let labels = [names::LABELS, names::OUTPUT_LABELS];
        Self {
            layers: (0..config.hidden.len()).map(layer).collect(),
            output: (masked(names::OUTPUT, config.output_mask()), table.range(names::OUTPUT_BIAS)),
            direct: config.direct.then(|| masked(names::DIRECT, config.direct_mask())),
            labels: (config.labels > 0).then(|| labels.map(|name| table.range(name))),
            table,
        }
    }

    fn matrices(&self) -> impl Iterator<Item = &Masked> {
        self.layers.iter().map(|l| &l.0).chain([&self.output.0]).chain(&self.direct)
    }

    /// Every matrix, bias and table of labels, in the order in which they stand.
    fn parts(&self) -> Vec<(Range<usize>, Part<'_>)> {
        let mut all = Vec::new();
        let top = self.layers.len();
        for (l, (matrix, bias)) in self.layers.iter().enumerate() {
            all.push((matrix.matrix.at.clone(), Part::Matrix { matrix, inputs: l, outputs: l }));
            all.push((bias.clone(), Part::Bias { outputs: l }));
        }
        let output = Part::Matrix { matrix: &self.output.0, inputs: top, outputs: top };
        all.push((self.output.0.matrix.at.clone(), output));
        all.push((self.output.1.clone(), Part::Bias { outputs: top }));
        if let Some(direct) = &self.direct {
            all.push((direct.matrix.at.clone(), Part::Matrix { matrix: direct, inputs: 0, outputs: top }));
        }
        if let Some([hidden, outputs]) = &self.labels {
            all.push((hidden.clone(), Part::Labels { outputs: 0 }));
            all.push((outputs.clone(), Part::Labels { outputs: top }));
        }
        all.sort_by_key(|(at, _)| at.start);
        all
    }
}

/// Whose gradient it is: by the place of its inputs and of its outputs' gradient on a [`Tape`].
#[derive(Clone, Copy)]
enum Part<'a> {
    Matrix { matrix: &'a Masked, inputs: usize, outputs: usize },
    Bias { outputs: usize },
    Labels { outputs: usize },
}

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        Self {
            layout: Layout::new(config.table()),
            places: Places::new(&config, isa.lanes()),
            config,
            isa,
            dropout: None,
            buffers: Mutex::default(),
        }
    }

    /// The same loss with dropout at `rate` over the hidden units, in windows that have a key for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }

    /// Writes the gradients of all parameters, from what the groups kept.
    fn gradients(&self, gradient: &mut Aligned, groups: &[(&[Window], &Tape)]) {
        let mut tasks = Vec::new();
        let mut rest = &mut gradient[..];
        for (at, part) in self.places.parts() {
            let (to, later) = std::mem::take(&mut rest).split_at_mut(at.len());
            rest = later;
            match part {
                Part::Matrix { matrix, .. } => {
                    let rows = to.chunks_mut(BLOCK * matrix.matrix.columns).enumerate();
                    tasks.extend(rows.map(|(i, to)| Gradient { part, first: i * BLOCK, to, groups }));
                }
                _ => tasks.push(Gradient { part, first: 0, to, groups }),
            }
        }
        tasks.into_par_iter().for_each(|task| self.isa.run(task));
    }
}

/// The gradient of some rows of a matrix, of a bias, or of the labels' rows.
struct Gradient<'a> {
    part: Part<'a>,
    /// The first row of a matrix.
    first: usize,
    to: &'a mut [f32],
    groups: &'a [(&'a [Window], &'a Tape)],
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { part, first, to, groups } = self;
        to.fill(0.0);
        for (windows, tape) in groups {
            match part {
                Part::Matrix { matrix, inputs, outputs } => {
                    matrix.gradient(s, windows.len(), tape.values(inputs), tape.slope(outputs), first, to);
                }
                Part::Bias { outputs } => {
                    let rows = &tape.slope(outputs)[..windows.len() * to.len()];
                    add_rows(s, to, rows);
                }
                Part::Labels { outputs } => {
                    let width = tape.slope_width(outputs);
                    for (w, d) in windows.iter().zip(tape.slope(outputs).chunks_exact(width)) {
                        if let Some(class) = w.class {
                            add(s, &mut to[class * width..][..width], d);
                        }
                    }
                }
            }
        }
        if let Part::Matrix { matrix, .. } = part {
            matrix.clear(first, to);
        }
    }
}

impl Objective for Fused {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        _carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        check_batch(batch, &self.config.likelihood(), self.config.steps(), self.config.labels, false)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let Buffers { mut weights, mut gradient, mut tapes } = std::mem::take(&mut *locked(&self.buffers));
        let mask = |padded: &mut [f32]| {
            for m in self.places.matrices() {
                m.mask.mask(&mut padded[m.matrix.at.clone()], m.matrix.columns);
            }
        };
        // What goes back through a matrix: to the hidden layer that it reads.
        let back = self.places.matrices().skip(1).take(self.places.layers.len());
        let back = back.filter(|_| grads.is_some()).map(|m| (&m.matrix, m.inputs));
        weights.load_edited(&self.places.table, params, mask, back);
        let parts: Vec<&[Window]> = groups(batch.len(), GROUP).into_iter().map(|r| &batch[r]).collect();
        if tapes.len() < parts.len() {
            tapes.resize_with(parts.len(), Tape::default);
        }
        let nats: Vec<f64> = parts
            .par_iter()
            .zip(&mut tapes)
            .with_max_len(1)
            .map(|(windows, tape)| {
                self.isa.run(GroupPass {
                    config: &self.config,
                    places: &self.places,
                    weights: &weights,
                    windows,
                    scale: 1.0 / total as f32,
                    backward: grads.is_some(),
                    dropout: self.dropout,
                    tape,
                })
            })
            .collect();
        if let Some(grads) = grads {
            if gradient.len() != self.places.table.len() {
                gradient = Aligned::zeros(self.places.table.len());
            }
            let groups: Vec<_> = parts.iter().copied().zip(&tapes).collect();
            self.gradients(&mut gradient, &groups);
            let gradient = std::slice::from_ref(&gradient);
            self.places.table.sum_gradients(gradient, grads);
        }
        *locked(&self.buffers) = Buffers { weights, gradient, tapes };
        Ok(nats.iter().sum::<f64>() / total as f64)
    }

    fn peak_bytes(&self, windows: usize, _window_len: usize, _threads: usize) -> usize {
        // The parameters and their gradient padded, the transposes, and what every window keeps.
        let back: usize = self.places.matrices().skip(1).map(|m| m.matrix.columns * m.inputs).sum();
        4 * (2 * self.places.table.len() + back + windows * Tape::row_len(&self.config, &self.places))
    }
}
