//! A vector of floats and what can be done with it.

/// An algorithm that can be compiled for any instruction set. Its `run`, and all that it calls, is
/// `#[inline(always)]`: code that is not inlined into the shell is compiled without the instruction set.
pub trait Kernel {
    /// What it gives back.
    type Output;
    /// Whether it multiplies by i8 weights. It is then compiled once more for machines that have dot products of bytes.
    const INTEGER: bool = false;
    /// The body.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A token for one instruction set. Only the shells of this folder make one, after detection.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A vector of [`Simd::LANES`] floats.
    type V: Copy;
    /// A vector of [`Simd::LANES`] 32-bit integers.
    type I: Copy;
    /// Floats in a vector.
    const LANES: usize;
    /// Vectors of a row that the trainer's product keeps in registers: 2 or 3.
    const TILE_VECTORS: usize;
    /// Rows that it keeps: 4 or 8.
    const TILE_ROWS: usize;
    /// Whether [`Simd::dot_ptr`] takes a code q of the activations as the unsigned byte q + 128, else as the signed q.
    const BIASED: bool;

    /// Whether the trainer's product rounds its operands to bfloat16.
    #[inline(always)]
    fn bfloat16(self) -> bool {
        false
    }

    /// Runs `kernel` under this instruction set in a function of its own, which all callers share. A call costs a few
    /// nanoseconds; a product inlined wherever it is used would cost minutes of compiling.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;

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

    /// LANES 16-bit floats, widened.
    ///
    /// # Safety
    /// `x` is valid for reads of LANES values.
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    unsafe fn load_half_ptr(self, x: *const u16) -> Self::V;

    /// The largest lane; no lane is NaN.
    fn max_lane(self, v: Self::V) -> f32;

    /// All lanes `x`.
    fn splat_int(self, x: i32) -> Self::I;
    /// a + b.
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I;
    /// The nearest floats.
    fn to_float(self, a: Self::I) -> Self::V;

    /// Loads integers; any alignment.
    ///
    /// # Safety
    /// `x` is valid for reads of LANES integers.
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    unsafe fn load_int_ptr(self, x: *const i32) -> Self::I;

    /// In every lane, acc + x_0 w_0 + … + x_3 w_3, exactly. `x` holds four codes of activations in every lane, as
    /// [`Simd::BIASED`] says; `w` points to four codes of weights for each lane, in −127 … 127.
    ///
    /// # Safety
    /// `w` is valid for reads of 4·LANES codes.
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    unsafe fn dot_ptr(self, acc: Self::I, x: Self::I, w: *const i8) -> Self::I;

    /// Rounds to the nearest integers, halves to even, and writes them as LANES codes of activations, as
    /// [`Simd::BIASED`] says. Codes outside −128 … 127 are limited to it.
    ///
    /// # Safety
    /// `out` is valid for writes of LANES bytes.
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    unsafe fn store_i8_ptr(self, out: *mut u8, v: Self::V);
}
