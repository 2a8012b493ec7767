//! What a pixel's value is: from levels to the variables of a model, and back.

use super::Image;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;
use wavesynth_models::ar::Symbol;
use wavesynth_models::likelihood::{Gaussian, LikelihoodConfig, LogisticMixture, Value, Values};
use wavesynth_models::order::{Grid, Order};

/// What a pixel's value means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Pixels {
    /// Symbol 1 for a level of 128 or more, 0 for one below.
    Binary,
    /// The level of grey as a symbol.
    Grey,
    /// The levels of red, green and blue as a vector.
    Rgb,
    /// The number of the nearest colour of a palette as a symbol.
    Palette {
        /// Red, green and blue of each.
        colours: Vec<[u8; 3]>,
    },
    /// Levels k as numbers (2k + 1) / 256 − 1.
    Continuous {
        /// 1 for grey, 3 for red, green and blue.
        channels: usize,
    },
}

/// An image's variables, variable by variable or step by step.
#[derive(Debug, Clone, PartialEq)]
pub enum Variables {
    /// A symbol a pixel.
    Symbols(Vec<Symbol>),
    /// A vector a pixel.
    Vectors {
        /// Values of a vector.
        dims: usize,
        /// [N, dims].
        rows: Vec<f32>,
    },
}

impl Variables {
    /// N zeros, vectors of `dims` values where that is not 0.
    pub fn zeros(n: usize, dims: usize) -> Self {
        match dims {
            0 => Self::Symbols(vec![0; n]),
            _ => Self::Vectors { dims, rows: vec![0.0; n * dims] },
        }
    }

    /// N.
    pub fn len(&self) -> usize {
        match self {
            Self::Symbols(x) => x.len(),
            Self::Vectors { dims, rows } => rows.len() / dims,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::Symbols(x) => Values::Symbols(x),
            Self::Vectors { dims, rows } => Values::Vectors { dims: *dims, rows },
        }
    }

    /// Number `i`.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, i: usize) -> Value<'_> {
        match self {
            Self::Symbols(x) => Value::Symbol(x[i]),
            Self::Vectors { dims, rows } => Value::Vector(&rows[i * dims..][..*dims]),
        }
    }

    /// Puts `x` in the place of number `i`.
    ///
    /// # Panics
    /// When there is none, or x is of another kind.
    pub fn set(&mut self, i: usize, x: Value) {
        match self {
            Self::Symbols(all) => all[i] = x.symbol(),
            Self::Vectors { dims, rows } => rows[i * *dims..][..*dims].copy_from_slice(x.vector()),
        }
    }

    /// Number `i` as numbers, a symbol as one.
    ///
    /// # Panics
    /// When there is none.
    pub fn numbers(&self, i: usize) -> Vec<f32> {
        match self.get(i) {
            Value::Symbol(x) => vec![f32::from(x)],
            Value::Vector(x) => x.to_vec(),
        }
    }

    /// Puts what `numbers` mean in the place of number `i`.
    ///
    /// # Panics
    /// When there is none, or they are too few.
    pub fn set_numbers(&mut self, i: usize, numbers: &[f32]) {
        match self {
            Self::Symbols(all) => all[i] = numbers[0] as Symbol,
            Self::Vectors { .. } => self.set(i, Value::Vector(numbers)),
        }
    }

    /// Variables in the order of the steps.
    pub fn to_steps(&self, order: &Order) -> Self {
        let mut steps = self.clone();
        (0..self.len()).for_each(|t| steps.set(t, self.get(order.site(t))));
        steps
    }
}

