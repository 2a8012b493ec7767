//! A vector of floats and what can be done with it.

/// An algorithm that can be compiled for any instruction set. Its `run`, and all that it calls, is
/// `#[inline(always)]`: code that is not inlined into the shell is compiled without the instruction set.
pub trait Kernel {
    /// What it gives back.
    type Output;
    /// The body.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A token for one instruction set. Only the shells of this folder make one, after detection.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A vector of [`Simd::LANES`] floats.
    type V: Copy;
    /// Floats in a vector.
    const LANES: usize;
    /// Vectors of a row that the trainer's product keeps in registers: 2 or 3.
    const TILE_VECTORS: usize;
    /// Rows that it keeps: 4 or 8.
    const TILE_ROWS: usize;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// The first LANES values of `x`.
    ///
    /// # Panics
    /// When `x` is shorter.
    fn load(self, x: &[f32]) -> Self::V;
    /// Writes the first LANES values of `x`.
    ///
    /// # Panics
    /// When `x` is shorter.
    fn store(self, x: &mut [f32], v: Self::V);
    /// a·b + c; in one rounding where the instruction set has it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a + b.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a − b.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a·b.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger; `b` where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// 2ⁿ for integers n in −126 … 127 held as floats.
    fn exp2_int(self, n: Self::V) -> Self::V;

    /// Loads without a bounds check.
    ///
    /// # Safety
    /// `x` is valid for reads of LANES floats.
    #[allow(unsafe_code, reason = "inner loops of panel and tile check their bounds once, outside")]
    unsafe fn load_ptr(self, x: *const f32) -> Self::V;

    /// Stores without a bounds check.
    ///
    /// # Safety
    /// `x` is valid for writes of LANES floats.
    #[allow(unsafe_code, reason = "inner loops of panel and tile check their bounds once, outside")]
    unsafe fn store_ptr(self, x: *mut f32, v: Self::V);
}
