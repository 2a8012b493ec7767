//! The VQ-VAE: engine, graph and fused layers against each other, against finite differences, and against PyTorch; and the
//! checkpoints that hold it.

#[cfg(feature = "train")]
mod learning;

use crate::common::{Golden, golden_path};
use std::collections::BTreeMap;
use wavesynth_models::ar::{Symbol, Uniforms};
use wavesynth_models::families::char_rnn;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{
    Bernoulli, Categorical, Gaussian, GaussianMixture, LikelihoodConfig, LogisticMixture, Values,
};
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::vq_vae::{CODES, Config, PREFIX, VqVae, prefixed};
use wavesynth_models::weights::{Checkpoint, Dtype, Tensors};

fn config(
    (height, width): (usize, usize),
    likelihood: LikelihoodConfig,
    codes: usize,
    code_dim: usize,
    channels: usize,
    residual_blocks: usize,
) -> Config {
    let config = Config { height, width, likelihood, codes, code_dim, channels, residual_blocks };
    config.validate().unwrap();
    config
}

/// Every likelihood, odd sizes among them.
fn grid() -> Vec<Config> {
    let logistics = |components, channels| {
        LikelihoodConfig::LogisticMixture(LogisticMixture { components, channels, levels: 256 })
    };
    let mixture = LikelihoodConfig::GaussianMixture(GaussianMixture { components: 2, dims: 3 });
    vec![
        config((8, 12), LikelihoodConfig::Bernoulli(Bernoulli {}), 37, 5, 20, 2),
        config((4, 4), LikelihoodConfig::Bernoulli(Bernoulli {}), 2, 1, 1, 0),
        config((4, 8), LikelihoodConfig::Categorical(Categorical { classes: 11 }), 16, 3, 9, 1),
        config((8, 8), logistics(3, 1), 5, 16, 16, 1),
        config((8, 4), logistics(2, 3), 9, 4, 7, 2),
        config((4, 12), LikelihoodConfig::Gaussian(Gaussian { dims: 1 }), 6, 2, 5, 1),
        config((8, 8), mixture, 20, 8, 6, 1),
    ]
}

/// Tensors of which every product gives values of about 1.
fn random_tensors(config: &Config, seed: u64) -> Tensors {
    let layout = config.layout();
    let mut tensors = layout.tensors(&layout.init(seed));
    for (i, (name, t)) in tensors.iter_mut().enumerate() {
        let mut uniforms = Uniforms::keyed(seed, 1000 + i as u64);
        let rows = t.data.len() / t.columns();
        let scale = if name == CODES || rows == 1 { 0.4 } else { 1.2 / (rows as f32).sqrt() };
        t.data.iter_mut().for_each(|v| *v = uniforms.normal() * scale);
    }
    tensors
}

/// An image's pixels: symbols, or vectors of so many values.
#[derive(Clone)]
struct Pixels {
    symbols: Vec<Symbol>,
    dims: usize,
    rows: Vec<f32>,
}

impl Pixels {
    fn random(config: &Config, seed: u64) -> Self {
        let (mut uniforms, n) = (Uniforms::new(seed), config.grid().len());
        let (classes, dims) = (config.likelihood.classes(), config.likelihood.dims());
        let is_level = matches!(config.likelihood, LikelihoodConfig::LogisticMixture(_));
        let symbols =
            (0..if dims == 0 { n } else { 0 }).map(|_| uniforms.below(classes as u64) as Symbol).collect();
        let value = |_| if is_level { uniforms.below(256) as f32 } else { uniforms.normal() };
        Self { symbols, dims, rows: (0..n * dims).map(value).collect() }
    }

