mod formats;

use super::*;
use std::f64::consts::TAU;
use std::fs;
use std::io;
use tempfile::TempDir;

fn at(dir: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("x.wav");
    fs::write(&path, bytes).unwrap();
    path
}

/// A plain header: tag, channels, rate, bits, the length the data chunk claims, then the data.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, claim: u32, data: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut b = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec();
    b.extend(tag.to_le_bytes());
    b.extend(channels.to_le_bytes());
    b.extend(rate.to_le_bytes());
    b.extend((rate.wrapping_mul(align as u32)).to_le_bytes());
    b.extend(align.to_le_bytes());
    b.extend(bits.to_le_bytes());
    b.extend(b"data");
    b.extend(claim.to_le_bytes());
    b.extend(data);
    b
}

/// Floats of 32 bits as a mono WAV file of 16 kHz.
fn floats(samples: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let data: Vec<u8> = samples.into_iter().flat_map(f32::to_le_bytes).collect();
    wav(3, 1, 16_000, 32, data.len() as u32, &data)
}

/// Integers of 16 bits as a WAV file of 16 kHz.
fn ints(channels: u16, samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    let data: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
    wav(1, channels, 16_000, 16, data.len() as u32, &data)
}

/// Half a second of a tone with a little more in it.
fn tone(loud: f64) -> Vec<f32> {
    (0..8_000)
        .map(|i| (loud * ((TAU * 0.0275 * i as f64).sin() + 0.1 * (0.7 * i as f64).cos()) / 1.1) as f32)
        .collect()
}

fn text(recording: &Recording) -> String {
    recording.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_another_program_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.wav");
    for (bits, format, full) in [
        (8, hound::SampleFormat::Int, 127.0),
        (16, hound::SampleFormat::Int, 32_767.0),
        (24, hound::SampleFormat::Int, 8_388_607.0),
        (32, hound::SampleFormat::Int, 2_147_483_647.0),
        (32, hound::SampleFormat::Float, 1.0),
    ] {
        for channels in [1, 2, 3] {
            let spec = hound::WavSpec {
                channels,
                sample_rate: 22_050,
                bits_per_sample: bits,
                sample_format: format,
            };
            let want: Vec<f64> = (0..500).map(|i| (i as f64 * 0.1).sin()).collect();
            let mut w = hound::WavWriter::create(&path, spec).unwrap();
            for x in &want {
                for _ in 0..channels {
                    match format {
                        hound::SampleFormat::Int => w.write_sample((x * full) as i32).unwrap(),
                        hound::SampleFormat::Float => w.write_sample(*x as f32).unwrap(),
                    }
                }
            }
            w.finalize().unwrap();
            let r = read(&path).unwrap();
            assert_eq!((r.sample_rate, r.samples.len()), (22_050, 500));
            let step = if bits == 8 { 0.02 } else { 1e-4 };
            for (a, b) in r.samples.iter().zip(&want) {
                assert!((*a as f64 - b).abs() < step, "{bits} bits, {channels} channels");
            }
            assert_eq!(samples_at(&path, 44_100).unwrap(), 1_000);
        }
    }
}

#[test]
fn channels_are_averaged_and_the_rate_changed() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = [16_384i16, -8_192, 16_384, 0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let path = at(&dir, &wav(1, 2, 48_000, 16, 8, &data));
    let r = read(&path).unwrap();
    // Two samples have a mean, which is no offset of theirs.
    assert_eq!(r.samples, [-0.0625, 0.0625]);
    assert_eq!(text(&r), "an offset of 18.8 % of full scale: removed");
    assert_eq!(r.at(48_000).unwrap().len(), 2);
    assert_eq!(r.at(16_000).unwrap().len(), 1);
    assert_eq!([48_000, 16_000].map(|rate| samples_at(&path, rate).unwrap()), [2, 1]);
    assert!(matches!(r.at(1), Err(RecordingError::Resample { .. })));
    assert!(matches!(samples_at(&path, 1), Err(RecordingError::Resample { .. })));
    assert_eq!(
        r.low_rate(96_000).unwrap().to_string(),
        "48000 Hz where 96000 Hz are wanted: it has nothing above 24000 Hz"
    );
    assert_eq!(r.low_rate(48_000), None);
}

/// The numbers of 16-bit recordings with nothing wrong are those of the file, to the bit.
#[test]
fn a_good_recording_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let own: Vec<i16> = tone(0.9).iter().map(|x| (x * 32_767.0) as i16).collect();
    let r = read(&at(&dir, &ints(1, own.iter().copied()))).unwrap();
    assert_eq!(text(&r), "");
    assert!(r.samples.iter().zip(&own).all(|(x, own)| *x == f32::from(*own) / 32_768.0));
    let stereo: Vec<i16> = own.iter().flat_map(|x| [*x, x / 3]).collect();
    let r = read(&at(&dir, &ints(2, stereo.iter().copied()))).unwrap();
    assert_eq!(text(&r), "");
    let mean = |x: &[i16]| ((f64::from(x[0]) / 32_768.0 + f64::from(x[1]) / 32_768.0) / 2.0) as f32;
    assert!(r.samples.iter().zip(stereo.chunks(2)).all(|(x, own)| *x == mean(own)));
}

