//! The machine's own noise: the time of work that touches no memory.

use std::hint::black_box;
use std::time::Instant;

/// Windows that the length of one is taken from.
const CALIBRATION: usize = 201;

/// Times `count` windows of register arithmetic, each about `ns` long, in ns: interrupts, a hypervisor or other
/// threads add the rest. Call it right after the work that it is compared with.
pub fn clock_floor(ns: f64, count: usize) -> Vec<f32> {
    let mut rounds = 1000;
    for _ in 0..4 {
        let mut times: Vec<f32> = (0..CALIBRATION).map(|_| window(rounds)).collect();
        times.sort_unstable_by(f32::total_cmp);
        let median = f64::from(times[CALIBRATION / 2]).max(1.0);
        rounds = ((rounds as f64 * ns / median) as u64).clamp(1, 1 << 32);
    }
    (0..count).map(|_| window(rounds)).collect()
}

fn window(rounds: u64) -> f32 {
    let start = Instant::now();
    let mut x = black_box(1u64);
    for _ in 0..rounds {
        // A chain that no compiler shortens: each round waits for the one before.
        x = x.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17) ^ 1;
    }
    black_box(x);
    start.elapsed().as_nanos() as f32
}
