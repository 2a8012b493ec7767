//! Several samples a step: each is given those before it in its bunch, so the likelihood is exact.

use crate::common::{bunched, config, random_frames, typed};
use crate::suite::{random_symbols, random_tensors, run_graph, step_against_graph};
use wavesynth_models::ar::Model;
use wavesynth_models::candle_core::Device;
use wavesynth_models::families::wavenet::fused::Fused;
use wavesynth_models::families::wavenet::graph::GraphObjective;
use wavesynth_models::families::wavenet::{Config, WaveNet};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Layout, Tensors};

/// Σ p(x) over every sequence of four symbols is 1, each p read at once with the truth as input. A distribution that
/// knew its own symbol, or a later one, would give another sum.
#[test]
fn the_likelihoods_of_all_sequences_add_up_to_one() {
    const T: u32 = 4;
    for (bunch, classes) in [(1, 3), (2, 3), (2, 4), (3, 3), (4, 3)] {
        let config = bunched(config(5, 6, 7, 8, classes, 2, &[1, 2], 0), bunch);
        let params = Layout::new(config.table()).flatten(&random_tensors(&config, 11));
        let start = config.start;
        let objectives: [Box<dyn Objective>; 2] = [
            Box::new(Fused::new(config.clone(), Isa::detect())),
            Box::new(GraphObjective::new(config.clone(), Device::Cpu)),
        ];
        for objective in objectives {
            let (mut sum, mut least, mut most) = (0.0, f64::MAX, 0f64);
            for i in 0..classes.pow(T) {
                let targets: Vec<u16> = (0..T).map(|t| (i / classes.pow(t) % classes) as u16).collect();
                let inputs = [&[start], &targets[..T as usize - 1]].concat();
                let window = Window { inputs, targets, ..Window::default() };
                let p = (-f64::from(T) * objective.loss(&params, &[window], None).unwrap()).exp();
                (sum, least, most) = (sum + p, least.min(p), most.max(p));
            }
            assert!((sum - 1.0).abs() < 1e-5, "bunch {bunch}: the sum is {sum}");
            assert!(most > 3.0 * least, "bunch {bunch}: sequences that are all alike test nothing");
        }
    }
}

/// Mistakes that only the step makes, which the comparison with the graph must catch.
#[test]
fn planted_mistakes_are_caught() {
    let good = bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4], 1), 3);
    let tensors = random_tensors(&good, 7);
    let swapped = |a: &str, b: &str| {
        let mut swapped = tensors.clone();
        let (x, y) = (tensors[a].clone(), tensors[b].clone());
        swapped.insert(a.into(), y);
        swapped.insert(b.into(), x);
        swapped
    };
    let caught = |what: &str, wrong: &Tensors| {
        let rows = differing_rows(&good, &tensors, wrong);
        assert!(rows.iter().any(|&r| r), "{what}: not caught");
        rows
    };
    caught("the lags of the input swapped", &swapped("input.embed", "input.lag.1.embed"));
    let last = "head.0.phase.2.lag";
    let rows = caught(
        "the lags of a phase swapped",
        &swapped(&format!("{last}.0.embed"), &format!("{last}.1.embed")),
    );
    // A phase's tables are read at that phase, and nowhere else.
    assert!(rows.iter().enumerate().all(|(t, &wrong)| !wrong || t % 3 == 2));
    caught("the phases' products swapped", &swapped("head.0.weight", "head.0.phase.1.weight"));
    caught("a phase's bias swapped", &swapped("head.0.phase.1.bias", "head.0.phase.2.bias"));
    let mut plain = tensors.clone();
    plain.get_mut("head.0.phase.1.lag.0.embed").unwrap().data.fill(0.0);
    let rows = caught("what the bunch has drawn ignored", &plain);
    assert!(rows.iter().enumerate().all(|(t, &wrong)| !wrong || t % 3 == 1));

    // The phase off by one: a symbol is heard before the first.
    let symbols = random_symbols(&good, 40, 1);
    let frames = random_frames(&good, 40, 2);
    let want = run_graph(&good, &tensors, &symbols, &frames);
    let model = WaveNet::new(&good, &tensors, Isa::detect()).unwrap();
    let worst = |early: bool| {
        let mut state = model.state();
        let n = good.cond_len();
        if early {
            model.condition(&mut state, &typed(&good, &frames[..n]));
            model.step(&mut state, Value::Symbol(good.start));
        }
        let mut worst = 0f32;
        for (t, (&x, want)) in symbols.iter().zip(&want).enumerate() {
            if t % good.hop() == 0 {
                model.condition(&mut state, &typed(&good, &frames[t / good.hop() * n..][..n]));
            }
            for (a, b) in model.step(&mut state, Value::Symbol(x)).iter().zip(want) {
                worst = worst.max((a - b).abs());
            }
        }
        worst
    };
    assert!(worst(false) < 1e-4 && worst(true) > 1e-2, "{} and {}", worst(false), worst(true));
    // A bunch of another size is another model, of other tensors.
    assert!(
        WaveNet::new(&bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4], 1), 2), &tensors, Isa::PLAIN)
            .is_err()
    );
    assert!(step_against_graph(&good, &tensors, Isa::detect()) < 1e-4);
}

