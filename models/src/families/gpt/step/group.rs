//! Several pixels at once, by a model of any order: asked for given the same past, then absorbed one behind the other in a
//! single pass.

use super::rows::attention;
use super::{Gpt, State};
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::add;
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{Value, Values};

/// What the rows of a group do.
enum Job<'a> {
    /// Each asks for its site given x and the past: parameters [G, P padded].
    Peek(&'a mut [f32]),
    /// Each enters behind the one before: the values of the first G − 1 sites.
    Absorb(Values<'a>),
}

/// A pass over a row for each of G sites.
struct Group<'a> {
    net: &'a Gpt,
    state: &'a mut State,
    /// What was drawn before the group.
    x: Value<'a>,
    sites: &'a [u32],
    work: &'a mut [f32],
    job: Job<'a>,
}

impl Gpt {
    /// See [`Model::peek`](crate::ar::Model::peek).
    pub(super) fn peek_sites(&self, state: &mut State, x: Value, sites: &[u32], params: &mut [f32]) -> bool {
        if self.own_order.is_empty() {
            return false;
        }
        state.begin_group(&self.config);
        let padded = self.head.product.bias.len();
        let mut work = Aligned::zeros(self.widths.floats(sites.len()));
        let mut logits = Aligned::zeros(sites.len() * padded);
        let job = Job::Peek(&mut logits);
        self.isa.run(Group { net: self, state, x, sites, work: &mut work, job });
        let p = params.len() / sites.len().max(1);
        for (to, from) in params.chunks_exact_mut(p.max(1)).zip(logits.chunks_exact(padded)) {
            to.copy_from_slice(&from[..p]);
        }
        true
    }

    /// See [`Model::absorb`](crate::ar::Model::absorb).
    pub(super) fn absorb_sites(&self, state: &mut State, x: Value, sites: &[u32], values: Values) {
        state.begin_group(&self.config);
        let at = state.windows[0].filled;
        state.sites[at..at + sites.len()].copy_from_slice(sites);
        let mut work = Aligned::zeros(self.widths.floats(sites.len()));
        let job = Job::Absorb(values);
        self.isa.run(Group { net: self, state, x, sites, work: &mut work, job });
        state.windows[0].filled += sites.len();
    }
}

impl Kernel for Group<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x, sites, work, job } = self;
        let (first, count, width) = (state.windows[0].filled, sites.len(), net.widths.width);
        let mut work = net.widths.work(work, count);
        let before = first.checked_sub(1).map(|t| state.sites[t]);
        for (k, &site) in sites.iter().enumerate() {
            let row = &mut work.x[k * width..][..width];
            let (value, entering) = match &job {
                Job::Absorb(values) if k > 0 => (values.get(k - 1), Some(sites[k - 1])),
                _ => (x, before),
            };
            net.embed(s, value, state.anew && entering == before, &mut state.numbers, row);
            net.place_on_grid(s, site, entering, row);
            if net.config.labels > 0 {
                add(s, row, net.labels.row(state.class));
            }
        }
        let behind = usize::from(matches!(job, Job::Absorb(_)));
        for (l, layer) in net.layers.iter().enumerate() {
            // What is absorbed leaves keys and values; nothing reads the last layer's outputs.
            let rows = if behind == 1 && l + 1 == net.layers.len() { 0 } else { count };
            net.block(s, layer, &mut work, (count, rows), |s, work| {
                for k in 0..count {
                    // A row that only asks takes the place behind the past, which the next one takes over.
                    attention(s, net, (first + behind * k, &mut state.windows[0], l), work, k, k < rows);
                }
            });
        }
        if let Job::Peek(logits) = job {
            net.outputs(s, &mut work, count, logits);
        }
    }
}
