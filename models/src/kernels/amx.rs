//! The trainer's product on operands rounded to bfloat16, with sums in f32: the tile registers of AMX, which Intel's servers have since
//! Sapphire Rapids ("Intel Architecture Instruction Set Extensions", chapter 3).
//!
//! A tile is 16 rows of 64 bytes. A tile of A holds 16 rows of 32 values; one of B holds, for each of 16 pairs of its rows, the pairs
//! (b\[2p, j\], b\[2p + 1, j\]) of 16 columns j; one of C holds 16 rows of 16 sums. Four tiles of C stay in registers while the inner dimension runs.
#![allow(unsafe_code, reason = "intrinsics, tile instructions, and the permission to use them")]

use super::tile::{Dims, Strided};
use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Rows of a tile, and the columns of one of C.
const ROWS: usize = 16;
/// The inner dimension of a tile.
const DEPTH: usize = 32;
/// Inner dimension that is packed at a time: two rows of A's tiles, 32 KB, stay in the L1.
const INNER: usize = 512;
/// Columns of B that are packed at a time: 256 KB with [`INNER`], which stay in the L2.
const COLUMNS: usize = 256;

/// Whether this process may use the tile registers: the processor has them, and the system has granted them.
pub fn available() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(|| {
        // Bits of AMX-BF16 and AMX-TILE.
        let (leaves, amx) = (__cpuid(0).eax, 1 << 22 | 1 << 24);
        leaves >= 7
            && __cpuid_count(7, 0).edx & amx == amx
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16")
            && granted()
    })
}

/// Asks the system for the registers' state, which it keeps for no process that has not asked.
#[cfg(target_os = "linux")]
fn granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call reads its numbers only.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn granted() -> bool {
    false
}

/// 16 rows of 32 values, or 16 pairs of rows of 16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Tile([u16; ROWS * DEPTH]);

const TILE: Tile = Tile([0; ROWS * DEPTH]);

/// Packed operands.
struct Packed {
    a: Vec<Tile>,
    b: Vec<Tile>,
}

/// What `ldtilecfg` reads: all eight tiles whole.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: TileConfig = {
    let (mut bytes, mut rows) = ([0; 16], [0; 16]);
    let mut i = 0;
    while i < 8 {
        bytes[i] = 64;
        rows[i] = 16;
        i += 1;
    }
    TileConfig { palette: 1, start_row: 0, reserved: [0; 14], bytes, rows }
};

/// Whether a product is large enough to pay for its packing, and A one that can be packed.
pub fn worthwhile((m, n, k): Dims, a: Strided<'_>) -> bool {
    m >= 8 && k >= 16 && m * n * k >= 1 << 15 && (a.row == 1 || a.column == 1)
}

/// As [`multiply_within`](super::tile::multiply_within).
///
/// # Safety
/// [`available`] is true, the product is [`worthwhile`], n is a multiple of 16, and rows 0..m of C and A, rows 0..k of B and n columns of both
/// lie inside the slices.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub unsafe fn multiply(
    (m, n, k): Dims,
    (c, c_row): (&mut [f32], usize),
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
) {
    thread_local! {
        static PACKED: RefCell<Packed> = const { RefCell::new(Packed { a: Vec::new(), b: Vec::new() }) };
    }
    PACKED.with_borrow_mut(|Packed { a: a_tiles, b: b_tiles }| {
        let depth = k.min(INNER).div_ceil(DEPTH);
        fit(a_tiles, 2 * depth);
        fit(b_tiles, n.min(COLUMNS) / ROWS * depth);
        // SAFETY: the caller promises AMX and the operands' sizes; the buffers hold a block of each.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, preserves_flags));
            for column in (0..n).step_by(COLUMNS) {
                let columns = COLUMNS.min(n - column) / ROWS;
                for from in (0..k).step_by(INNER) {
                    let inner = INNER.min(k - from);
                    let depth = inner.div_ceil(DEPTH);
                    for j in 0..columns {
                        let at = b.as_ptr().add(from * b_row + column + j * ROWS);
                        pack_pairs(at, b_row, (inner, ROWS), &mut b_tiles[j * depth..][..depth], |tile| tile);
                    }
                    for i in (0..m).step_by(2 * ROWS) {
                        let rows = (m - i).min(2 * ROWS);
                        for (r, tiles) in (0..rows).step_by(ROWS).zip(a_tiles.chunks_exact_mut(depth)) {
                            let at = a.data.as_ptr().add((i + r) * a.row + from * a.column);
                            let height = (rows - r).min(ROWS);
                            match a.column {
                                1 => pack_rows(at, a.row, (height, inner), tiles),
                                _ => pack_pairs(at, a.column, (inner, height), tiles, |tile| transpose(tile)),
                            }
                        }
                        let c = c.as_mut_ptr().add(i * c_row + column);
                        block_row((rows, columns, depth), (c, c_row), a_tiles.as_ptr(), b_tiles.as_ptr());
                    }
                }
            }
            asm!("tilerelease", options(nostack, preserves_flags));
        }
    });
}

