//! Half-way between the network for others' tracks and that for own ones.

use crate::common::{CROSS_SPEAKER, OWN, config, random_frames};
use crate::suite::random_tensors;
use wavesynth_models::families::wavenet::{Config, names};
use wavesynth_models::weights::{Tensor, Tensors, check};

/// y = x W + b.
fn affine(x: &[f64], w: &Tensor, b: &Tensor) -> Vec<f64> {
    let columns = w.columns();
    let column = |c: usize| {
        x.iter().enumerate().map(move |(r, x)| x * f64::from(w.data[r * columns + c])).sum::<f64>()
    };
    (0..columns).map(|c| column(c) + f64::from(b.data[c])).collect()
}

/// The sums before the last tanh of a frame-rate network.
fn sums(config: &Config, tensors: &Tensors, network: &str, frame: &[f32], flag: f32) -> Vec<f64> {
    let mut x: Vec<f64> = frame.iter().map(|&v| v.into()).collect();
    x[config.condition.as_ref().unwrap().speaker_dim] = flag.into();
    let layer = |i, x: &[f64]| {
        affine(x, &tensors[&names::frame(network, i)], &tensors[&names::frame_bias(network, i)])
    };
    let inner: Vec<f64> = layer(0, &x).into_iter().map(f64::tanh).collect();
    layer(1, &inner)
}

#[test]
fn the_sums_are_the_mean_of_both() {
    let before = config(5, 7, 3, 9, 11, 2, &[1, 2, 4], 4);
    let tensors = random_tensors(&before, 4);
    let (after, half_way) = before.half_way(&tensors).unwrap();
    check(&half_way, &after.table()).unwrap();
    let (was, is) = (before.condition.as_ref().unwrap(), after.condition.as_ref().unwrap());
    assert_eq!((is.hidden, is.others), (was.hidden, was.hidden + was.others));
    for frame in random_frames(&before, 20, 2).chunks_exact(before.cond_len()) {
        let own = sums(&before, &tensors, names::HIDDEN, frame, OWN);
        let others = sums(&before, &tensors, names::OTHERS, frame, CROSS_SPEAKER);
        let found = sums(&after, &half_way, names::OTHERS, frame, CROSS_SPEAKER);
        for ((own, others), found) in own.iter().zip(&others).zip(found) {
            assert!(((own + others) / 2.0 - found).abs() < 1e-6, "{own} and {others}, half-way {found}");
        }
    }
    // What reads own tracks, and all else, is as it was.
    let same = |name: &str| half_way[name] == tensors[name];
    assert!(tensors.keys().all(|name| name.starts_with(names::OTHERS) != same(name)));
}

#[test]
fn without_a_network_for_others_there_is_no_half_way() {
    for condition in [0, 1] {
        let config = config(5, 7, 3, 9, 11, 2, &[1, 2, 4], condition);
        assert!(config.half_way(&random_tensors(&config, 4)).is_none());
    }
}
