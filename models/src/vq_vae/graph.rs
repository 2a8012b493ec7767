//! Encoder and decoder on candle, by products of two dimensions alone, and the loss differentiated by candle.

use super::engine::write_pixels;
use super::layers::{Layer, Reads, nearest};
use super::{CODES, Config, Learner, check_images};
use crate::graph::{DeviceTensors, GraphError, Variables, on_device, scalar};
use crate::kernels::transpose::transposed;
use crate::likelihood::Values;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::{Layout, Tensors};
use candle_core::{DType, Device, Result, Tensor};

/// Encoder and decoder.
pub struct VqVaeGraph<'a> {
    config: &'a Config,
    tensors: DeviceTensors,
    device: &'a Device,
}

impl<'a> VqVaeGraph<'a> {
    /// The graph of `tensors` on `device`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`], or a device out of memory.
    pub fn new(
        config: &'a Config,
        tensors: &Tensors,
        device: &'a Device,
    ) -> std::result::Result<Self, GraphError> {
        Ok(Self { config, tensors: on_device(tensors, &config.table(), device)?, device })
    }

    /// z [B · S, D] of the pixels of B images, row by row each.
    ///
    /// # Errors
    /// A device out of memory.
    ///
    /// # Panics
    /// As [`VqVae::latents`](super::VqVae::latents).
    pub fn latents<'v>(&self, images: impl Iterator<Item = Values<'v>>) -> Result<Tensor> {
        let (mut all, mut image, mut count) = (Vec::new(), Vec::new(), 0);
        for pixels in images {
            write_pixels(self.config, pixels, &mut image);
            all.extend_from_slice(&image);
            count += 1;
        }
        let rows = count * self.config.grid().len();
        let width = all.len() / rows.max(1);
        let input = Tensor::from_vec(all, (rows, width), self.device)?;
        self.through(&self.config.encoder(), input, count)
    }

    /// The parameters [B · N, P] of the pixels' likelihood for vectors [B · S, D].
    ///
    /// # Errors
    /// A device out of memory.
    pub fn decode(&self, vectors: &Tensor) -> Result<Tensor> {
        let count = vectors.dim(0)? / self.config.code_grid().len();
        self.through(&self.config.decoder(), vectors.clone(), count)
    }

    /// The numbers of the code vectors nearest to `latents`.
    ///
    /// # Errors
    /// A device that fails.
    pub fn quantise(&self, latents: &Tensor) -> Result<Vec<u32>> {
        let (dim, codes) = (self.config.code_dim, self.config.codes);
        let turned = transposed(&self.tensors[CODES].flatten_all()?.to_vec1::<f32>()?, dim);
        let latents = latents.flatten_all()?.to_vec1::<f32>()?;
        let mut distances = vec![0.0; codes];
        Ok(latents.chunks_exact(dim).map(|z| nearest(z, &turned, codes, &mut distances) as u32).collect())
    }

    /// The code vectors [n, D] of these numbers.
    ///
    /// # Errors
    /// A device that fails.
    pub fn vectors(&self, codes: &[u32]) -> Result<Tensor> {
        self.tensors[CODES].index_select(&Tensor::from_slice(codes, codes.len(), self.device)?, 0)
    }

    fn through(&self, layers: &[Layer], input: Tensor, images: usize) -> Result<Tensor> {
        let mut values = vec![input];
        for (i, layer) in layers.iter().enumerate() {
            let mut out = self.layer(layer, &values[i], images)?;
            if layer.adds {
                out = (out + &values[i - 1])?;
            }
            values.push(out);
        }
        Ok(values.swap_remove(layers.len()))
    }

    /// The output of `layer` for its input of `images` images.
    fn layer(&self, layer: &Layer, input: &Tensor, images: usize) -> Result<Tensor> {
        let (weight, bias) = (&self.tensors[&layer.weight()], &self.tensors[&layer.bias()]);
        let (positions, from, taps) = (layer.to.len(), layer.from.len(), layer.taps());
        let rows = images * positions;
        let product = match layer.reads {
            Reads::Symbols => {
                let symbols = input.flatten_all()?.to_vec1::<f32>()?;
                let nothing = layer.rows() as u32;
                let mut picked = vec![nothing; rows * taps];
                for image in 0..images {
                    layer.neighbours(|position, tap, at| {
                        let symbol = symbols[image * from + at] as u32;
                        picked[(image * positions + position) * taps + tap] =
                            tap as u32 * layer.inputs as u32 + symbol;
                    });
                }
                pick(weight, picked, self.device)?.reshape((rows, taps, layer.outputs))?.sum(1)?
            }
            reads => {
                let input = if reads == Reads::Rectified { input.relu()? } else { input.clone() };
                let nothing = (images * from) as u32;
                let mut picked = vec![nothing; rows * taps];
                for image in 0..images {
                    layer.neighbours(|position, tap, at| {
                        picked[(image * positions + position) * taps + tap] = (image * from + at) as u32;
                    });
                }
                pick(&input, picked, self.device)?.reshape((rows, layer.rows()))?.matmul(weight)?
            }
        };
        let product = product.broadcast_add(bias)?;
        if !layer.shuffles {
            return Ok(product);
        }
        let c = layer.channels();
        product
            .reshape(vec![images, layer.to.height, layer.to.width, 2, 2, c])?
            .permute(vec![0, 1, 3, 2, 4, 5])?
            .contiguous()?
            .reshape((4 * rows, c))
    }
}

