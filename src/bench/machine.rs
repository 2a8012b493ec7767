//! The peak rates of this machine: multiply-adds per second, and bytes per second read from each level of its memory.

use crate::synth::without_denormals;
use serde::Serialize;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;
use wavesynth_models::kernels::Isa;
use wavesynth_models::kernels::aligned::Aligned;
use wavesynth_models::kernels::probe::{ByteMulAdds, MulAdds, Reads};
use wavesynth_models::weights::Dtype;

/// Measurements of which the median counts.
const REPEATS: usize = 9;
/// Multiply-adds of one measurement: about a millisecond.
const MUL_ADDS: usize = 1 << 26;
/// Least bytes that one measurement reads: 1 to 5 ms.
const READ_BYTES: usize = 1 << 27;
/// Sizes of L1, L2 and L3 where the system does not tell them.
const ASSUMED: [usize; 3] = [32 << 10, 512 << 10, 16 << 20];

/// One core of a machine, as measured under one instruction set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Instruction set of the measurements.
    pub isa: String,
    /// f32 multiply-adds per second on registers.
    pub mul_adds_per_s: f64,
    /// i8 multiply-adds per second, weights in the nearest cache.
    pub byte_mul_adds_per_s: f64,
    /// The caches from the nearest outwards, then memory.
    pub levels: Vec<Level>,
    /// Whether the sizes of the caches were assumed, because the system does not tell them.
    pub sizes_assumed: bool,
}

/// A level of memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Level {
    /// L1, L2, L3 or memory.
    pub name: String,
    /// Its size in bytes; `None` for memory.
    pub bytes: Option<usize>,
    /// Size of the buffer that was read: half the cache, four times the last one for memory.
    pub read_over: usize,
    /// Bytes per second read.
    pub bytes_per_s: f64,
}

impl Machine {
    /// Measures for a second or so; keep the machine otherwise idle.
    pub fn measure(isa: Isa) -> Self {
        let told = cache_sizes();
        let sizes = if told.is_empty() { &ASSUMED[..] } else { &told };
        let level = |name: String, bytes: Option<usize>, read_over: usize| Level {
            name,
            bytes,
            read_over,
            bytes_per_s: read_rate(isa, read_over),
        };
        let mut levels: Vec<_> =
            sizes.iter().enumerate().map(|(i, &b)| level(format!("L{}", i + 1), Some(b), b / 2)).collect();
        levels.push(level("memory".into(), None, 4 * sizes[sizes.len() - 1]));
        Self {
            cpu: cpu_name(),
            isa: isa.name().into(),
            mul_adds_per_s: mul_add_rate(isa),
            byte_mul_adds_per_s: byte_mul_add_rate(isa),
            levels,
            sizes_assumed: told.is_empty(),
        }
    }

    /// Multiply-adds per second by weights stored as `dtype`; 16-bit floats are widened and multiplied as f32.
    pub fn peak(&self, dtype: &str) -> f64 {
        if dtype == Dtype::I8.name() { self.byte_mul_adds_per_s } else { self.mul_adds_per_s }
    }

    /// The nearest level that holds `bytes`.
    pub fn level(&self, bytes: usize) -> &Level {
        let holds = |l: &&Level| l.bytes.is_none_or(|size| bytes <= size);
        self.levels.iter().find(holds).unwrap_or(&self.levels[self.levels.len() - 1])
    }
}

/// f32 multiply-adds per second on registers, in accumulators that do not wait for each other.
fn mul_add_rate(isa: Isa) -> f64 {
    let rounds = MUL_ADDS / MulAdds::per_round(isa.lanes());
    let seconds = median_seconds(|| black_box(isa.run(MulAdds { rounds })));
    (rounds * MulAdds::per_round(isa.lanes())) as f64 / seconds
}

/// i8 multiply-adds per second.
fn byte_mul_add_rate(isa: Isa) -> f64 {
    let rounds = MUL_ADDS / MulAdds::per_round(isa.lanes());
    let seconds = median_seconds(|| black_box(isa.run(ByteMulAdds { rounds })));
    (rounds * ByteMulAdds::per_round(isa.lanes())) as f64 / seconds
}

