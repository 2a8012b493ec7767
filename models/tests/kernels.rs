//! Every kernel under every instruction set that this machine has, against sums in f64.
//!
//! A program of its own without the test harness, which starts threads: an emulator of another processor need not
//! have them.

use half::f16;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::kernels::aligned::Aligned;
use wavesynth_models::kernels::panel::{
    Matrix, Panels, Quantised, Rows, Then, accumulate, accumulate_i8, accumulate_i8_many, gated, gated_i8,
    product, round,
};
use wavesynth_models::kernels::tile::{Strided, multiply_within};
use wavesynth_models::kernels::{Isa, Kernel, Simd, math};
use wavesynth_models::weights::Stored;

fn main() {
    let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
    println!("kernels under {}", names.join(", "));
    for (name, test) in TESTS {
        test();
        println!("{name}: ok");
    }
}

const TESTS: &[(&str, fn())] = &[
    (
        "exponentials_and_gates_are_exact_enough_and_in_range",
        exponentials_and_gates_are_exact_enough_and_in_range,
    ),
    ("gelu_is_the_exact_one", gelu_is_the_exact_one),
    ("panels_of_floats_multiply", panels_of_floats_multiply),
    ("panels_of_i8_multiply_exactly", panels_of_i8_multiply_exactly),
    ("quantised_columns_multiply_alone_and_together", quantised_columns_multiply_alone_and_together),
    ("silence_is_no_division_by_zero", silence_is_no_division_by_zero),
    ("tiles_multiply_both_ways_round", tiles_multiply_both_ways_round),
    #[cfg(feature = "train")]
    (
        "products_in_bfloat16_are_those_of_rounded_operands",
        products_in_bfloat16_are_those_of_rounded_operands,
    ),
];

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    (0..n).map(|_| uniforms.normal()).collect()
}

fn close(got: f32, want: f64, what: &str) {
    assert!((f64::from(got) - want).abs() < 2e-5 * (1.0 + want.abs()), "{what}: {got}, wanted {want}");
}

struct Map<'a>(&'a [f32], &'a [f32], &'a mut [f32], u8);
impl Kernel for Map<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(a, b, out, f) = self;
        for i in (0..a.len()).step_by(S::LANES) {
            let (va, vb) = (s.load(&a[i..]), s.load(&b[i..]));
            let v = match f {
                0 => math::exp(s, va),
                1 => math::gate(s, va, vb),
                2 => math::tanh(s, va),
                3 => math::tanh_sigmoid(s, va, vb).1,
                4 => math::gelu(s, va).0,
                5 => math::gelu(s, va).1,
                _ => math::sigmoid(s, vb),
            };
            s.store(&mut out[i..], v);
        }
    }
}

fn exponentials_and_gates_are_exact_enough_and_in_range() {
    let a: Vec<f32> = (-4000..4000)
        .map(|i| i as f32 * 0.01)
        .chain([1e30, -1e30, f32::MAX, f32::MIN, 0.0, -0.0, 87.0, -87.0])
        .collect();
    let a = &a[..a.len() / 16 * 16];
    let b: Vec<f32> = a.iter().rev().copied().collect();
    for isa in Isa::available() {
        let mut out = vec![f32::NAN; a.len()];
        isa.run(Map(a, &b, &mut out, 0));
        for (x, y) in a.iter().zip(&out) {
            let want = f64::from(x.clamp(-87.0, 87.0)).exp();
            assert!((f64::from(*y) / want - 1.0).abs() < 3e-7, "{} exp({x}) = {y}", isa.name());
        }
        for (f, range) in [(1, -1.0..=1.0), (2, -1.0..=1.0), (3, 0.0..=1.0), (6, 0.0..=1.0)] {
            isa.run(Map(a, &b, &mut out, f));
            for ((x, g), y) in a.iter().zip(&b).zip(&out) {
                let (x, g) = (f64::from(*x), f64::from(*g));
                let sigmoid = 1.0 / (1.0 + (-g).exp());
                let want = [x.tanh() * sigmoid, x.tanh(), sigmoid, sigmoid][f.min(4) as usize - 1];
                assert!((f64::from(*y) - want).abs() < 1e-6, "{} {f}({x}, {g}) = {y}", isa.name());
                assert!(range.contains(y), "{} {f}({x}, {g}) = {y} is out of range", isa.name());
            }
        }
    }
}

/// Φ(x): its Taylor series near zero, the continued fraction of the tail (Abramowitz and Stegun 26.2.14) elsewhere.
fn normal_below(x: f64) -> f64 {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x.abs() < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 0.5 + density * sum;
    }
    let mut below = x.abs();
    for n in (1..80).rev() {
        below = x.abs() + f64::from(n) / below;
    }
    let tail = density / below;
    if x < 0.0 { tail } else { 1.0 - tail }
}

