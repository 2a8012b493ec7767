//! The program: see `wavesynth --help`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
