//! exceptions LANGUAGE LEXICON LINES MODEL OUT BYTES: reads every word of LEXICON with MODEL, prints how many of the words that it was
//! not trained on it gets wrong, and writes those of all that it does, at most BYTES of them compressed, to OUT.
//!
//! LEXICON and LINES are the files of `examples/train/fetch-lexicons.sh`. The words of the last 20th of LINES are held out. Where not all fit, the
//! words of TEXT, further arguments, come first, and then short ones.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use strsim::generic_levenshtein;
use wavesynth::tts::Language;
use wavesynth::tts::pronounce::{Exceptions, PromptModel, Pronouncer, phones, russian};

/// Words whose pronunciations are counted.
#[derive(Default)]
struct Errors {
    words: usize,
    wrong: usize,
    phones: usize,
    edits: usize,
}

impl Errors {
    fn add(&mut self, got: &[&str], wanted: &[Vec<&str>]) {
        let got = got.to_vec();
        let best = wanted.iter().map(|w| (generic_levenshtein(&got, w), w.len())).min().unwrap_or((0, 0));
        self.words += 1;
        self.wrong += usize::from(best.0 > 0);
        self.phones += best.1;
        self.edits += best.0;
    }

    fn print(&self, what: &str) -> io::Result<()> {
        let percent = |a: usize, b: usize| 100.0 * a as f64 / b.max(1) as f64;
        writeln!(
            io::stdout(),
            "{what}: {} words, {:.2} % of them wrong; {:.2} % of their phones",
            self.words,
            percent(self.wrong, self.words),
            percent(self.edits, self.phones)
        )
    }
}

/// What the lexicon says: phones, or for Russian a stress as the exceptions have it.
type Lexicon = BTreeMap<String, Vec<String>>;

fn read_lexicon(path: &str) -> Result<Lexicon> {
    let mut lexicon = Lexicon::new();
    for line in std::fs::read_to_string(path).context(path.to_string())?.lines() {
        let (word, said) = line.split_once(' ').context("a line of the lexicon")?;
        lexicon.entry(word.into()).or_default().push(said.into());
    }
    Ok(lexicon)
}

fn held_out(path: &str) -> Result<HashSet<String>> {
    let lines = std::fs::read_to_string(path).context(path.to_string())?;
    let mut cut = (lines.len() as f64 * 0.95) as usize;
    while !lines.is_char_boundary(cut) || !lines[..cut].ends_with('\n') {
        cut += 1;
    }
    Ok(lines[cut..].lines().filter_map(|l| l.split_once('|')).map(|(word, _)| word.to_string()).collect())
}

/// What the model says of `word`: as an exception would say it, and its phones.
fn say(language: Language, pronouncer: &Pronouncer, word: &str) -> (String, Vec<&'static str>) {
    match language {
        Language::Russian => {
            let (stress, is_yo) = pronouncer.russian_stress(word);
            let said = format!("{stress}{}", if is_yo { "ё" } else { "" });
            (said, russian::phones(word, stress, is_yo))
        }
        _ => {
            let numbers = pronouncer.word(word);
            let names = numbers.iter().map(|&p| language.phones()[usize::from(p)]).collect();
            (numbers.iter().map(|&p| phones::character(p)).collect(), names)
        }
    }
}

