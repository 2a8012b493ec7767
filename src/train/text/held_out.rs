//! Held-out nats per symbol, read by the engine and by the trainer's own loss: two readings of one function.

use super::config::Eval;
use super::lines::Line;
use super::window::cut;
use crate::ranks::Ranks;
use crate::synth::without_denormals;
use crate::text::TextModel;
use anyhow::Result;
use rayon::prelude::*;
use wavesynth_models::ar::Symbol;
use wavesynth_models::objective::{Objective, Window, WindowPast};

/// The held-out symbols that an evaluation reads, and how.
pub struct HeldOutText<'a> {
    pieces: Vec<Piece<'a>>,
    past: WindowPast,
    window: usize,
}

/// Symbols that are read in one go, and what stands before them.
#[derive(Clone, Copy)]
struct Piece<'a> {
    before: Symbol,
    symbols: &'a [Symbol],
    /// Symbols at the front that are read and do not count.
    prompt: usize,
}

/// Windows in a piece for a family whose windows stand alone: the engine passes its context many times, and what the
/// trainer holds stays small.
const LONG: usize = 16;

impl<'a> HeldOutText<'a> {
    /// `symbols` read in one go, before them `start`, or in windows, before each the symbol that stands there. A family
    /// whose windows stand alone reads pieces of sixteen.
    pub fn new(symbols: &'a [Symbol], eval: Eval, past: WindowPast, window: usize, start: Symbol) -> Self {
        let in_windows = eval == Eval::Windows && symbols.len() > window;
        let anew = |symbols| Piece { before: start, symbols, prompt: 0 };
        let pieces = match (in_windows, past) {
            (true, _) => {
                let firsts = symbols.iter().step_by(window);
                let pieces = firsts.zip(symbols[1..].chunks_exact(window));
                pieces.map(|(&before, symbols)| Piece { before, symbols, prompt: 0 }).collect()
            }
            (false, WindowPast::Window) => symbols.chunks(LONG * window).map(anew).collect(),
            (false, WindowPast::Field(_) | WindowPast::Carried) => vec![anew(symbols)],
        };
        Self { pieces, past, window }
    }

    /// `lines` of `symbols`, each read in one go behind `start`; none is longer than a `window`.
    pub fn of_lines(
        symbols: &'a [Symbol],
        lines: &[Line],
        past: WindowPast,
        window: usize,
        start: Symbol,
    ) -> Self {
        let piece =
            |l: &Line| Piece { before: start, symbols: &symbols[l.symbols.clone()], prompt: l.prompt };
        Self { pieces: lines.iter().map(piece).collect(), past, window }
    }

    /// Symbols that count.
    pub fn counted(&self) -> usize {
        self.pieces.iter().map(|p| p.symbols.len() - p.prompt).sum()
    }

    /// The reading of the engine, in the current thread pool; the ranks share the pieces.
    pub fn by_engine(&self, model: &TextModel, ranks: &Ranks) -> f64 {
        let nats = |piece: &Piece| -> f64 {
            let all = without_denormals(|| model.score_after(piece.before, piece.symbols));
            all[piece.prompt..].iter().map(|&n| f64::from(n)).sum()
        };
        let own = |i: usize| i % ranks.size() == ranks.rank();
        let mut sums: Vec<f64> = (self.pieces.par_iter().enumerate())
            .map(|(i, piece)| if own(i) { nats(piece) } else { 0.0 })
            .collect();
        ranks.sum(&mut sums);
        sums.iter().sum::<f64>() / self.counted() as f64
    }

    /// The reading of the trainer, over windows that cover the same symbols and are shared by the ranks.
    ///
    /// # Errors
    /// As the objective.
    pub fn by_trainer(
        &self,
        objective: &dyn Objective,
        params: &[f32],
        batch: usize,
        ranks: &Ranks,
    ) -> Result<f64> {
        let rows = |w: &Window| (w.targets.len() - w.warmup) as f64;
        if let (WindowPast::Carried, [piece]) = (self.past, &self.pieces[..]) {
            let (mut sum, mut carry) = ([0.0], vec![Vec::new()]);
            // One stream can't be shared. The last rank reads it, for the first one has the engine's.
            let all = if ranks.rank() + 1 == ranks.size() { piece.symbols.len() } else { 0 };
            for from in (0..all).step_by(self.window) {
                let window = [self.trainers_window(piece, from, self.window)];
                sum[0] += objective.loss_carried(params, &window, &mut carry, None)? * rows(&window[0]);
            }
            ranks.sum(&mut sum);
            return Ok(sum[0] / self.counted() as f64);
        }
        let windows: Vec<Window> = self
            .pieces
            .iter()
            .flat_map(|piece| {
                // Where windows stand alone, the family decides how to go past its context: it gets all.
                let all = piece.symbols.len();
                let rows = if self.past == WindowPast::Window { all } else { self.window };
                (0..all).step_by(rows).map(move |from| self.trainers_window(piece, from, rows))
            })
            .collect();
        let mut sums = vec![0.0; windows.len().div_ceil(batch)];
        let own = windows.chunks(batch).zip(&mut sums).skip(ranks.rank()).step_by(ranks.size());
        for (group, sum) in own {
            *sum = objective.loss(params, group, None)? * group.iter().map(rows).sum::<f64>();
        }
        ranks.sum(&mut sums);
        Ok(sums.iter().sum::<f64>() / self.counted() as f64)
    }

    fn trainers_window(&self, piece: &Piece, from: usize, rows: usize) -> Window {
        match piece.prompt {
            0 => cut(piece.symbols, piece.before, from, rows, self.past.warmup()),
            prompt => cut(piece.symbols, piece.before, prompt, rows, prompt),
        }
    }
}
