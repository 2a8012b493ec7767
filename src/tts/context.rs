//! What a model of durations or frames is told of a phone: the phone, its neighbours, its stress, and its place in word and phrase
//! (the full-context labels of HTS: Zen et al. 2007, "The HMM-based speech synthesis system version 2.0"), and of a frame its
//! place in the phone (Wu et al. 2016, "Merlin", section 2.1).
//!
//! It looks ahead by two phones, [`WORDS`] words and [`PHONES`] phones, and to the kind of the break that comes next.
//!
//! With P phones and each number between 0 and 1, a phone's numbers are
//!
//! | numbers | |
//! |---|---|
//! | 4 P | the phone, the one before it, the next one and the one behind that, one-hot; beyond the ends the pause |
//! | 6 | stress 1 and stress 2 of the phone, the one before it, the next one |
//! | 4 | first in its word, last in its word; phones of the word before it and behind it, in eighths, at most 1 |
//! | 3 | phones of the word, in twelfths, at most 1; whether the word has stress 1 before it, behind it |
//! | 4 | words since the last break and to the next one, in units of [`WORDS`], at most 1; whether it is the first one behind a break, the last one before one |
//! | 2 | phones since the last break and to the next one, in units of [`PHONES`], at most 1 |
//! | 4 | the next break, one-hot: phrase, statement, question, exclamation; of a pause without a mark none |
//! | 2 | the pause at the beginning, at the end |
//!
//! All but the first and the last two kinds of a pause are 0. Frame i of the d of a phone adds (i + ½)/d, 1 − (i + ½)/d, i/20, (d − 1 − i)/20,
//! d/20, the last three at most 1, 1/(1 + i) and 1/(d − i).

use super::phones::{PhoneSet, UnknownPhone, parts};
use super::utterance::{Break, Utterance};

/// Names what is told, in a model's file.
pub const RECIPE: &str = "context-v1";

/// Words that it looks ahead, or back, at most.
pub const WORDS: f32 = 6.0;

/// Phones that it looks ahead, or back, at most, beside the neighbours.
pub const PHONES: f32 = 16.0;

/// Numbers of a frame beside its phone's.
pub const WITHIN: usize = 7;

/// Neighbours whose names are told, the phone itself among them.
pub const NEIGHBOURS: [isize; 4] = [0, -1, 1, 2];

/// Numbers of a phone beside the names.
const PLACE: usize = 25;

/// Numbers of a phone, of `phones` phones.
pub const fn phone_features(phones: usize) -> usize {
    NEIGHBOURS.len() * phones + PLACE
}

/// The number that tells `stress` of a neighbour, by its place in [`NEIGHBOURS`], of `phones` phones. Of the last neighbour none is told.
pub fn stress_row(phones: usize, neighbour: usize, stress: u8) -> Option<usize> {
    let told = neighbour + 1 < NEIGHBOURS.len() && (1..=2).contains(&stress);
    told.then(|| NEIGHBOURS.len() * phones + 2 * neighbour + usize::from(stress) - 1)
}

/// Numbers of a frame.
pub const fn frame_features(phones: usize) -> usize {
    phone_features(phones) + WITHIN
}

/// A phone in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// Its number; 0 for a pause.
    pub phone: u16,
    /// 0 to 2.
    pub stress: u8,
    /// The word that it is of; of a pause, the number of words before it.
    pub word: usize,
    place: [f32; PLACE],
}

/// The phones of an utterance, with the pauses between.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequence {
    slots: Vec<Slot>,
    phones: usize,
}

/// Whether a pause stands where no recording says so: at both ends and at every break.
pub fn pauses_by_breaks(utterance: &Utterance) -> impl Fn(usize) -> bool {
    let breaks: Vec<bool> = utterance.words.iter().map(|w| w.after != Break::None).collect();
    move |words| words == 0 || words >= breaks.len() || breaks[words - 1]
}

