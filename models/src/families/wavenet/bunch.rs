//! The head, and a stream's position in its bunch: the layers run once for B symbols, the head for every one.

use crate::ar::Symbol;
use crate::kernels::Simd;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Rows, Then, accumulate_many, add, copy};

/// The head's weights.
pub(super) struct Head {
    /// One a phase; a plain WaveNet has one.
    pub phases: Vec<Phase>,
    /// W_1 and b_1.
    pub out: Affine,
}

/// What the j-th symbol of every bunch has of its own.
pub(super) struct Phase {
    /// W_{0,j} and b_{0,j}.
    pub product: Affine,
    /// F_{j,i} for i = 0 … j−1, [classes × A] in the product's order.
    pub drawn: Vec<Aligned>,
}

/// Where a stream stands in its bunch.
#[derive(Clone)]
pub(super) struct BunchPosition {
    /// j of the symbol that is predicted.
    phase: usize,
    /// The last B symbols, the latest first.
    recent: Vec<Symbol>,
    /// relu(s) of the bunch at hand [S padded]; empty where a bunch is one symbol.
    skip: Aligned,
}

impl BunchPosition {
    /// Before the first of a stream's symbols; bunches are of `bunch`, the skip sum `width` wide.
    pub fn new(bunch: usize, width: usize, start: Symbol) -> Self {
        let mut position = Self {
            phase: 0,
            recent: vec![start; bunch],
            skip: Aligned::zeros(if bunch > 1 { width } else { 0 }),
        };
        position.reset(start);
        position
    }

    /// Back to there.
    pub fn reset(&mut self, start: Symbol) {
        self.recent.fill(start);
        // The first symbol that is recent begins a bunch.
        self.phase = self.recent.len() - 1;
        self.skip.fill(0.0);
    }

    /// `x` was recent, and the next symbol is to be predicted.
    #[inline(always)]
    pub fn advance(&mut self, x: Symbol) {
        self.recent.rotate_right(1);
        self.recent[0] = x;
        self.phase = if self.phase + 1 == self.recent.len() { 0 } else { self.phase + 1 };
    }

    /// Whether the symbol to be predicted is the first of a bunch.
    #[inline(always)]
    pub fn begins(&self) -> bool {
        self.phase == 0
    }

    /// The symbols that the layers hear at the beginning of a bunch, the latest first.
    #[inline(always)]
    pub fn recent(&self) -> &[Symbol] {
        &self.recent
    }

    /// Keeps relu(s) for the symbols of the bunch.
    #[inline(always)]
    pub fn keep(&mut self, skip: &[f32]) {
        if !self.skip.is_empty() {
            self.skip.copy_from_slice(skip);
        }
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.recent[..]) + size_of_val(&self.skip[..]) + size_of::<usize>()
    }
}

impl Head {
    /// Symbols of a bunch.
    pub fn bunch(&self) -> usize {
        self.phases.len()
    }

    /// a_j of every stream of `positions`, each of its own phase, into the rows of `out`. `skip` has a row for each, which
    /// holds relu(s) already where bunches are of one symbol; `scratch` has room for as much as `out`.
    #[inline(always)]
    pub fn hidden<'p, S: Simd, P: Iterator<Item = &'p BunchPosition> + Clone>(
        &self,
        s: S,
        positions: P,
        skip: Rows<&mut [f32]>,
        scratch: &mut [f32],
        out: Rows<&mut [f32]>,
    ) {
        if let [only] = &self.phases[..] {
            let skip = Rows { data: &*skip.data, stride: skip.stride };
            return only.product.run(s, positions.count(), skip, out, Then::Relu);
        }
        let width = out.stride;
        for (j, phase) in self.phases.iter().enumerate() {
            let here = positions.clone().enumerate().filter(|(_, p)| p.phase == j);
            let rows = skip.data.chunks_exact_mut(skip.stride).zip(scratch.chunks_exact_mut(width));
            let mut count = 0;
            for ((_, position), (skip, a)) in here.clone().zip(rows) {
                copy(s, skip, &position.skip);
                phase.begin(s, position, a);
                count += 1;
            }
            if count == 0 {
                continue;
            }
            let skip = Rows { data: &*skip.data, stride: skip.stride };
            let a = Rows { data: &mut *scratch, stride: width };
            accumulate_many(s, &phase.product.weight, count, skip, a, Then::Relu);
            for ((n, _), a) in here.zip(scratch.chunks_exact(width)) {
                out.data[n * width..][..width].copy_from_slice(a);
            }
        }
    }

    /// Bytes of weights that a bunch reads.
    pub fn bytes(&self) -> usize {
        let rows = |p: &Phase| p.drawn.len() * p.product.bias.len() * size_of::<f32>();
        let phase = |p: &Phase| p.product.bytes() + rows(p) + self.out.bytes();
        self.phases.iter().map(phase).sum()
    }
}

impl Phase {
    /// a ← b_{0,j} + Σ_i F_{j,i}\[the symbol i + 1 before\].
    #[inline(always)]
    fn begin<S: Simd>(&self, s: S, position: &BunchPosition, a: &mut [f32]) {
        copy(s, a, &self.product.bias);
        for (table, &x) in self.drawn.iter().zip(&position.recent) {
            let row = &table[x as usize * a.len()..][..a.len()];
            add(s, a, row);
        }
    }
}
