//! A widened network says what the narrow one said.

use crate::common::{CROSS_SPEAKER, OWN, bunched, config, random_frames};
use crate::suite::{random_symbols, random_tensors, run_graph};
use wavesynth_models::families::wavenet::Config;
use wavesynth_models::families::wavenet::fused::Fused;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Layout, check};

/// Each width of `narrow` made larger by a number of its own.
fn wider(narrow: &Config) -> Config {
    let mut wide = narrow.clone();
    wide.residual_channels += 3;
    wide.gate_channels += 5;
    wide.skip_channels += 7;
    wide.head_channels += 2;
    if let Some(c) = &mut wide.condition
        && c.hidden > 0
    {
        c.hidden += 4;
        if c.others > 0 {
            c.others += 3;
        }
    }
    wide
}

#[test]
fn a_wider_network_begins_with_the_same_logits() {
    for (cond, bunch) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (1, 3)] {
        let narrow = bunched(config(5, 7, 3, 9, 11, 2, &[1, 2, 4], cond), bunch);
        let wide = wider(&narrow);
        let tensors = random_tensors(&narrow, 4);
        let widened = wide.widened(&tensors, 5);
        check(&widened, &wide.table()).unwrap();
        let t = 60;
        let (symbols, frames) = (random_symbols(&narrow, t, 1), random_frames(&narrow, t, 2));
        let a = run_graph(&narrow, &tensors, &symbols, &frames);
        let b = run_graph(&wide, &widened, &symbols, &frames);
        let worst =
            a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "condition {cond}, bunch {bunch}: {worst}");
    }
}

/// The logits of others' tracks, too, whose network is new: they were read as the speaker's own before.
#[test]
fn a_network_for_others_begins_as_that_for_all() {
    let narrow = config(5, 7, 3, 9, 11, 2, &[1, 2, 4], 1);
    let mut wide = narrow.clone();
    wide.condition.as_mut().unwrap().others = 9;
    assert_eq!(wide.wider_than(&narrow), Some(vec![("others", 0, 9)]));
    let tensors = random_tensors(&narrow, 4);
    let widened = wide.widened(&tensors, 5);
    check(&widened, &wide.table()).unwrap();
    let t = 60;
    let symbols = random_symbols(&narrow, t, 1);
    let mut frames = random_frames(&narrow, t, 2);
    let flagged = |frames: &mut [f32], flag: f32| {
        let at = narrow.condition.as_ref().unwrap().speaker_dim;
        frames.chunks_exact_mut(narrow.cond_len()).for_each(|frame| frame[at] = flag);
    };
    flagged(&mut frames, OWN);
    let before = run_graph(&narrow, &tensors, &symbols, &frames);
    for flag in [OWN, CROSS_SPEAKER] {
        flagged(&mut frames, flag);
        let after = run_graph(&wide, &widened, &symbols, &frames);
        let pairs = before.iter().flatten().zip(after.iter().flatten());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "flag {flag}: {worst}");
    }
    // Not all of the old network has room in a narrower one.
    wide.condition.as_mut().unwrap().others = 5;
    assert_eq!(wide.wider_than(&narrow), None);
}

#[test]
fn new_channels_can_learn() {
    // No zero is surrounded by zeros: every weight by which something old hears something new has a gradient.
    let narrow = config(5, 7, 3, 9, 11, 2, &[1, 2, 4], 0);
    let wide = wider(&narrow);
    let layout = Layout::new(wide.table());
    let params = layout.flatten(&wide.widened(&random_tensors(&narrow, 4), 5));
    let inputs = random_symbols(&wide, 80, 1);
    let targets = random_symbols(&wide, 80, 2);
    let window = Window { inputs, targets, ..Window::default() };
    let mut grads = vec![0.0; params.len()];
    Fused::new(wide.clone(), Isa::detect()).loss(&params, &[window], Some(&mut grads)).unwrap();
    let (old, new) = (narrow.skip_channels, wide.head_channels);
    let head = &grads[layout.range("head.0.weight")];
    let reads = |row: &[f32]| row[..narrow.head_channels].iter().any(|g| *g != 0.0);
    assert!(
        head.chunks_exact(new).skip(old).filter(|row| reads(row)).count() >= 3,
        "half of seven, as of a relu"
    );
    let skip = &grads[layout.range("layer.1.skip.weight")];
    assert!(
        skip.chunks_exact(wide.skip_channels)
            .skip(narrow.gate_channels)
            .all(|row| row[..old].iter().any(|g| *g != 0.0))
    );
}

#[test]
fn only_widths_may_differ() {
    let narrow = config(5, 7, 3, 9, 11, 2, &[1, 2, 4], 1);
    let named: Vec<_> = wider(&narrow).wider_than(&narrow).unwrap().iter().map(|w| w.0).collect();
    assert_eq!(named, ["residual_channels", "gate_channels", "skip_channels", "head_channels", "hidden"]);
    assert_eq!(narrow.wider_than(&narrow), Some(vec![]));
    assert_eq!(narrow.wider_than(&wider(&narrow)), None);
    let other = |change: fn(&mut Config)| {
        let mut other = wider(&narrow);
        change(&mut other);
        other.wider_than(&narrow)
    };
    assert_eq!(other(|c| c.dilations.push(1)), None);
    assert_eq!(other(|c| c.kernel_size = 3), None);
    assert_eq!(other(|c| c.condition = None), None);
    assert_eq!(other(|c| c.gate_channels = 6), None);
    let mut direct = narrow.clone();
    direct.condition.as_mut().unwrap().hidden = 0;
    assert_eq!(narrow.wider_than(&direct), None, "a frame network can't begin as none");
}
