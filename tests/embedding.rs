//! What a program that embeds a voice hears is what `render` writes.

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/speak.rs"]
mod speak;

use std::process::Command;

#[test]
fn the_example_speaks_as_render_does() {
    let mut embedded = Vec::new();
    speak::speak(&mut embedded).unwrap();
    let args = "render --condition en_allison --track en_greeting --seed 7 --format f32 -o -";
    let rendered = Command::new(env!("CARGO_BIN_EXE_wavesynth")).args(args.split(' ')).output().unwrap();
    assert!(rendered.status.success() && embedded.len() > 4 * 16_000);
    assert!(embedded == rendered.stdout, "{} and {} bytes", embedded.len(), rendered.stdout.len());
}