fn fit(tiles: &mut Vec<Tile>, len: usize) {
    if tiles.len() < len {
        tiles.resize(len, TILE);
    }
}

/// A mask of the first `n` of 16 lanes, of at most 16.
fn lanes(n: usize) -> __mmask16 {
    ((1u32 << n.min(ROWS)) - 1) as __mmask16
}

/// Packs `height` rows of `inner` values into tiles behind one another; zeros where there are none.
///
/// # Safety
/// The rows lie behind `at`, each `stride` behind the one before; `tiles` hold `inner` values a row.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack_rows(at: *const f32, stride: usize, (height, inner): (usize, usize), tiles: &mut [Tile]) {
    for (t, tile) in tiles.iter_mut().take(inner.div_ceil(DEPTH)).enumerate() {
        let left = inner - t * DEPTH;
        let (low, high) = (lanes(left), lanes(left.saturating_sub(ROWS)));
        for (r, row) in tile.0.chunks_exact_mut(DEPTH).enumerate() {
            // SAFETY: what the masks let through lies in row r.
            unsafe {
                let both = if r < height {
                    let from = at.add(r * stride + t * DEPTH);
                    let low = _mm512_maskz_loadu_ps(low, from);
                    let high = _mm512_maskz_loadu_ps(high, from.wrapping_add(ROWS));
                    bits(_mm512_cvtne2ps_pbh(high, low))
                } else {
                    _mm512_setzero_si512()
                };
                _mm512_store_si512(row.as_mut_ptr().cast(), both);
            }
        }
    }
}

