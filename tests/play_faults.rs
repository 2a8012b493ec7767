//! What may go wrong while it plays: it plays on, or ends in one line, and is never deaf. A private PulseAudio is the
//! device; skipped, saying so, where it is not installed.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/rig.rs"]
mod rig;

use rig::{Rig, kill, result};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const VOICE: &str = "-m voice.safetensors --condition ann.bin";

/// Lines of a child's standard error, as they come.
struct Lines(Receiver<String>);

impl Lines {
    fn of(child: &mut Child) -> Self {
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self(lines)
    }

    /// The next line that holds `words`, and the time that it took.
    fn wait(&self, words: &str, limit: Duration) -> Duration {
        let start = Instant::now();
        let mut others = Vec::new();
        while start.elapsed() < limit {
            match self.0.recv_timeout(Duration::from_millis(20)) {
                Ok(line) if line.contains(words) => return start.elapsed(),
                Ok(line) => others.push(line),
                Err(_) => {}
            }
        }
        panic!("`{words}` did not come within {limit:?}, but {others:?}");
    }
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

fn sleep(s: f64) {
    std::thread::sleep(seconds(s));
}

/// Wants `child` to end within `limit`; its exit status.
fn ends(child: &mut Child, limit: f64) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(start.elapsed() < seconds(limit), "it did not end within {limit} s");
        sleep(0.01);
    }
}

fn loud(sound: &[f32]) -> usize {
    sound.iter().filter(|x| x.abs() > 1e-3).count()
}

