use super::*;
use crate::family::Family;
use crate::likelihood::Bernoulli;
use crate::order::Scan;

/// nanoGPT's settings for a CPU.
fn small(context: usize) -> Config {
    Config { context, ..Config::shapes()[0].config.clone() }
}

fn image() -> Config {
    let grid = Grid { height: 8, width: 8 };
    let order = Scan::Spiral.order(grid, 0);
    Config { order, labels: 10, positions: Positions::Grid(grid), ..small(64) }
}

#[test]
fn the_products_of_the_blocks_are_inner() {
    for tied_head in [true, false] {
        let table = Config { layers: 1, tied_head, ..small(64) }.table();
        let inner: Vec<&str> = table.iter().filter(|s| s.inner).map(|s| &s.name[..]).collect();
        let [attention, mlp] = [names::attention(0), names::mlp(0)];
        let wanted = [(&attention, "qkv"), (&attention, "out"), (&mlp, "up"), (&mlp, "down")];
        assert_eq!(inner, wanted.map(|(at, name)| names::weight(at, name)));
    }
}

#[test]
fn readings_take_every_row_once_and_hold_half_a_context() {
    for context in 1..12 {
        let config = small(context);
        for t in 1..60 {
            let mut next = 0;
            for r in config.readings(t) {
                assert_eq!(r.from, next, "context {context}, {t} rows");
                assert!(r.rows.len() <= context && r.rows.end <= t);
                assert!(r.from == 0 || r.from - r.rows.start >= context / 2);
                next = r.rows.end;
            }
            assert_eq!(next, t);
            for row in 0..t {
                let held = (0..t).map(|i| i * config.stride()).filter(|&s| s <= row && row < s + context);
                assert!(held.count() <= 2, "two caches are enough");
            }
        }
    }
}

#[test]
fn parameters_are_those_of_nanogpt() {
    let count = |c: &Config| c.table().iter().map(TensorSpec::len).sum::<usize>();
    // "number of parameters: 0.80M" for its Shakespeare on a CPU, positions left out.
    assert_eq!(count(&small(64)) - 64 * 128, 795_904);
    let gpt2 =
        Config { classes: 50257, layers: 12, heads: 12, width: 768, context: 1024, bias: true, ..small(64) };
    assert_eq!(count(&gpt2), 124_439_808);
}

#[test]
fn hostile_sizes_are_refused() {
    let message = |c: Config| c.validate().unwrap_err().to_string();
    assert_eq!(message(Config { heads: 3, ..small(64) }), "config: heads is 3, wanted a divisor of `width`");
    assert!(message(Config { width: usize::MAX, ..small(64) }).starts_with("config: width is "));
    assert!(message(small(0)).starts_with("config: context is 0"));
    assert!(small(1).validate().is_ok());
    assert_eq!(image().validate(), Ok(()));
    for (config, words) in [
        (Config { context: 63, ..image() }, "config: context is 63, wanted as many positions"),
        (Config { labels: 3, ..small(64) }, "config: labels is 3, wanted 0"),
        (Config { classifier: 3, ..small(64) }, "config: classifier is 3, wanted 0"),
        (Config { classifier: 3, ..image() }, "config: classifier is 3, wanted 0"),
        (Config { positions: image().positions, ..small(64) }, "config: positions is grid"),
        (
            Config { positions: Positions::Grid(Grid { height: usize::MAX, width: 2 }), ..image() },
            "config: positions.grid is 18446744073709551615",
        ),
        (
            Config { classes: 2, likelihood: Some(LikelihoodConfig::Bernoulli(Bernoulli {})), ..small(64) },
            "config: tied_head is true, wanted false",
        ),
    ] {
        assert!(message(config.clone()).starts_with(words), "{}", message(config));
    }
}

/// A file without the later keys is a text model, and is written as it was.
#[test]
fn a_text_models_config_has_no_key_of_images() {
    let json = r#"{"classes":65,"start":0,"layers":4,"heads":4,"width":128,"context":64,"bias":false,"tied_head":true}"#;
    assert_eq!(serde_json::to_string(&small(64)).unwrap(), json);
    assert_eq!(serde_json::from_str::<Config>(json).unwrap(), small(64));
    let image = serde_json::to_string(&image()).unwrap();
    assert!(image.ends_with(r#""labels":10,"positions":{"grid":{"height":8,"width":8}}}"#), "{image}");
    let (again, same) = (serde_json::from_str::<Config>(&image).unwrap(), self::image());
    assert_eq!(again, same);
}
