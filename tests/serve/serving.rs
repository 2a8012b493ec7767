//! The program, serving.

use crate::client::{self, PATIENCE};
use crate::common::{Folder, say_of};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};
use wavesynth::tts::Language;
use wavesynth::tts::phones::parts;

/// A server of the small voice, with the voices `ann` and `bob`. Dropped, it is killed.
pub struct Serving {
    pub folder: Folder,
    pub http: SocketAddr,
    pub wyoming: SocketAddr,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Serving {
    pub fn new(options: &str) -> Self {
        let folder = Folder::new();
        let phones: BTreeSet<&str> = Language::English.phones().iter().map(|name| parts(name).0).collect();
        say_of(phones).write(&folder.path("say.safetensors")).unwrap();
        let args = format!(
            "serve -m voice.safetensors --speech say.safetensors --voices ann.bin,bob.bin --listen 127.0.0.1:0 \
             --wyoming 127.0.0.1:0 {options}"
        );
        let mut child = folder.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = |before: &str| {
            let behind = line.split(before).nth(1).unwrap_or_else(|| panic!("no {before:?} in {line:?}"));
            behind.split([',', ';']).next().unwrap().parse().unwrap()
        };
        let (http, wyoming) = (address("http://"), address("Wyoming at "));
        Self { folder, http, wyoming, child, stderr }
    }

    /// What `say` makes of the same.
    pub fn said(&self, voice: &str, input: &str, seed: u64, options: &str) -> Vec<u8> {
        let args = format!(
            "say -m voice.safetensors --speech say.safetensors --condition {voice}.bin --seed {seed} {options} -o -"
        );
        let out = self.folder.command(&args).arg(input).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    /// Waits until `free` slots are free.
    pub fn wait_for_free(&self, free: u64) {
        let start = Instant::now();
        loop {
            let health = client::get(self.http, "/health").json();
            if health["streams_free"] == free {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{health}: wanted {free} free");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal and waits for the end: how long it took, the exit status, and what was said.
    pub fn end(mut self, signal: &str) -> (Duration, Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let start = Instant::now();
        let status = self.child.wait().unwrap().code();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (start.elapsed(), status, said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