    fn values(&self) -> Values<'_> {
        match self.dims {
            0 => Values::Symbols(&self.symbols),
            dims => Values::Vectors { dims, rows: &self.rows },
        }
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_instruction_set_gives_the_same_image() {
    for config in grid() {
        let tensors = random_tensors(&config, 3);
        let pixels = Pixels::random(&config, 4);
        let plain = VqVae::pack(&config, &tensors, Isa::PLAIN).unwrap();
        let (latents, codes) = (plain.latents(pixels.values()), plain.encode(pixels.values()));
        assert_eq!(codes, plain.quantise(&latents));
        assert_eq!(codes.len(), config.code_grid().len());
        for isa in Isa::available() {
            let model = VqVae::pack(&config, &tensors, isa).unwrap();
            let d = largest_difference(&model.latents(pixels.values()), &latents);
            assert!(d < 1e-4, "{} latents differ by {d} for {config:?}", isa.name());
            assert_eq!(
                model.quantise(&latents),
                codes,
                "{}: the same vectors have the same codes",
                isa.name()
            );
            let d = largest_difference(&model.decode(&codes), &plain.decode(&codes));
            assert!(d < 1e-4, "{} parameters differ by {d} for {config:?}", isa.name());
        }
    }
}

/// The code of each vector is the nearest, by the definition; the first one of two that are the same.
#[test]
fn codes_are_the_nearest() {
    let config = &grid()[0];
    let mut tensors = random_tensors(config, 8);
    let dim = config.code_dim;
    let codes = &mut tensors.get_mut(CODES).unwrap().data;
    let twin = codes[3 * dim..4 * dim].to_vec();
    codes[30 * dim..31 * dim].copy_from_slice(&twin);
    let table = codes.clone();
    let model = VqVae::pack(config, &tensors, Isa::detect()).unwrap();
    let mut uniforms = Uniforms::new(1);
    let mut latents: Vec<f32> = (0..200 * dim).map(|_| uniforms.normal()).collect();
    latents.extend(&twin);
    let found = model.quantise(&latents);
    let distance = |z: &[f32], k: usize| -> f64 {
        z.iter().zip(&table[k * dim..]).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    };
    for (z, &k) in latents.chunks(dim).zip(&found) {
        let best = (0..config.codes).map(|k| distance(z, k)).fold(f64::MAX, f64::min);
        assert!(distance(z, usize::from(k)) <= best + 1e-5);
    }
    assert_eq!(found.last(), Some(&3));
}

/// What PyTorch computed (`golden/vq_vae.py`), which also wrote the checkpoint from the description of the format alone.
#[test]
fn codes_parameters_and_nats_are_the_independent_ones() {
    let golden = Golden::open("vq_vae");
    let file = Checkpoint::read(&golden_path("vq_vae")).unwrap();
    let config = Config::from_header(&file.header).unwrap().expect("a VQ-VAE");
    let n = config.grid().len();
    let symbols = golden.symbols();
    for isa in Isa::available() {
        let model = VqVae::pack(&config, &file.tensors, isa).unwrap();
        let (mut latents, mut codes, mut parameters, mut nats) = (vec![], vec![], vec![], vec![]);
        for image in symbols.chunks(n) {
            let pixels = Values::Symbols(image);
            let own = model.encode(pixels);
            latents.extend(model.latents(pixels));
            parameters.extend(model.decode(&own));
            nats.extend(model.nats(&own, pixels));
            codes.extend(own.into_iter().map(f32::from));
        }
        assert_eq!(codes, golden.read("codes"), "{}", isa.name());
        for (name, found) in [("latents", &latents), ("parameters", &parameters), ("nats", &nats)] {
            let d = largest_difference(found, &golden.read(name));
            assert!(d < 5e-5, "{} {name} differ by {d}", isa.name());
        }
    }
}

fn prior(coder: &Config, classes: usize) -> Checkpoint {
    let cell = char_rnn::Cell::Gru;
    let config = char_rnn::Config {
        classes,
        start: 0,
        cell,
        hidden: 4,
        layers: 1,
        likelihood: None,
        order: Default::default(),
        condition: None,
    };
    let config: FamilyConfig = config.into();
    let layout = config.layout();
    let mut header = config.to_header().unwrap();
    header.sections.insert("vq_vae".into(), serde_json::to_value(coder).unwrap());
    let mut tensors = layout.tensors(&layout.init(1));
    tensors.extend(prefixed(random_tensors(coder, 1)));
    Checkpoint { header, tensors }
}

#[test]
fn a_model_of_codes_holds_its_vq_vae() {
    let coder = &grid()[0];
    let file = prior(coder, coder.codes);
    let model = Loaded::from_checkpoint(file.clone(), Isa::detect()).unwrap();
    let pixels = Pixels::random(coder, 1);
    let own = VqVae::pack(coder, &random_tensors(coder, 1), Isa::detect()).unwrap();
    let held = model.vq_vae.as_ref().expect("the VQ-VAE");
    assert_eq!(held.encode(pixels.values()), own.encode(pixels.values()));
    assert!(model.memory.weights > coder.bytes());

    let mut small = file.clone();
    quantise(&mut small, Dtype::F16).unwrap();
    assert_eq!(small.tensors[&format!("{PREFIX}encoder.out.weight")].stored.dtype(), Dtype::F16);
    Loaded::from_checkpoint(small, Isa::detect()).unwrap();

    let refused = |change: &dyn Fn(&mut Checkpoint), wanted: &str| {
        let mut file = file.clone();
        change(&mut file);
        let message = Loaded::from_checkpoint(file, Isa::detect()).err().expect("refused").to_string();
        assert!(message.contains(wanted), "{message}, wanted {wanted}");
    };
    refused(&|f| drop(f.tensors.remove("vq_vae.codes")), "tensor vq_vae.codes is missing, wanted [37, 5]");
    refused(&|f| drop(f.header.sections.remove("vq_vae")), "tensor vq_vae.codes is not one of this model's");
    let own = |name: &str| random_tensors(coder, 1)[name].clone();
    refused(
        &|f| drop(f.tensors.insert("vq_vae.more".into(), own(CODES))),
        "vq_vae.more is not one of this model's",
    );
    refused(&|f| *f = prior(coder, 38), "38 symbols, its VQ-VAE has 37 codes");
    for (key, value, wanted) in [
        ("height", 6i64, "height is 6, wanted a multiple of 4"),
        ("codes", 1, "codes is 1"),
        ("channels", 1 << 40, "channels is 1099511627776, wanted a number from 1 to 1024"),
        ("extra", 1, "unknown field `extra`"),
    ] {
        refused(&|f| f.header.sections["vq_vae"][key] = value.into(), wanted);
    }
    // Sizes that no memory holds are refused before any of it is taken.
    let large = |f: &mut Checkpoint| {
        for (key, value) in [("height", 4096), ("width", 4096), ("channels", 1024)] {
            f.header.sections["vq_vae"][key] = value.into();
        }
    };
    refused(&large, "of memory");

    // Its own checkpoint is no model that draws.
    let file = Checkpoint { header: coder.to_header().unwrap(), tensors: random_tensors(coder, 1) };
    let message = Loaded::from_checkpoint(file.clone(), Isa::detect()).err().unwrap().to_string();
    assert!(message.contains("a model of its codes draws"), "{message}");
    let mut small = file;
    quantise(&mut small, Dtype::F16).unwrap();
    let message = quantise(&mut small, Dtype::I8).unwrap_err().to_string();
    assert!(message.contains("`vq_vae` keeps its weights as f16"), "{message}");
}

#[test]
fn pixels_count_the_same_whatever_stands_before() {
    let config = &grid()[4];
    let model = VqVae::pack(config, &random_tensors(config, 2), Isa::detect()).unwrap();
    let pixels = Pixels::random(config, 3);
    let codes = model.encode(pixels.values());
    let (parameters, of) = (model.decode(&codes), config.likelihood.get());
    let nats = model.nats(&codes, pixels.values());
    for (n, row) in parameters.chunks(of.params()).enumerate() {
        assert_eq!(nats[n], of.nll(row, pixels.values().get(n)));
    }
    let mut seen = BTreeMap::new();
    let mut n = 0;
    model.likeliest(&codes, |x| {
        seen.insert(n, x.vector().to_vec());
        n += 1;
    });
    assert_eq!(seen.len(), config.grid().len());
    assert!(seen.values().all(|v| v.len() == 3 && v.iter().all(|x| (0.0..=255.0).contains(x))));
}