#[test]
fn a_length_of_zero_or_unknown_means_to_the_end_and_odd_chunks_are_padded() {
    let dir = tempfile::tempdir().unwrap();
    let data = [0, 64, 0, 192, 7];
    for claim in [0, u32::MAX, 0x7fff_ffff] {
        let mut bytes = wav(1, 1, 16_000, 16, claim, &data);
        let r = read(&at(&dir, &bytes)).unwrap();
        assert_eq!(r.samples, [0.5, -0.5]);
        assert!(text(&r).contains("unfinished recording"), "{r:?}");
        bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        assert_eq!(read(&at(&dir, &bytes)).unwrap().samples, [0.5, -0.5]);
    }
    // What stands behind data that are truly empty is no sound.
    let empty = [wav(1, 1, 16_000, 16, 0, b"LIST\x04\0\0\0abcd"), wav(1, 1, 16_000, 16, 0, &[])];
    for bytes in empty {
        assert!(matches!(read(&at(&dir, &bytes)), Err(RecordingError::Empty { .. })));
    }
}

#[test]
fn rf64_has_its_length_in_64_bits() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = wav(1, 1, 16_000, 16, u32::MAX, &[0, 64, 0, 192, 1, 2, 3, 4]);
    let ds64 = |data: u64| -> Vec<u8> {
        let mut b = b"ds64\x1c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        b.extend(data.to_le_bytes());
        b.extend([0; 12]);
        b
    };
    bytes.splice(12..12, ds64(4));
    for name in [b"RF64", b"BW64"] {
        bytes[..4].copy_from_slice(name);
        let r = read(&at(&dir, &bytes)).unwrap();
        assert_eq!((&r.samples[..], &*text(&r)), (&[0.5, -0.5][..], ""));
    }
    bytes[28..36].copy_from_slice(&1_000_000_000_000u64.to_le_bytes());
    let e = read(&at(&dir, &bytes)).unwrap_err();
    assert!(matches!(e, RecordingError::Truncated { .. }), "{e}");
}

#[test]
fn bad_files_are_named_errors() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing.wav");
    let e = read(&missing).unwrap_err();
    assert!(matches!(e, RecordingError::Io { .. }) && e.to_string().contains("nothing.wav"));
    assert!(read(dir.path()).unwrap_err().to_string().contains("folder"));

    let inf: Vec<u8> = f64::INFINITY.to_le_bytes().to_vec();
    type Check = fn(&RecordingError) -> bool;
    let cases: [(Vec<u8>, Check); 13] = [
        (vec![], |e| matches!(e, RecordingError::Unknown { .. })),
        (b"RIFF....WAVE".to_vec(), |e| matches!(e, RecordingError::Format { .. })),
        (b"OggS........".to_vec(), |e| matches!(e, RecordingError::Format { .. })),
        (b"fLaC\0\0\0\x22".to_vec(), |e| matches!(e, RecordingError::Format { .. })),
        (b"ID3\x04\0\0\0\0\0\0".to_vec(), |e| matches!(e, RecordingError::Format { .. })),
        (b"\0\0\0\x1cftypM4A ".to_vec(), |e| matches!(e, RecordingError::Format { .. })),
        (b"\x89PNG\r\n\x1a\n".to_vec(), |e| {
            e.to_string().contains("is a PNG picture: wanted a recording (WAV, FLAC")
        }),
        (wav(1, 1, 16_000, 16, 1_000, &[0; 10]), |e| {
            matches!(e, RecordingError::Truncated { .. })
                && e.to_string().contains("1000 bytes of sound, 10 bytes are there")
        }),
        (wav(1, 0, 16_000, 16, 2, &[0; 2]), |e| matches!(e, RecordingError::Format { .. })),
        (wav(1, 1, 0, 16, 2, &[0; 2]), |e| matches!(e, RecordingError::Format { .. })),
        (wav(0x31, 1, 8_000, 8, 2, &[0; 2]), |e| e.to_string().contains("format 0x0031 with 8 bits")),
        (floats([0.5, f32::NAN]), |e| matches!(e, RecordingError::NotFinite { index: 1, .. })),
        (wav(3, 1, 16_000, 64, 8, &inf), |e| matches!(e, RecordingError::NotFinite { index: 0, .. })),
    ];
    for (i, (bytes, check)) in cases.into_iter().enumerate() {
        let path = at(&dir, &bytes);
        for e in [read(&path).unwrap_err(), checked_samples_at(&path, 16_000).unwrap_err()] {
            assert!(check(&e), "case {i}: {e}");
            assert!(e.to_string().contains("x.wav") && !e.to_string().contains('\n'));
        }
    }
}

