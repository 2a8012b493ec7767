//! The trainer's own forward and backward: the loss and its gradient without a graph library.
//!
//! A [reading](super::ContextSpan) is one task: a thread takes it through all blocks forward, through the head, and back, and
//! keeps each product's inputs and the gradient of its outputs. The gradients of the products come after: a task is a
//! block of rows of one matrix, and sums over all readings in the order of the batch. So no gradient is held twice, no
//! thread waits on another inside a phase, and the result is the same bits at any number of threads.
//!
//! ```text
//! products   the padded products with the norms folded in, their transposes, and the way back for gradients
//! reading    one reading: embedding, blocks, head and loss, forward and backward
//! attention  causal attention, whose weights are computed again in the backward
//! classifier  the classification head of an image
//! ```

mod attention;
mod classifier;
mod products;
mod reading;

use super::classifier::Classifier;
use super::{Config, check_batch, names};
use crate::dropout::Dropout;
use crate::fused::locked;
use crate::fused::rows::add_rows;
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Isa, Kernel, Simd};
use crate::likelihood::Input;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use products::{Gradient, Product, Products};
use rayon::prelude::*;
use reading::{InputRows, ReadingPass, Scratch, Tape};
use std::ops::Range;
use std::sync::Mutex;

/// Rows whose tapes are held at the same time; a batch of more is taken in rounds.
const ROUND: usize = 2048;

/// Rows of a product's gradient that are one task.
const BLOCK: usize = 32;

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    products: Products,
    isa: Isa,
    dropout: Option<Dropout>,
    /// Kept from one call for the next.
    buffers: Mutex<Buffers>,
    /// Buffers that no reading is using.
    idle: Mutex<Vec<Scratch>>,
}

#[derive(Default)]
struct Buffers {
    products: Vec<Product>,
    gradients: Vec<Gradient>,
    tapes: Vec<Tape>,
}

/// A reading of one of the batch's windows.
struct Task<'a> {
    window: &'a Window,
    rows: Range<usize>,
    from: usize,
}

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        let products = Products::new(&config, Layout::new(config.table()), isa.lanes());
        Self { config, products, isa, dropout: None, buffers: Mutex::default(), idle: Mutex::default() }
    }

    /// The same loss with dropout at `rate` over the embedding and what every sublayer adds, in windows that have a key
    /// for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }

    /// The batch's readings that hold a row behind the warm-up, in rounds.
    fn rounds<'a>(&self, batch: &'a [Window]) -> Vec<Vec<Task<'a>>> {
        let (mut rounds, mut rows) = (vec![Vec::new()], 0);
        for window in batch {
            for r in self.config.readings(window.rows()) {
                let from = r.from.max(window.warmup);
                if from >= r.rows.end {
                    continue;
                }
                if rows > 0 && rows + r.rows.len() > ROUND {
                    rounds.push(Vec::new());
                    rows = 0;
                }
                rows += r.rows.len();
                if let Some(round) = rounds.last_mut() {
                    round.push(Task { window, rows: r.rows, from });
                }
            }
        }
        rounds
    }

    /// Adds what the readings of `tapes` give to the gradients of the products.
    fn product_gradients(&self, gradients: &mut [Gradient], tapes: &[Tape]) {
        let bias = self.config.bias;
        let mut tasks = Vec::new();
        for (product, gradient) in gradients.iter_mut().enumerate() {
            let columns = gradient.bias.len();
            if bias {
                tasks.push(ProductGradient { product, columns, first: None, to: &mut gradient.bias, tapes });
            }
            for (i, to) in gradient.matrix.chunks_mut(BLOCK * columns).enumerate() {
                tasks.push(ProductGradient { product, columns, first: Some(i * BLOCK), to, tapes });
            }
        }
        tasks.into_par_iter().for_each(|task| self.isa.run(task));
    }

    /// Values of the tables that what enters is a sum of: they come first in the layout.
    fn inputs_len(&self) -> usize {
        let first = names::weight(&names::attention(0), "norm");
        self.products.layout().range(&first).start
    }

    /// Where the classification head's matrix and bias stand, one behind the other, if there is one.
    fn classifier(&self) -> Option<(Range<usize>, Range<usize>)> {
        let layout = self.products.layout();
        let at = |name: String| layout.range(&name);
        (self.config.classifier > 0).then(|| (at(names::classifier("weight")), at(names::classifier("bias"))))
    }

    /// Adds what the readings give to the gradients of those tables.
    fn input_gradients(&self, tasks: &[Task<'_>], tapes: &[Tape], grads: &mut [f32]) {
        let (width, layout) = (self.config.width, self.products.layout());
        let start = |name: &str| layout.range(name).start;
        let embed = start(names::EMBED);
        let positions: Vec<usize> =
            self.config.position_tables().iter().map(|(name, _)| start(name)).collect();
        let labels = if self.config.labels > 0 { start(names::LABELS) } else { 0 };
        let enters = self.config.likelihood().input();
        let mut numbers = vec![0.0; enters.numbers()];
        let mut add = |at: usize, k: f32, d: &[f32]| {
            for (g, d) in grads[at..at + width].iter_mut().zip(d) {
                *g += k * d;
            }
        };
        for (task, tape) in tasks.iter().zip(tapes) {
            let rows = tape.d_input.chunks_exact(self.products.sizes.width);
            for (p, (t, d)) in task.rows.clone().zip(rows).enumerate() {
                match (enters, task.window.input(t)) {
                    (Input::Table { .. }, value) => add(embed + usize::from(value.symbol()) * width, 1.0, d),
                    (enters, value) => {
                        enters.write(value, &mut numbers);
                        numbers.iter().enumerate().for_each(|(i, &v)| add(embed + i * width, v, d));
                    }
                }
                for (table, row) in positions.iter().zip(self.config.position_rows(p, &task.window.sites)) {
                    if let Some(row) = row {
                        add(table + row * width, 1.0, d);
                    }
                }
                if let Some(class) = task.window.class.filter(|_| self.config.labels > 0) {
                    add(labels + class * width, 1.0, d);
                }
            }
        }
    }
}

