//! Products and gates, for each instruction set. Nothing outside this folder names one, and nothing outside it is
//! `unsafe`.
//!
//! An algorithm is written once as a [`Kernel`]: a body generic over [`Simd`], all of it `#[inline(always)]`.
//! [`Isa::run`] compiles the whole body under one instruction set through a thin `#[target_feature]` shell, so that a
//! step of the engine is chosen once and not at every product.
//!
//! ```text
//! simd      the trait: a vector of LANES floats and what can be done with it
//! plain     the reference, four lanes in an array, no intrinsics
//! x86       AVX2+FMA+F16C, AVX-512F, each with and without VNNI
//! neon      aarch64, with and without dot products
//! amx       the trainer's product in bfloat16
//! math      exp, and from it the gate tanh(a)·σ(b) and gelu; one polynomial for every instruction set
//! panel     y += W x with W packed in column panels, read once from front to back: the engine's product, with weights
//!           of f32, f16 (panel::floats) or i8 (panel::int8), x as floats or as codes (panel::int8_input)
//! tile      C += A B on small row-major blocks: the trainer's product
//! softmax   the reduction in every softmax
//! transpose a matrix turned over
//! aligned   buffers that start on a cache line
//! probe     what the machine can do at most, for the bench
//! ```

pub mod affine;
pub mod aligned;
#[cfg(all(feature = "train", target_arch = "x86_64"))]
mod amx;
pub mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod panel;
mod plain;
pub mod probe;
mod simd;
pub mod softmax;
pub mod tile;
pub mod transpose;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use simd::{Kernel, Simd};

/// An instruction set that this machine has been seen to have: a value of it can't be made otherwise, which is what
/// makes [`Isa::run`] safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa {
    set: Set,
    /// Whether it has dot products of bytes, for i8 weights. The integers are the same with and without.
    dot: bool,
    /// Whether the trainer's product rounds its operands to bfloat16.
    bfloat16: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// The plain reference, which every machine has.
    pub const PLAIN: Self = Self { set: Set::Plain, dot: false, bfloat16: false };

    /// The fastest instruction set of this machine.
    pub fn detect() -> Self {
        *Self::available().last().unwrap_or(&Self::PLAIN)
    }

    /// All that this machine has, plain first, fastest last.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "nothing is pushed on architectures without kernels of their own")]
        let mut sets = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        {
            // Every processor with AVX2 widens 16-bit floats; some machines that are emulated do not.
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if avx2 {
                sets.push(Self { set: Set::Avx2, dot: is_x86_feature_detected!("avxvnni"), bfloat16: false });
            }
            if avx2 && is_x86_feature_detected!("avx512f") {
                sets.push(Self {
                    set: Set::Avx512,
                    dot: is_x86_feature_detected!("avx512vnni"),
                    bfloat16: false,
                });
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            let dot = std::arch::is_aarch64_feature_detected!("dotprod");
            sets.push(Self { set: Set::Neon, dot, bfloat16: false });
        }
        sets
    }

    /// The same without dot products of bytes, as older machines have it.
    pub fn without_dot(self) -> Self {
        Self { dot: false, ..self }
    }

    /// The fastest one with the trainer's product on operands rounded to bfloat16, sums in f32; none where the machine or the system has no
    /// AMX.
    #[cfg(feature = "train")]
    pub fn with_bfloat16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let isa = Self::detect();
            (isa.set == Set::Avx512 && amx::available()).then_some(Self { bfloat16: true, ..isa })
        }
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// Its name: plain, avx2, avx512 or neon.
    pub fn name(self) -> &'static str {
        match self.set {
            Set::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
        }
    }

    /// Floats in a vector: packed weights and padded buffers are multiples of it.
    pub fn lanes(self) -> usize {
        struct Lanes;
        impl Kernel for Lanes {
            type Output = usize;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> usize {
                S::LANES
            }
        }
        self.run(Lanes)
    }

    /// [`Simd::BIASED`] of kernels that multiply by i8 weights.
    fn biased(self) -> bool {
        struct Biased;
        impl Kernel for Biased {
            type Output = bool;
            const INTEGER: bool = true;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> bool {
                S::BIASED
            }
        }
        self.run(Biased)
    }

    /// Runs `kernel` compiled for this instruction set.
    ///
    /// # Real-time
    /// As the kernel is.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // The first half is known when compiling, so that a kernel without i8 weights is compiled once less.
        if K::INTEGER && self.dot {
            return self.run_dot(kernel);
        }
        match self.set {
            Set::Plain => kernel.run(plain::Plain),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => x86::run_avx2(kernel, self),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::run_avx512(kernel, self),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => neon::run(kernel, self),
        }
    }

    #[inline]
    fn run_dot<K: Kernel>(self, kernel: K) -> K::Output {
        match self.set {
            Set::Plain => kernel.run(plain::Plain),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => x86::run_avx2_dot(kernel, self),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::run_avx512_dot(kernel, self),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => neon::run_dot(kernel, self),
        }
    }
}
