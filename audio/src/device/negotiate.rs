//! Which of a device's configurations to take. No device is touched here.

use cpal::{BufferSize, SampleFormat, SupportedBufferSize, SupportedStreamConfigRange};

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) rate: u32,
    pub(super) channels: u16,
    pub(super) format: SampleFormat,
    pub(super) buffer: SupportedBufferSize,
}

/// Lower is better; None cannot be played.
fn format_rank(format: SampleFormat) -> Option<u8> {
    Some(match format {
        SampleFormat::F32 => 0,
        SampleFormat::I16 => 1,
        SampleFormat::I32 => 2,
        SampleFormat::I24 => 3,
        SampleFormat::F64 => 4,
        SampleFormat::U16 => 5,
        SampleFormat::U32 => 6,
        SampleFormat::U24 => 7,
        SampleFormat::I64 => 8,
        SampleFormat::U64 => 9,
        SampleFormat::I8 => 10,
        SampleFormat::U8 => 11,
        _ => return None,
    })
}

/// True for what [`choose`] may take.
pub(super) fn is_pcm(format: SampleFormat) -> bool {
    format_rank(format).is_some()
}

/// Stereo first: on a mono stream some hosts sound on one side only.
fn channel_rank(channels: u16) -> u16 {
    match channels {
        2 => 0,
        1 => 1,
        n => n,
    }
}

/// The wanted rate if any configuration has it, else the device's preferred one, else the nearest.
pub(super) fn choose(
    ranges: &[SupportedStreamConfigRange],
    wanted: u32,
    preferred: Option<u32>,
) -> Option<Chosen> {
    let usable = || ranges.iter().filter(|r| is_pcm(r.sample_format()) && r.channels() > 0);
    let has = |rate: u32| usable().any(|r| r.contains_rate(rate));
    let nearest = || {
        usable()
            .map(|r| wanted.clamp(r.min_sample_rate(), r.max_sample_rate().max(r.min_sample_rate())))
            .min_by_key(|rate| rate.abs_diff(wanted))
    };
    let rate = [Some(wanted), preferred].into_iter().flatten().find(|rate| has(*rate)).or_else(nearest)?;
    usable()
        .filter(|r| r.contains_rate(rate))
        .min_by_key(|r| (channel_rank(r.channels()), format_rank(r.sample_format())))
        .map(|r| Chosen { rate, channels: r.channels(), format: r.sample_format(), buffer: *r.buffer_size() })
}

/// Buffer sizes to try, in this order: the wanted period within what the device claims to support, larger
/// ones, and last the device's own choice, which can be seconds.
pub(super) fn buffers(period: u32, supported: SupportedBufferSize) -> Vec<BufferSize> {
    let clamp = |n: u32| match supported {
        SupportedBufferSize::Range { min, max } if max >= min && max > 0 => n.clamp(min, max),
        _ => n,
    };
    let period = period.max(16);
    let mut out = Vec::new();
    for n in [period, period.next_power_of_two(), 2 * period, 1_024, 4 * period, 4_096] {
        let size = BufferSize::Fixed(clamp(n).max(1));
        if n >= period && !out.contains(&size) {
            out.push(size);
        }
    }
    out.push(BufferSize::Default);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(channels: u16, low: u32, high: u32, format: SampleFormat) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Range { min: 64, max: 4_096 };
        SupportedStreamConfigRange::new(channels, low, high, buffer, format)
    }

    #[test]
    fn the_wanted_rate_wins_then_stereo_then_the_format() {
        let ranges = [
            range(2, 44_100, 48_000, SampleFormat::F32),
            range(1, 16_000, 48_000, SampleFormat::F32),
            range(2, 16_000, 16_000, SampleFormat::U8),
            range(2, 16_000, 16_000, SampleFormat::I16),
        ];
        let c = choose(&ranges, 16_000, Some(48_000)).unwrap();
        assert_eq!((c.rate, c.channels, c.format), (16_000, 2, SampleFormat::I16));
        let c = choose(&ranges, 44_100, None).unwrap();
        assert_eq!((c.rate, c.channels, c.format), (44_100, 2, SampleFormat::F32));
    }

    #[test]
    fn else_the_preferred_rate_else_the_nearest() {
        let ranges =
            [range(6, 44_100, 44_100, SampleFormat::I32), range(8, 96_000, 192_000, SampleFormat::I32)];
        assert_eq!(choose(&ranges, 16_000, Some(96_000)).unwrap().rate, 96_000);
        let c = choose(&ranges, 16_000, None).unwrap();
        assert_eq!((c.rate, c.channels), (44_100, 6));
        assert_eq!(choose(&ranges, 16_000, Some(50)).unwrap().rate, 44_100);
        assert_eq!(choose(&ranges, 300_000, None).unwrap().rate, 192_000);
    }

    #[test]
    fn what_is_no_pcm_is_not_taken() {
        let ranges = [range(2, 1, 9_999_999, SampleFormat::DsdU8)];
        assert_eq!(choose(&ranges, 16_000, Some(48_000)), None);
        assert_eq!(choose(&[], 16_000, None), None);
    }

    #[test]
    fn periods_start_at_the_wanted_one_and_end_at_the_default() {
        let supported = SupportedBufferSize::Range { min: 64, max: 2_048 };
        let sizes = buffers(160, supported);
        assert_eq!(sizes[..2], [BufferSize::Fixed(160), BufferSize::Fixed(256)]);
        assert_eq!(sizes.last(), Some(&BufferSize::Default));
        assert_eq!(buffers(0, SupportedBufferSize::Unknown)[0], BufferSize::Fixed(16));
        assert_eq!(buffers(10, supported)[0], BufferSize::Fixed(64));
        let nonsense = SupportedBufferSize::Range { min: 9, max: 0 };
        assert_eq!(buffers(100, nonsense)[0], BufferSize::Fixed(100));
    }
}
