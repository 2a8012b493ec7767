//! The cache of keys and values that a stream attends over, and one query's attention over it.
//!
//! Keys stand in blocks of as many positions as a vector has lanes, [block][head width][lane], so that the scores of a
//! block are a sum of broadcast query values times whole vectors and need no sum across lanes. Values stand in rows,
//! [position][head width padded], which the weighted sum reads in whole vectors.

use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::softmax::exponentials;

/// Blocks whose scores are summed at the same time, so that none waits on the latency of a multiply-add.
const AT_ONCE: usize = 4;

/// Sizes of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheShape {
    /// Positions.
    pub context: usize,
    /// Width of a head.
    pub head: usize,
    /// Floats in a vector.
    pub lanes: usize,
}

impl CacheShape {
    /// Width of a head, padded to whole vectors.
    #[inline(always)]
    pub fn head_padded(self) -> usize {
        self.head.next_multiple_of(self.lanes)
    }

    /// Values of a buffer of scores: positions padded to whole groups of blocks.
    #[inline(always)]
    pub fn scores(self) -> usize {
        self.context.next_multiple_of(self.lanes * AT_ONCE)
    }

    /// Values of a [`Cache`].
    pub fn floats(self) -> usize {
        self.scores() * self.head + self.context * self.head_padded()
    }
}

/// Keys and values of one head.
#[derive(Clone)]
pub struct Cache {
    keys: Aligned,
    values: Aligned,
}

impl Cache {
    /// An empty one.
    pub fn new(shape: CacheShape) -> Self {
        Self {
            keys: Aligned::zeros(shape.scores() * shape.head),
            values: Aligned::zeros(shape.context * shape.head_padded()),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.values.len())
    }

    /// Keeps the key and value (padded) of `position`.
    #[inline(always)]
    pub fn put<S: Simd>(&mut self, _s: S, shape: CacheShape, position: usize, key: &[f32], value: &[f32]) {
        let block = position / S::LANES * S::LANES * shape.head + position % S::LANES;
        for (to, &k) in self.keys[block..].iter_mut().step_by(S::LANES).zip(&key[..shape.head]) {
            *to = k;
        }
        let width = shape.head_padded();
        self.values[position * width..][..width].copy_from_slice(value);
    }

    /// softmax(q · K / √head) V over the positions 0 … `last`. `query` has the head's width, `out` is padded; `scores`
    /// ([`CacheShape::scores`]) is overwritten.
    #[inline(always)]
    pub fn attend<S: Simd>(
        &self,
        s: S,
        shape: CacheShape,
        last: usize,
        query: &[f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let scale = 1.0 / (shape.head as f32).sqrt();
        let group = AT_ONCE * S::LANES;
        let groups = (last + 1).div_ceil(group);
        let scores = &mut scores[..groups * group];
        for (scores, keys) in scores.chunks_exact_mut(group).zip(self.keys.chunks_exact(group * shape.head)) {
            let block = S::LANES * shape.head;
            let mut acc = [s.splat(0.0); AT_ONCE];
            for (i, &q) in query.iter().enumerate() {
                let q = s.splat(q * scale);
                for (b, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(s.load(&keys[b * block + i * S::LANES..]), q, *acc);
                }
            }
            for (to, acc) in scores.chunks_exact_mut(S::LANES).zip(acc) {
                s.store(to, acc);
            }
        }
        scores[last + 1..].fill(f32::MIN);
        let (_, total) = exponentials(s, scores, 1.0);
        out.fill(0.0);
        let width = shape.head_padded();
        let rows = &self.values[..(last + 1) * width];
        for (i, out) in out.chunks_exact_mut(S::LANES).enumerate() {
            let mut acc = [s.splat(0.0); AT_ONCE];
            let mut at = i * S::LANES;
            let mut weights = scores[..last + 1].chunks_exact(AT_ONCE);
            for weights in &mut weights {
                for (acc, &w) in acc.iter_mut().zip(weights) {
                    *acc = s.mul_add(s.load(&rows[at..]), s.splat(w), *acc);
                    at += width;
                }
            }
            for &w in weights.remainder() {
                acc[0] = s.mul_add(s.load(&rows[at..]), s.splat(w), acc[0]);
                at += width;
            }
            let all = s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3]));
            s.store(out, s.mul(all, s.splat(1.0 / total)));
        }
    }
}
