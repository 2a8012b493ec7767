//! The rows of a dilated queue.

/// Which rows of a layer's queue are which: its last (K−1)·d inputs, in a ring (Paine et al. 2016).
#[derive(Clone)]
pub(super) struct Ring {
    /// Number of rows.
    len: usize,
    dilation: usize,
    /// The oldest row: the next to be overwritten.
    oldest: usize,
}

impl Ring {
    pub fn new(kernel_size: usize, dilation: usize) -> Self {
        Self { len: (kernel_size - 1) * dilation, dilation, oldest: 0 }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first row is the oldest again.
    pub fn reset(&mut self) {
        self.oldest = 0;
    }

    /// Rows of the past taps of the symbol that is `ahead` of the one at hand, without end, the oldest first. Known as
    /// long as `ahead` is less than the dilation.
    #[inline(always)]
    pub fn taps(&self, ahead: usize) -> impl Iterator<Item = usize> {
        let mut at = self.oldest + ahead;
        std::iter::repeat_with(move || {
            let row = if at >= self.len { at - self.len } else { at };
            at = row + self.dilation;
            row
        })
    }

    /// The row to overwrite; `None` where there is no past. The next oldest takes its place.
    #[inline(always)]
    pub fn push(&mut self) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let row = self.oldest;
        self.oldest = if row + 1 == self.len { 0 } else { row + 1 };
        Some(row)
    }
}
