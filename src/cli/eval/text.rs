//! The exact likelihood of text files, and the surprise of each symbol.

use super::{Args, Report, Score, finite, table};
use crate::cli::{npy, output, usage};
use anyhow::{Context, Result};
use crossterm::style::{Color, Stylize};
use rayon::prelude::*;
use std::f64::consts::LN_2;
use std::io::IsTerminal;
use std::path::Path;
use wavesynth::progress::Progress;
use wavesynth::synth::without_denormals;
use wavesynth::text::{self, TextModel, Utf8Stream};
use wavesynth_models::ar::Symbol;
use wavesynth_models::loaded::Loaded;
use wavesynth_output::{Output, shown};

/// A file, read.
struct Scored {
    symbols: Vec<Symbol>,
    nats: Vec<f32>,
    bytes: usize,
}

/// Runs the command for a text model.
pub fn run(args: &Args, model: Loaded, path: &Path, per_symbol: Option<Output>) -> Result<()> {
    if args.condition.is_given() {
        usage!("{}: a text model takes no condition", path.display());
    }
    if args.surprise && args.json {
        usage!("--surprise and --json both want stdout; --per-symbol writes the numbers into a file");
    }
    let model = TextModel::from_loaded(model).with_context(|| path.display().to_string())?;
    model.model.check_room(rayon::current_num_threads().min(args.inputs.len()))?;
    let bar = Progress::new(args.inputs.len() as u64, "{wide_bar} {pos}/{len} inputs");
    let read = |path: &std::path::PathBuf| {
        let name = path.display().to_string();
        let text = text::read(path)?;
        let symbols = model.tokenizer.encode(&text, &name)?;
        let nats = finite(without_denormals(|| model.score(&symbols)), path)?;
        bar.inc(1);
        Ok(Scored { symbols, nats, bytes: text.len() })
    };
    let scored: Vec<Scored> = args.inputs.par_iter().map(read).collect::<Result<_>>()?;
    bar.finish();
    if let Some(output) = per_symbol {
        let n = scored.iter().map(|h| h.nats.len() as u64).sum();
        npy::write::<f32>(output, &[n], |push| {
            Ok(scored.iter().flat_map(|h| &h.nats).copied().try_for_each(push)?)
        })?;
    }
    if args.surprise {
        return scored.iter().try_for_each(|h| output::raw_text(&surprise(&model, h)));
    }
    let score = |input, scored: &[Scored]| {
        let nats = scored.iter().flat_map(|h| &h.nats).map(|&n| f64::from(n)).sum();
        let bytes: usize = scored.iter().map(|h| h.bytes).sum();
        let score = Score::new(input, scored.iter().map(|h| h.nats.len()).sum(), nats);
        Score { bits_per_byte: Some(nats / LN_2 / bytes as f64), ..score }
    };
    let inputs = args.inputs.iter().zip(&scored);
    let report = Report {
        inputs: inputs.map(|(p, h)| score(Some(p.clone()), std::slice::from_ref(h))).collect(),
        total: score(None, &scored),
    };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// Bits below which a symbol has the colour, from what was expected to what was not.
const COLOURS: [(f64, Color); 5] = [
    (1.0, Color::DarkGrey),
    (2.0, Color::Reset),
    (4.0, Color::Green),
    (7.0, Color::Yellow),
    (f64::INFINITY, Color::Red),
];

/// The text, coloured by bits a symbol, where a person looks at it; otherwise a table, a line for each symbol.
fn surprise(model: &TextModel, scored: &Scored) -> String {
    let bits = scored.nats.iter().map(|&n| f64::from(n) / LN_2);
    let symbols = scored.symbols.iter().map(|&s| model.tokenizer.bytes(s)).zip(bits);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    if no_color || !std::io::stdout().is_terminal() {
        let row = |(i, (bytes, bits)): (usize, (&[u8], f64))| {
            format!("\n{i}\t{bits:.4}\t{}", String::from_utf8_lossy(bytes).escape_debug())
        };
        return "symbol\tbits\ttext".to_string() + &symbols.enumerate().map(row).collect::<String>();
    }
    let mut text = coloured(symbols);
    text += "\n\nbits a symbol: ";
    for (i, (below, colour)) in COLOURS.iter().enumerate() {
        let from = i.checked_sub(1).map_or(0.0, |i| COLOURS[i].0);
        let range = if below.is_finite() { format!("{from} to {below}") } else { format!("{from} and more") };
        text += &format!("{}  ", range.with(*colour));
    }
    text
}

fn coloured<'a>(symbols: impl Iterator<Item = (&'a [u8], f64)>) -> String {
    let mut stream = Utf8Stream::default();
    let mut text = String::new();
    for (bytes, bits) in symbols {
        // A character in several symbols has the colour of its last.
        let shown = shown::lines(&stream.push(bytes)).into_owned();
        let colour = COLOURS.iter().find(|(below, _)| bits < *below).map_or(Color::Red, |c| c.1);
        if !shown.is_empty() {
            text += &shown.with(colour).to_string();
        }
    }
    text + &stream.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_leave_the_text_as_it_is() {
        crossterm::style::force_color_output(true);
        let symbols: [(&[u8], f64); 4] = [(b"a", 0.5), (b"\xc3", 9.0), (b"\xa9", 5.0), (b"\n", 8.0)];
        let shown = coloured(symbols.into_iter());
        let mut plain = String::new();
        let mut rest = shown.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain += before;
            rest = after.split_once('m').map_or("", |p| p.1);
        }
        assert_eq!(plain + rest, "aé\n");
        assert!(shown.contains("é") && shown.matches('\x1b').count() >= 6, "{shown:?}");
    }
}
