//! Whatever a command waits for, signals end it.
#![cfg(unix)]

use crate::common::Folder;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Wants it to end within `ms`; its exit status, `None` where a signal has ended it.
fn ends(mut child: Child, ms: u64, what: &str) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if start.elapsed() > Duration::from_millis(ms) {
            child.kill().unwrap();
            panic!("{what}: it did not end within {ms} ms");
        }
        sleep(10);
    }
}

fn started(f: &Folder, args: &str) -> Child {
    let mut command = f.without_device(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    sleep(700);
    child
}

/// Nothing comes through the pipe, or a header and no more.
#[test]
fn a_pipe_that_stalls_is_waited_for_no_longer_than_wanted() {
    use std::io::Write;
    let f = Folder::new();
    let voice = "-m voice.safetensors --condition ann.bin --like ann.bin";
    let header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\xff\xff\xff\xff";
    let commands: &[&str] = if cfg!(feature = "device") { &["render", "play"] } else { &["render"] };
    for command in commands {
        for (signal, begun) in [("-TERM", &b""[..]), ("-INT", b"RI"), ("-HUP", header)] {
            let mut stats = crate::common::speaker([1.0; 4]);
            stats.stats = Some(crate::common::statistics());
            stats.write(&f.path("ann.bin")).unwrap();
            let mut child = started(&f, &format!("{command} {voice} --input - -o x.wav"));
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(begun).unwrap();
            sleep(200);
            kill(signal, &child);
            assert_eq!(ends(child, 1000, &format!("{command} {signal}")), Some(1));
            assert!(!f.path("x.wav").exists());
            drop(stdin);
        }
    }
}

/// Of any input that never comes: one signal, before there is anything to bring to its end.
#[test]
fn an_input_that_never_comes_is_waited_for_until_the_first_signal() {
    let f = Folder::new();
    assert!(Command::new("mkfifo").arg(f.path("never")).status().unwrap().success());
    let mut commands = vec![
        "render -m never -o x.wav",
        "render -m voice.safetensors -c never -o x.wav",
        "render -m voice.safetensors -c ann.bin -t never -o x.wav",
        "say --speech never -o x.wav hello",
        "say --file never -o x.wav",
    ];
    if cfg!(feature = "train") {
        commands.push("train never");
    }
    if cfg!(feature = "serve") {
        commands.push("serve -m never --listen 127.0.0.1:0");
    }
    for (command, signal) in commands.iter().zip(["-TERM", "-INT"].iter().cycle()) {
        let child = started(&f, command);
        kill(signal, &child);
        assert!(ends(child, 1500, command) != Some(0), "{command}");
        assert!(!f.path("x.wav").exists());
    }
}

/// A reader that does not read.
#[test]
fn the_second_signal_ends_what_the_first_one_cannot() {
    let f = Folder::new();
    let child = started(&f, "render -m plain.safetensors --seconds 600 -o -");
    kill("-TERM", &child);
    sleep(300);
    kill("-TERM", &child);
    assert_eq!(ends(child, 1000, "render"), Some(128 + 15));
}

/// As `nohup` starts it: the terminal may go.
#[test]
fn what_was_started_to_outlive_its_terminal_does() {
    let f = Folder::new();
    let render = f.command("render -m plain.safetensors --seconds 5 -o x.wav");
    let mut nohup = Command::new("nohup");
    nohup.arg(render.get_program()).args(render.get_args()).current_dir(f.path("."));
    nohup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = nohup.spawn().unwrap();
    sleep(200);
    kill("-HUP", &child);
    assert_eq!(ends(child, 60_000, "render"), Some(0));
    assert!(f.path("x.wav").exists());
}

#[cfg(all(target_os = "linux", feature = "device"))]
mod without_a_device {
    use super::*;
    use std::io::Write;

    const PLAY: &str = "play -m voice.safetensors --condition ann.bin";

    fn seconds(f: &Folder, file: &str) -> f64 {
        let wav = hound::WavReader::open(f.path(file)).unwrap();
        f64::from(wav.duration()) / 16_000.0
    }

    /// Lines on stdin mean what they mean with a device, when they come.
    #[test]
    fn commands_are_taken() {
        let f = Folder::new();
        let mut child = started(&f, &format!("{PLAY} --seconds 60 -o x.wav"));
        let mut stdin = child.stdin.take().unwrap();
        for line in ["condition bob.bin", "louder", "temperature 0.7", "pause", "resume"] {
            writeln!(stdin, "{line}").unwrap();
            sleep(150);
        }
        writeln!(stdin, "stop").unwrap();
        let out = child.wait_with_output().unwrap();
        let message = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{message}");
        for words in ["condition bob.bin", "louder: no such command", "temperature 0.70"] {
            assert!(message.contains(words), "`{words}` is not in: {message}");
        }
        let seconds = seconds(&f, "x.wav");
        assert!((0.8..10.0).contains(&seconds), "{seconds}");
    }

    /// Without any it is what it would have been, as fast as it can.
    #[test]
    fn no_commands_change_nothing_and_a_signal_keeps_what_is_there() {
        let f = Folder::new();
        let start = Instant::now();
        let out = f.without_device(&format!("{PLAY} --seconds 20 --seed 3 -o a.wav")).output().unwrap();
        assert!(out.status.success() && start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        f.ok("render -m voice.safetensors --condition ann.bin --seconds 20 --seed 3 -o b.wav");
        let read = |name| std::fs::read(f.path(name)).unwrap();
        assert_eq!(read("a.wav"), read("b.wav"));
        let mut child = started(&f, &format!("{PLAY} --seconds 60 -o c.wav"));
        let stdin = child.stdin.take();
        kill("-TERM", &child);
        assert_eq!(ends(child, 3000, "play"), Some(0));
        assert!((0.2..10.0).contains(&seconds(&f, "c.wav")));
        drop(stdin);
    }
}
