//! Images to codes, and codes to the parameters of pixels.

use super::layers::{Chain, Layer, LayerWeights, nearest};
use super::{CODES, Config};
use crate::ar::{Sampling, Symbol};
use crate::kernels::aligned::Aligned;
use crate::kernels::{Isa, Kernel, Simd};
use crate::likelihood::{Input, Value, Values};
use crate::weights::{Tensors, WeightsError, check};

/// A VQ-VAE, packed.
#[derive(Clone)]
pub struct VqVae {
    config: Config,
    isa: Isa,
    encoder: Stack,
    decoder: Stack,
    /// [K, D].
    codes: Vec<f32>,
    /// [D, K], in rows of whole vectors.
    turned: Aligned,
    columns: usize,
}

/// Layers with their weights.
#[derive(Clone)]
struct Stack {
    layers: Vec<Layer>,
    /// Matrix and bias of each, in rows of whole vectors.
    weights: Vec<(Aligned, Aligned)>,
}

impl Stack {
    fn pack(layers: Vec<Layer>, tensors: &Tensors, lanes: usize) -> Self {
        let weights = layers
            .iter()
            .map(|l| {
                let rows = |name: &str| {
                    Aligned::rows(&tensors[name].data, l.outputs, l.outputs.next_multiple_of(lanes))
                };
                (rows(&l.weight()), rows(&l.bias()))
            })
            .collect();
        Self { layers, weights }
    }

    #[inline(always)]
    fn forward<S: Simd>(&self, s: S, chain: &mut Chain) {
        chain.forward(s, &self.layers, |i| {
            let (weight, bias) = &self.weights[i];
            LayerWeights { weight, bias }
        });
    }
}

impl VqVae {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn pack(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let lanes = isa.lanes();
        let codes = tensors[CODES].data.clone();
        let columns = config.codes.next_multiple_of(lanes);
        let mut turned = Aligned::zeros(config.code_dim * columns);
        for (k, e) in codes.chunks_exact(config.code_dim).enumerate() {
            e.iter().enumerate().for_each(|(d, &v)| turned[d * columns + k] = v);
        }
        Ok(Self {
            encoder: Stack::pack(config.encoder(), tensors, lanes),
            decoder: Stack::pack(config.decoder(), tensors, lanes),
            config: config.clone(),
            isa,
            codes,
            turned,
            columns,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// z [S, D] of an image's pixels, row by row.
    ///
    /// # Panics
    /// When they are not as many as the image has, or not of the likelihood's domain.
    pub fn latents(&self, pixels: Values) -> Vec<f32> {
        let mut chain = Chain::default();
        write_pixels(&self.config, pixels, chain.input(&self.encoder.layers));
        self.isa.run(Forward { stack: &self.encoder, chain: &mut chain });
        chain.output().to_vec()
    }

    /// The codes `[S]` of vectors [S, D].
    pub fn quantise(&self, latents: &[f32]) -> Vec<Symbol> {
        self.isa.run(Quantise { model: self, latents })
    }

    /// The codes `[S]` of an image's pixels, row by row.
    ///
    /// # Panics
    /// As [`VqVae::latents`].
    pub fn encode(&self, pixels: Values) -> Vec<Symbol> {
        self.quantise(&self.latents(pixels))
    }

    /// The parameters [N, P] of the pixels' likelihood, row by row, for an image's codes.
    ///
    /// # Panics
    /// When they are not S, or one of them is not below K.
    pub fn decode(&self, codes: &[Symbol]) -> Vec<f32> {
        let dim = self.config.code_dim;
        assert_eq!(codes.len(), self.config.code_grid().len(), "the codes of an image");
        let vectors: Vec<f32> =
            codes.iter().flat_map(|&k| &self.codes[usize::from(k) * dim..][..dim]).copied().collect();
        self.decode_vectors(&vectors)
    }

    /// The same for vectors [S, D] in place of the codes' own.
    ///
    /// # Panics
    /// When they are not S · D numbers.
    pub fn decode_vectors(&self, vectors: &[f32]) -> Vec<f32> {
        assert_eq!(
            vectors.len(),
            self.config.code_grid().len() * self.config.code_dim,
            "the vectors of an image"
        );
        let mut chain = Chain::default();
        let input = chain.input(&self.decoder.layers);
        input.clear();
        input.extend_from_slice(vectors);
        self.isa.run(Forward { stack: &self.decoder, chain: &mut chain });
        chain.output().to_vec()
    }

    /// −ln p(x_n | codes) in nats for every pixel n of an image.
    ///
    /// # Panics
    /// As [`VqVae::encode`] and [`VqVae::decode`].
    pub fn nats(&self, codes: &[Symbol], pixels: Values) -> Vec<f32> {
        let (parameters, likelihood) = (self.decode(codes), self.config.likelihood.get());
        let rows = parameters.chunks_exact(likelihood.params());
        rows.enumerate().map(|(n, row)| likelihood.nll(row, pixels.get(n))).collect()
    }

    /// The likeliest value of every pixel for an image's codes, as a draw at temperature 0 is: `each` gets them row by row.
    ///
    /// # Panics
    /// As [`VqVae::decode`].
    pub fn likeliest(&self, codes: &[Symbol], mut each: impl FnMut(Value)) {
        let (parameters, likelihood) = (self.decode(codes), self.config.likelihood);
        let sampling = Sampling { temperature: 0.0, ..Default::default() };
        let (mut sampler, of) = (likelihood.sampler(sampling), likelihood.get());
        let (uniforms, mut out) = (vec![0.5; of.uniforms()], vec![0.0; likelihood.dims()]);
        for row in parameters.chunks_exact(of.params()) {
            each(of.draw(row, &mut sampler, &uniforms, &mut out));
        }
    }
}

/// What the encoder's first layer reads of an image's pixels: symbols by their number, or the numbers that they enter as.
///
/// # Panics
/// When they are not as many as the image has.
pub(super) fn write_pixels(config: &Config, pixels: Values, to: &mut Vec<f32>) {
    let (n, input) = (config.grid().len(), config.likelihood.input());
    assert_eq!(pixels.len(), n, "the pixels of an image");
    to.clear();
    match input {
        Input::Table { .. } => to.extend((0..n).map(|i| f32::from(pixels.get(i).symbol()))),
        Input::Numbers { count, .. } => {
            to.resize(n * count, 0.0);
            to.chunks_exact_mut(count).enumerate().for_each(|(i, to)| input.write(pixels.get(i), to));
        }
    }
}

struct Forward<'a> {
    stack: &'a Stack,
    chain: &'a mut Chain,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.stack.forward(s, self.chain);
    }
}

struct Quantise<'a> {
    model: &'a VqVae,
    latents: &'a [f32],
}

impl Kernel for Quantise<'_> {
    type Output = Vec<Symbol>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Vec<Symbol> {
        let Self { model, latents } = self;
        let (dim, codes) = (model.config.code_dim, model.config.codes);
        let mut distances = vec![0.0; model.columns];
        let all = latents.chunks_exact(dim);
        all.map(|z| nearest(z, &model.turned, codes, &mut distances) as Symbol).collect()
    }
}
