//! Nothing allocates or frees after construction. A binary of its own: it replaces the global allocator.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::condition::ConditionValues;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::{Checkpoint, Dtype};

struct Counting;

thread_local! {
    /// Of this thread alone: the test harness has one of its own, which allocates when it likes.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn bump() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call is forwarded to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        bump();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        bump();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(f: impl FnOnce()) -> usize {
    let before = COUNT.get();
    f();
    COUNT.get() - before
}

#[test]
fn a_stream_neither_allocates_nor_frees() {
    assert!(count(|| drop(std::hint::black_box(vec![1u8; 9]))) >= 2, "the counter counts");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/golden");
    let families = [
        "wavenet",
        "char_rnn_lstm",
        "char_rnn_gru",
        "gpt",
        "gpt_image",
        "nade",
        "made",
        "pixel_cnn",
        "pixel_rnn_row",
        "pixel_rnn_diagonal",
    ];
    let dtypes = families.into_iter().flat_map(|family| Dtype::ALL.map(|d| (family, d)));
    for ((family, dtype), isa) in dtypes.flat_map(|f| Isa::available().into_iter().map(move |isa| (f, isa))) {
        let path = &golden.join(family).with_extension("safetensors");
        let mut file = Checkpoint::read(path).unwrap();
        quantise(&mut file, dtype).unwrap();
        let model = Loaded::from_checkpoint(file, isa).unwrap();
        let mut stream = model.generator(Sampling::default());
        let values = [0.1, 0.2].map(|x| ConditionValues::filled(model.config.facts().condition.as_ref(), x));
        let [frame, other] = values.each_ref().map(ConditionValues::get);
        let mut row = vec![0.0; stream.likelihood().params()];
        let mut uniforms = Uniforms::new(1);
        let n = count(|| {
            for (temperature, top_k, top_p, min_p) in
                [(1.0, 0, 1.0, 0.0), (0.7, 5, 1.0, 0.1), (1.0, 0, 0.9, 0.0), (0.0, 3, 0.5, 0.0)]
            {
                stream.set_sampling(Sampling { temperature, top_k, top_p, min_p });
                stream.condition(&frame);
                stream.announce(&other);
                for _ in 0..300 {
                    stream.next(uniforms.next_uniform());
                }
                stream.score(3.into());
                stream.parameters(4.into(), &mut row);
            }
            stream.reset();
        });
        assert_eq!(n, 0, "{} {} {dtype}", path.display(), isa.name());
        let mut streams = model.generators(5, Sampling::default());
        let (mut drawn, mut symbols) = ([0.0; 5], [0; 5]);
        let n = count(|| {
            for t in 0..300 {
                if t % 40 < 5 {
                    streams.start(t % 40);
                    streams.condition(t % 40, &frame);
                    streams.announce(t % 40, &other);
                }
                if t % 70 < 5 {
                    streams.end(t % 70);
                }
                drawn.fill_with(|| uniforms.next_uniform());
                streams.next(&drawn, &mut symbols);
            }
        });
        assert_eq!(n, 0, "streams of {} {} {dtype}", path.display(), isa.name());
    }
}

#[test]
fn likelihoods_neither_allocate_nor_free() {
    let configs = [
        r#"{"name": "categorical", "classes": 256}"#,
        r#"{"name": "bernoulli"}"#,
        r#"{"name": "gaussian", "dims": 3}"#,
        r#"{"name": "gaussian_mixture", "components": 20, "dims": 2}"#,
        r#"{"name": "logistic_mixture", "components": 10, "levels": 65536}"#,
        r#"{"name": "logistic_mixture", "components": 10, "channels": 3, "levels": 256}"#,
    ];
    for text in configs {
        let config: LikelihoodConfig = serde_json::from_str(text).unwrap();
        let likelihood = config.get();
        let mut uniforms = Uniforms::new(5);
        #[cfg_attr(
            not(feature = "train"),
            allow(unused_mut, reason = "the loss writes the gradient into it")
        )]
        let mut row: Vec<f32> =
            (0..likelihood.params().next_multiple_of(16)).map(|_| uniforms.normal()).collect();
        for temperature in [0.0, 0.8] {
            let mut sampler = config.sampler(Sampling { temperature, top_k: 3, top_p: 0.9, min_p: 0.1 });
            let mut out = [0.0; 4];
            let n = count(|| {
                for _ in 0..50 {
                    let u = [0; 4].map(|_| uniforms.next_uniform());
                    let x = likelihood.draw(&row, &mut sampler, &u, &mut out);
                    likelihood.nll(&row, x);
                    #[cfg(feature = "train")]
                    likelihood.loss_and_gradient(&mut row, x, 0.1);
                }
            });
            assert_eq!(n, 0, "{text}");
        }
    }
}
