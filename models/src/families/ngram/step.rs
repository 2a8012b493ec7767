//! The engine: one walk down the tree a symbol.

use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::likelihood::{LikelihoodConfig, Value};
use crate::weights::Tensors;

/// A table, packed.
#[derive(Debug, Clone)]
pub struct Ngram {
    config: Config,
    contexts: Vec<Context>,
    entries: Vec<(Symbol, f32)>,
}

#[derive(Debug, Clone, Copy)]
struct Context {
    symbol: Symbol,
    backoff: f32,
    children: u32,
    entries: u32,
}

/// A stream: the last n−1 symbols, and the distribution after them.
#[derive(Debug, Clone)]
pub struct State {
    /// The latest first.
    past: Vec<Symbol>,
    log_p: Vec<f32>,
}

impl Ngram {
    /// Packs `tensors`, which must have been [checked](crate::weights::check) against [`Config::table`] and by value.
    pub(crate) fn new(config: &Config, tensors: &Tensors) -> Self {
        let data = |name: &str| &tensors[name].data;
        let context = |i: usize| Context {
            symbol: data(names::SYMBOL).get(i).copied().unwrap_or(0.0) as Symbol,
            backoff: data(names::BACKOFF).get(i).copied().unwrap_or(0.0),
            children: data(names::CHILDREN)[i] as u32,
            entries: data(names::ENTRIES)[i] as u32,
        };
        Self {
            // One more than there are: the bounds of the last.
            contexts: (0..=config.contexts).map(context).collect(),
            entries: data(names::ENTRY_SYMBOL)
                .iter()
                .zip(data(names::ENTRY_WEIGHT))
                .map(|(&s, &w)| (s as Symbol, w))
                .collect(),
            config: config.clone(),
        }
    }

    /// The context that puts `symbol` in front of context `i`.
    fn child(&self, i: usize, symbol: Symbol) -> Option<usize> {
        let (from, to) = (self.contexts[i].children as usize, self.contexts[i + 1].children as usize);
        let own = &self.contexts[from..to];
        own.binary_search_by_key(&symbol, |c| c.symbol).ok().map(|at| from + at)
    }
}

impl Model for Ngram {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(None, self.config.classes)
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        State { past: vec![self.config.start; self.config.order - 1], log_p: vec![0.0; self.config.classes] }
    }

    fn reset(&self, state: &mut State) {
        state.past.fill(self.config.start);
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        let State { past, log_p: p } = state;
        if !past.is_empty() {
            past.rotate_right(1);
            past[0] = x.symbol();
        }
        p.fill(1.0 / self.config.classes as f32);
        let mut older = past.iter();
        let mut at = Some(0);
        while let Some(i) = at {
            let (own, next) = (self.contexts[i], self.contexts[i + 1]);
            p.iter_mut().for_each(|p| *p *= own.backoff);
            for &(x, w) in &self.entries[own.entries as usize..next.entries as usize] {
                p[usize::from(x)] += w;
            }
            at = older.next().and_then(|&s| self.child(i, s));
        }
        p.iter_mut().for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
        p
    }

    fn weight_bytes(&self) -> usize {
        // The contexts of one path, and at most every symbol in each.
        self.config.order * (size_of::<Context>() + self.config.classes * size_of::<(Symbol, f32)>())
    }

    fn state_bytes(&self) -> usize {
        size_of::<Symbol>() * (self.config.order - 1) + size_of::<f32>() * self.config.classes
    }

    fn isa(&self) -> &'static str {
        "plain"
    }
}
