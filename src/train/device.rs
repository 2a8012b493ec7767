//! Where a run computes its losses.

use anyhow::{Context, Result, bail};
use std::fmt;
use std::str::FromStr;
use wavesynth_models::kernels::Isa;

/// A processor: `cpu`, `cpu-bf16`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// The CPU, with the operands of products rounded to bfloat16, sums in f32.
    CpuBf16,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cpu-bf16" => Ok(Self::CpuBf16),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", n)) if n.parse::<usize>().is_ok() => Ok(Self::Cuda(n.parse().unwrap_or(0))),
            _ => Err("wanted cpu, cpu-bf16, cuda or cuda:N".into()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::CpuBf16 => write!(f, "cpu-bf16"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl Device {
    /// The instruction set of the trainer's own layers.
    ///
    /// # Errors
    /// Products in bfloat16 where the machine has none.
    pub fn isa(self) -> Result<Isa> {
        match self {
            Self::CpuBf16 => Isa::with_bfloat16().with_context(|| {
                format!("--device {self}: wants AMX, on Linux; --device cpu trains in 32 bits")
            }),
            _ => Ok(Isa::detect()),
        }
    }

    /// The graph library's handle.
    ///
    /// # Errors
    /// A GPU or products that are not there, or a program that was built without GPUs.
    pub fn open(self) -> Result<candle_core::Device> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            Self::CpuBf16 => self.isa().map(|_| candle_core::Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => {
                bail!("--device {self}: this program was built without GPUs; build it with --features cuda")
            }
            Self::Cuda(n) => match candle_core::Device::new_cuda(n) {
                Ok(device) => Ok(device),
                // The library's message goes on for lines.
                Err(e) => {
                    let message = e.to_string();
                    bail!(
                        "--device {self}: no such GPU: {}",
                        message.lines().next().unwrap_or("no reason given")
                    )
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["cpu", "cpu-bf16", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for bad in ["gpu", "cuda:", "cuda:-1", "cpu:1", "bf16", ""] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