fn gelu_is_the_exact_one() {
    assert!(
        (normal_below(1.959_963_985) - 0.975).abs() < 1e-9
            && (normal_below(-3.0) - 1.349_898e-3).abs() < 1e-9
    );
    let x: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.005).chain([0.0, -0.0, 1e-30, -1e-30]).collect();
    let x = &x[..x.len() / 16 * 16];
    for isa in Isa::available() {
        let (mut y, mut slope) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        isa.run(Map(x, x, &mut y, 4));
        isa.run(Map(x, x, &mut slope, 5));
        for ((x, y), slope) in x.iter().zip(&y).zip(&slope) {
            let x = f64::from(*x);
            let want = x * normal_below(x);
            assert!(
                (f64::from(*y) - want).abs() < 5e-7 + 1e-7 * want.abs(),
                "{} gelu({x}) = {y}",
                isa.name()
            );
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let want = normal_below(x) + x * density;
            assert!((f64::from(*slope) - want).abs() < 5e-7, "{} gelu'({x}) = {slope}", isa.name());
        }
    }
}

struct Panel<'a>(&'a Panels, &'a [f32], &'a [f32], &'a mut [f32], u8);
impl Kernel for Panel<'_> {
    type Output = ();
    const INTEGER: bool = true;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(w, x, add, out, f) = self;
        match f {
            0 => product(s, w, x, add, out, Then::Store),
            1 => product(s, w, x, add, out, Then::Relu),
            2 => accumulate(s, w, x, out, Then::Store),
            _ => gated(s, w, x, add, out),
        }
    }
}

/// What is available, and that without dot products of bytes.
fn all() -> Vec<Isa> {
    let mut all = Isa::available();
    all.extend(Isa::available().into_iter().map(Isa::without_dot));
    all.dedup();
    all
}

/// Products of `w` as every panel function gives them against `sum(o)`, which is W x + b in f64.
fn products(isa: Isa, w: Matrix, (inputs, outputs): (usize, usize), x: &[f32], sum: &dyn Fn(usize) -> f64) {
    let what = |o| format!("{} {} {inputs}x{outputs} output {o}", isa.name(), w.stored.dtype());
    let b = random(outputs, 3);
    let p = Panels::pack(isa, w, inputs, outputs);
    let add = p.order(&b);
    let mut out = Aligned::zeros(p.padded_outputs());
    for f in 0..3 {
        out.fill(f32::NAN);
        if f == 2 {
            out.copy_from_slice(&add);
        }
        isa.run(Panel(&p, x, &add, &mut out, f));
        for o in 0..outputs {
            let sum = f64::from(b[o]) + sum(o);
            close(out[o], if f == 1 { sum.max(0.0) } else { sum }, &what(o));
        }
        assert!(out[outputs..].iter().all(|&v| v == 0.0), "padding stays zero");
    }
    if outputs % 2 == 0 {
        let half = outputs / 2;
        let p = Panels::pack_gated(isa, w, inputs, half);
        let mut out = Aligned::zeros(p.padded_outputs() / 2);
        out.fill(f32::NAN);
        isa.run(Panel(&p, x, &p.order(&b), &mut out, 3));
        for o in 0..half {
            let sum = |o: usize| f64::from(b[o]) + sum(o);
            close(out[o], sum(o).tanh() / (1.0 + (-sum(half + o)).exp()), &what(o));
        }
        assert!(out[half..].iter().all(|&v| v == 0.0), "padding stays zero");
    }
}

const SIZES: [(usize, usize); 9] =
    [(1, 1), (3, 5), (7, 16), (48, 96), (64, 31), (5, 256), (33, 100), (2, 640), (301, 6)];

fn panels_of_floats_multiply() {
    for (inputs, outputs) in SIZES {
        let (w, x) = (random(inputs * outputs, 1), random(inputs, 2));
        let halves: Vec<f32> = w.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
        for isa in Isa::available() {
            for (values, stored) in [(&w, Stored::F32), (&halves, Stored::F16)] {
                let sum = |o: usize| {
                    (0..inputs).map(|i| f64::from(values[i * outputs + o]) * f64::from(x[i])).sum::<f64>()
                };
                products(isa, Matrix { values, stored: &stored }, (inputs, outputs), &x, &sum);
            }
        }
    }
}

/// x as its codes mean it, a block of 4096 at a time.
fn rounded(x: &[f32]) -> Vec<f64> {
    let block = |x: &[f32]| {
        let largest = x.iter().fold(0f32, |m, v| m.max(v.abs()));
        let inverse = 127.0 / largest;
        let step = f64::from(largest) / 127.0;
        x.iter().map(|v| f64::from((v * inverse).round_ties_even()) * step).collect::<Vec<_>>()
    };
    x.chunks(4096).flat_map(block).collect()
}