impl Sequence {
    /// The phones of `utterance`, with a pause behind n words where `pause` says so of n, from 0 on.
    ///
    /// # Errors
    /// A phone that is none of `set`.
    pub fn new(
        set: &PhoneSet,
        utterance: &Utterance,
        pause: impl Fn(usize) -> bool,
    ) -> Result<Self, UnknownPhone> {
        let words = &utterance.words;
        words.iter().try_for_each(|w| set.check(w))?;
        // The place of each word between breaks, and of each phone.
        let ends: Vec<usize> = (0..words.len())
            .map(|w| (w..words.len()).find(|&v| words[v].after != Break::None).unwrap_or(words.len() - 1))
            .collect();
        let first = |w: usize| (0..w).rev().find(|&v| words[v].after != Break::None).map_or(0, |v| v + 1);
        let lengths: Vec<usize> = words.iter().map(|w| w.phones.len()).collect();
        let mut slots = Vec::new();
        let add_pause = |slots: &mut Vec<Slot>, before: usize| {
            if !pause(before) {
                return;
            }
            let mut place = [0.0; PLACE];
            if before > 0 {
                mark(&mut place, words[before - 1].after);
            }
            place[PLACE - 2] = f32::from(u8::from(before == 0));
            place[PLACE - 1] = f32::from(u8::from(before == words.len()));
            slots.push(Slot { phone: 0, stress: 0, word: before, place });
        };
        add_pause(&mut slots, 0);
        for (w, word) in words.iter().enumerate() {
            let (begin, end) = (first(w), ends[w]);
            let since: usize = lengths[begin..w].iter().sum();
            let to: usize = lengths[w + 1..=end].iter().sum();
            let stressed: Vec<bool> = word.phones.iter().map(|p| parts(p).1 == 1).collect();
            let n = word.phones.len();
            for (i, name) in word.phones.iter().enumerate() {
                let share = |x: usize, of: f32| (x as f32 / of).min(1.0);
                let is = |x: bool| f32::from(u8::from(x));
                let mut place = [0.0; PLACE];
                let numbers = [
                    is(i == 0),
                    is(i + 1 == n),
                    share(i, 8.0),
                    share(n - 1 - i, 8.0),
                    share(n, 12.0),
                    is(stressed[..i].contains(&true)),
                    is(stressed[i + 1..].contains(&true)),
                    share(w - begin, WORDS),
                    share(end - w, WORDS),
                    is(w == begin),
                    is(w == end),
                    share(since + i, PHONES),
                    share(to + n - 1 - i, PHONES),
                ];
                place[6..6 + numbers.len()].copy_from_slice(&numbers);
                mark(&mut place, words[end].after);
                slots.push(Slot {
                    phone: set.number(name).unwrap_or(0),
                    stress: parts(name).1,
                    word: w,
                    place,
                });
            }
            add_pause(&mut slots, w + 1);
        }
        let stresses: Vec<u8> = slots.iter().map(|s| s.stress).collect();
        for (i, slot) in slots.iter_mut().enumerate() {
            for (k, at) in [Some(i), i.checked_sub(1), Some(i + 1)].into_iter().enumerate() {
                if let Some(stress @ 1..=2) = at.and_then(|at| stresses.get(at)) {
                    slot.place[2 * k + usize::from(*stress) - 1] = 1.0;
                }
            }
        }
        Ok(Self { slots, phones: set.len() })
    }

    /// The phones.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Writes the [`phone_features`] numbers of phone `i` into `to`.
    ///
    /// # Panics
    /// When there is no such phone, or `to` has another length.
    pub fn write(&self, i: usize, to: &mut [f32]) {
        assert_eq!(to.len(), phone_features(self.phones), "the numbers of a phone");
        to.fill(0.0);
        for (k, by) in NEIGHBOURS.into_iter().enumerate() {
            let at = i.checked_add_signed(by).and_then(|at| self.slots.get(at));
            to[k * self.phones + at.map_or(0, |slot| usize::from(slot.phone))] = 1.0;
        }
        to[NEIGHBOURS.len() * self.phones..].copy_from_slice(&self.slots[i].place);
    }