/// The rows `picked` of `x`, the one behind its last being zeros.
fn pick(x: &Tensor, picked: Vec<u32>, device: &Device) -> Result<Tensor> {
    let zeros = Tensor::zeros((1, x.dim(1)?), DType::F32, device)?;
    let n = picked.len();
    Tensor::cat(&[x, &zeros], 0)?.index_select(&Tensor::from_vec(picked, n, device)?, 0)
}

/// The loss by the graph.
pub struct GraphLoss {
    learner: Learner,
    layout: Layout,
    device: Device,
}

impl GraphLoss {
    /// The loss of `learner` on `device`.
    pub fn new(learner: Learner, device: Device) -> Self {
        Self { layout: learner.config.layout(), learner, device }
    }

    /// −ln p of every pixel [B · N] by parameters [B · N, P].
    fn nats(&self, parameters: &Tensor, batch: &[Window]) -> Result<Tensor> {
        let likelihood = &self.learner.config.likelihood;
        let rows = parameters.dim(0)?;
        let targets = match likelihood.dims() {
            0 => {
                let symbols: Vec<u32> =
                    batch.iter().flat_map(|w| &w.targets).map(|&x| u32::from(x)).collect();
                Tensor::from_vec(symbols, (1, rows), &self.device)?
            }
            dims => {
                let values: Vec<f32> = batch.iter().flat_map(|w| &w.vectors.targets).copied().collect();
                Tensor::from_vec(values, (1, rows, dims), &self.device)?
            }
        };
        likelihood.get().graph_loss(&parameters.unsqueeze(0)?, &targets)
    }
}

impl Objective for GraphLoss {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        _: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> std::result::Result<f64, ObjectiveError> {
        let config = &self.learner.config;
        check_images(config, batch)?;
        let vars = Variables::new(&self.layout, params, &self.device)?;
        let graph = VqVaeGraph { config, tensors: vars.tensors(), device: &self.device };
        let latents = graph.latents(batch.iter().map(Window::input_values))?;
        let codes = graph.vectors(&graph.quantise(&latents)?)?;
        // The code vectors' values, and the gradient of the encoder's.
        let straight = (&latents + (&codes - &latents)?.detach())?;
        let nats = self.nats(&graph.decode(&straight)?, batch)?;
        let scale = 1.0 / (batch.len() * config.grid().len()) as f64;
        let nats = (nats.sum_all()? * scale)?;
        if let Some(grads) = grads {
            let square = |a: &Tensor, b: &Tensor| (a - b)?.sqr()?.sum_all();
            let (pulled, held) = (square(&codes, &latents.detach())?, square(&latents, &codes.detach())?);
            let terms = ((pulled + (held * self.learner.commitment)?)? * scale)?;
            vars.gradient(&(&nats + terms)?, &self.layout, grads)?;
        }
        scalar(&nats)
    }

    fn peak_bytes(&self, windows: usize, _: usize, _: usize) -> usize {
        let config = &self.learner.config;
        let (encoder, decoder) = (config.encoder(), config.decoder());
        let all = || encoder.iter().chain(&decoder);
        // Every result stays until the way back, and that makes as many again; what is gathered twice.
        let values: u64 = all().map(|l| 6 * l.values() + 4 * l.scratch()).sum();
        let picked = encoder.iter().map(|l| (l.to.len() * l.taps() * l.outputs) as u64).next().unwrap_or(0);
        4 * (windows as u64 * (values + 3 * picked)) as usize + 8 * self.layout.len()
    }
}