#[test]
fn any_cut_and_any_flipped_bit_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let whole = wav(1, 2, 16_000, 16, 16, &[3; 16]);
    for n in 0..whole.len() {
        assert!(read(&at(&dir, &whole[..n])).is_err(), "{n}");
    }
    for bit in 0..whole.len() * 8 {
        let mut b = whole.clone();
        b[bit / 8] ^= 1 << (bit % 8);
        if let Ok(r) = read(&at(&dir, &b)) {
            assert!(r.samples.len() <= 17 && !r.samples.is_empty());
        }
    }
}

/// A header asks for no more memory than the limit allows, whatever it claims.
#[test]
fn too_long_is_said_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.wav");
    fs::write(&path, wav(1, 1, 8_000, 8, u32::MAX, &[])).unwrap();
    // Nothing of it is on the disk.
    fs::File::options().write(true).open(&path).unwrap().set_len(100_000_000).unwrap();
    for e in [read(&path).unwrap_err(), samples_at(&path, 16_000).unwrap_err()] {
        assert!(matches!(e, RecordingError::TooLong { .. }), "{e}");
        assert!(e.to_string().contains("10486 s (2.9 hours)"), "{e}");
    }
    // A pipe tells no length ahead: it is stopped where the limit is passed.
    let endless = io::Cursor::new(wav(1, 1, 8_000, 8, u32::MAX, &[])).chain(io::repeat(128));
    let mut frames = Source::pipe(Box::new(endless), Path::new("x.wav")).unwrap().whole().unwrap();
    assert!(matches!(count(&mut frames, Path::new("x.wav")), Err(RecordingError::TooLong { .. })));
}

/// Gives a varying number of bytes a call.
struct Dribble<R>(R, usize);

impl<R: Read> Read for Dribble<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let n = self.1.min(out.len());
        self.0.read(&mut out[..n])
    }
}

/// A pipe is read as a file is: the same samples, or the same error.
#[test]
fn a_stream_is_a_file_that_comes_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let streamed = |bytes: &[u8]| -> Result<(Vec<f32>, u32), RecordingError> {
        let pipe = Dribble(io::Cursor::new(bytes.to_vec()), 0);
        let mut stream = Stream::open(pipe, Path::new("x.wav"))?;
        let mut samples = Vec::new();
        while stream.read(&mut samples)? > 0 {}
        Ok((samples, stream.sample_rate()))
    };
    // Without an offset, which a stream keeps.
    let data: Vec<u8> = (0..120u8).map(|i| if i % 2 == 0 { i } else { 255 - i }).collect();
    let swing: Vec<u8> =
        (0..60).flat_map(|i| if i % 2 == 0 { 5_000i16 } else { -5_000 }.to_le_bytes()).collect();
    let small: Vec<u8> =
        (0..20).flat_map(|i| (if i % 2 == 0 { 0.5f32 } else { -0.5 }).to_le_bytes()).collect();
    let mut odd = wav(1, 1, 16_000, 16, u32::MAX, &swing[..9]);
    odd.splice(12..12, *b"LIST\x03\0\0\0abc\0");
    let files = [
        wav(3, 1, 8_000, 32, 80, &small),
        wav(1, 1, 16_000, 16, u32::MAX, &swing),
        odd,
        wav(1, 1, 16_000, 16, 16, &swing),
        wav(1, 1, 16_000, 16, 1_000, &data),
        wav(1, 1, 16_000, 16, 0, &[]),
        wav(1, 1, 16_000, 16, 0, &swing),
        wav(0x31, 1, 8_000, 8, 2, &[0; 2]),
        wav(3, 1, 16_000, 64, 8, &f64::NAN.to_le_bytes()),
        b"RIFF....WAVE".to_vec(),
        b"Ogg".to_vec(),
        vec![],
    ];
    for (i, bytes) in files.iter().enumerate() {
        match (read(&at(&dir, bytes)), streamed(bytes)) {
            (Ok(want), Ok((samples, rate))) => {
                assert_eq!((samples, rate), (want.samples, want.sample_rate), "file {i}");
            }
            (Err(want), Err(got)) => {
                let name = |e: RecordingError| {
                    let text = e.to_string();
                    text[text.find("x.wav").unwrap()..].to_owned()
                };
                let (want, got) = (name(want), name(got));
                // A file is known to be too short before it is read.
                assert!(
                    got == want || want.contains("cut off") && got.contains("cut off"),
                    "file {i}: {want} {got}"
                );
            }
            (want, got) => panic!("file {i}: {want:?}, {got:?}"),
        }
    }
}

