//! Two processes at one run: the same losses as one with the double batch, and one end for both.

use crate::common::{RATE, TestDir, go};
use crate::text;
use std::path::Path;
use std::process::{Command, Output};
use wavesynth::voice::Voice;
use wavesynth_models::weights::Checkpoint;

const MODEL: &str =
    "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8";

fn training(steps: u64, batch: usize) -> String {
    format!(
        "steps = {steps}\nwindow = 480\nbatch = {batch}\nlearning_rate = 5e-3\nwarmup_steps = 5\nthreads = 1\n\
         eval_every = 10\neval_seconds = 1\nlog_every = 1"
    )
}

fn mpirun(run: &Path, more: &[&str]) -> Output {
    Command::new("mpirun")
        .args(["--oversubscribe", "-n", "2", env!("CARGO_BIN_EXE_wavesynth"), "train"])
        .arg(run)
        .args(more)
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .output()
        .unwrap()
}

fn together(run: &Path, more: &[&str]) {
    let out = mpirun(run, more);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The one line that the program prints when both ranks end.
fn failure(run: &Path) -> String {
    let out = mpirun(run, &[]);
    assert!(!out.status.success());
    let message = String::from_utf8(out.stderr).unwrap();
    let errors: Vec<&str> = message.lines().filter(|l| l.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && !message.contains("panicked"), "{message}");
    errors[0].into()
}

/// Step, samples, loss, gradient norm and held-out nats of each row of a log.
fn log(file: &Path) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        [0, 2, 3, 5, 7].map(|i: usize| cells[i].parse().unwrap_or(0.0)).to_vec()
    };
    text.lines().skip(1).map(row).collect()
}

/// A WAV file of so many zeros and, to be appended, one more float.
fn wav_of_floats(zeros: u32) -> Vec<u8> {
    let data = 4 * (zeros + 1);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x03\0\x01\0");
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((4 * RATE).to_le_bytes());
    bytes.extend(b"\x04\0\x20\0data");
    bytes.extend(data.to_le_bytes());
    bytes.resize(bytes.len() + 4 * zeros as usize, 0);
    bytes
}

#[test]
fn two_ranks_are_one_process_with_the_double_batch() {
    let dir = TestDir::with_voices();
    go(&dir.run_file("one", MODEL, &training(20, 6)), false, None).unwrap();
    let two = dir.run_file("two", MODEL, &training(20, 3));
    together(&two, &[]);
    let (one, two) = (log(&dir.path("one/log.csv")), log(&dir.path("two/log.csv")));
    assert_eq!((one.len(), two.len()), (20, 20));
    for (a, b) in one.iter().flatten().zip(two.iter().flatten()) {
        assert!((a - b).abs() <= 2e-4 * a.abs(), "{a} {b}");
    }
    let header = |out: &str| {
        let voice = Voice::open(dir.path(out).join("voice.safetensors")).unwrap();
        let mut training = voice.model.header.sections["training"].clone();
        for key in ["seconds", "held_out_nats", "run"] {
            training.as_object_mut().unwrap().remove(key);
        }
        (voice.section.speakers, training)
    };
    // Statistics, hours and the corpus's name come from both ranks' recordings, exactly.
    assert_eq!(header("one"), header("two"));

    // Stopping is exact with two ranks as well, and one process with all the windows may go on.
    let parts = dir.run_file("parts", MODEL, &training(20, 3));
    together(&parts, &["--stop-after", "10"]);
    let message = format!("{:#}", go(&parts, true, None).unwrap_err());
    assert!(message.contains("was trained with 6 windows a step"), "{message}");
    together(&parts, &["--resume"]);
    let tensors = |out: &str| Checkpoint::read(&dir.path(out).join("state.safetensors")).unwrap().tensors;
    assert!(tensors("parts") == tensors("two"));
    go(&dir.run_file("parts", MODEL, &training(20, 6)), true, None).unwrap();
}

