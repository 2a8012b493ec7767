//! The product for several x at once: every weight that is read meets all of them.
//!
//! The columns are tiled in registers, and what is added to an output comes in the order of the single product: a column
//! gives the same bits alone, in any company and in either kernel. Weights of i8 meet a few columns at a time, each rounded
//! with a scale of its own; those of more inputs than a block has are read anew for every column.

use super::floats::Weight;
use super::int8::{self, RoundedRows};
use super::{Data, Panels, Then, WIDEST, accumulate, accumulate_i8_many, chains, gated, rectify, widths};
use crate::kernels::{Kernel, Simd, math};

/// Inputs that are multiplied with all columns before the next are: 32 KiB of the widest panel, an L1 cache's worth.
const INPUTS_AT_ONCE: usize = 64;

/// Rows of floats in a buffer: row i begins at i·`stride`.
#[derive(Clone, Copy)]
pub struct Rows<T> {
    /// From the first value of row 0 on.
    pub data: T,
    /// Floats from a row to the next.
    pub stride: usize,
}

/// out\[n\] = then(out\[n\] + W x\[n\]) for the first `count` rows, with `out` in packed order, padded.
///
/// # Panics
/// When a row is shorter than the packed matrix wants.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn accumulate_many<S: Simd>(
    s: S,
    w: &Panels,
    count: usize,
    x: Rows<&[f32]>,
    out: Rows<&mut [f32]>,
    then: Then,
) {
    assert!(!w.gated);
    match &w.data {
        Data::F32(d) if count > 1 => s.call(AllPanels { w, data: &d[..], count, x, out, then }),
        Data::F16(d) if count > 1 => s.call(AllPanels { w, data: &d[..], count, x, out, then }),
        Data::I8(_) if count > 1 && w.inputs <= w.block => s.call(RoundedColumns { w, count, x, out, then }),
        _ => {
            for n in 0..count {
                let x = &x.data[n * x.stride..][..w.inputs];
                accumulate(s, w, x, &mut out.data[n * out.stride..][..w.vectors * S::LANES], then);
            }
        }
    }
}

/// out\[n\] = tanh(z\[..D\])·σ(z\[D..\]) with z = z\[n\] + W x\[n\] for the first `count` rows; `z` in packed order, overwritten.
///
/// # Panics
/// When a row is shorter than the packed matrix wants.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gated_many<S: Simd>(
    s: S,
    w: &Panels,
    count: usize,
    x: Rows<&[f32]>,
    z: Rows<&mut [f32]>,
    out: Rows<&mut [f32]>,
) {
    assert!(w.gated);
    let Rows { data, stride } = z;
    let sums = Rows { data: &mut *data, stride };
    match &w.data {
        Data::F32(d) if count > 1 => {
            s.call(AllPanels { w, data: &d[..], count, x, out: sums, then: Then::Store })
        }
        Data::F16(d) if count > 1 => {
            s.call(AllPanels { w, data: &d[..], count, x, out: sums, then: Then::Store })
        }
        _ => {
            for n in 0..count {
                let z = &data[n * stride..][..w.vectors * S::LANES];
                let out = &mut out.data[n * out.stride..][..z.len() / 2];
                gated(s, w, &x.data[n * x.stride..][..w.inputs], z, out);
            }
            return;
        }
    }
    for n in 0..count {
        let z = &data[n * stride..][..w.vectors * S::LANES];
        let out = &mut out.data[n * out.stride..][..z.len() / 2];
        let mut first = 0;
        for half in widths(w.vectors / 2, WIDEST / 2) {
            let (a, b) = z[2 * first..][..2 * half * S::LANES].split_at(half * S::LANES);
            for i in (0..half * S::LANES).step_by(S::LANES) {
                s.store(&mut out[first + i..], math::gate(s, s.load(&a[i..]), s.load(&b[i..])));
            }
            first += half * S::LANES;
        }
    }
}

