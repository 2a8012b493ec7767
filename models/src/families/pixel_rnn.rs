//! PixelRNN: van den Oord et al. 2016, "Pixel recurrent neural networks", arXiv:1601.06759: the row LSTM and the diagonal
//! BiLSTM.
//!
//! With D = 2H, (y, x) the place of a pixel in the raster that the order is, and everything beyond the edges zero:
//!
//! ```text
//! r_0[y, x] = b + e + Σ_(dy, dx) (the value at (y + dy, x + dx) enters by W_(dy, dx))     mask A, 7 × 7: 24 places
//! for l = 0 … L−1:
//!   row       z = c + r_l[y, x−1] W_0 + r_l[y, x] W_1 + h[y−1, x−1] U_0 + h[y−1, x] U_1 + h[y−1, x+1] U_2
//!             the memory comes from (y−1, x); o[y, x] = h[y, x]
//!   diagonal  left:  z = c + r_l[y, x] W + h[y−1, x] U_0 + h[y, x−1] U_1     the memory comes from (y, x−1)
//!             right: z = c + r_l[y, x] W + h[y−1, x] U_0 + h[y, x+1] U_1     the memory comes from (y, x+1)
//!             o[y, x] = h_left[y, x] + h_right[y−1, x]
//!   (i, f, g, o) = z; memory = σ(f) · memory + σ(i) · tanh(g); h = σ(o) · tanh(memory)
//!   r_l+1 = r_l + o W_o + b_o
//! p(x_t | x_<t): the parameters relu(relu(r_L) V_0 + b_0) V_1 + b_1
//! ```
//!
//! e is the row of the class label (zeros without one). See [`Input`](crate::likelihood::Input) for how a value enters. The right
//! direction of a row has seen all of it, so it is read one row below, as in the paper.
//!
//! **Order.** The recurrences go along rows, so the order is the raster of the grid, perhaps reflected or transposed: the
//! network computes in that raster.

use crate::config::{ConfigError, is_zero, range};
use crate::fixed_length;
use crate::likelihood::LikelihoodConfig;
use crate::order::{Grid, Order};
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};

mod family;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
mod passes;
pub mod step;

pub use family::Keys;
pub use passes::Kind;
pub use step::PixelRnn;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}, which is not read.
    pub start: u16,
    /// Row LSTM or diagonal BiLSTM.
    pub kind: Kind,
    /// H, units of a direction of a layer.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// A, channels between the last two products.
    pub head: usize,
    /// Class labels; 0, which a file leaves out, for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub labels: usize,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
    /// Rows and columns of an image.
    pub grid: Grid,
    /// Which variable each step fills: the raster of the grid, perhaps reflected or transposed.
    pub order: Order,
}

impl Config {
    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// N.
    pub fn steps(&self) -> usize {
        fixed_length::len(&self.order)
    }

    /// D.
    pub fn width(&self) -> usize {
        2 * self.hidden
    }

    /// Steps of a row of the raster that the order is: the grid's columns, or its rows where it is transposed.
    pub fn row_len(&self) -> usize {
        let Grid { height, width } = self.grid;
        let place = |t: usize| self.grid.place(self.order.site(t));
        match width > 1 && height > 1 && place(0).1 == place(1).1 {
            true => height,
            false if width == 1 => height,
            false => width,
        }
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("hidden", self.hidden, 1, 4096, "a number from 1 to 4096")?;
        range("layers", self.layers, 1, 64, "a number from 1 to 64")?;
        range("head", self.head, 1, 1 << 16, "a number from 1 to 65536")?;
        fixed_length::validate_labels(self.labels)?;
        fixed_length::validate_order(&self.order)?;
        let (n, pixels) = (self.steps(), self.grid.height.saturating_mul(self.grid.width));
        range("grid", pixels, n, n, "a grid with as many places as the order has sites")?;
        match self.is_raster() {
            true => Ok(()),
            false => {
                let want = "the raster of the grid, perhaps reflected or transposed, such as raster, column or reverse";
                Err(ConfigError { field: "order", found: "another".into(), want: want.into() })
            }
        }
    }

    /// Whether the order is the raster, perhaps reflected or transposed.
    fn is_raster(&self) -> bool {
        let row = self.row_len();
        let rows = self.steps() / row;
        let place = |t: usize| {
            let (y, x) = self.grid.place(self.order.site(t));
            (y as i64, x as i64)
        };
        let ((y, x), along, down) = (place(0), place(row.min(2) - 1), place(if rows > 1 { row } else { 0 }));
        let (along, down) = ((along.0 - y, along.1 - x), (down.0 - y, down.1 - x));
        let unit = |(a, b): (i64, i64)| a.abs() + b.abs() <= 1;
        unit(along)
            && unit(down)
            && (0..self.steps()).all(|t| {
                let (i, j) = ((t / row) as i64, (t % row) as i64);
                place(t) == (y + i * down.0 + j * along.0, x + i * down.1 + j * along.1)
            })
    }