/// Which rows of the step with the tensors `wrong` differ from the graph's with `right`.
fn differing_rows(config: &Config, right: &Tensors, wrong: &Tensors) -> Vec<bool> {
    let symbols = random_symbols(config, 40, 1);
    let frames = random_frames(config, 40, 2);
    let want = run_graph(config, right, &symbols, &frames);
    let model = WaveNet::new(config, wrong, Isa::detect()).unwrap();
    let (mut state, n) = (model.state(), config.cond_len());
    let row = |(t, (&x, want)): (usize, (&u16, &Vec<f32>))| {
        if t % config.hop() == 0 {
            model.condition(&mut state, &typed(config, &frames[t / config.hop() * n..][..n]));
        }
        model.step(&mut state, Value::Symbol(x)).iter().zip(want).any(|(a, b)| (a - b).abs() > 1e-3)
    };
    symbols.iter().zip(&want).enumerate().map(row).collect()
}

/// A bunch of one sample is the plain model: the same tensors, and a config that says nothing of bunches.
#[test]
fn a_bunch_of_one_is_left_out() {
    let plain = Config::named("deepvoice-small").unwrap();
    let json = serde_json::to_value(&plain).unwrap();
    assert!(json.get("bunch").is_none());
    assert_eq!(serde_json::from_value::<Config>(json.clone()).unwrap(), plain);
    let names: Vec<String> = plain.table().into_iter().map(|t| t.name).collect();
    assert!(names.iter().all(|n| !n.contains("lag") && !n.contains("phase")), "{names:?}");
    let mut two = json;
    two["bunch"] = 2.into();
    let two: Config = serde_json::from_value(two).unwrap();
    assert_eq!(serde_json::to_value(&two).unwrap()["bunch"], 2);
    let added: Vec<String> = two.table().into_iter().map(|t| t.name).filter(|n| !names.contains(n)).collect();
    let new =
        ["input.lag.1.embed", "head.0.phase.1.weight", "head.0.phase.1.bias", "head.0.phase.1.lag.0.embed"];
    assert_eq!(added, new);
}

#[test]
fn bunches_that_no_model_has_are_refused() {
    let refused = |bunch, cond, words: &str| {
        let mut config = config(5, 7, 3, 9, 11, 2, &[1, 2], cond);
        config.bunch = bunch;
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            format!("config: bunch is {bunch}, wanted {words}")
        );
    };
    refused(0, 0, "a number from 1 to 16");
    refused(17, 0, "a number from 1 to 16");
    refused(2, 1, "a divisor of condition.hop");
}
