//! `engine-candle SHAPES.json SECONDS`: the engine's shapes in candle, one sample at a time with cached queues, written
//! as its operations suggest; one JSON line a shape. RAYON_NUM_THREADS=1 keeps it on one thread.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::ops::{sigmoid, softmax};
use std::time::{Duration, Instant};

const WARM_UP: usize = 200;

#[derive(serde::Deserialize)]
struct Shape {
    shape: String,
    config: Config,
}

#[derive(serde::Deserialize)]
struct Config {
    classes: usize,
    start: u32,
    residual_channels: usize,
    gate_channels: usize,
    skip_channels: usize,
    head_channels: usize,
    kernel_size: usize,
    dilations: Vec<usize>,
}

struct Affine {
    weight: Tensor,
    bias: Tensor,
}

impl Affine {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Result<Self> {
        let std = 1.0 / (inputs as f32).sqrt();
        let weight = Tensor::randn(0f32, std, (inputs, outputs), device)?;
        Ok(Self { weight, bias: Tensor::randn(0f32, 0.1, (1, outputs), device)? })
    }

    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.matmul(&self.weight)? + &self.bias
    }
}

struct Layer {
    /// The last (K−1)·d inputs, [1, R] each.
    queue: Vec<Tensor>,
    at: usize,
    dilation: usize,
    gate: Affine,
    skip: Affine,
    residual: Option<Affine>,
}

struct Net {
    embed: Tensor,
    layers: Vec<Layer>,
    head: [Affine; 2],
    gate_channels: usize,
    symbol: u32,
    rng: u64,
    device: Device,
}

impl Net {
    fn new(c: &Config) -> Result<Self> {
        let device = Device::Cpu;
        let (r, d) = (c.residual_channels, c.gate_channels);
        let mut layers = Vec::new();
        for (l, &dilation) in c.dilations.iter().enumerate() {
            let zero = Tensor::zeros((1, r), DType::F32, &device)?;
            layers.push(Layer {
                queue: vec![zero; (c.kernel_size - 1) * dilation],
                at: 0,
                dilation,
                gate: Affine::new(c.kernel_size * r, 2 * d, &device)?,
                skip: Affine::new(d, c.skip_channels, &device)?,
                residual: (l + 1 < c.dilations.len()).then(|| Affine::new(d, r, &device)).transpose()?,
            });
        }
        let head = [
            Affine::new(c.skip_channels, c.head_channels, &device)?,
            Affine::new(c.head_channels, c.classes, &device)?,
        ];
        let embed = Tensor::randn(0f32, 1f32, (c.classes, r), &device)?;
        Ok(Self { embed, layers, head, gate_channels: d, symbol: c.start, rng: 1, device })
    }

    fn step(&mut self) -> Result<()> {
        let mut x = self.embed.index_select(&Tensor::new(&[self.symbol], &self.device)?, 0)?;
        let mut sum: Option<Tensor> = None;
        for layer in &mut self.layers {
            let rows = layer.queue.len();
            let mut taps: Vec<&Tensor> =
                (0..rows / layer.dilation).map(|k| &layer.queue[(layer.at + k * layer.dilation) % rows]).collect();
            taps.push(&x);
            let z = layer.gate.apply(&Tensor::cat(&taps, 1)?)?;
            layer.queue[layer.at] = x.clone();
            layer.at = (layer.at + 1) % rows;
            let tanh = z.narrow(1, 0, self.gate_channels)?.tanh()?;
            let h = (tanh * sigmoid(&z.narrow(1, self.gate_channels, self.gate_channels)?)?)?;
            let s = layer.skip.apply(&h)?;
            sum = Some(match sum {
                Some(sum) => (sum + s)?,
                None => s,
            });
            if let Some(residual) = &layer.residual {
                x = (x + residual.apply(&h)?)?;
            }
        }
        let y = self.head[0].apply(&sum.context("a network without layers")?.relu()?)?;
        let p = softmax(&self.head[1].apply(&y.relu()?)?, 1)?.flatten_all()?.to_vec1::<f32>()?;
        // xorshift64: the rng costs nothing beside the rest.
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        let mut left = (self.rng >> 40) as f32 / (1u64 << 24) as f32;
        let drawn = p.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        self.symbol = drawn.unwrap_or(p.len() - 1) as u32;
        Ok(())
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, shapes, seconds] = &args[..] else { anyhow::bail!("usage: engine-candle SHAPES.json SECONDS") };
    let shapes: Vec<Shape> = serde_json::from_str(&std::fs::read_to_string(shapes).context(shapes.clone())?)?;
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    for shape in shapes {
        let mut net = Net::new(&shape.config)?;
        for _ in 0..WARM_UP {
            net.step()?;
        }
        let (mut symbols, start) = (0, Instant::now());
        while start.elapsed() < seconds {
            for _ in 0..50 {
                net.step()?;
            }
            symbols += 50;
        }
        let ns = start.elapsed().as_nanos() as f64 / f64::from(symbols);
        let line = serde_json::json!({
            "peer": "candle", "version": "0.11.1", "shape": shape.shape, "dtype": "f32",
            "ns_per_symbol": ns, "symbols": symbols,
        });
        println!("{line}");
    }
    Ok(())
}