#[test]
fn a_sound_server_that_is_restarted_is_played_on_at_once() {
    let Some(mut rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60"));
    let mut stdin = child.stdin.take().unwrap();
    let lines = Lines::of(&mut child);
    sleep(1.0);
    rig.crash();
    lines.wait("has gone; waiting for it", seconds(2.0));
    // Steered all the same.
    writeln!(stdin, "temperature 0.7").unwrap();
    lines.wait("temperature 0.70", seconds(1.0));
    sleep(0.5);
    rig.restart();
    lines.wait("plays on", seconds(2.0));
    sleep(1.0);
    assert!(loud(&rig.recorded()) > 4000, "nothing is heard of it");
    writeln!(stdin, "stop").unwrap();
    let (played, _) = result(child);
    assert_eq!(played["reopened"], 1, "{played}");
}

#[test]
fn where_told_to_it_ends_with_its_device_in_one_line() {
    let Some(mut rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60 --no-reconnect"));
    sleep(1.0);
    rig.crash();
    assert_eq!(ends(&mut child, 3.0), Some(1));
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    let errors: Vec<_> = message.lines().filter(|l| l.starts_with("error:")).collect();
    assert!(errors.len() == 1 && errors[0].contains("has gone"), "{message}");
}

/// The microphone of a sound server goes with it: silence is read meanwhile, and then it is heard again.
#[test]
fn a_microphone_that_goes_is_waited_for() {
    let Some(mut rig) = Rig::start(16_000) else { return };
    rig.speech("speech.wav");
    let voice = format!("{VOICE} --like source.bin --input mic --latency 200 --seconds 60");
    let mut child = rig.play(&voice);
    let mut stdin = child.stdin.take().unwrap();
    let lines = Lines::of(&mut child);
    sleep(1.5);
    rig.crash();
    // A client of PulseAudio may hang for good when its server dies; then it is noticed by its silence.
    lines.wait("the input device has", seconds(6.0));
    writeln!(stdin, "temperature 0.7").unwrap();
    lines.wait("temperature 0.70", seconds(1.0));
    rig.restart();
    lines.wait("it records again", seconds(4.0));
    sleep(4.0);
    writeln!(stdin, "stop").unwrap();
    let (played, _) = result(child);
    // Were it deaf, all frames of the last four seconds would have been held.
    let (held, all) = (played["frames_held"].as_f64().unwrap(), 100.0 * played["seconds"].as_f64().unwrap());
    assert!(all > 500.0 && held < all - 300.0, "{held} of {all} frames held: {played}");
    assert!(played["live"]["capture_ms"].as_f64().unwrap() > 0.0, "{played}");
}

#[test]
fn where_told_to_it_ends_with_its_microphone_in_one_line() {
    let Some(mut rig) = Rig::start(16_000) else { return };
    rig.speech("speech.wav");
    let mut child = rig.play(&format!("{VOICE} --like source.bin --input mic --seconds 60 --no-reconnect"));
    sleep(1.5);
    rig.crash();
    assert_eq!(ends(&mut child, 4.0), Some(1));
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    let errors: Vec<_> = message.lines().filter(|l| l.starts_with("error:")).collect();
    assert!(errors.len() == 1 && errors[0].contains("has gone"), "{message}");
}

#[test]
fn a_sound_server_that_hangs_leaves_it_steerable_and_plays_on_later() {
    let Some(rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60"));
    let mut stdin = child.stdin.take().unwrap();
    let lines = Lines::of(&mut child);
    sleep(1.0);
    rig.signal("-STOP");
    lines.wait("has stopped asking for sound", seconds(5.0));
    writeln!(stdin, "temperature 0.8").unwrap();
    lines.wait("temperature 0.80", seconds(1.0));
    rig.signal("-CONT");
    lines.wait("plays on", seconds(2.0));
    sleep(0.5);
    // It hangs again, and one signal is enough.
    rig.signal("-STOP");
    lines.wait("has stopped asking for sound", seconds(5.0));
    kill("-TERM", &child);
    ends(&mut child, 3.0);
}

#[test]
fn a_sound_server_that_hangs_from_the_start_can_be_given_up() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let Some(rig) = Rig::start(16_000) else { return };
        rig.signal("-STOP");
        let mut child = rig.play(&format!("{VOICE} --seconds 60"));
        sleep(1.5);
        assert!(child.try_wait().unwrap().is_none());
        kill(signal, &child);
        assert_eq!(ends(&mut child, 1.0), Some(1), "{signal}");
    }
}

/// Runs of silence of at least a millisecond within `sound`, in samples.
fn gaps(sound: &[f32], rate: usize) -> Vec<usize> {
    let first = sound.iter().position(|x| *x != 0.0).expect("nothing but silence");
    let last = sound.iter().rposition(|x| *x != 0.0).unwrap();
    let mut runs = vec![0];
    for x in &sound[first..last] {
        match (*x == 0.0, runs.last_mut()) {
            (true, Some(run)) => *run += 1,
            (false, Some(0)) => {}
            _ => runs.push(0),
        }
    }
    runs.retain(|run| *run >= rate / 1000);
    runs
}

/// A program that is suspended leaves gaps that only the device knows of.
#[test]
fn silence_of_the_devices_own_is_counted_as_it_is_heard() {
    let Some(rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 5 --temperature 1"));
    let stdin = child.stdin.take();
    for s in [0.12, 0.2, 0.4] {
        sleep(0.9);
        kill("-STOP", &child);
        sleep(s);
        kill("-CONT", &child);
    }
    drop(stdin);
    let (played, message) = result(child);
    let heard = gaps(&rig.recorded(), 16_000);
    let counted = played["underruns"].as_u64().unwrap() as usize;
    assert!(heard.len() >= 3, "{heard:?}: the machine plays from a longer buffer than this test thinks");
    assert_eq!(counted, heard.len(), "{heard:?} {played} {message}");
    let (missing, total) = (played["missing_samples"].as_f64().unwrap(), heard.iter().sum::<usize>() as f64);
    assert!((missing - total).abs() < 0.1 * total + 160.0, "{missing} counted, {heard:?} heard");
}

#[test]
fn garbage_and_the_end_of_stdin_leave_it_playing() {
    let Some(rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60"));
    let mut stdin = child.stdin.take().unwrap();
    let lines = Lines::of(&mut child);
    sleep(0.5);
    stdin.write_all(b"\xff\xfe\x1b[\n\xc3\n\x1b[2J\n").unwrap();
    let mut noise = vec![0u8; 200_000];
    let mut state = 1u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    stdin.write_all(&noise).unwrap();
    stdin.write_all(b"\ntemperature 0.75\n").unwrap();
    lines.wait("temperature 0.75", seconds(3.0));
    drop(stdin);
    sleep(0.5);
    assert!(child.try_wait().unwrap().is_none(), "it ended with its stdin");
    kill("-INT", &child);
    assert_eq!(ends(&mut child, 3.0), Some(0));
}

/// A reader of standard error that stops reading holds up nothing.
#[test]
fn a_stderr_that_nobody_reads_holds_up_nothing() {
    let Some(rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60"));
    let mut stdin = child.stdin.take().unwrap();
    // Each answer is about 1 kB; a pipe holds 64.
    for _ in 0..300 {
        writeln!(stdin, "help").unwrap();
    }
    writeln!(stdin, "stop").unwrap();
    sleep(1.0);
    // The last line waits for the pipe: by then it has stopped playing.
    kill("-TERM", &child);
    kill("-TERM", &child);
    ends(&mut child, 2.0);
}

#[test]
fn a_condition_that_is_half_written_or_a_pipe_is_no_reason_to_stop() {
    let Some(rig) = Rig::start(16_000) else { return };
    let mut child = rig.play(&format!("{VOICE} --seconds 60"));
    let mut stdin = child.stdin.take().unwrap();
    let lines = Lines::of(&mut child);
    let whole = std::fs::read(rig.folder.path("bob.bin")).unwrap();
    std::fs::write(rig.folder.path("half.bin"), &whole[..whole.len() / 2]).unwrap();
    writeln!(stdin, "condition half.bin").unwrap();
    lines.wait("half.bin", seconds(2.0));
    // Replaced again and again while it is read.
    let (path, new) = (rig.folder.path("bob.bin"), rig.folder.path("new.bin"));
    let writer = std::thread::spawn(move || {
        for _ in 0..200 {
            std::fs::write(&new, &whole).unwrap();
            std::fs::rename(&new, &path).unwrap();
        }
    });
    for _ in 0..20 {
        writeln!(stdin, "condition bob.bin 0.1").unwrap();
        lines.wait("condition bob.bin", seconds(2.0));
    }
    writer.join().unwrap();
    let made = std::process::Command::new("mkfifo").arg(rig.folder.path("pipe.bin")).status().unwrap();
    assert!(made.success());
    writeln!(stdin, "condition pipe.bin").unwrap();
    writeln!(stdin, "temperature 0.6").unwrap();
    lines.wait("temperature 0.60", seconds(2.0));
    writeln!(stdin, "stop").unwrap();
    assert_eq!(ends(&mut child, 3.0), Some(0));
}

/// The program at a terminal of its own: keys, a partial escape, Ctrl-C, and the terminal closed.
#[test]
fn a_terminal_that_closes_ends_it_and_a_partial_escape_blocks_no_key() {
    let Some(rig) = Rig::start(16_000) else { return };
    let program = env!("CARGO_BIN_EXE_wavesynth");
    let play = format!("{program} play {VOICE} --seconds 60");
    let terminal = |script: &str| {
        let mut command = rig::at(&rig.folder, "python3");
        command.current_dir(rig.folder.path(".")).args(["-c", TERMINAL, &play, script]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    };
    for (script, want) in [
        // Alt+[, then q; Ctrl-C twice; the end of the terminal.
        ("1.0:\x1b[,0.3:q", "exit 0"),
        ("1.0:\x1b[1;5,0.3:+,0.3:q", "exit 0"),
        ("1.0:\x03", "exit 0"),
        ("1.0:close", "exit 0"),
    ] {
        let out = terminal(script);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(said.contains(want), "{script:?}: {said} {}", String::from_utf8_lossy(&out.stderr));
        let took: f64 = said.split("after ").nth(1).and_then(|s| s.trim().parse().ok()).unwrap();
        assert!(took < 3.0, "{script:?}: it ended {took} s later");
    }
}

/// Runs a program at a pseudo-terminal, types what the script says when it says so, and tells how it ended. Without python3
/// the test can't run, and says so by failing.
const TERMINAL: &str = r#"
import os, pty, sys, time, shlex, select
pid, fd = pty.fork()
if pid == 0:
    os.execv(shlex.split(sys.argv[1])[0], shlex.split(sys.argv[1]))
def wait(seconds):
    until = time.time() + seconds
    while time.time() < until:
        if fd is None: time.sleep(0.02)
        elif select.select([fd], [], [], 0.02)[0]:
            try: os.read(fd, 4096)
            except OSError: time.sleep(0.02)
for step in sys.argv[2].split(','):
    pause, text = step.split(':', 1)
    wait(float(pause))
    if text == 'close':
        os.close(fd)
        fd = None
    else: os.write(fd, text.encode())
start = time.time()
while time.time() - start < 6:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        print('exit', os.waitstatus_to_exitcode(status), 'after', round(time.time() - start, 2)); break
    wait(0.02)
else:
    os.kill(pid, 9); print('hangs after 99')
"#;
