//! Where the uniform numbers come from: a seed, or a given list.

use wavesynth_models::ar::Uniforms;

/// One uniform number a sample.
pub enum UniformSource {
    /// The sequence of a seed.
    Seed(Uniforms),
    /// Given numbers, in order.
    Given {
        /// All in [0, 1): see [`UniformSource::given`].
        uniforms: Vec<f32>,
        /// Index of the next one.
        at: usize,
    },
}

/// A given number outside [0, 1).
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("number {at} is {value}, wanted one from 0 up to below 1")]
pub struct NotUniform {
    /// Its index.
    pub at: usize,
    /// Its value.
    pub value: f32,
}

impl UniformSource {
    /// The sequence of `seed`.
    pub fn seed(seed: u64) -> Self {
        Self::Seed(Uniforms::new(seed))
    }

    /// The given numbers.
    ///
    /// # Errors
    /// The first one outside [0, 1), NaN among them.
    pub fn given(uniforms: Vec<f32>) -> Result<Self, NotUniform> {
        match uniforms.iter().position(|c| !(0.0..1.0).contains(c)) {
            Some(at) => Err(NotUniform { at, value: uniforms[at] }),
            None => Ok(Self::Given { uniforms, at: 0 }),
        }
    }

    /// How many there are; `None` for a seed, which never ends.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Seed(_) => None,
            Self::Given { uniforms, .. } => Some(uniforms.len() as u64),
        }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next one; 0 when a list has ended.
    ///
    /// # Real-time
    /// Yes.
    pub fn next_uniform(&mut self) -> f32 {
        match self {
            Self::Seed(uniforms) => uniforms.next_uniform(),
            Self::Given { uniforms, at } => {
                let uniform = uniforms.get(*at).copied().unwrap_or(0.0);
                *at += 1;
                uniform
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_uniform_is_refused() {
        for bad in [1.0, -0.1, f32::NAN, f32::INFINITY] {
            let e = UniformSource::given(vec![0.5, bad]).err().unwrap();
            assert_eq!(e.at, 1);
        }
        let mut c = UniformSource::given(vec![0.25, 0.0]).unwrap();
        assert_eq!(
            (c.len(), c.next_uniform(), c.next_uniform(), c.next_uniform()),
            (Some(2), 0.25, 0.0, 0.0)
        );
    }
}