/// What [`accumulate_many`] does for weights of i8.
struct RoundedColumns<'a> {
    w: &'a Panels,
    count: usize,
    x: Rows<&'a [f32]>,
    out: Rows<&'a mut [f32]>,
    then: Then,
}

impl Kernel for RoundedColumns<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, count, x, out: Rows { data: out, stride }, then } = self;
        for first in (0..count).step_by(int8::ROWS) {
            let here = int8::ROWS.min(count - first);
            let x = Rows { data: &x.data[first * x.stride..], stride: x.stride };
            let out = &mut out[first * stride..];
            let rounded = RoundedRows::new(s, x, w.inputs, here);
            accumulate_i8_many(s, w, here, rounded.get(), Rows { data: &mut *out, stride });
            if then == Then::Relu {
                for row in out.chunks_mut(stride).take(here) {
                    rectify(s, &mut row[..w.vectors * S::LANES]);
                }
            }
        }
    }
}

/// What [`accumulate_many`] does for floats; of a gated matrix, the outputs are in its packed order.
struct AllPanels<'a, T> {
    w: &'a Panels,
    data: &'a [T],
    count: usize,
    x: Rows<&'a [f32]>,
    out: Rows<&'a mut [f32]>,
    then: Then,
}

impl<T: Weight + Copy> Kernel for AllPanels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, data, count, x, out, then } = self;
        let (inputs, outputs) = (w.inputs, w.vectors * S::LANES);
        assert!(w.lanes == S::LANES && data.len() == inputs * outputs);
        assert!(x.data.len() >= (count - 1) * x.stride + inputs && x.stride >= inputs);
        assert!(out.data.len() >= (count - 1) * out.stride + outputs && out.stride >= outputs);
        let (halves, vectors) = if w.gated { (2, w.vectors / 2) } else { (1, w.vectors) };
        let mut first = 0;
        for width in widths(vectors, WIDEST / halves) {
            let width = width * halves;
            let panel = &data[first * inputs..][..width * S::LANES * inputs];
            // Sums of several chains can't be taken up again halfway; their panels are narrow.
            let at_once = if chains(width) == 1 { INPUTS_AT_ONCE } else { inputs };
            let mut from = 0;
            loop {
                let upto = (from + at_once).min(inputs);
                let then = if upto == inputs { then } else { Then::Store };
                columns(s, Part { panel, width, from, upto }, count, x, out.data, out.stride, first, then);
                if upto == inputs {
                    break;
                }
                from = upto;
            }
            first += width * S::LANES;
        }
    }
}

/// Some inputs of a panel.
#[derive(Clone, Copy)]
struct Part<'a, T> {
    panel: &'a [T],
    /// In vectors.
    width: usize,
    from: usize,
    upto: usize,
}

/// One part of a panel with all columns, as many at a time as there are registers for.
#[allow(clippy::too_many_arguments, reason = "a loop's body, cut out")]
#[inline(always)]
fn columns<S: Simd, T: Weight + Copy>(
    s: S,
    part: Part<T>,
    count: usize,
    x: Rows<&[f32]>,
    out: &mut [f32],
    stride: usize,
    first: usize,
    then: Then,
) {
    let mut n = 0;
    while n < count {
        let tall = tall::<S>(count - n);
        let mut v = 0;
        for wide in widths(part.width, most_vectors::<S>(tall)) {
            let x = Rows { data: &x.data[n * x.stride..], stride: x.stride };
            let out = Rows { data: &mut out[n * stride + first + v * S::LANES..], stride };
            macro_rules! tile {
                ($($wide:literal $tall:literal),*) => {
                    match (wide, tall) {
                        $(($wide, $tall) => tile::<S, T, $wide, $tall>(s, part, v, x, out, then),)*
                        _ => unreachable!("tall() and most_vectors() allow no other tile"),
                    }
                };
            }
            if many_registers::<S>() {
                tile!(
                    1 2, 2 2, 3 2, 4 2, 1 3, 2 3, 3 3, 4 3, 1 4, 2 4, 3 4, 4 4, 1 5, 2 5, 3 5, 4 5,
                    1 6, 2 6, 3 6, 4 6, 1 7, 2 7, 3 7, 1 8, 2 8, 3 8
                );
            } else {
                tile!(1 2, 2 2, 3 2, 4 2, 1 3, 2 3, 3 3, 1 4, 2 4, 1 5, 2 5, 1 6, 2 6);
            }
            v += wide;
        }
        n += tall;
    }
}