#[test]
fn what_is_too_hot_comes_back_to_its_level() {
    let dir = tempfile::tempdir().unwrap();
    let own = tone(0.7);
    let right = read(&at(&dir, &floats(own.iter().copied()))).unwrap();
    assert_eq!((text(&right), &right.samples), (String::new(), &own));
    // Twice twice as loud, and the numbers of integers as floats.
    for factor in [4.0f32, 32_768.0] {
        let r = read(&at(&dir, &floats(own.iter().map(|x| x * factor)))).unwrap();
        assert!(text(&r).contains("above full scale: scaled down by"), "{r:?}");
        assert_eq!(r.samples, own);
    }
    // What decoders make of loud sound is neither cut nor scaled.
    let loud = tone(1.2);
    let r = read(&at(&dir, &floats(loud.iter().copied()))).unwrap();
    assert_eq!((text(&r), r.samples), (String::new(), loud));
    let mut stream =
        Stream::open(io::Cursor::new(floats(own.iter().map(|x| x * 4.0))), Path::new("x")).unwrap();
    let mut samples = Vec::new();
    while stream.read(&mut samples).unwrap() > 0 {}
    assert!(stream.findings()[0].to_string().contains("taken as it is"));
    assert_eq!(samples[100], own[100] * 4.0);
}

#[test]
fn channels_that_cancel_leave_one() {
    let dir = tempfile::tempdir().unwrap();
    let own: Vec<i16> = tone(0.7).iter().map(|x| (x * 32_767.0) as i16).collect();
    let one = read(&at(&dir, &ints(1, own.iter().copied()))).unwrap();
    let inverted: Vec<u8> = ints(2, own.iter().flat_map(|x| [*x, -*x]));
    let r = read(&at(&dir, &inverted)).unwrap();
    assert!(text(&r).contains("its 2 channels cancel") && text(&r).contains("channel 1 alone"), "{r:?}");
    assert_eq!(r.samples, one.samples);
    // Through a pipe, which can't be read a second time; and of another level.
    let quieter = ints(2, own.iter().flat_map(|x| [*x, -*x / 10 * 7]));
    for bytes in [inverted, quieter] {
        let fifo = dir.path().join("fifo");
        let _ = fs::remove_file(&fifo);
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let writer = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::write(fifo, bytes).unwrap()
        });
        let r = read(&fifo).unwrap();
        writer.join().unwrap();
        assert_eq!(r.samples, one.samples);
    }
    // Channels that have little in common do not.
    let other: Vec<i16> = (0..8_000).map(|i| (20_000.0 * (0.31 * f64::from(i)).sin()) as i16).collect();
    let r = read(&at(&dir, &ints(2, own.iter().zip(&other).flat_map(|(a, b)| [*a, *b])))).unwrap();
    assert_eq!(text(&r), "");
    let r = read(&at(&dir, &ints(2, own.iter().flat_map(|a| [0, *a])))).unwrap();
    assert_eq!(text(&r), "");
}

#[test]
fn an_offset_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let own = tone(0.7);
    let r = read(&at(&dir, &floats(own.iter().map(|x| x + 0.05)))).unwrap();
    assert_eq!(text(&r), "an offset of 5.0 % of full scale: removed");
    let mean = own.iter().sum::<f32>() / own.len() as f32;
    assert!(r.samples.iter().zip(&own).all(|(a, b)| (a - (b - mean)).abs() < 1e-6));
    let r = read(&at(&dir, &floats(own.iter().map(|x| x + 0.003)))).unwrap();
    assert_eq!(text(&r), "");
}

#[test]
fn clipping_and_silence_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let own = tone(2.0);
    for level in [1.0f32, 0.5] {
        let bytes = floats(own.iter().map(|x| x.clamp(-1.0, 1.0) * level));
        let r = read(&at(&dir, &bytes)).unwrap();
        let Some(Finding::Clipped { percent }) = r.findings.first() else { panic!("{r:?}") };
        let wanted = own.iter().filter(|x| x.abs() >= 1.0).count() as f64 / 80.0;
        assert!((percent / wanted - 1.0).abs() < 0.1, "{percent} {wanted}");
    }
    let r = read(&at(&dir, &ints(1, vec![0; 8_000]))).unwrap();
    assert_eq!(text(&r), "nothing but silence");
    let mut mostly = vec![0.0; 40_000];
    mostly[..2_000].copy_from_slice(&own[..2_000]);
    let r = read(&at(&dir, &floats(mostly.iter().map(|x| x / 4.0)))).unwrap();
    assert!(text(&r).contains("95 % of it is silence"), "{r:?}");
}
