//! Training windows of a text. The family decides how a window gets its past.

use crate::train::schedules::{Lengths, dropout_key};
use crate::train::slots::Slots;
use wavesynth_models::ar::{Symbol, Uniforms};
use wavesynth_models::objective::{Window, WindowPast};

/// The window of `symbols` whose loss has the rows `from .. from + rows`, cut at the end of the text, with at most
/// `warmup` rows in front. At the beginning of the text its first input is `start`, as the engine's is.
pub fn cut(symbols: &[Symbol], start: Symbol, from: usize, rows: usize, warmup: usize) -> Window {
    let first = from.saturating_sub(warmup);
    let targets = symbols[first..(from + rows).min(symbols.len())].to_vec();
    let before = first.checked_sub(1).map_or(start, |i| symbols[i]);
    let mut inputs = vec![before];
    inputs.extend(&targets[..targets.len().saturating_sub(1)]);
    Window { inputs, targets, warmup: from - first, ..Window::default() }
}

/// Dropout on inputs, and the key of dropout in the network.
#[derive(Debug, Clone, Copy)]
pub struct InputNoise {
    /// Probability that an input is replaced by another symbol.
    pub rate: f64,
    /// Number of different symbols.
    pub classes: usize,
    /// Where all random numbers come from.
    pub seed: u64,
}

impl InputNoise {
    /// Adds it to window `number` of the run, whose random numbers are `uniforms`.
    pub fn add(&self, window: &mut Window, number: u64, uniforms: &mut Uniforms) {
        if self.rate > 0.0 {
            for x in &mut window.inputs[1..] {
                if f64::from(uniforms.next_uniform()) < self.rate {
                    *x = uniforms.below(self.classes as u64) as Symbol;
                }
            }
        }
        window.dropout = Some(dropout_key(self.seed, number));
    }
}

/// Draws this rank's part of the batches of a run. Window `slot` of step `step` is a function of the seed, these two
/// numbers and the windows that all ranks draw in a step.
pub struct TextWindows<'a> {
    /// The training symbols.
    pub symbols: &'a [Symbol],
    /// The symbol before the text.
    pub start: Symbol,
    /// The past of a window.
    pub past: WindowPast,
    /// Windows of a step.
    pub slots: Slots,
    /// What is done to the inputs.
    pub noise: InputNoise,
    /// Rows in the loss.
    pub lengths: Lengths,
}

impl TextWindows<'_> {
    /// This rank's windows of step `step`.
    pub fn batch(&self, step: u64) -> Vec<Window> {
        let rows = self.lengths.at(step);
        (self.slots.own.clone())
            .map(|slot| {
                let number = self.slots.number(step, slot);
                let mut uniforms = Uniforms::keyed(self.noise.seed, number);
                let mut window = match self.past {
                    WindowPast::Carried => self.follow(slot, step, rows),
                    WindowPast::Field(_) | WindowPast::Window => {
                        let from = uniforms.below((self.symbols.len() - rows + 1) as u64) as usize;
                        cut(self.symbols, self.start, from, rows, self.past.warmup())
                    }
                };
                self.noise.add(&mut window, number, &mut uniforms);
                window
            })
            .collect()
    }

    /// The window that goes on where that of the step before ended, in the same slot.
    fn follow(&self, slot: usize, step: u64, rows: usize) -> Window {
        let n = self.symbols.len();
        let at = (slot as u64 * (n / self.slots.all) as u64 + self.lengths.before(step)) as usize;
        let symbol = |t: usize| self.symbols[t % n];
        let before = if at == 0 { self.start } else { symbol(at - 1) };
        let targets: Vec<Symbol> = (at..at + rows).map(symbol).collect();
        let inputs = std::iter::once(before).chain(targets[..rows - 1].iter().copied()).collect();
        Window { inputs, targets, ..Window::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::schedules::Curriculum;

    fn noise(rate: f64) -> InputNoise {
        InputNoise { rate, classes: 1000, seed: 1 }
    }

    fn sampler(symbols: &[Symbol], past: WindowPast) -> TextWindows<'_> {
        let slots = Slots { own: 0..4, all: 4 };
        let lengths = Lengths::new(10, Some(&Curriculum { from: 3, until: 0.5 }), 40);
        TextWindows { symbols, start: 999, past, slots, noise: noise(0.0), lengths }
    }

    #[test]
    fn slots_walk_through_the_text_without_a_gap() {
        let text: Vec<Symbol> = (0..203).collect();
        let sampler = sampler(&text, WindowPast::Carried);
        let mut read = vec![Vec::new(); 4];
        for step in 0..60 {
            for (read, w) in read.iter_mut().zip(sampler.batch(step)) {
                assert_eq!(w.warmup, 0);
                assert_eq!(w.inputs[1..], w.targets[..w.targets.len() - 1]);
                let before = read.last().copied();
                assert!(before.is_none() || before == Some(w.inputs[0]), "step {step}");
                read.extend(w.targets);
            }
        }
        for (i, read) in read.iter().enumerate() {
            let want: Vec<Symbol> = (0..read.len()).map(|t| text[(50 * i + t) % 203]).collect();
            assert_eq!(*read, want);
            assert!(read.len() > 2 * text.len());
        }
        assert_eq!(sampler.batch(0)[0].inputs[0], 999);
    }

    #[test]
    fn ranks_draw_the_windows_that_one_process_draws() {
        let text: Vec<Symbol> = (0..203).collect();
        for past in [WindowPast::Carried, WindowPast::Field(5), WindowPast::Window] {
            let whole = TextWindows { noise: noise(0.2), ..sampler(&text, past) };
            let parts = [0..2, 2..4].map(|own| TextWindows {
                slots: Slots { own, all: 4 },
                noise: noise(0.2),
                ..sampler(&text, past)
            });
            for step in 0..20 {
                assert_eq!(whole.batch(step), [parts[0].batch(step), parts[1].batch(step)].concat());
            }
        }
    }

    #[test]
    fn windows_anywhere_have_their_past_in_front() {
        let text: Vec<Symbol> = (0..203).collect();
        let (field, alone) = (sampler(&text, WindowPast::Field(5)), sampler(&text, WindowPast::Window));
        for step in 0..100 {
            for w in field.batch(step) {
                let first = usize::from(w.targets[0]);
                assert!(w.warmup == 5 || (first == 0 && w.inputs[0] == 999), "{w:?}");
                assert_eq!(w.targets.len(), w.warmup + field.lengths.at(step));
            }
            assert!(alone.batch(step).iter().all(|w| w.warmup == 0));
        }
    }

    #[test]
    fn dropout_replaces_inputs_and_no_target() {
        let text: Vec<Symbol> = vec![7; 1000];
        let noisy = TextWindows { noise: noise(0.3), ..sampler(&text, WindowPast::Window) };
        let windows: Vec<Window> = (40..140).flat_map(|step| noisy.batch(step)).collect();
        let other = windows.iter().flat_map(|w| &w.inputs[1..]).filter(|x| **x != 7).count();
        let share = other as f64 / (9 * windows.len()) as f64;
        assert!((0.27..0.33).contains(&share), "{share}");
        assert!(windows.iter().all(|w| w.targets.iter().all(|x| *x == 7)));
    }
}
