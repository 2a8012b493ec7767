//! Words that a small recogniser gets wrong: a hidden Markov model of phones that learns from the recordings to train on of a run file
//! with `[say]`, and knows no more of the language than the words of the sentences that it hears.
//!
//!     cargo run --release --example recognise -- RUN.toml [SAID.toml...]
//!
//! Hears the held-out recordings of RUN.toml, then all of each SAID.toml, whose folders hold the same sentences said by something else.
//! How readily it takes a new word is set so that it gets the fewest words of the recordings wrong.

use anyhow::{Result, bail};
use rayon::prelude::*;
use std::io::Write;
use std::path::Path;
use strsim::generic_levenshtein;
use wavesynth::recordings::Notes;
use wavesynth::train::run_file::Run;
use wavesynth::train::tts::corpus::Spoken;
use wavesynth::tts::align::{Acoustics, Item};
use wavesynth::tts::phones::PhoneSet;

/// ln of the probability of a word, beside that of a pause.
const PENALTIES: [f32; 7] = [-5.0, -10.0, -20.0, -30.0, -50.0, -80.0, -120.0];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(run) = arguments.next() else { bail!("wanted a run file with [say]") };
    let (held_out, learned): (Vec<_>, Vec<_>) = spoken(run.as_ref())?.into_iter().partition(|s| s.held_out);
    let phones = PhoneSet::of(learned.iter().flat_map(|s| &s.said))?;
    let items = |spoken: &[Spoken]| spoken.iter().map(|s| s.item(&phones)).collect::<Vec<Item>>();
    let (acoustics, _) = Acoustics::learn(phones.len(), &items(&learned), |_, _| ());
    let mut sets = vec![(run, items(&held_out))];
    for said in arguments {
        let own = spoken(said.as_ref())?;
        sets.push((said, items(&own)));
    }
    let mut vocabulary: Vec<Vec<u16>> =
        sets.iter().flat_map(|(_, items)| items).flat_map(|item| item.words.clone()).collect();
    vocabulary.retain(|word| !word.is_empty());
    vocabulary.sort();
    vocabulary.dedup();
    let wrong = |items: &[Item], penalty: f32| {
        let of = |item: &Item| {
            let found = acoustics.words(&item.frames, &vocabulary, penalty);
            let found: Vec<&Vec<u16>> = found.into_iter().map(|w| &vocabulary[w]).collect();
            generic_levenshtein(&found, &item.words.iter().collect::<Vec<_>>())
        };
        items.par_iter().map(of).sum::<usize>()
    };
    let by_penalty = PENALTIES.map(|penalty| (wrong(&sets[0].1, penalty), penalty));
    let (_, penalty) = by_penalty.into_iter().min_by_key(|(wrong, _)| *wrong).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "vocabulary of {} words, ln of a word's probability {penalty}", vocabulary.len())?;
    for (name, items) in &sets {
        let words: usize = items.iter().map(|item| item.words.len()).sum();
        writeln!(out, "{name}: {} sounds, {} of {words} words wrong", items.len(), wrong(items, penalty))?;
    }
    Ok(())
}

/// The recordings of a run file.
fn spoken(path: &Path) -> Result<Vec<Spoken>> {
    let (Run::Say(run), _) = Run::read(path)? else {
        bail!("{}: wanted a run file with [say]", path.display());
    };
    Spoken::all(&run.say, &Notes::default())
}
