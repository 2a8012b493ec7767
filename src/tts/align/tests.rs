use super::*;
use wavesynth_models::ar::Uniforms;

/// A made-up language: phones with three sounds each, of lengths drawn at random, and pauses between some words.
fn corpus(phones: u16, count: usize, seed: u64) -> (Vec<Item>, Vec<Vec<Segment>>) {
    let mut sounds = Uniforms::new(4);
    let means: Vec<Observation> = (0..usize::from(phones) * STATES)
        .map(|state| {
            let mut mean: Observation = std::array::from_fn(|_| 1.5 * sounds.normal());
            // Pauses are quiet.
            mean[0] = if state < STATES { -4.0 } else { mean[0].abs() };
            mean
        })
        .collect();
    let mut u = Uniforms::new(seed);
    let mut made = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (mut item, mut truth) = (Item::default(), Vec::new());
        let mut say = |item: &mut Item, phone: u16, word: usize, u: &mut Uniforms| {
            let start = item.frames.len();
            for part in 0..STATES {
                for _ in 0..2 + u.below(4) {
                    let mean = &means[usize::from(phone) * STATES + part];
                    item.frames.push(std::array::from_fn(|k| mean[k] + 0.7 * u.normal()));
                }
            }
            truth.push(Segment { phone, word, start, end: item.frames.len() });
        };
        say(&mut item, PAUSE, 0, &mut u);
        let words = 3 + u.below(3) as usize;
        for w in 0..words {
            let word: Vec<u16> =
                (0..1 + u.below(4)).map(|_| 1 + u.below(u64::from(phones) - 1) as u16).collect();
            word.iter().for_each(|&p| say(&mut item, p, w, &mut u));
            item.words.push(word);
            if w + 1 == words || u.below(3) == 0 {
                say(&mut item, PAUSE, w + 1, &mut u);
            }
        }
        made.0.push(item);
        made.1.push(truth);
    }
    made
}

#[test]
fn boundaries_of_a_made_up_language_are_found() {
    let (items, truth) = corpus(9, 60, 1);
    let mut rounds = Vec::new();
    let (_, found) = Acoustics::learn(9, &items, |round, log_p| rounds.push((round, log_p)));
    assert_eq!(rounds.len(), ROUNDS);
    assert!(rounds.last().unwrap().1 > rounds[0].1 + 1.0, "the model learns: {rounds:?}");
    let (mut near, mut all) = (0, 0);
    for ((found, truth), item) in found.iter().zip(&truth).zip(&items) {
        let found = found.as_ref().unwrap();
        assert_eq!((found[0].start, found.last().unwrap().end), (0, item.frames.len()));
        assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start));
        let said = |s: &[Segment]| s.iter().map(|s| s.phone).filter(|p| *p != PAUSE).collect::<Vec<_>>();
        assert_eq!(said(found), item.words.concat());
        for segment in truth {
            all += 1;
            let same = |s: &&Segment| s.phone == segment.phone && s.word == segment.word;
            near += usize::from(found.iter().filter(same).any(|s| s.start.abs_diff(segment.start) <= 1));
        }
    }
    assert!(near * 100 >= all * 95, "{near} of {all} boundaries within a frame");
}

#[test]
fn the_same_recordings_give_the_same_boundaries_at_any_number_of_threads() {
    let (items, _) = corpus(6, 40, 2);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Acoustics::learn(6, &items, |_, _| ()).1)
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_recording_that_is_too_short_is_left_out() {
    let (mut items, _) = corpus(5, 20, 3);
    items[7].frames.truncate(4);
    items[7].words = vec![vec![1, 2, 3], vec![4, 3]];
    items[8].frames.clear();
    let (_, found) = Acoustics::learn(5, &items, |_, _| ());
    assert!(found[7].is_none() && found[8].is_none());
    assert_eq!(found.iter().flatten().count(), 18);
}

#[test]
fn words_of_a_vocabulary_are_recognised() {
    let (items, _) = corpus(9, 80, 4);
    let (learned, unseen) = items.split_at(60);
    let (acoustics, _) = Acoustics::learn(9, learned, |_, _| ());
    let mut vocabulary: Vec<Vec<u16>> = unseen.iter().flat_map(|item| item.words.clone()).collect();
    vocabulary.sort();
    vocabulary.dedup();
    let (mut right, mut all) = (0, 0);
    for item in unseen {
        let found = acoustics.words(&item.frames, &vocabulary, -5.0);
        let said: Vec<u16> = found.iter().flat_map(|w| vocabulary[*w].clone()).collect();
        all += 1;
        right += usize::from(said == item.words.concat());
    }
    assert!(right * 10 >= all * 9, "{right} of {all}");
    // Where words are dear, one long word is cheaper than two short ones of the same sounds.
    let item = Item { frames: unseen[0].frames.clone(), words: vec![unseen[0].words.concat()] };
    let parts = [item.words.clone(), unseen[0].words.clone()].concat();
    assert_eq!(acoustics.words(&item.frames, &parts, -1000.0).len(), 1);
    assert!(
        acoustics.words(&[], &vocabulary, 0.0).is_empty()
            && acoustics.words(&item.frames, &[], 0.0).is_empty()
    );
}
