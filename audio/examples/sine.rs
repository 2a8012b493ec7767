//! Plays a sine on a sound device and prints whether it came out unbroken.
//!
//! ```text
//! cargo run --release -p wavesynth-audio --features device --example sine -- [SECONDS [LATENCY_MS [RATE [HZ]]]]
//! ```

use std::error::Error;
use std::thread::sleep;
use std::time::Duration;
use wavesynth_audio::{device, ring};

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<f32> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let at = |i: usize, default: f32| numbers.get(i).copied().unwrap_or(default);
    let (seconds, latency_ms, rate, hz) = (at(0, 5.0), at(1, 20.0), at(2, 48_000.0), at(3, 440.0));

    for d in device::list()? {
        let mark = if d.default { "*" } else { " " };
        println!("{mark} {} ({}), {:?} Hz, {:?}", d.name, d.host, d.rates, d.formats);
    }
    let output = device::open(device::Request { name: None, rate: rate as u32, latency_ms })?;
    let rate = output.rate;
    println!(
        "{}: {rate} Hz, {} channels of {}, periods of {} frames, a ring of {}",
        output.name,
        output.channels,
        output.format,
        output.period_frames,
        output.ring_frames()
    );

    let (mut producer, consumer) = ring::ring(output.ring_frames());
    let playing = output.start(consumer)?;
    let total = (seconds * rate as f32) as usize;
    let step = std::f64::consts::TAU * hz as f64 / rate as f64;
    let sine: Vec<f32> = (0..total).map(|i| 0.5 * (step * i as f64).sin() as f32).collect();

    let mut sent = producer.push_slice(&sine);
    playing.play()?;
    while sent < total && !playing.stats().lost {
        sent += producer.push_slice(&sine[sent..]);
        sleep(Duration::from_millis(1));
    }
    producer.close();
    while !playing.ring().finished() && !playing.stats().lost {
        sleep(Duration::from_millis(1));
    }
    let (stats, ring) = (playing.stats(), playing.ring().clone());
    // The device still has to play its buffer.
    sleep(Duration::from_secs_f32(stats.latency_ms / 1_000.0 + 0.05));
    playing.stop();
    if stats.lost {
        println!("the device was lost");
    }
    println!(
        "{} of {total} samples played, {} underruns ({} samples), {stats:?}",
        ring.played_samples(),
        ring.underruns(),
        ring.missing_samples()
    );
    Ok(())
}
