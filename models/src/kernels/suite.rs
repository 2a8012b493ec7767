//! Every kernel under every instruction set that this machine has, against sums in f64.

use super::aligned::Aligned;
use super::panel::{Panels, Then, accumulate, gated, product};
use super::tile::{Strided, multiply};
use super::{Isa, Kernel, Simd, math};
use crate::ar::Coins;

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut coins = Coins::new(seed);
    (0..n).map(|_| coins.normal()).collect()
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
                _ => math::sigmoid(s, vb),
            };
            s.store(&mut out[i..], v);
        }
    }
}

#[test]
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
        for (f, range) in [(1, -1.0..=1.0), (2, -1.0..=1.0), (3, 0.0..=1.0), (4, 0.0..=1.0)] {
            isa.run(Map(a, &b, &mut out, f));
            for ((x, g), y) in a.iter().zip(&b).zip(&out) {
                let (x, g) = (f64::from(*x), f64::from(*g));
                let sigmoid = 1.0 / (1.0 + (-g).exp());
                let want = [x.tanh() * sigmoid, x.tanh(), sigmoid, sigmoid][f as usize - 1];
                assert!((f64::from(*y) - want).abs() < 1e-6, "{} {f}({x}, {g}) = {y}", isa.name());
                assert!(range.contains(y), "{} {f}({x}, {g}) = {y} is out of range", isa.name());
            }
        }
    }
}

struct Panel<'a>(&'a Panels, &'a [f32], &'a [f32], &'a mut [f32], u8);
impl Kernel for Panel<'_> {
    type Output = ();
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

#[test]
fn panels_multiply() {
    for isa in Isa::available() {
        for (inputs, outputs) in [(1, 1), (3, 5), (7, 16), (48, 96), (64, 31), (5, 256), (33, 100), (2, 640)]
        {
            let what = |o| format!("{} {inputs}x{outputs} output {o}", isa.name());
            let (w, x, b) = (random(inputs * outputs, 1), random(inputs, 2), random(outputs, 3));
            let sum = |o: usize| {
                f64::from(b[o])
                    + (0..inputs).map(|i| f64::from(w[i * outputs + o]) * f64::from(x[i])).sum::<f64>()
            };
            let p = Panels::pack(isa, &w, inputs, outputs);
            let add = p.order(&b);
            let mut out = Aligned::zeros(p.padded_outputs());
            for f in 0..3 {
                out.fill(f32::NAN);
                if f == 2 {
                    out.copy_from_slice(&add);
                }
                isa.run(Panel(&p, &x, &add, &mut out, f));
                for o in 0..outputs {
                    close(out[o], if f == 1 { sum(o).max(0.0) } else { sum(o) }, &what(o));
                }
                assert!(out[outputs..].iter().all(|&v| v == 0.0), "padding stays zero");
            }
            if outputs % 2 == 0 {
                let half = outputs / 2;
                let p = Panels::pack_gated(isa, &w, inputs, half);
                let mut out = Aligned::zeros(p.padded_outputs() / 2);
                out.fill(f32::NAN);
                isa.run(Panel(&p, &x, &p.order(&b), &mut out, 3));
                for o in 0..half {
                    close(out[o], sum(o).tanh() / (1.0 + (-sum(half + o)).exp()), &what(o));
                }
                assert!(out[half..].iter().all(|&v| v == 0.0), "padding stays zero");
            }
        }
    }
}

struct Tile<'a>((usize, usize, usize), &'a mut [f32], Strided<'a>, &'a [f32]);
impl Kernel for Tile<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        multiply(s, self.0, self.1, self.2, self.3);
    }
}

#[test]
fn tiles_multiply_both_ways_round() {
    for isa in Isa::available() {
        let lanes = isa.lanes();
        for (m, vectors, k) in [(1, 1, 1), (8, 3, 5), (13, 7, 48), (3, 16, 2), (128, 2, 33)] {
            let n = vectors * lanes;
            let (a, b, c) = (random(m * k, 1), random(k * n, 2), random(m * n, 3));
            for transposed in [false, true] {
                let view = if transposed { Strided::transposed(&a, m) } else { Strided::rows(&a, k) };
                let mut got = c.clone();
                isa.run(Tile((m, n, k), &mut got, view, &b));
                for i in 0..m {
                    for j in 0..n {
                        let at = |q: usize| f64::from(a[i * view.row + q * view.column]);
                        let want = f64::from(c[i * n + j])
                            + (0..k).map(|q| at(q) * f64::from(b[q * n + j])).sum::<f64>();
                        close(got[i * n + j], want, &format!("{} {m}x{n}x{k} ({i}, {j})", isa.name()));
                    }
                }
            }
        }
    }
}
