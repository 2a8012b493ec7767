//! The network for others' tracks beside that for the speaker's own: as a copy of it, and half-way to it.

use super::frame::{CROSS_SPEAKER, OWN};
use super::{Config, names};
use crate::family::FamilyConfig;
use crate::loaded::ModelError;
use crate::weights::{Checkpoint, Header, Tensor, Tensors, check};

impl Config {
    /// Tensor `name` of the network for others' tracks, so that it says of them what that for own tracks says.
    pub(super) fn cross_speaker_tensor(&self, tensors: &Tensors, name: &str) -> Tensor {
        let mut copy = tensors[&name.replacen(names::OTHERS, names::HIDDEN, 1)].clone();
        if let (Some(c), [_, width]) = (&self.condition, &copy.shape[..])
            && name == names::frame(names::OTHERS, 0)
        {
            let flag = copy.data.chunks_exact_mut(*width).nth(c.speaker_dim);
            flag.into_iter().flatten().for_each(|w| *w *= OWN / CROSS_SPEAKER);
        }
        copy
    }

    /// This network with `tensors`, and one for others' tracks whose sums before its last tanh are the mean of its own and
    /// of those of the network for own tracks: H + O wide inside. `None` where there is no network for others' tracks.
    ///
    /// What it has learned from tracks that a voice made carries over only in part to tracks of people; half-way it keeps
    /// more of what the network for own tracks knows of those. (M. Wortsman et al., "Robust fine-tuning of zero-shot models",
    /// CVPR 2022, there between weights; these two need not be equally wide.) The four tensors become f32.
    ///
    /// # Panics
    /// When the tensors are of another network: check them first.
    pub fn half_way(&self, tensors: &Tensors) -> Option<(Self, Tensors)> {
        let mut config = self.clone();
        let condition = config.condition.as_mut().filter(|c| c.others > 0)?;
        condition.others += condition.hidden;
        let pair = |name: &str| [self.cross_speaker_tensor(tensors, name), tensors[name].clone()];
        let halves = |t: &Tensor| t.data.iter().map(|w| w / 2.0).collect::<Vec<_>>();
        let mut half_way = tensors.clone();
        let mut put = |name: String, shape: &[usize], data| half_way.insert(name, Tensor::new(shape, data));

        let name = names::frame(names::OTHERS, 0);
        let [own, others] = pair(&name);
        let rows = own.data.chunks_exact(own.columns()).zip(others.data.chunks_exact(others.columns()));
        let side_by_side = rows.flat_map(|(a, b)| [a, b].concat()).collect();
        put(name, &[own.shape[0], condition.others], side_by_side);

        let name = names::frame_bias(names::OTHERS, 0);
        put(name.clone(), &[condition.others], pair(&name).map(|t| t.data).concat());

        let name = names::frame(names::OTHERS, 1);
        let [own, others] = pair(&name);
        put(name, &[condition.others, own.columns()], [halves(&own), halves(&others)].concat());

        let name = names::frame_bias(names::OTHERS, 1);
        let [own, others] = pair(&name).map(|t| halves(&t));
        let mean: Vec<f32> = own.iter().zip(&others).map(|(a, b)| a + b).collect();
        put(name, &[mean.len()], mean);
        Some((config, half_way))
    }
}

/// Puts the network for cross-speaker tracks of the voice in `file` half-way to that for own tracks: see
/// [`Config::half_way`].
///
/// # Errors
/// Another family, tensors that are not the config's, and a voice without such a network.
pub fn half_way(file: &mut Checkpoint) -> Result<(), ModelError> {
    let config = FamilyConfig::from_header(&file.header)?;
    check(&file.tensors, &config.table())?;
    let Some(voice) = config.downcast::<Config>() else {
        return Err(ModelError::Config(format!("family `{}`, wanted a voice (wavenet)", config.family())));
    };
    let Some((config, tensors)) = voice.half_way(&file.tensors) else {
        let what = "no network for cross-speaker tracks (config: `others` is 0), so nothing to put half-way";
        return Err(ModelError::Config(what.into()));
    };
    *file = Checkpoint {
        header: Header {
            config: FamilyConfig::from(config).to_json().map_err(|e| ModelError::Config(e.to_string()))?,
            ..file.header.clone()
        },
        tensors,
    };
    Ok(())
}
