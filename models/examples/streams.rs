//! How the cost of a step grows with streams, length, layers, channels and dilation. Prints comma-separated values:
//! `cargo run --release -p wavesynth-models --example streams > growth.csv`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use wavesynth_models::ar::{Sampling, Streams};
use wavesynth_models::kernels::Isa;
use wavesynth_models::wavenet::{Config, WaveNet};
use wavesynth_models::weights::{Layout, WeightsError};

/// Steps per timing, and timings; the best counts, as what other work on the machine adds is no part of the cost.
const STEPS: usize = 400;
const TIMINGS: usize = 5;

fn main() -> Result<(), WeightsError> {
    println!("what,value,isa,streams,ns_per_sample,samples_per_second");
    let base = Config::named("nv-wavenet").expect("a known shape");
    for isa in Isa::available().into_iter().skip(1) {
        for streams in [1, 2, 3, 4, 6, 8, 12, 16] {
            report("streams", streams, isa, &base, streams, 0)?;
        }
        for length in [0, 16_000, 64_000] {
            report("samples before", length, isa, &base, 1, length)?;
        }
        for layers in [5, 10, 20, 40] {
            let dilations = (0..layers).map(|l| 1 << (l % 10)).collect();
            report("layers", layers, isa, &Config { dilations, ..base.clone() }, 1, 0)?;
        }
        for channels in [16, 32, 64, 128] {
            let config = Config { residual_channels: channels, gate_channels: channels, ..base.clone() };
            report("channels", channels, isa, &config, 1, 0)?;
        }
        for dilation in [1, 2, 4, 8, 64, 512, 4096] {
            let dilations = vec![dilation; 20];
            report("dilation", dilation, isa, &Config { dilations, ..base.clone() }, 1, 0)?;
        }
    }
    Ok(())
}

fn report(
    what: &str,
    value: usize,
    isa: Isa,
    config: &Config,
    count: usize,
    before: usize,
) -> Result<(), WeightsError> {
    let layout = Layout::new(config.table());
    let model = WaveNet::new(config, &layout.tensors(&layout.init(1)), isa)?;
    let mut streams = Streams::new(Arc::new(model), count, Sampling::default());
    (0..count).for_each(|i| streams.start(i));
    let coins: Vec<f32> = (0..count).map(|i| (i as f32 + 0.5) / count as f32).collect();
    let mut symbols = vec![0; count];
    let mut run = |steps: usize| {
        for _ in 0..steps {
            streams.next(&coins, &mut symbols);
            black_box(&symbols);
        }
    };
    run(before + STEPS);
    let best = (0..TIMINGS)
        .map(|_| {
            let start = Instant::now();
            run(STEPS);
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    let samples = (STEPS * count) as f64;
    println!("{what},{value},{},{count},{:.0},{:.0}", isa.name(), best * 1e9 / samples, samples / best);
    Ok(())
}
