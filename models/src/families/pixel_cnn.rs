//! Gated PixelCNN: van den Oord et al. 2016, arXiv:1606.05328, for any order of the pixels, with the masks that the order
//! implies as in Jain et al. 2020, arXiv:2006.12486 (LMConv).
//!
//! All rows stand in the order of the steps t, which is cut into [lines](geometry::Geometry::lines): runs of steps along one
//! straight direction, the rows of a raster. A tap (dy, dx) of a kernel reads, at step t, the step u that fills the pixel
//! (dy, dx) away from t's, where that is inside the image and u is allowed, else zeros:
//!
//! ```text
//!                     vertical stack                          horizontal stack
//! first layer         u in an earlier line                    u in the same line, u < t
//! the others          u in an earlier line or the same one    u in the same line, u ≤ t
//! ```
//!
//! With x_t the pixel that step t fills, c the class, C channels, layers l = 0 … L−1, `*` the sum over the taps that are
//! there, each with a matrix of its own that all steps share:
//!
//! ```text
//! v_0[t] = h_0[t] = E[x_t]                                  or x_t E + b for numbers
//! a_l = v_l * W_l + b_l + A_l[c]                            [2C] the vertical stack before its gate
//! v_{l+1} = tanh(a_l[..C]) · σ(a_l[C..])  (+ v_l, for l > 0)
//! z_l = h_l * U_l + a_l V_l + d_l + B_l[c]                  [2C] the horizontal stack
//! h_{l+1} = (tanh(z_l[..C]) · σ(z_l[C..])) R_l + r_l  (+ h_l, for l > 0)
//! p(x_t | x_<t, c) = softmax(relu(relu(h_L[t]) P + p) Q + q)   or the parameters of another likelihood
//! ```
//!
//! Without a class the rows of A and B are zeros. The vertical features of a line see lines before it, as far as the kernels
//! reach, and no pixel of the line itself, so they are known when it begins; the horizontal ones add the line's own past.
//! Nothing of the future is read. Where lines lie side by side, as in a raster, there is no blind spot before t either; where
//! a line meets another one's end, as at a spiral's corners, and in a random order, t sees of what is far from it what the
//! features of the pixels between have seen. The paper has no sum with v_l in the vertical stack; with it the gradient reaches
//! the lower layers.

use crate::config::{ConfigError, is_zero, range};
use crate::likelihood::{Input, LikelihoodConfig};
use crate::order::{Grid, Order};
use crate::weights::{Dtype, Init, TensorSpec};
use geometry::{Geometry, Stack};
use serde::{Deserialize, Serialize};

mod family;
#[cfg(feature = "train")]
pub mod fused;
mod gather;
pub mod geometry;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
pub mod step;

pub use family::Keys;
pub use step::PixelCnn;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}; no pixel reads it.
    pub start: u16,
    /// Height and width of an image.
    pub grid: Grid,
    /// Which pixel each step fills.
    pub order: Order,
    /// Class labels; 0, which a file leaves out, without a condition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub labels: usize,
    /// L.
    pub layers: usize,
    /// C.
    pub channels: usize,
    /// Width of an embedded pixel.
    pub embedding: usize,
    /// Height and width of the first layer's kernels.
    pub first_kernel: usize,
    /// Height and width of the other layers' kernels.
    pub kernel: usize,
    /// Channels between the head's two products.
    pub head_channels: usize,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
}

