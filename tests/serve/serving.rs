//! The program, serving.

use crate::client::{self, PATIENCE};
use crate::common::Folder;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

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
        let args = format!(
            "serve -m voice.safetensors --voices ann.bin,bob.bin --listen 127.0.0.1:0 --wyoming 127.0.0.1:0 {options}"
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

    /// What `render` makes of the same, without the header of WAV.
    pub fn rendered(&self, voice: &str, input: &str, seed: u64, format: &str) -> Vec<u8> {
        let (_, args) = crate::SAID.iter().find(|(said, _)| *said == input).unwrap();
        self.folder.ok(&format!(
            "render -m voice.safetensors --condition {voice}.bin {args} --seed {seed} --format {format} -o -"
        ))
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