impl Pixels {
    /// Checks the sizes.
    ///
    /// # Errors
    /// One that means nothing.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Palette { colours } => {
                ensure!((2..=1 << 16).contains(&colours.len()), "a palette of {} colours", colours.len());
            }
            Self::Continuous { channels } => {
                ensure!([1, 3].contains(channels), "{channels} channels, wanted 1 or 3");
            }
            Self::Binary | Self::Grey | Self::Rgb => {}
        }
        Ok(())
    }

    /// Checks that `likelihood` is over such pixels.
    ///
    /// # Errors
    /// It is over something else.
    pub fn check(&self, likelihood: &LikelihoodConfig) -> Result<()> {
        let (found, wanted) = (likelihood.classes(), self.classes());
        ensure!(found == wanted, "{found} symbols, pixels of {} have {wanted}", self.describe());
        let (found, wanted) = (likelihood.dims(), self.dims());
        ensure!(
            found == 0 || found == wanted,
            "vectors of {found} values, pixels of {} have {wanted}",
            self.describe()
        );
        Ok(())
    }

    /// For a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Binary => "black and white".into(),
            Self::Grey => "256 levels of grey".into(),
            Self::Rgb => "256 levels each of red, green and blue".into(),
            Self::Palette { colours } => format!("a palette of {} colours", colours.len()),
            Self::Continuous { channels: 1 } => "grey as a number".into(),
            Self::Continuous { .. } => "red, green and blue as numbers".into(),
        }
    }

    /// Values of a pixel that count as a dimension each.
    pub fn dims(&self) -> usize {
        match self {
            Self::Rgb | Self::Continuous { channels: 3 } => 3,
            _ => 1,
        }
    }

    /// Symbols; 0 where a pixel is a vector.
    pub fn classes(&self) -> usize {
        match self {
            Self::Binary => 2,
            Self::Grey => 256,
            Self::Palette { colours } => colours.len(),
            Self::Rgb | Self::Continuous { .. } => 0,
        }
    }

    /// The likelihood of such pixels, a mixture of `components` where there is a mixture; 0 for a softmax over the levels of
    /// grey, and `None` for a softmax over symbols.
    pub fn likelihood(&self, components: usize) -> Option<LikelihoodConfig> {
        let logistics = |channels| {
            LikelihoodConfig::LogisticMixture(LogisticMixture {
                components: components.max(1),
                channels,
                levels: 256,
            })
        };
        match self {
            Self::Binary => Some(LikelihoodConfig::Bernoulli(Default::default())),
            Self::Grey => (components > 0).then(|| logistics(1)),
            Self::Rgb => Some(logistics(3)),
            Self::Palette { .. } => None,
            Self::Continuous { channels } => Some(match components {
                0 => LikelihoodConfig::Gaussian(Gaussian { dims: *channels }),
                n => LikelihoodConfig::gaussians(n, *channels),
            }),
        }
    }

    /// What turns the density of a continuous pixel into bits of its 256 levels: ln of the levels that a number of width 1
    /// spans, for all its values; 0 where the likelihood is of levels.
    pub fn log_levels(&self) -> f64 {
        match self {
            Self::Continuous { channels } => *channels as f64 * 128f64.ln(),
            _ => 0.0,
        }
    }

    /// Bits of a dimension for so many nats of a pixel.
    pub fn bits_per_dimension(&self, nats: f64) -> f64 {
        (nats + self.log_levels()) / self.dims() as f64 / LN_2
    }

    /// The variables of `image`.
    pub fn encode(&self, image: &Image) -> Variables {
        let symbols =
            |of: &dyn Fn(u8) -> Symbol| Variables::Symbols(image.to_grey().into_iter().map(of).collect());
        match self {
            Self::Binary => symbols(&|k| Symbol::from(k >= 128)),
            Self::Grey => symbols(&Symbol::from),
            Self::Palette { colours } => {
                Variables::Symbols(image.to_rgb().into_iter().map(|c| nearest(colours, c)).collect())
            }
            Self::Rgb => {
                let rows = image.to_rgb().into_iter().flatten().map(f32::from).collect();
                Variables::Vectors { dims: 3, rows }
            }
            Self::Continuous { channels } => {
                let levels = if *channels == 1 { image.to_grey() } else { image.to_rgb().concat() };
                let rows = levels.into_iter().map(|k| (2.0 * f32::from(k) + 1.0) / 256.0 - 1.0).collect();
                Variables::Vectors { dims: *channels, rows }
            }
        }
    }

    /// Red, green and blue of a variable.
    pub fn colour(&self, x: Value) -> [u8; 3] {
        match self {
            Self::Binary => [if x.symbol() == 0 { 0 } else { 255 }; 3],
            Self::Grey => [x.symbol().min(255) as u8; 3],
            Self::Palette { colours } => colours[usize::from(x.symbol()).min(colours.len() - 1)],
            Self::Rgb => [0, 1, 2].map(|c| x.vector()[c].clamp(0.0, 255.0) as u8),
            Self::Continuous { channels } => [0, 1, 2].map(|c| {
                let v = x.vector()[c % channels];
                ((v + 1.0) * 128.0).clamp(0.0, 255.0) as u8
            }),
        }
    }

    /// The image of `variables`, three values a pixel.
    pub fn decode(&self, variables: &Variables, grid: Grid) -> Image {
        let levels = (0..variables.len()).flat_map(|i| self.colour(variables.get(i))).collect();
        Image { grid, channels: 3, levels }
    }
}