/// Bytes per second of a buffer of `bytes` bytes read from front to back over and over, as a step of the engine reads
/// its weights.
pub fn read_rate(isa: Isa, bytes: usize) -> f64 {
    let mut data = Aligned::zeros((bytes / size_of::<f32>()).max(1024));
    // Pages never written to are all one page of zeros.
    data.fill(1.0);
    let per_pass = Reads { data: &data, passes: 1 }.per_pass(isa.lanes()) * size_of::<f32>();
    let passes = READ_BYTES.div_ceil(per_pass);
    let seconds = median_seconds(|| black_box(isa.run(Reads { data: &data, passes })));
    (passes * per_pass) as f64 / seconds
}

fn median_seconds(mut f: impl FnMut() -> f32) -> f64 {
    without_denormals(|| {
        f();
        median((0..REPEATS).map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        }))
    })
}

/// The middle value; the upper one of two.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Sizes of the data caches of the first core that this process may use, the nearest first; empty where Linux's sysfs
/// does not tell.
fn cache_sizes() -> Vec<usize> {
    let cpu = fs::read_to_string("/proc/self/status").ok().and_then(|s| first_allowed_cpu(&s)).unwrap_or(0);
    sizes_in(Path::new(&format!("/sys/devices/system/cpu/cpu{cpu}/cache")))
}

fn first_allowed_cpu(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split([',', '-']).next()?.parse().ok()
}

fn sizes_in(folder: &Path) -> Vec<usize> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let read = |name| fs::read_to_string(entry.path().join(name)).ok();
        let (Some(level), Some(kind), Some(size)) = (read("level"), read("type"), read("size")) else {
            continue;
        };
        if let (Ok(level), Some(size)) = (level.trim().parse::<usize>(), parse_size(size.trim()))
            && kind.trim() != "Instruction"
        {
            found.push((level, size));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, size)| size).collect()
}

/// sysfs writes `48K`.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = match text.strip_suffix('K') {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix('M') {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    digits.parse::<usize>().ok().filter(|n| *n > 0).map(|n| n * unit)
}

fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        info.lines()
            .find_map(|l| l.strip_prefix(key))
            .and_then(|l| l.split_once(':'))
            .map(|(_, v)| v.trim().to_owned())
    };
    match (field("model name"), field("cpu family"), field("model\t")) {
        (Some(name), Some(family), Some(model)) => format!("{name}, family {family} model {model}"),
        (Some(name), ..) => name,
        _ => std::env::consts::ARCH.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysfs_is_read_nearest_first_and_without_instruction_caches() {
        let dir = tempfile::tempdir().unwrap();
        let caches = [("3", "Unified", "32768K"), ("1", "Data", "48K"), ("1", "Instruction", "32K")];
        for (i, (level, kind, size)) in caches.iter().enumerate() {
            let index = dir.path().join(format!("index{i}"));
            fs::create_dir(&index).unwrap();
            for (name, text) in [("level", level), ("type", kind), ("size", size)] {
                fs::write(index.join(name), format!("{text}\n")).unwrap();
            }
        }
        fs::write(dir.path().join("uevent"), "").unwrap();
        assert_eq!(sizes_in(dir.path()), [48 << 10, 32 << 20]);
        assert!(sizes_in(&dir.path().join("none")).is_empty());
        assert_eq!(parse_size("0K"), None);
        assert_eq!(first_allowed_cpu("Name:\tx\nCpus_allowed_list:\t3-5,7\n"), Some(3));
    }

    #[test]
    fn a_size_lies_in_the_nearest_level_that_holds_it() {
        let level = |name: &str, bytes| Level { name: name.into(), bytes, read_over: 1, bytes_per_s: 1.0 };
        let machine = Machine {
            cpu: String::new(),
            isa: String::new(),
            mul_adds_per_s: 1.0,
            byte_mul_adds_per_s: 1.0,
            levels: vec![level("L1", Some(100)), level("L2", Some(1000)), level("memory", None)],
            sizes_assumed: false,
        };
        assert_eq!(machine.level(100).name, "L1");
        assert_eq!(machine.level(101).name, "L2");
        assert_eq!(machine.level(1001).name, "memory");
    }
}