    /// Multiply-adds for one symbol.
    pub fn macs_per_symbol(&self) -> usize {
        let (h, d, likelihood) = (self.hidden, self.width(), self.likelihood());
        let cell = |p: &passes::Pass| 4 * h * (p.inputs.len() * d + p.recurrent.len() * h);
        let layer = self.kind.passes().iter().map(cell).sum::<usize>() + h * d;
        let input = passes::taps().count() * likelihood.input().numbers().max(1) * d;
        input + self.layers * layer + d * self.head + self.head * likelihood.params()
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (h, d, a, likelihood) = (self.hidden, self.width(), self.head, self.likelihood());
        let (taps, rows, params) = (passes::taps().count(), likelihood.input().rows(), likelihood.params());
        let mut table = Vec::new();
        let fan = taps * likelihood.input().numbers().max(1);
        let input = TensorSpec::new(names::INPUT, &[taps, rows, d], Init::fan_in(fan, 1.0));
        table.push(input.smallest_dtype(Dtype::I8));
        table.push(TensorSpec::new(names::INPUT_BIAS, &[d], Init::Zeros));
        if self.labels > 0 {
            let labels = TensorSpec::new(names::LABELS, &[self.labels, d], Init::Normal(0.3));
            table.push(labels.smallest_dtype(Dtype::F16).undecayed());
        }
        let matrix = |name: String, shape: &[usize], gain| {
            let inputs = shape[..shape.len() - 1].iter().product();
            TensorSpec::new(name, shape, Init::fan_in(inputs, gain)).smallest_dtype(Dtype::I8)
        };
        for l in 0..self.layers {
            for pass in self.kind.passes() {
                let name = |what| names::pass(l, pass.name, what);
                table.push(matrix(name(names::ENTERING), &[pass.inputs.len(), d, 4 * h], 1.0).inner());
                table.push(matrix(name(names::RECURRENT), &[pass.recurrent.len(), h, 4 * h], 0.6).inner());
                // An open forget gate: the memory is kept until training learns what to drop.
                table.push(TensorSpec::new(name(names::BIAS), &[4 * h], Init::Ones(h, 2 * h)));
            }
            let gain = 1.0 / (self.layers as f32).sqrt();
            table.push(matrix(names::output(l), &[h, d], gain).inner());
            table.push(TensorSpec::new(names::output_bias(l), &[d], Init::Zeros));
        }
        table.push(matrix(names::head(0), &[d, a], 1.4));
        table.push(TensorSpec::new(names::head_bias(0), &[a], Init::Zeros));
        // Small first parameters: training starts from the uniform distribution, ln(classes) nats.
        table.push(matrix(names::head(1), &[a, params], 0.1));
        table.push(TensorSpec::new(names::head_bias(1), &[params], Init::Zeros));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::Bernoulli;
    use crate::order::{Scan, Sites};

    fn config(grid: Grid, order: Order) -> Config {
        Config {
            classes: 2,
            start: 0,
            kind: Kind::Row,
            hidden: 16,
            layers: 2,
            head: 32,
            labels: 0,
            likelihood: Some(LikelihoodConfig::Bernoulli(Bernoulli {})),
            grid,
            order,
        }
    }

    /// All eight symmetries of a raster, and none of the other orders.
    #[test]
    fn the_order_is_a_raster() {
        for (height, width) in [(3, 5), (4, 4), (1, 6), (6, 1), (2, 2)] {
            let grid = Grid { height, width };
            for symmetry in 0..8 {
                let (rows, columns) = if symmetry & 4 == 0 { (height, width) } else { (width, height) };
                let site = |t: usize| {
                    let (mut i, mut j) = (t / columns, t % columns);
                    if symmetry & 1 > 0 {
                        i = rows - 1 - i;
                    }
                    if symmetry & 2 > 0 {
                        j = columns - 1 - j;
                    }
                    let (y, x) = if symmetry & 4 == 0 { (i, j) } else { (j, i) };
                    (y * width + x) as u32
                };
                let order =
                    Order::Sites(Sites { sites: (0..height * width).map(site).collect(), groups: vec![] });
                let config = config(grid, order);
                assert_eq!(config.validate(), Ok(()), "{config:?}");
                if height > 1 && width > 1 {
                    assert_eq!(config.row_len(), columns, "{config:?}");
                }
            }
        }
        let grid = Grid { height: 4, width: 5 };
        for scan in [Scan::Serpentine, Scan::Spiral, Scan::Random] {
            let message = config(grid, scan.order(grid, 3)).validate().unwrap_err().to_string();
            assert!(
                message.starts_with("config: order is another, wanted the raster of the grid"),
                "{message}"
            );
        }
        let other =
            Config { grid: Grid { height: 5, width: 5 }, ..config(grid, Scan::Raster.order(grid, 0)) };
        assert!(other.validate().unwrap_err().to_string().starts_with("config: grid is 25"));
    }
}
