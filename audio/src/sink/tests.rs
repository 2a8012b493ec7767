use super::*;
use crate::wav;
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
                let r = wav::read(&path).unwrap();
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
            let streamed = wav::read(&path).unwrap();
            let mut sink = create(&path, format, 22_050).unwrap();
            sink.write(&signal()).unwrap();
            sink.finish().unwrap();
            assert_eq!(wav::read(&path).unwrap(), streamed);
        } else {
            assert_eq!(bytes.len(), if format.is_float() { 4_000 } else { 2_000 });
        }
    }
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
