//! Packed weights, in the order in which a step reads them.

use super::Config;
use super::bunch::Head;
use super::frame_rate::FrameNet;
use crate::ar::Symbol;
use crate::kernels::Isa;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::Panels;
use crate::likelihood::LikelihoodConfig;

/// Symbols of the largest batch of past taps. A power of two: phases are counted modulo it.
pub(super) const LARGEST_BATCH: usize = 8;

/// A gated layer.
pub(super) struct Layer {
    pub dilation: usize,
    pub gate: Gate,
    /// None in the last layer.
    pub residual: Option<Affine>,
}

/// The dilated convolution into the gated unit.
pub(super) struct Gate {
    /// The past taps, where they are multiplied ahead of time.
    pub past: Option<PastTaps>,
    /// The other taps, from the oldest to the current one [K·R or R, 2D].
    pub weight: Panels,
}

/// Past taps that are multiplied for several symbols at once.
pub(super) struct PastTaps {
    /// [(K−1)·R, 2D], as wide as the gate and in its order.
    pub weight: Panels,
    /// Symbols.
    pub batch: usize,
    /// Place of a stream's first symbol in its batch: what spreads the layers' batches over the steps.
    pub offset: usize,
}

/// Packed weights.
pub struct WaveNet {
    pub(super) config: Config,
    pub(super) isa: Isa,
    pub(super) likelihood: LikelihoodConfig,
    pub(super) start: Symbol,
    pub(super) kernel_size: usize,
    pub(super) residual_channels: usize,
    pub(super) gate_padded: usize,
    pub(super) frame: FrameNet,
    /// [speakers × E], as in the checkpoint.
    pub(super) speakers: Vec<f32>,
    /// E_i [classes, or numbers of a value, × R padded] of each lag.
    pub(super) embed: Vec<Aligned>,
    /// R padded to whole vectors.
    pub(super) residual_padded: usize,
    pub(super) layers: Vec<Layer>,
    /// Whether all weights of the layers are i8: see `layers_i8.rs`.
    pub(super) all_i8: bool,
    /// [L·D padded, S] and b_s.
    pub(super) skip: Affine,
    pub(super) head: Head,
}
