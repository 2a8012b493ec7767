use super::*;
use crate::recording;
use std::fs;

fn signal() -> Vec<f32> {
    (0..1_000).map(|i| (i as f32 * 0.05).sin() * 0.9).collect()
}

const ALL: [Format; 4] = [Format::Wav16, Format::WavF32, Format::RawS16, Format::RawF32];

fn create(path: &Path, format: Format, rate: u32) -> Result<Box<dyn Sink>, SinkError> {
    open(&Output::at(path)?, format, rate)
}

#[test]
fn s16_is_symmetric_clamped_and_exact_at_zero() {
    assert_eq!(to_s16(0.0), 0);
    assert_eq!((to_s16(1.0), to_s16(-1.0)), (32_767, -32_767));
    assert_eq!((to_s16(9.0), to_s16(f32::NEG_INFINITY)), (32_767, -32_767));
    assert_eq!(to_s16(f32::NAN), 0);
    assert_eq!((to_s16(0.5), to_s16(-0.5)), (16_384, -16_384));
}

#[test]
fn files_hold_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for format in ALL {
        let path = dir.path().join("out");
        let mut sink = create(&path, format, 16_000).unwrap();
        for block in signal().chunks(77) {
            sink.write(block).unwrap();
        }
        sink.finish().unwrap();
        let raw: Vec<f32> = match format {
            Format::Wav16 | Format::WavF32 => {
                let r = recording::read(&path).unwrap();
                assert_eq!(r.sample_rate, 16_000);
                r.samples
            }
            Format::RawS16 => fs::read(&path)
                .unwrap()
                .chunks(2)
                .map(|b| i16::from_le_bytes([b[0], b[1]]) as f32 / 32_767.0)
                .collect(),
            Format::RawF32 => fs::read(&path)
                .unwrap()
                .chunks(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        };
        assert_eq!(raw.len(), 1_000);
        for (a, b) in raw.iter().zip(signal()) {
            assert!((a - b).abs() < if format.is_float() { 1e-9 } else { 5e-5 });
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_aborted_render_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.wav");
    fs::write(&path, b"old").unwrap();
    for format in ALL {
        let mut sink = create(&path, format, 16_000).unwrap();
        sink.write(&signal()).unwrap();
        drop(sink);
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn pipes_and_files_agree_and_streamed_headers_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    for format in ALL {
        let mut bytes = Vec::new();
        let mut sink = Box::new(PipeSink::new(&mut bytes, format, 22_050));
        for block in signal().chunks(130) {
            sink.write(block).unwrap();
        }
        sink.finish().unwrap();
        fs::write(&path, &bytes).unwrap();
        if format.is_wav() {
            let streamed = recording::read(&path).unwrap().samples;
            let mut sink = create(&path, format, 22_050).unwrap();
            sink.write(&signal()).unwrap();
            sink.finish().unwrap();
            assert_eq!(recording::read(&path).unwrap().samples, streamed);
        } else {
            assert_eq!(bytes.len(), if format.is_float() { 4_000 } else { 2_000 });
        }
    }
}

#[test]
fn the_header_of_a_pipe_holds_a_length_that_is_known() {
    for (format, width) in [(Format::Wav16, 2u32), (Format::WavF32, 4)] {
        for expected in [None, Some(1_000), Some(1 << 40)] {
            let mut bytes = Vec::new();
            let mut sink = Box::new(PipeSink::new(&mut bytes, format, 16_000));
            if let Some(n) = expected {
                sink.expect(n);
            }
            sink.write(&signal()).unwrap();
            sink.finish().unwrap();
            let at = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
            let data = if expected == Some(1_000) { 1_000 * width } else { u32::MAX };
            assert_eq!((at(4), at(40)), (data.saturating_add(36), data));
        }
    }
}

#[test]
fn what_is_clamped_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    for format in ALL {
        let mut file: Box<dyn Sink> = create(&dir.path().join("out"), format, 16_000).unwrap();
        let mut pipe: Box<dyn Sink> = Box::new(PipeSink::new(Vec::new(), format, 16_000));
        for sink in [&mut file, &mut pipe] {
            sink.write(&[0.5, 1.0, -1.0, 1.01]).unwrap();
            sink.write(&[-3.0]).unwrap();
            assert_eq!(sink.clipped(), if format.is_float() { 0 } else { 2 });
        }
    }
    assert_eq!(clipped_line(0, 5), None);
    assert!(clipped_line(2, 5).unwrap().starts_with("2 samples (40.00 %)"));
}

#[test]
fn an_empty_render_is_a_header() {
    let mut bytes = Vec::new();
    let sink = Box::new(PipeSink::new(&mut bytes, Format::Wav16, 16_000));
    sink.finish().unwrap();
    assert_eq!(bytes.len(), 44);
}

struct Gone(io::ErrorKind);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_ordinary_error() {
    let mut sink = PipeSink::new(Gone(io::ErrorKind::BrokenPipe), Format::RawS16, 16_000);
    assert!(matches!(sink.write(&[0.0]), Err(SinkError::BrokenPipe)));
    let mut sink = PipeSink::new(Gone(io::ErrorKind::StorageFull), Format::RawS16, 16_000);
    assert!(matches!(sink.write(&[0.0]), Err(SinkError::Pipe(_))));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no").join("out.wav");
    let e = create(&path, Format::Wav16, 16_000).err().unwrap();
    assert!(e.to_string().contains("out.wav"));
}