/// The sums are integers, so what remains are three roundings: every instruction set is held to the codes of weights
/// and activations exactly, with the codes at their ends too, where 16-bit sums would saturate.
fn panels_of_i8_multiply_exactly() {
    for (inputs, outputs) in SIZES.into_iter().chain([(4096, 3), (8195, 4)]) {
        let scales: Vec<f32> = (0..outputs).map(|o| 0.003 + 0.001 * o as f32 / outputs as f32).collect();
        let mut uniforms = Uniforms::new(5);
        for extreme in [false, true] {
            let mut code = |i: usize| match extreme {
                true => {
                    if i.is_multiple_of(3) {
                        -127.0
                    } else {
                        127.0
                    }
                }
                false => uniforms.below(255) as f32 - 127.0,
            };
            let values: Vec<f32> = (0..inputs * outputs).map(|i| code(i) * scales[i % outputs]).collect();
            let x = match extreme {
                true => (0..inputs).map(|i| if i % 5 == 0 { -0.7 } else { 0.7 }).collect(),
                false => random(inputs, 2),
            };
            let meant = rounded(&x);
            let sum =
                |o: usize| (0..inputs).map(|i| f64::from(values[i * outputs + o]) * meant[i]).sum::<f64>();
            let stored = Stored::I8 { scales: scales.clone() };
            for isa in all() {
                products(isa, Matrix { values: &values, stored: &stored }, (inputs, outputs), &x, &sum);
            }
        }
    }
}

/// Columns of codes, in blocks of `block` inputs, each `stride` from the next.
struct QuantisedColumns<'a> {
    /// W, W for a gated unit, and the matrix that gives the gated outputs back as floats.
    w: [&'a Panels; 3],
    blocks: usize,
    stride: usize,
    x: &'a [f32],
    many: &'a mut [f32],
    alone: &'a mut [f32],
    h: &'a mut [f32],
}

impl Kernel for QuantisedColumns<'_> {
    type Output = ();
    const INTEGER: bool = true;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w: [w, gate, identity], blocks, stride, x, many, alone, h } = self;
        let mut codes = vec![0; x.len()];
        let rows = x.chunks_exact(stride).zip(codes.chunks_exact_mut(stride));
        let scales: Vec<f32> = rows.map(|(x, codes)| round(s, x, codes)).collect();
        let outputs = w.padded_outputs();
        let all = Quantised { values: &codes, stride, scales: &scales };
        accumulate_i8_many(s, w, many.len() / outputs, all, Rows { data: many, stride: outputs });
        let columns = codes.chunks_exact(blocks * stride).zip(scales.chunks_exact(blocks));
        let rows = alone.chunks_exact_mut(outputs).zip(h.chunks_exact_mut(identity.padded_outputs()));
        let bias = vec![0.0; gate.padded_outputs()];
        for ((codes, scales), (alone, h)) in columns.zip(rows) {
            let x = Quantised { values: codes, stride, scales };
            accumulate_i8(s, w, x, alone, Then::Store);
            let mut gated = vec![0; bias.len() / 2];
            gated_i8(s, gate, x, &bias, &mut gated);
            accumulate_i8(s, identity, Quantised::unit(&gated), h, Then::Store);
        }
    }
}

