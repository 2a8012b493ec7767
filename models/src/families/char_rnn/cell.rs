//! The cells on rows of H units, H padded to whole vectors: their equations, which the engine and the trainer's own
//! forward share, and the gradients of these.

use crate::kernels::{Simd, math};

/// One LSTM step on a row: `z` [4H] holds (i, f, g, o) before their functions, and after the call behind them; `c` is
/// the memory, old and then new; `h` the output.
#[inline(always)]
pub fn lstm<S: Simd>(s: S, z: &mut [f32], c: &mut [f32], h: &mut [f32]) {
    let n = h.len();
    let (zi, rest) = z.split_at_mut(n);
    let (zf, rest) = rest.split_at_mut(n);
    let (zg, zo) = rest.split_at_mut(n);
    for k in (0..n).step_by(S::LANES) {
        let (g, i) = math::tanh_sigmoid(s, s.load(&zg[k..]), s.load(&zi[k..]));
        let f = math::sigmoid(s, s.load(&zf[k..]));
        let o = math::sigmoid(s, s.load(&zo[k..]));
        let new = s.mul_add(f, s.load(&c[k..]), s.mul(i, g));
        s.store(&mut c[k..], new);
        s.store(&mut h[k..], s.mul(o, math::tanh(s, new)));
        s.store(&mut zi[k..], i);
        s.store(&mut zf[k..], f);
        s.store(&mut zg[k..], g);
        s.store(&mut zo[k..], o);
    }
}

/// One GRU step on a row: `z` [3H] holds (r, z, n) of the input, and after the call behind their functions; `m` [3H]
/// (r', z', n') of the recurrent product; `h` the state, old and then new.
#[inline(always)]
pub fn gru<S: Simd>(s: S, z: &mut [f32], m: &[f32], h: &mut [f32]) {
    let n = h.len();
    let (zr, rest) = z.split_at_mut(n);
    let (zz, zn) = rest.split_at_mut(n);
    let (mr, rest) = m.split_at(n);
    let (mz, mn) = rest.split_at(n);
    for k in (0..n).step_by(S::LANES) {
        let r = math::sigmoid(s, s.add(s.load(&zr[k..]), s.load(&mr[k..])));
        let update = math::sigmoid(s, s.add(s.load(&zz[k..]), s.load(&mz[k..])));
        let new = math::tanh(s, s.mul_add(r, s.load(&mn[k..]), s.load(&zn[k..])));
        let old = s.load(&h[k..]);
        s.store(&mut h[k..], s.mul_add(update, s.sub(old, new), new));
        s.store(&mut zr[k..], r);
        s.store(&mut zz[k..], update);
        s.store(&mut zn[k..], new);
    }
}

/// The gradient of [`lstm`] on a row: `z` holds what the step left and becomes the gradient of what it was given;
/// `c_old` and `c` are the memory before and behind the step, `d_h` the gradient of h, `d_c` that of c, which becomes
/// that of `c_old`.
#[cfg(feature = "train")]
#[inline(always)]
pub fn lstm_backward<S: Simd>(s: S, z: &mut [f32], c_old: &[f32], c: &[f32], d_h: &[f32], d_c: &mut [f32]) {
    let n = d_h.len();
    let one = s.splat(1.0);
    let (zi, rest) = z.split_at_mut(n);
    let (zf, rest) = rest.split_at_mut(n);
    let (zg, zo) = rest.split_at_mut(n);
    for k in (0..n).step_by(S::LANES) {
        let (i, f) = (s.load(&zi[k..]), s.load(&zf[k..]));
        let (g, o) = (s.load(&zg[k..]), s.load(&zo[k..]));
        let y = math::tanh(s, s.load(&c[k..]));
        let dh = s.load(&d_h[k..]);
        let slope = s.sub(one, s.mul(y, y));
        let dc = s.mul_add(s.mul(dh, o), slope, s.load(&d_c[k..]));
        s.store(&mut d_c[k..], s.mul(dc, f));
        s.store(&mut zi[k..], s.mul(s.mul(dc, g), s.mul(i, s.sub(one, i))));
        s.store(&mut zf[k..], s.mul(s.mul(dc, s.load(&c_old[k..])), s.mul(f, s.sub(one, f))));
        s.store(&mut zg[k..], s.mul(s.mul(dc, i), s.sub(one, s.mul(g, g))));
        s.store(&mut zo[k..], s.mul(s.mul(dh, y), s.mul(o, s.sub(one, o))));
    }
}

/// The gradient of [`gru`] on a row: `z` and `m` hold what the step left and become the gradients of what it was given;
/// `h_old` is the state before it, `d_h` the gradient of h, which becomes that of `h_old` but for the part that goes
/// through the recurrent product.
#[cfg(feature = "train")]
#[inline(always)]
pub fn gru_backward<S: Simd>(s: S, z: &mut [f32], m: &mut [f32], h_old: &[f32], d_h: &mut [f32]) {
    let n = d_h.len();
    let one = s.splat(1.0);
    let (zr, rest) = z.split_at_mut(n);
    let (zz, zn) = rest.split_at_mut(n);
    let (mr, rest) = m.split_at_mut(n);
    let (mz, mn) = rest.split_at_mut(n);
    for k in (0..n).step_by(S::LANES) {
        let (r, update, new) = (s.load(&zr[k..]), s.load(&zz[k..]), s.load(&zn[k..]));
        let dh = s.load(&d_h[k..]);
        let d_new = s.mul(s.mul(dh, s.sub(one, update)), s.sub(one, s.mul(new, new)));
        let d_update = s.mul(s.mul(dh, s.sub(s.load(&h_old[k..]), new)), s.mul(update, s.sub(one, update)));
        let d_r = s.mul(s.mul(d_new, s.load(&mn[k..])), s.mul(r, s.sub(one, r)));
        s.store(&mut d_h[k..], s.mul(dh, update));
        s.store(&mut zr[k..], d_r);
        s.store(&mut mr[k..], d_r);
        s.store(&mut zz[k..], d_update);
        s.store(&mut mz[k..], d_update);
        s.store(&mut zn[k..], d_new);
        s.store(&mut mn[k..], s.mul(d_new, r));
    }
}