#[test]
fn two_ranks_walk_through_a_text_as_one_process_does() {
    let dir = text::dir();
    let run = |out: &str, batch: usize| {
        let model = "family = \"char_rnn\"\ncell = \"gru\"\nhidden = 16\nlayers = 1";
        let schedules = "scheduled_sampling = { rule = \"linear\", floor = 0.9 }";
        let train = format!(
            "{}\nwindow = 32\ncheckpoint_every_minutes = 0\n{schedules}",
            training(20, batch).replace("window = 480\n", "")
        )
        .replace("eval_seconds = 1\n", "")
        .replace("eval_every = 10", "eval_every = 5");
        text::run_file(&dir, out, "input_dropout = 0.1\neval_symbols = 400", model, &train)
    };
    go(&run("one", 8), false, None).unwrap();
    // The carried states of both ranks are in the one state, so that ranks and one process can take turns; and there is
    // one to write before the first step, when nothing is carried.
    let two = run("two", 4);
    together(&two, &["--stop-after", "10"]);
    together(&two, &["--resume", "--stop-after", "5"]);
    let state = Checkpoint::read(&dir.path("two/state.safetensors")).unwrap();
    assert_eq!(state.tensors["carry"].shape, [8, 16]);
    go(&run("two", 8), true, None).unwrap();
    let (one, two) = (log(&dir.path("one/log.csv")), log(&dir.path("two/log.csv")));
    assert_eq!((one.len(), two.len()), (20, 20));
    for (a, b) in one.iter().flatten().zip(two.iter().flatten()) {
        assert!((a - b).abs() <= 2e-4 * a.abs(), "{a} {b}");
    }

    let counted = text::run_file(&dir, "counted", "", "family = \"ngram\"", "");
    assert!(failure(&counted).contains("counted by one process, 2 were started"));
}

#[test]
fn one_rank_ends_all_with_one_line() {
    let dir = TestDir::with_voices();
    // An error on all ranks is reported by the first alone.
    let run = dir.run_file("out", MODEL, &training(20, 3).replace("batch", "batches"));
    assert!(failure(&run).contains("unknown field `batches`"));
    let hot = training(20, 3).replace("learning_rate = 5e-3", "learning_rate = 1e8\nclip_norm = 1e9");
    let message = failure(&dir.run_file("hot", MODEL, &hot));
    assert!(message.contains("diverged") && !message.contains("rank"), "{message}");

    // The last speaker's training files are the last rank's alone, and a header does not show what is wrong here.
    let table = "utt\tsplit\n0\ttest\n1\ttrain\n2\ttrain\n3\ttrain\n";
    std::fs::write(dir.path("data/low/transcripts.tsv"), table).unwrap();
    let mut file = wav_of_floats(24_000);
    file.extend(f32::NAN.to_le_bytes());
    std::fs::write(dir.path("data/low/3.wav"), file).unwrap();
    let message = failure(&dir.run_file("out", MODEL, &training(20, 3)));
    assert!(message.starts_with("error: rank 1 of 2: speaker low"), "{message}");
    assert!(message.contains("3.wav: sample 24000 is NaN"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_killed_rank_leaves_the_last_checkpoint_good() {
    use std::time::{Duration, Instant};
    let dir = TestDir::with_voices();
    let endless = format!("{}\ncheckpoint_every_minutes = 0", training(100_000_000, 2));
    let run = dir.run_file("out", MODEL, &endless);
    // Rank 1 prints its process id and becomes the program.
    let script = format!(
        "[ $OMPI_COMM_WORLD_RANK = 1 ] && echo $$ > {:?}; exec {:?} train {run:?}",
        dir.path("pid"),
        env!("CARGO_BIN_EXE_wavesynth")
    );
    let mut launcher = Command::new("mpirun")
        .args(["--oversubscribe", "-n", "2", "sh", "-c", &script])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let rows = || std::fs::read_to_string(dir.path("out/log.csv")).map_or(0, |t| t.lines().count());
    let patience = Instant::now() + Duration::from_secs(60);
    while rows() < 5 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = std::fs::read_to_string(dir.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    assert!(!launcher.wait().unwrap().success());
    Voice::open(dir.path("out/voice.safetensors")).unwrap();
    together(&run, &["--resume", "--stop-after", "2"]);
}