/// Whether there are 32 vector registers; else there are 16.
const fn many_registers<S: Simd>() -> bool {
    S::TILE_ROWS >= 8
}

/// Columns of the next tile where `left` are left: as many as may be, and never so many that one is left alone.
const fn tall<S: Simd>(left: usize) -> usize {
    let most = if many_registers::<S>() { 8 } else { 6 };
    match left {
        _ if left <= most => left,
        _ if left == most + 1 => most - 1,
        _ => most,
    }
}

/// Vectors of a tile of `columns`: as many sums as leave registers for the weights and two broadcasts.
const fn most_vectors<S: Simd>(columns: usize) -> usize {
    match (many_registers::<S>(), columns) {
        (true, ..=6) => 4,
        (true, _) => 3,
        (false, ..=2) => 4,
        (false, 3) => 3,
        (false, _) => 2,
    }
}

/// `V` vectors of a panel, from the `v`th on, with `C` columns. The sums of a chain stay in registers from the first
/// input to the last: an array that is handed to another function would go through memory.
#[allow(unsafe_code, reason = "bounds checked once for the tile; a check per load costs a tenth")]
#[inline(always)]
fn tile<S: Simd, T: Weight, const V: usize, const C: usize>(
    s: S,
    part: Part<T>,
    v: usize,
    x: Rows<&[f32]>,
    out: Rows<&mut [f32]>,
    then: Then,
) {
    let Part { panel, width, from, upto } = part;
    let row = width * S::LANES;
    assert!(from <= upto && upto * row <= panel.len() && v + V <= width);
    assert!(x.data.len() >= (C - 1) * x.stride + upto);
    assert!(out.data.len() >= (C - 1) * out.stride + V * S::LANES);
    let chains = chains(width);
    let whole = from + (upto - from) / chains * chains;
    for chain in 0..chains {
        let mut sums = [[s.splat(0.0); C]; V];
        // SAFETY: every input is less than `upto`, and the asserts above hold the panel, x and the outputs to that.
        unsafe {
            let w = panel.as_ptr().add(v * S::LANES);
            let at = |i: usize, c: usize| c * out.stride + i * S::LANES;
            if chain == 0 {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = s.load_ptr(out.data.as_ptr().add(at(i, c)));
                    }
                }
            }
            macro_rules! walk {
                ($from:expr, $upto:expr, $step:expr) => {
                    let mut j = $from;
                    while j < $upto {
                        let mut weights = [s.splat(0.0); V];
                        for (i, weights) in weights.iter_mut().enumerate() {
                            *weights = T::load(s, w.add(j * row + i * S::LANES));
                        }
                        for c in 0..C {
                            let x = s.splat(*x.data.get_unchecked(c * x.stride + j));
                            for (sums, weights) in sums.iter_mut().zip(weights) {
                                sums[c] = s.mul_add(weights, x, sums[c]);
                            }
                        }
                        j += $step;
                    }
                };
            }
            walk!(from + chain, whole, chains);
            if chain == 0 {
                // The inputs that are left over at the end.
                walk!(whole, upto, 1);
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (c, mut sum) in sums.into_iter().enumerate() {
                    let out = out.data.as_mut_ptr().add(at(i, c));
                    if chain > 0 {
                        sum = s.add(s.load_ptr(out), sum);
                    }
                    if then == Then::Relu && chain + 1 == chains {
                        sum = s.max(sum, s.splat(0.0));
                    }
                    s.store_ptr(out, sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar::Uniforms;
    use crate::kernels::Isa;
    use crate::kernels::aligned::Aligned;
    use crate::kernels::panel::Matrix;
    use crate::weights::Stored;

    struct Both<'a> {
        w: &'a Panels,
        count: usize,
        x: Rows<&'a [f32]>,
        many: &'a mut [f32],
        alone: &'a mut [f32],
        stride: usize,
        then: Then,
    }

    impl Kernel for Both<'_> {
        type Output = ();
        const INTEGER: bool = true;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self { w, count, x, many, alone, stride, then } = self;
            accumulate_many(s, w, count, x, Rows { data: many, stride }, then);
            for (n, out) in alone.chunks_exact_mut(stride).enumerate() {
                let x = &x.data[n * x.stride..][..w.inputs];
                accumulate(s, w, x, &mut out[..w.padded_outputs()], then);
            }
        }
    }

    struct BothGated<'a> {
        w: &'a Panels,
        count: usize,
        x: Rows<&'a [f32]>,
        z: &'a mut [f32],
        many: &'a mut [f32],
        alone: &'a mut [f32],
    }

    impl Kernel for BothGated<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self { w, count, x, z, many, alone } = self;
            let outputs = w.padded_outputs();
            for (n, out) in alone.chunks_exact_mut(outputs / 2).enumerate() {
                crate::kernels::panel::gated(
                    s,
                    w,
                    &x.data[n * x.stride..][..w.inputs],
                    &z[n * outputs..][..outputs],
                    out,
                );
            }
            let many = Rows { data: many, stride: outputs / 2 };
            gated_many(s, w, count, x, Rows { data: z, stride: outputs }, many);
        }
    }

    /// Every width of panel, odd sizes, more inputs than are multiplied at once, every remainder of columns.
    #[test]
    fn a_column_has_the_bits_of_the_single_product() {
        let mut uniforms = Uniforms::new(1);
        let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| uniforms.normal()).collect() };
        for isa in Isa::available() {
            for outputs in (1..=9).map(|v| v * isa.lanes()).chain([5, 40, 256]) {
                for (inputs, count) in [(0, 2), (1, 3), (63, 8), (130, 5), (200, 13)] {
                    let what = format!("{} {inputs}x{outputs} for {count}", isa.name());
                    let w = Panels::pack(isa, &random(inputs * outputs), inputs, outputs);
                    let values: Vec<f32> =
                        random(inputs * outputs).iter().map(|v| (v * 40.0).round()).collect();
                    let stored = Stored::I8 { scales: vec![1.0; outputs] };
                    let codes =
                        Panels::pack(isa, Matrix { values: &values, stored: &stored }, inputs, outputs);
                    let x = random(count * (inputs + 3));
                    let x = Rows { data: &x[..], stride: inputs + 3 };
                    for (w, then) in
                        [&w, &codes].into_iter().flat_map(|w| [(w, Then::Store), (w, Then::Relu)])
                    {
                        let stride = w.padded_outputs() + isa.lanes();
                        let mut many = Aligned::from(&random(count * stride)[..]);
                        let mut alone = many.clone();
                        isa.run(Both { w, count, x, many: &mut many, alone: &mut alone, stride, then });
                        assert_eq!(many[..], alone[..], "{what}");
                    }
                    let half = outputs;
                    let w = Panels::pack_gated(isa, &random(inputs * 2 * half), inputs, half);
                    let mut z = random(count * w.padded_outputs());
                    let mut many = vec![f32::NAN; z.len() / 2];
                    let mut alone = many.clone();
                    isa.run(BothGated { w: &w, count, x, z: &mut z, many: &mut many, alone: &mut alone });
                    assert_eq!(many, alone, "{what}, gated");
                }
            }
        }
    }
}