/// Every width of panel, odd blocks, every remainder of columns; gated outputs are as near as codes can be.
fn quantised_columns_multiply_alone_and_together() {
    let outputs = |lanes: usize| (1..=9).map(move |v| v * lanes).chain([5, 40]);
    for (isa, half) in all().into_iter().flat_map(|isa| outputs(isa.lanes()).map(move |n| (isa, n))) {
        for (block, blocks, count) in [(1, 1, 1), (7, 2, 3), (32, 1, 4), (18, 3, 8), (64, 2, 5)] {
            let what = format!("{} {blocks} of {block} to {half} for {count}", isa.name());
            let (inputs, stride) = (block * blocks, usize::next_multiple_of(block, 16));
            let mut uniforms = Uniforms::new(1);
            let values: Vec<f32> =
                (0..inputs * 2 * half).map(|_| uniforms.below(255) as f32 - 127.0).collect();
            let values: Vec<f32> = values.iter().map(|code| code * 0.002).collect();
            let stored = Stored::I8 { scales: vec![0.002; 2 * half] };
            let w = Matrix { values: &values, stored: &stored };
            let gate = Panels::pack_gated_blocks(isa, w, inputs, half, block);
            let w = Panels::pack_blocks(isa, w, inputs, 2 * half, block);
            let one: Vec<f32> = (0..half * half).map(|i| f32::from(u8::from(i % (half + 1) == 0))).collect();
            let stored = Stored::I8 { scales: vec![1.0; half] };
            let identity = Panels::pack(isa, Matrix { values: &one, stored: &stored }, half, half);
            let mut x: Vec<f32> = (0..count * blocks * stride).map(|_| uniforms.normal()).collect();
            x.chunks_exact_mut(stride).for_each(|x| x[block..].fill(0.0));
            let mut many = vec![0.5; count * w.padded_outputs()];
            let mut alone = many.clone();
            let mut h = vec![0.0; count * identity.padded_outputs()];
            isa.run(QuantisedColumns {
                w: [&w, &gate, &identity],
                blocks,
                stride,
                x: &x,
                many: &mut many,
                alone: &mut alone,
                h: &mut h,
            });
            assert_eq!(many, alone, "{what}");
            let columns = x.chunks_exact(blocks * stride).zip(alone.chunks_exact(w.padded_outputs()));
            for ((x, got), h) in columns.zip(h.chunks_exact(identity.padded_outputs())) {
                let meant: Vec<f64> = x.chunks_exact(stride).flat_map(|x| rounded(&x[..block])).collect();
                let product = |(i, x): (usize, &f64), o: usize| x * f64::from(values[i * 2 * half + o]);
                let sum = |o: usize| meant.iter().enumerate().map(|x| product(x, o)).sum::<f64>();
                for o in 0..half {
                    close(got[o], 0.5 + sum(o), &what);
                    let want = sum(o).tanh() / (1.0 + (-sum(half + o)).exp());
                    assert!(
                        (f64::from(h[o]) - want).abs() < 0.5 / 127.0 + 1e-5,
                        "{what}: {} for {want}",
                        h[o]
                    );
                }
            }
        }
    }
}

fn silence_is_no_division_by_zero() {
    let stored = Stored::I8 { scales: vec![0.01; 8] };
    let w = Matrix { values: &[0.05; 40], stored: &stored };
    for isa in all() {
        products(isa, w, (5, 8), &[0.0; 5], &|_| 0.0);
        products(isa, w, (5, 8), &[1e-40; 5], &|_| 0.0);
    }
}

struct Tile<'a>((usize, usize, usize), (&'a mut [f32], usize), Strided<'a>, (&'a [f32], usize));
impl Kernel for Tile<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        multiply_within(s, self.0, self.1, self.2, self.3);
    }
}

fn tiles_multiply_both_ways_round() {
    for isa in Isa::available() {
        let lanes = isa.lanes();
        for (m, vectors, k) in [(1, 1, 1), (8, 3, 5), (13, 7, 48), (3, 16, 2), (128, 2, 33)] {
            tiles_multiply(isa, (m, vectors * lanes, k), |x| x);
        }
    }
}

/// Where the machine has no such products there is nothing to compare.
#[cfg(feature = "train")]
fn products_in_bfloat16_are_those_of_rounded_operands() {
    let Some(isa) = Isa::with_bfloat16() else {
        assert!(!std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("amx_bf16")));
        return;
    };
    // Too small for it, whole tiles, odd numbers of tiles, rests of rows and of the inner dimension, several blocks of both.
    let rounded = [
        (32, 32, 32),
        (64, 16, 64),
        (48, 48, 96),
        (37, 32, 49),
        (9, 272, 33),
        (70, 528, 530),
        (200, 64, 1061),
    ];
    tiles_multiply(isa, (4, 16, 8), |x| x);
    for dims in rounded {
        tiles_multiply(isa, dims, |x| half::bf16::from_f32(x).to_f32());
    }
}

/// A product under `isa`, A by rows and by columns, C and B as wide as it and wider, beside sums in f64 of operands that are `rounded`.
fn tiles_multiply(isa: Isa, (m, n, k): (usize, usize, usize), rounded: impl Fn(f32) -> f32) {
    for (c_row, b_row) in [(n, n), (n + 3, n + isa.lanes())] {
        let (a, b, c) = (random(m * k, 1), random(k * b_row, 2), random(m * c_row, 3));
        for transposed in [false, true] {
            let view = if transposed { Strided::transposed(&a, m) } else { Strided::rows(&a, k) };
            let mut got = c.clone();
            isa.run(Tile((m, n, k), (&mut got, c_row), view, (&b, b_row)));
            for i in 0..m {
                for j in 0..c_row {
                    let at = |q: usize| f64::from(rounded(a[i * view.row + q * view.column]));
                    let product = |q: usize| at(q) * f64::from(rounded(b[q * b_row + j]));
                    let more = if j < n { (0..k).map(product).sum() } else { 0.0 };
                    let want = f64::from(c[i * c_row + j]) + more;
                    close(got[i * c_row + j], want, &format!("{} {m}x{n}x{k} ({i}, {j})", isa.name()));
                }
            }
        }
    }
}