    /// The numbers of all phones, row by row.
    pub fn table(&self) -> Vec<f32> {
        let width = phone_features(self.phones);
        let mut all = vec![0.0; width * self.slots.len()];
        all.chunks_exact_mut(width).enumerate().for_each(|(i, row)| self.write(i, row));
        all
    }
}

/// Says which break comes.
fn mark(place: &mut [f32; PLACE], next: Break) {
    let which = match next {
        Break::None => return,
        Break::Phrase => 0,
        Break::Statement => 1,
        Break::Question => 2,
        Break::Exclamation => 3,
    };
    place[PLACE - 6 + which] = 1.0;
}

/// Writes what frame `i` of the `of` of a phone adds to its phone's numbers.
///
/// # Real-time
/// Yes.
pub fn write_within(i: usize, of: usize, to: &mut [f32]) {
    let (i, of) = (i as f32, of as f32);
    let share = |x: f32| (x / 20.0).min(1.0);
    let place = (i + 0.5) / of;
    to.copy_from_slice(&[
        place,
        1.0 - place,
        share(i),
        share(of - 1.0 - i),
        share(of),
        1.0 / (1.0 + i),
        1.0 / (of - i),
    ]);
}

#[cfg(test)]
mod tests {
    use super::super::phones::read;
    use super::*;

    #[test]
    fn a_phone_knows_its_neighbours_and_its_place() {
        let all = read("B AE1 T | IH0 N , K AH2 P ?");
        let set = PhoneSet::of(&all).unwrap();
        let sequence = Sequence::new(&set, &all[0], pauses_by_breaks(&all[0])).unwrap();
        let names = |s: &Sequence| -> Vec<String> {
            s.slots().iter().map(|s| set.names()[usize::from(s.phone)].clone()).collect()
        };
        assert_eq!(names(&sequence).join(" "), "pau B AE T IH N pau K AH P pau");
        let p = set.len();
        let table = sequence.table();
        let row = |i: usize| &table[i * phone_features(p)..][..phone_features(p)];
        // AE: itself, B, T, IH.
        let hot = |row: &[f32]| -> Vec<String> {
            row[..4 * p]
                .chunks(p)
                .map(|c| set.names()[c.iter().position(|x| *x == 1.0).unwrap()].clone())
                .collect()
        };
        assert_eq!(hot(row(2)).join(" "), "AE B T IH");
        assert_eq!(hot(row(10)).join(" "), "pau P pau pau");
        let place = |i: usize| &row(i)[4 * p..];
        assert_eq!(place(2)[..6], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(place(3)[..6], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(place(8)[..6], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        // T: last of three, behind the stress, in the first of two words before a phrase's end.
        assert_eq!(place(3)[6..13], [0.0, 1.0, 0.25, 0.0, 0.25, 1.0, 0.0]);
        assert_eq!(place(3)[13..19], [0.0, 1.0 / 6.0, 1.0, 0.0, 2.0 / 16.0, 2.0 / 16.0]);
        assert_eq!(place(3)[19..], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(place(9)[19..], [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(place(0)[19..], [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(place(6)[19..], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(place(10)[19..], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
        let found = Sequence::new(&set, &all[0], |words| words == 1).unwrap();
        assert_eq!(names(&found).join(" "), "B AE T pau IH N K AH P");
        assert!(Sequence::new(&set, &read("Q")[0], |_| true).is_err());
    }

    #[test]
    fn a_frame_knows_its_place_in_the_phone() {
        let mut to = [0.0; WITHIN];
        write_within(0, 4, &mut to);
        assert_eq!(to, [0.125, 0.875, 0.0, 0.15, 0.2, 1.0, 0.25]);
        write_within(3, 4, &mut to);
        assert_eq!(to, [0.875, 0.125, 0.15, 0.0, 0.2, 0.25, 1.0]);
    }
}