/// A line of the lexicon in the same two forms.
fn wanted<'a>(language: Language, word: &str, said: &'a str) -> (String, Vec<&'a str>) {
    match language {
        Language::Russian => {
            let stress = said.chars().next().and_then(|c| c.to_digit(10)).unwrap_or(1);
            (said.into(), russian::phones(word, stress as usize, said.ends_with('ё')))
        }
        _ => (
            phones::parse(language, said).iter().map(|&p| phones::character(p)).collect(),
            said.split(' ').collect(),
        ),
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [language, lexicon, lines, model, out, bytes, texts @ ..] = &args[..] else {
        bail!("usage: exceptions LANGUAGE LEXICON LINES MODEL OUT BYTES [TEXT...]");
    };
    let language = Language::from_name(language).context("a language: en, ru")?;
    let bytes: usize = bytes.parse().context("BYTES")?;
    let (lexicon, held_out) = (read_lexicon(lexicon)?, held_out(lines)?);
    let open = || -> Result<Pronouncer> {
        let file = std::fs::read(model).context(model.clone())?;
        let model = PromptModel::open(&file, model, language.phones().len())?;
        Ok(Pronouncer::new(language, Some(model), Exceptions::default()))
    };
    let pronouncer = open()?;

    let words: Vec<(&String, &Vec<String>)> = lexicon.iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let said: Vec<(String, Vec<&str>)> = std::thread::scope(|s| {
        let part = words.len().div_ceil(threads).max(1);
        let parts: Vec<_> = (words.chunks(part))
            .map(|words| {
                s.spawn(|| words.iter().map(|(w, _)| say(language, &pronouncer, w)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|p| p.join().unwrap_or_default()).collect()
    });

    let [mut unseen, mut seen, mut unseen_plain, mut unseen_first] = [(); 4].map(|()| Errors::default());
    let mut wrong: Vec<(&str, String)> = Vec::new();
    for ((word, variants), (got, names)) in words.iter().zip(&said) {
        let wants: Vec<_> = variants.iter().map(|v| wanted(language, word, v)).collect();
        let all: Vec<Vec<&str>> = wants.iter().map(|w| w.1.clone()).collect();
        let plain = |names: &[&'_ str]| -> Vec<String> {
            names.iter().map(|n| n.trim_end_matches(['0', '1', '2']).to_string()).collect()
        };
        if held_out.contains(*word) {
            unseen.add(names, &all);
            unseen_first.add(names, &all[..1]);
            let (got, all): (Vec<String>, Vec<Vec<String>>) =
                (plain(names), all.iter().map(|v| plain(v)).collect());
            let got: Vec<&str> = got.iter().map(String::as_str).collect();
            let all: Vec<Vec<&str>> = all.iter().map(|v| v.iter().map(String::as_str).collect()).collect();
            unseen_plain.add(&got, &all);
        } else {
            seen.add(names, &all[..1]);
        }
        if *got != wants[0].0 {
            wrong.push((word, wants[0].0.clone()));
        }
    }
    unseen.print("held out, any of a word's pronunciations")?;
    unseen_first.print("held out, the first of them")?;
    if language == Language::English {
        unseen_plain.print("held out, without stress")?;
    }
    seen.print("trained on")?;

    let mut common = HashSet::new();
    for text in texts {
        let text = std::fs::read_to_string(text).context(text.clone())?.to_lowercase();
        common.extend(text.split(|c: char| !c.is_alphabetic() && c != '\'').map(String::from));
    }
    wrong.sort_by_key(|(word, _)| (!common.contains(*word), word.chars().count()));
    let file_of = |n: usize| -> Result<Vec<u8>> {
        let (mut lines, mut file) = (Vec::new(), Vec::new());
        Exceptions::write(wrong[..n].iter().map(|(w, s)| (*w, &s[..])), &mut lines)?;
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, &lines[..], &mut file)?;
        Ok(file)
    };
    // The most that fit, by halving.
    let (mut fits, mut fails) = (0, wrong.len() + 1);
    while fails - fits > 1 {
        let middle = if fits == 0 && fails > wrong.len() { wrong.len() } else { fits.midpoint(fails) };
        match file_of(middle)?.len() <= bytes {
            true => fits = middle,
            false => fails = middle,
        }
    }
    let (most, file) = (fits, file_of(fits)?);
    writeln!(io::stdout(), "exceptions: {most} of {}, {} bytes", wrong.len(), file.len())?;
    std::fs::write(out, file).context(out.clone())
}
