//! A private PulseAudio with a null sink, and the program at it.
#![allow(dead_code, reason = "each test binary uses its own part")]

use crate::common::{self, Folder};
use serde_json::Value;
use std::f32::consts::TAU;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A sound server of its own and a recorder on its monitor.
pub struct Rig {
    pub folder: Folder,
    rate: u32,
    server: Child,
    recorder: Child,
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn has_plugin() -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut folders = folders.map(|e| e.path()).chain([Path::new("/usr/lib").into()]);
    folders.any(|p| p.join("alsa-lib/libasound_module_pcm_pulse.so").exists())
}

impl Rig {
    pub fn start(rate: u32) -> Option<Self> {
        if !(installed("pulseaudio") && installed("parec") && installed("pactl") && has_plugin()) {
            eprintln!("skipped: needs pulseaudio, pulseaudio-utils and libasound2-plugins");
            return None;
        }
        let folder = Folder::new();
        let run = folder.path("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(folder.path("asoundrc"), "pcm.default { type pulse }\nctl.default { type pulse }\n")
            .unwrap();
        let server = serve(&folder, rate);
        let recorder = record(&folder, rate, "recorded.f32");
        std::thread::sleep(Duration::from_millis(500));
        Some(Self { folder, rate, server, recorder })
    }

    /// The program with its default device at this server, JSON asked for.
    pub fn play(&self, args: &str) -> Child {
        let exe = env!("CARGO_BIN_EXE_wavesynth");
        at(&self.folder, exe)
            .args(format!("play {args} --json").split_whitespace())
            .current_dir(self.folder.path("."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// One and a half seconds of a vowel that comes and goes, and its speaker.
    pub fn speech(&self, name: &str) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(self.folder.path(name), spec).unwrap();
        for i in 0..24_000 {
            let t = i as f32 / 16_000.0;
            let vowel: f32 = (1..20).map(|h| (TAU * 130.0 * t * h as f32).sin() / h as f32).sum();
            wav.write_sample((6_000.0 * vowel * (TAU * 1.5 * t).sin().max(0.0)) as i16).unwrap();
        }
        wav.finalize().unwrap();
        let mut speaker_stats = common::speaker([1.0; 4]);
        speaker_stats.stats = Some(common::statistics());
        speaker_stats.write(&self.folder.path("source.bin")).unwrap();
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: &str) {
        kill(signal, &self.server);
    }

    /// Ends the server as a crash would.
    pub fn crash(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts it again, and another recording, which [`Rig::recorded`] then returns.
    pub fn restart(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        self.server = serve(&self.folder, self.rate);
        self.recorder = record(&self.folder, self.rate, "recorded.f32");
    }

    /// All that was recorded so far.
    pub fn recorded(&self) -> Vec<f32> {
        std::thread::sleep(Duration::from_millis(500));
        floats(&std::fs::read(self.folder.path("recorded.f32")).unwrap())
    }
}

/// A server with one sink, once it answers.
fn serve(folder: &Folder, rate: u32) -> Child {
    let run = folder.path("run");
    let socket = format!("module-native-protocol-unix auth-anonymous=1 socket={}", run.join("p").display());
    let sink = format!("module-null-sink sink_name=rig rate={rate} channels=1 format=float32le norewinds=1");
    let server = at(folder, "pulseaudio")
        .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=no", "--use-pid-file=no"])
        .args(["-L", &socket, "-L", &sink])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !at(folder, "pactl").arg("info").output().unwrap().status.success() {
        assert!(start.elapsed() < Duration::from_secs(20), "pulseaudio does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

fn record(folder: &Folder, rate: u32, name: &str) -> Child {
    at(folder, "parec")
        .args(["-d", "rig.monitor", "--raw", "--format=float32le", "--channels=1", "--latency-msec=20"])
        .arg(format!("--rate={rate}"))
        .stdout(std::fs::File::create(folder.path(name)).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends `child` a signal.
pub fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in [&mut self.recorder, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A command that sees this rig's server and no other.
pub fn at(folder: &Folder, program: &str) -> Command {
    let run = folder.path("run");
    let mut command = Command::new(program);
    command
        .env("XDG_RUNTIME_DIR", &run)
        .env("HOME", &run)
        .env("PULSE_SERVER", format!("unix:{}", run.join("p").display()))
        .env("ALSA_CONFIG_PATH", folder.path("asoundrc"))
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env_remove("DISPLAY");
    command
}

pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn result(child: Child) -> (Value, String) {
    let out = child.wait_with_output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{message}");
    (serde_json::from_slice(&out.stdout).unwrap(), message)
}