/// The colour of `palette` that is nearest to `c` by the sum of squares.
fn nearest(palette: &[[u8; 3]], c: [u8; 3]) -> Symbol {
    let square = |(a, b): (u8, u8)| (i32::from(a) - i32::from(b)).pow(2);
    let distance = |p: &[u8; 3]| p.iter().copied().zip(c).map(square).sum::<i32>();
    palette.iter().enumerate().min_by_key(|(_, p)| distance(p)).map_or(0, |(i, _)| i as Symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_models::order::Scan;

    const GRID: Grid = Grid { height: 2, width: 2 };

    fn image(channels: usize, levels: &[u8]) -> Image {
        Image { grid: GRID, channels, levels: levels.to_vec() }
    }

    fn kinds() -> [Pixels; 6] {
        let palette = Pixels::Palette { colours: vec![[0; 3], [255; 3], [200, 10, 30], [1, 2, 250]] };
        let [one, three] = [1, 3].map(|channels| Pixels::Continuous { channels });
        [Pixels::Binary, Pixels::Grey, Pixels::Rgb, palette, one, three]
    }

    #[test]
    fn images_come_back() {
        let grey = image(1, &[0, 255, 255, 0]);
        for pixels in kinds() {
            let back = pixels.decode(&pixels.encode(&grey), GRID);
            assert_eq!(back.to_grey(), grey.levels, "{pixels:?}");
        }
        let colours = image(3, &[200, 10, 30, 1, 2, 250, 0, 0, 0, 255, 255, 255]);
        for pixels in [&kinds()[2], &kinds()[3], &kinds()[5]] {
            assert_eq!(pixels.decode(&pixels.encode(&colours), GRID), colours, "{pixels:?}");
        }
    }

    #[test]
    fn likelihoods_are_over_what_pixels_are() {
        for pixels in kinds() {
            for components in [0, 1, 5] {
                let likelihood = LikelihoodConfig::of(pixels.likelihood(components), pixels.classes());
                let encoded = pixels.encode(&image(1, &[0, 9, 99, 255]));
                match encoded.get(3) {
                    Value::Symbol(x) => assert!(usize::from(x) < likelihood.classes()),
                    Value::Vector(x) => assert_eq!(x.len(), likelihood.dims()),
                }
                assert_eq!(likelihood.classes(), pixels.classes());
            }
        }
    }

    #[test]
    fn steps_are_in_the_order() {
        let order = Scan::Reverse.order(GRID, 0);
        let encoded = Pixels::Grey.encode(&image(1, &[1, 2, 3, 4]));
        assert_eq!(encoded.to_steps(&order), Variables::Symbols(vec![4, 3, 2, 1]));
    }
}