impl Config {
    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("grid.height", self.grid.height, 1, 1024, "a number from 1 to 1024")?;
        range("grid.width", self.grid.width, 1, 1024, "a number from 1 to 1024")?;
        range("grid", self.grid.len(), 1, 1 << 16, "at most 65536 pixels")?;
        range("labels", self.labels, 0, 1 << 16, "a number up to 65536")?;
        range("layers", self.layers, 1, 64, "a number from 1 to 64")?;
        range("channels", self.channels, 1, 1024, "a number from 1 to 1024")?;
        range("embedding", self.embedding, 1, 1024, "a number from 1 to 1024")?;
        range("head_channels", self.head_channels, 1, 4096, "a number from 1 to 4096")?;
        for (field, kernel) in [("first_kernel", self.first_kernel), ("kernel", self.kernel)] {
            let want = "an odd number from 3 to 15";
            range(field, kernel, 3, 15, want)?;
            if kernel.is_multiple_of(2) {
                return Err(ConfigError { field, found: kernel.to_string(), want: want.into() });
            }
        }
        self.order.validate()?;
        match &self.order {
            Order::Sites(s) if s.sites.len() == self.grid.len() && s.groups.is_empty() => Ok(()),
            order => Err(ConfigError {
                field: "order",
                found: order.len().map_or("time".into(), |n| format!("of {n} pixels")),
                want: format!("one of the grid's {} pixels without groups", self.grid.len()).into(),
            }),
        }
    }

    /// What of the image each step reads.
    pub fn geometry(&self) -> Geometry {
        Geometry::new(self.grid, &self.order, self.first_kernel, self.kernel)
    }

    /// Width of what layer `l` reads at a tap.
    pub fn inputs(&self, l: usize) -> usize {
        if l == 0 { self.embedding } else { self.channels }
    }

    /// Multiply-adds for one pixel.
    pub fn macs_per_pixel(&self) -> usize {
        let (c, geometry) = (self.channels, self.geometry());
        let taps = |l| Stack::BOTH.map(|stack| geometry.taps(stack, l).len()).iter().sum::<usize>();
        let layer = |l| taps(l) * self.inputs(l) * 2 * c + 5 * c * c;
        let layers: usize = (0..self.layers).map(layer).sum();
        layers + self.head_channels * (c + self.likelihood().params())
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (c, geometry, likelihood) = (self.channels, self.geometry(), self.likelihood());
        let (input, params) = (likelihood.input(), likelihood.params());
        let mut table = Vec::new();
        let mut add = |name: String, shape: &[usize], init| {
            // Tables of rows can be stored as f16, products as i8; biases are few.
            let smallest_dtype = match shape {
                [_] => Dtype::F32,
                _ if name == names::EMBED || names::is_class(&name) => Dtype::F16,
                _ => Dtype::I8,
            };
            let between_layers = smallest_dtype == Dtype::I8 && name != names::head(1);
            let spec = TensorSpec::new(name, shape, init).smallest_dtype(smallest_dtype);
            table.push(match smallest_dtype {
                Dtype::F16 => spec.undecayed(),
                _ if between_layers => spec.inner(),
                _ => spec,
            });
        };
        add(names::EMBED.into(), &[input.rows(), self.embedding], Init::Normal(1.0));
        if matches!(input, Input::Numbers { .. }) {
            add(names::EMBED_BIAS.into(), &[self.embedding], Init::Normal(1.0));
        }
        for l in 0..self.layers {
            for stack in Stack::BOTH {
                let inputs = geometry.taps(stack, l).len() * self.inputs(l);
                if inputs > 0 {
                    add(names::weight(l, stack), &[inputs, 2 * c], Init::fan_in(inputs, 1.0));
                }
                add(names::bias(l, stack), &[2 * c], Init::Zeros);
                if self.labels > 0 {
                    add(names::class(l, stack), &[self.labels, 2 * c], Init::Normal(0.1));
                }
            }
            add(names::between(l), &[2 * c, 2 * c], Init::fan_in(2 * c, 1.0));
            add(names::residual(l), &[c, c], Init::fan_in(c, 1.0));
            add(names::residual_bias(l), &[c], Init::Zeros);
        }
        add(names::head(0), &[c, self.head_channels], Init::fan_in(c, 1.0));
        add(names::head_bias(0), &[self.head_channels], Init::Zeros);
        // Small first outputs: training starts near the uniform distribution.
        add(names::head(1), &[self.head_channels, params], Init::fan_in(self.head_channels, 0.1));
        add(names::head_bias(1), &[params], Init::Zeros);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Scan;

    fn small(scan: Scan, height: usize, width: usize) -> Config {
        let grid = Grid { height, width };
        Config {
            classes: 2,
            start: 0,
            grid,
            order: scan.order(grid, 3),
            labels: 0,
            layers: 2,
            channels: 8,
            embedding: 2,
            first_kernel: 7,
            kernel: 3,
            head_channels: 9,
            likelihood: None,
        }
    }

    #[test]
    fn taps_that_no_step_reads_have_no_weights() {
        let shape = |scan, height, width, name: String| {
            small(scan, height, width).table().into_iter().find(|s| s.name == name).map(|s| s.shape[0])
        };
        let [vertical, horizontal] = Stack::BOTH;
        assert_eq!(shape(Scan::Raster, 9, 9, names::weight(0, vertical)), Some(21 * 2));
        assert_eq!(shape(Scan::Raster, 9, 9, names::weight(0, horizontal)), Some(3 * 2));
        assert_eq!(shape(Scan::Raster, 9, 9, names::weight(1, vertical)), Some(6 * 8));
        assert_eq!(shape(Scan::Raster, 9, 9, names::weight(1, horizontal)), Some(2 * 8));
        assert_eq!(shape(Scan::Random, 9, 9, names::weight(0, vertical)), Some(48 * 2));
        assert_eq!(shape(Scan::Random, 9, 9, names::weight(0, horizontal)), None);
        assert_eq!(shape(Scan::Random, 9, 9, names::weight(1, horizontal)), Some(8));
        assert_eq!(shape(Scan::Raster, 1, 9, names::weight(0, vertical)), None);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let good = small(Scan::Spiral, 5, 4);
        assert_eq!(good.validate(), Ok(()));
        let refused = |change: fn(&mut Config), words: &str| {
            let mut c = good.clone();
            change(&mut c);
            assert_eq!(c.validate().unwrap_err().to_string(), words);
        };
        refused(|c| c.channels = 0, "config: channels is 0, wanted a number from 1 to 1024");
        refused(|c| c.kernel = 4, "config: kernel is 4, wanted an odd number from 3 to 15");
        refused(
            |c| c.grid.height = 1 << 40,
            "config: grid.height is 1099511627776, wanted a number from 1 to 1024",
        );
        refused(
            |c| c.grid.width = 5,
            "config: order is of 20 pixels, wanted one of the grid's 25 pixels without groups",
        );
        refused(
            |c| c.order = Order::Time,
            "config: order is time, wanted one of the grid's 20 pixels without groups",
        );
    }
}