/// Packs `inner` rows of `width` values, at most 16, as pairs of rows, 16 pairs a tile, and hands each tile through `then`.
///
/// # Safety
/// As of [`pack_rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack_pairs(
    at: *const f32,
    stride: usize,
    (inner, width): (usize, usize),
    tiles: &mut [Tile],
    then: impl Fn([__m512i; ROWS]) -> [__m512i; ROWS],
) {
    let (mask, zero) = (lanes(width), _mm512_setzero_ps());
    // The words of two rows behind one another become pairs of words.
    let mut order = [0u16; DEPTH];
    for (i, pair) in order.chunks_exact_mut(2).enumerate() {
        pair.copy_from_slice(&[i as u16, (i + ROWS) as u16]);
    }
    // SAFETY: 32 words; rows below `inner` are there.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for (t, tile) in tiles.iter_mut().take(inner.div_ceil(DEPTH)).enumerate() {
            let mut pairs = [_mm512_setzero_si512(); ROWS];
            for (p, pair) in pairs.iter_mut().enumerate() {
                let row = t * DEPTH + 2 * p;
                if row >= inner {
                    break;
                }
                let low = _mm512_maskz_loadu_ps(mask, at.add(row * stride));
                let high = if row + 1 < inner {
                    _mm512_maskz_loadu_ps(mask, at.add((row + 1) * stride))
                } else {
                    zero
                };
                *pair = _mm512_permutexvar_epi16(order, bits(_mm512_cvtne2ps_pbh(high, low)));
            }
            for (row, pair) in tile.0.chunks_exact_mut(DEPTH).zip(then(pairs)) {
                _mm512_store_si512(row.as_mut_ptr().cast(), pair);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn bits(x: __m512bh) -> __m512i {
    // SAFETY: both are 64 bytes, of which any is a value.
    unsafe { std::mem::transmute(x) }
}

/// A 16 by 16 matrix of 32-bit values turned over.
#[target_feature(enable = "avx512f")]
fn transpose(x: [__m512i; ROWS]) -> [__m512i; ROWS] {
    // Each step doubles the size of the blocks that stand where they belong.
    let mut y = x;
    for i in (0..ROWS).step_by(2) {
        (y[i], y[i + 1]) = (_mm512_unpacklo_epi32(x[i], x[i + 1]), _mm512_unpackhi_epi32(x[i], x[i + 1]));
    }
    let mut z = y;
    for i in (0..ROWS).step_by(4) {
        for j in 0..2 {
            z[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            z[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
    }
    // z[4q + r] holds columns r, r + 4, r + 8, r + 12 of rows 4q … 4q + 3, a lane of 128 bits each.
    let mut out = z;
    for r in 0..4 {
        let (a, b, c, d) = (z[r], z[4 + r], z[8 + r], z[12 + r]);
        let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        out[r] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
        out[8 + r] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
        out[4 + r] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
        out[12 + r] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
    }
    out
}

/// Up to 32 rows of C, `columns` tiles wide, += packed A times packed B.
///
/// # Safety
/// The tiles are configured; C, `a` (two rows of `depth` tiles) and `b` (`columns` rows of `depth` tiles) hold what the numbers say.
unsafe fn block_row(
    (rows, columns, depth): Dims,
    (c, c_row): (*mut f32, usize),
    a: *const Tile,
    b: *const Tile,
) {
    // SAFETY: as the caller promises.
    unsafe {
        if rows == 2 * ROWS {
            for j in (0..columns & !1).step_by(2) {
                four(depth, c.add(j * ROWS), c_row, a, b.add(j * depth));
            }
            if columns % 2 == 1 {
                for i in 0..2 {
                    let c = c.add(i * ROWS * c_row + (columns - 1) * ROWS);
                    one(depth, c, c_row, a.add(i * depth), b.add((columns - 1) * depth));
                }
            }
            return;
        }
        for i in (0..rows).step_by(ROWS) {
            let height = (rows - i).min(ROWS);
            for j in 0..columns {
                let (a, b) = (a.add(i / ROWS * depth), b.add(j * depth));
                let c = c.add(i * c_row + j * ROWS);
                if height == ROWS {
                    one(depth, c, c_row, a, b);
                    continue;
                }
                // A tile has all its rows; those beyond C are nobody's.
                let mut whole = [0.0f32; ROWS * ROWS];
                for r in 0..height {
                    c.add(r * c_row).copy_to_nonoverlapping(whole[r * ROWS..].as_mut_ptr(), ROWS);
                }
                one(depth, whole.as_mut_ptr(), ROWS, a, b);
                for r in 0..height {
                    c.add(r * c_row).copy_from_nonoverlapping(whole[r * ROWS..].as_ptr(), ROWS);
                }
            }
        }
    }
}

/// One tile of C.
///
/// # Safety
/// As of [`block_row`].
unsafe fn one(depth: usize, c: *mut f32, c_row: usize, a: *const Tile, b: *const Tile) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "tileloadd tmm0, [{c} + 1*{c_row}]",
            "2:",
            "tileloadd tmm4, [{a} + 1*{row}]",
            "tileloadd tmm6, [{b} + 1*{row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "add {a}, 1024",
            "add {b}, 1024",
            "dec {depth}",
            "jnz 2b",
            "tilestored [{c} + 1*{c_row}], tmm0",
            c = in(reg) c,
            c_row = in(reg) 4 * c_row,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            row = in(reg) 64usize,
            depth = inout(reg) depth => _,
            out("tmm0") _, out("tmm4") _, out("tmm6") _,
            options(nostack),
        );
    }
}

/// Two by two tiles of C.
///
/// # Safety
/// As of [`block_row`].
unsafe fn four(depth: usize, c: *mut f32, c_row: usize, a: *const Tile, b: *const Tile) {
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "tileloadd tmm0, [{c} + 1*{c_row}]",
            "tileloadd tmm1, [{c} + 1*{c_row} + 64]",
            "tileloadd tmm2, [{c_below} + 1*{c_row}]",
            "tileloadd tmm3, [{c_below} + 1*{c_row} + 64]",
            "2:",
            "tileloadd tmm4, [{a} + 1*{row}]",
            "tileloadd tmm6, [{b} + 1*{row}]",
            "tileloadd tmm5, [{a_below} + 1*{row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b_right} + 1*{row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 1024",
            "add {a_below}, 1024",
            "add {b}, 1024",
            "add {b_right}, 1024",
            "dec {depth}",
            "jnz 2b",
            "tilestored [{c} + 1*{c_row}], tmm0",
            "tilestored [{c} + 1*{c_row} + 64], tmm1",
            "tilestored [{c_below} + 1*{c_row}], tmm2",
            "tilestored [{c_below} + 1*{c_row} + 64], tmm3",
            c = in(reg) c,
            c_below = in(reg) c.add(ROWS * c_row),
            c_row = in(reg) 4 * c_row,
            a = inout(reg) a => _,
            a_below = inout(reg) a.add(depth) => _,
            b = inout(reg) b => _,
            b_right = inout(reg) b.add(depth) => _,
            row = in(reg) 64usize,
            depth = inout(reg) depth => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
