//! The table of a text, in one pass over its contexts.

use super::{Config, MAX_ORDER, MOST, names};
use crate::ar::Symbol;
use crate::weights::{Tensor, Tensors};
use std::collections::VecDeque;

/// A context while it is counted: the positions of the text behind it, next to each other in the sorted order.
struct Range {
    from: usize,
    to: usize,
    /// Its length k.
    depth: usize,
    /// Its oldest symbol.
    symbol: Symbol,
}

/// Counts `symbols` into a table of n-grams up to `order` with at most `max_entries` entries: where there would be
/// more, contexts seen fewer times than a threshold are left to their shorter ones. The table of one text does not
/// depend on the machine.
///
/// # Panics
/// With an order outside 1 … [`MAX_ORDER`], no symbols at all, or a symbol from `classes` on.
pub fn count(
    symbols: &[Symbol],
    classes: usize,
    start: Symbol,
    order: usize,
    max_entries: usize,
) -> (Config, Tensors) {
    assert!((1..=MAX_ORDER).contains(&order) && !symbols.is_empty());
    assert!(symbols.iter().all(|&s| usize::from(s) < classes) && usize::from(start) < classes);
    // The k-th symbol before position t.
    let before = |t: u32, k: usize| (t as usize).checked_sub(k).map_or(start, |i| symbols[i]);
    let mut positions: Vec<u32> = (0..symbols.len() as u32).collect();
    positions.sort_by(|&a, &b| {
        let context = |t| (1..order).map(move |k| before(t, k));
        context(a).cmp(context(b))
    });
    let least = threshold(&positions, symbols, classes, order, max_entries.clamp(classes, MOST), &before);

    let mut t = Columns::default();
    let mut queue = VecDeque::from([Range { from: 0, to: positions.len(), depth: 0, symbol: 0 }]);
    let mut counts = vec![0u32; classes];
    while let Some(r) = queue.pop_front() {
        let own = &positions[r.from..r.to];
        t.symbol.push(f32::from(r.symbol));
        own.iter().for_each(|&p| counts[symbols[p as usize] as usize] += 1);
        let kinds = counts.iter().filter(|c| **c > 0).count();
        let total = (own.len() + kinds) as f64;
        t.backoff.push((kinds as f64 / total) as f32);
        t.entries.push(t.entry_symbol.len() as f32);
        for (x, c) in counts.iter_mut().enumerate().filter(|(_, c)| **c > 0) {
            t.entry_symbol.push(x as f32);
            t.entry_weight.push((f64::from(*c) / total) as f32);
            *c = 0;
        }
        // Breadth first: the children of a context are next to each other, behind all that are known by then.
        t.children.push((t.symbol.len() + queue.len()) as f32);
        if r.depth + 1 < order {
            children(&positions, &r, &before)
                .filter(|c| c.to - c.from >= least)
                .for_each(|c| queue.push_back(c));
        }
    }
    t.finish(classes, start, order)
}

/// The contexts one symbol longer than `r`, by rising symbol.
fn children<'a>(
    positions: &'a [u32],
    r: &Range,
    before: &'a impl Fn(u32, usize) -> Symbol,
) -> impl Iterator<Item = Range> + 'a {
    let (mut at, end, depth) = (r.from, r.to, r.depth + 1);
    std::iter::from_fn(move || {
        let symbol = before(*positions[..end].get(at)?, depth);
        let from = at;
        at += positions[from..end].partition_point(|&p| before(p, depth) == symbol);
        Some(Range { from, to: at, depth, symbol })
    })
}

/// The least number of times that a context must have been seen for the table to stay below `room` entries.
fn threshold(
    positions: &[u32],
    symbols: &[Symbol],
    classes: usize,
    order: usize,
    room: usize,
    before: &impl Fn(u32, usize) -> Symbol,
) -> usize {
    // Entries of the contexts by how often those were seen; what is seen more often than this surely stays.
    let mut needed = vec![0usize; 1 + symbols.len().min(1 << 16)];
    let most = needed.len() - 1;
    let mut stack = vec![Range { from: 0, to: positions.len(), depth: 0, symbol: 0 }];
    let mut seen = vec![u32::MAX; classes];
    let mut stamp = 0;
    while let Some(r) = stack.pop() {
        let own = &positions[r.from..r.to];
        let fresh = |p: &&u32| std::mem::replace(&mut seen[symbols[**p as usize] as usize], stamp) != stamp;
        needed[own.len().min(most)] += own.iter().filter(fresh).count();
        stamp += 1;
        if r.depth + 1 < order {
            stack.extend(children(positions, &r, before));
        }
    }
    let mut sum = 0;
    for (count, entries) in needed.iter().enumerate().rev() {
        sum += entries;
        if sum > room {
            return count + 1;
        }
    }
    1
}

#[derive(Default)]
struct Columns {
    symbol: Vec<f32>,
    children: Vec<f32>,
    backoff: Vec<f32>,
    entries: Vec<f32>,
    entry_symbol: Vec<f32>,
    entry_weight: Vec<f32>,
}

impl Columns {
    fn finish(mut self, classes: usize, start: Symbol, order: usize) -> (Config, Tensors) {
        let (contexts, entries) = (self.symbol.len(), self.entry_symbol.len());
        self.children.push(contexts as f32);
        self.entries.push(entries as f32);
        let column = |name: &str, data: Vec<f32>| (name.into(), Tensor::new(&[data.len()], data));
        let tensors = Tensors::from([
            column(names::SYMBOL, self.symbol),
            column(names::CHILDREN, self.children),
            column(names::BACKOFF, self.backoff),
            column(names::ENTRIES, self.entries),
            column(names::ENTRY_SYMBOL, self.entry_symbol),
            column(names::ENTRY_WEIGHT, self.entry_weight),
        ]);
        (Config { classes, start, order, contexts, entries }, tensors)
    }
}
