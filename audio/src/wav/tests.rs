use super::*;
use std::fs;
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
            let seconds = duration(&path).unwrap().as_secs_f64();
            assert!((seconds - 500.0 / 22_050.0).abs() < 1e-9);
        }
    }
}

#[test]
fn channels_are_averaged_and_the_rate_changed() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = [16_384i16, -16_384, 16_384, 0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let path = at(&dir, &wav(1, 2, 48_000, 16, 8, &data));
    assert_eq!(read(&path).unwrap().samples, [0.0, 0.25]);
    assert_eq!(read_at(&path, 48_000).unwrap().len(), 2);
    assert_eq!(read_at(&path, 16_000).unwrap().len(), 1);
    assert_eq!([48_000, 16_000].map(|rate| samples_at(&path, rate).unwrap()), [2, 1]);
    assert!(matches!(read_at(&path, 1), Err(WavError::Resample { .. })));
}

#[test]
fn unknown_length_means_to_the_end_and_odd_chunks_are_padded() {
    let dir = tempfile::tempdir().unwrap();
    let data = [0, 64, 0, 64, 7];
    let mut bytes = wav(1, 1, 16_000, 16, u32::MAX, &data);
    assert_eq!(read(&at(&dir, &bytes)).unwrap().samples, [0.5, 0.5]);
    bytes.splice(12..12, *b"LIST\x03\0\0\0abc\0");
    assert_eq!(read(&at(&dir, &bytes)).unwrap().samples, [0.5, 0.5]);
}

#[test]
fn bad_files_are_named_errors() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing.wav");
    let e = read(&missing).unwrap_err();
    assert!(matches!(e, WavError::Io { .. }) && e.to_string().contains("nothing.wav"));

    let nan: Vec<u8> = [0.5f32, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
    let inf: Vec<u8> = f64::INFINITY.to_le_bytes().to_vec();
    type Check = fn(&WavError) -> bool;
    let cases: [(Vec<u8>, Check); 10] = [
        (vec![], |e| matches!(e, WavError::Format { .. })),
        (b"RIFF....WAVE".to_vec(), |e| matches!(e, WavError::Format { .. })),
        (b"OggS........".to_vec(), |e| matches!(e, WavError::Format { .. })),
        (wav(1, 1, 16_000, 16, 0, &[]), |e| matches!(e, WavError::Empty { .. })),
        (wav(1, 1, 16_000, 16, 1_000, &[0; 10]), |e| {
            matches!(e, WavError::Truncated { found: 10, wanted: 1_000, .. })
        }),
        (wav(1, 0, 16_000, 16, 2, &[0; 2]), |e| matches!(e, WavError::Format { .. })),
        (wav(1, 1, 0, 16, 2, &[0; 2]), |e| matches!(e, WavError::Format { .. })),
        (wav(7, 1, 8_000, 8, 2, &[0; 2]), |e| matches!(e, WavError::Unsupported { .. })),
        (wav(3, 1, 16_000, 32, 8, &nan), |e| matches!(e, WavError::NotFinite { index: 1, .. })),
        (wav(3, 1, 16_000, 64, 8, &inf), |e| matches!(e, WavError::NotFinite { index: 0, .. })),
    ];
    for (i, (bytes, check)) in cases.into_iter().enumerate() {
        let e = read(&at(&dir, &bytes)).unwrap_err();
        assert!(check(&e), "case {i}: {e}");
        assert!(e.to_string().contains("x.wav") && !e.to_string().contains('\n'));
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
            assert!(r.samples.len() <= 16 && !r.samples.is_empty());
        }
    }
}

/// Gives a varying number of bytes a call.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let n = self.1.min(out.len());
        self.0.read(&mut out[..n])
    }
}

fn streamed(bytes: &[u8]) -> Result<WavData, WavError> {
    let mut stream = WavStream::open(Dribble(bytes, 0), Path::new("x.wav"))?;
    let mut samples = Vec::new();
    while stream.read(&mut samples)? > 0 {}
    Ok(WavData { samples, sample_rate: stream.sample_rate() })
}

/// A pipe is read as a file is: the same samples, or the same error.
#[test]
fn a_stream_is_a_file_that_comes_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..120).collect();
    let mut odd = wav(1, 1, 16_000, 16, u32::MAX, &data[..7]);
    odd.splice(12..12, *b"LIST\x03\0\0\0abc\0");
    let files = [
        wav(1, 2, 44_100, 24, 120, &data),
        wav(3, 1, 8_000, 32, 80, &data[..80]),
        wav(1, 1, 16_000, 16, u32::MAX, &data),
        odd,
        wav(1, 1, 16_000, 16, 10, &data),
        wav(1, 1, 16_000, 16, 1_000, &data),
        wav(1, 1, 16_000, 16, 0, &[]),
        wav(7, 1, 8_000, 8, 2, &[0; 2]),
        wav(3, 1, 16_000, 64, 8, &f64::NAN.to_le_bytes()),
        b"RIFF....WAVE".to_vec(),
        b"Ogg".to_vec(),
        vec![],
    ];
    for (i, bytes) in files.iter().enumerate() {
        match (read(&at(&dir, bytes)), streamed(bytes)) {
            (Ok(want), Ok(got)) => assert_eq!(got, want, "file {i}"),
            (Err(want), Err(got)) => {
                let name = |e: WavError| {
                    let text = e.to_string();
                    text[text.find("x.wav").unwrap()..].to_owned()
                };
                assert_eq!(name(got), name(want), "file {i}");
            }
            (want, got) => panic!("file {i}: {want:?}, {got:?}"),
        }
    }
}
