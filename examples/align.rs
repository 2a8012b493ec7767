//! Prints when each phone of the recordings of a run file sounds, as training finds it: recording, start and end in seconds, phone.
//!
//!     cargo run --release --example align -- RUN.toml > phones.tsv

use std::io::Write;
use wavesynth::ranks::Ranks;
use wavesynth::train::run_file::Run;
use wavesynth::train::tts::corpus::SayCorpus;
use wavesynth::tts::draw::seconds;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("wanted a run file with [say]")?;
    let (Run::Say(run), _) = Run::read(path.as_ref())? else {
        return Err("wanted a run file with [say]".into());
    };
    let corpus = SayCorpus::load(&run.say, &Ranks::open()?)?;
    let mut out = std::io::stdout().lock();
    for recording in &corpus.aligned {
        for s in &recording.segments {
            let (start, end) = (seconds(s.start as u64), seconds(s.end as u64));
            let phone = &corpus.phones.names()[usize::from(s.phone)];
            writeln!(out, "{}\t{start:.2}\t{end:.2}\t{phone}", recording.name)?;
        }
    }
    Ok(())
}