/// Some rows of a product's gradient, or the sum over rows of its outputs' gradient.
struct ProductGradient<'a> {
    product: usize,
    columns: usize,
    /// The first row; none for the sum.
    first: Option<usize>,
    to: &'a mut [f32],
    tapes: &'a [Tape],
}

impl Kernel for ProductGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { product, columns, first, to, tapes } = self;
        for tape in tapes {
            let (t, x, d) = tape.operands(product);
            match first {
                None => add_rows(s, to, d),
                Some(first) => {
                    let a = Strided::transposed(&x[first..], x.len() / t);
                    multiply(s, (to.len() / columns, columns, t), to, a, d);
                }
            }
        }
    }
}

impl Objective for Fused {
    fn layout(&self) -> &Layout {
        self.products.layout()
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        _carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        check_batch(&self.config, batch)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let Buffers { mut products, mut gradients, mut tapes } = std::mem::take(&mut *locked(&self.buffers));
        self.products.pack(params, &mut products);
        if grads.is_some() {
            self.products.zero(&mut gradients);
        }
        let rounds = self.rounds(batch);
        let tables = |name: &str| &params[self.products.layout().range(name)];
        let position = self.config.position_table(tables);
        let each: Vec<&[f32]> = self.config.position_tables().iter().map(|(name, _)| tables(name)).collect();
        let input = InputRows {
            embed: tables(names::EMBED),
            position: &position,
            tables: &each,
            labels: if self.config.labels > 0 { tables(names::LABELS) } else { &[] },
        };
        let (labelled, head) = (batch.iter().filter(|w| w.class.is_some()).count(), self.classifier());
        let classifier = head.as_ref().map(|(weight, bias)| {
            let at = Classifier { weight: &params[weight.clone()], bias: &params[bias.clone()] };
            (at, 1.0 / labelled as f32)
        });
        let mut class_gradient = vec![0.0; head.as_ref().map_or(0, |(w, b)| w.len() + b.len())];
        let mut inputs = grads.is_some().then(|| vec![0.0; self.inputs_len()]);
        let (mut nats, mut class_nats) = (0.0, 0.0);
        for tasks in &rounds {
            if tapes.len() < tasks.len() {
                tapes.resize_with(tasks.len(), Tape::default);
            }
            let parts: Vec<f64> = tasks
                .par_iter()
                .zip(&mut tapes)
                .with_max_len(1)
                .map(|(task, tape)| {
                    let mut scratch = locked(&self.idle).pop().unwrap_or_default();
                    let nats = self.isa.run(ReadingPass {
                        config: &self.config,
                        sizes: self.products.sizes,
                        products: &products,
                        input,
                        masks: self.dropout.zip(task.window.dropout),
                        window: task.window,
                        rows: task.rows.clone(),
                        from: task.from,
                        scale: 1.0 / total as f32,
                        classifier,
                        backward: grads.is_some(),
                        tape,
                        scratch: &mut scratch,
                    });
                    locked(&self.idle).push(scratch);
                    nats
                })
                .collect();
            nats += parts.iter().sum::<f64>();
            for tape in &tapes[..tasks.len()] {
                class_nats += tape.class.nats();
                tape.class.add_to_head(&mut class_gradient);
            }
            if let Some(inputs) = &mut inputs {
                self.product_gradients(&mut gradients, &tapes[..tasks.len()]);
                self.input_gradients(tasks, &tapes, inputs);
            }
        }
        if let (Some(grads), Some(inputs)) = (grads, inputs) {
            self.products.unpack(params, &gradients, grads);
            for (g, d) in grads.iter_mut().zip(inputs) {
                *g += d;
            }
            if let Some((weight, bias)) = head {
                grads[weight.start..bias.end].copy_from_slice(&class_gradient);
            }
        }
        *locked(&self.buffers) = Buffers { products, gradients, tapes };
        Ok(nats / total as f64 + class_nats / labelled.max(1) as f64)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let c = &self.config;
        let read = c.readings(window_len).map(|r| r.rows.len());
        let (rows, longest) = read.fold((0, 0), |(sum, max), n| (sum + n, max.max(n)));
        let held = (windows * rows).min(ROUND.max(longest));
        let sizes = self.products.sizes;
        let tapes = held * (Tape::row_len(c.layers, sizes) + c.layers * c.heads);
        let scratch = threads * longest * (2 * sizes.width + sizes.mlp + 5 * sizes.head + 64);
        4 * (tapes + scratch + 3 * self.products.len() + Layout::len(self.layout()))
    }
}
