//! What a trainer minimises: the mean negative log-likelihood of a batch, as a function of one flat parameter vector.
//!
//! Two readings of each family stand behind this trait: the plain graph on candle, differentiated by candle, and the
//! fused layers with a backward of their own. A test holds them to the same loss and the same gradient.

use crate::ar::Symbol;
use crate::condition::FrameTable;
use crate::kernels::Isa;
use crate::likelihood::{LikelihoodConfig, Value, Values};
use crate::weights::Layout;
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// How a family learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// By steps along a gradient, over windows that need so much of what stands before them.
    Steps(WindowPast),
    /// By counting all of its data once.
    Counting,
}

/// What a window needs of the symbols before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowPast {
    /// So many rows in front, out of the loss, fill a receptive field of one more. Windows lie anywhere.
    Field(usize),
    /// The recurrent state at the end of the window before: truncated back-propagation through time. Slot i of a step
    /// walks on through the text from its i-th part; behind the end comes the beginning.
    Carried,
    /// Nothing: a window stands alone. Windows lie anywhere.
    Window,
}

impl WindowPast {
    /// Most rows in front of the loss.
    pub fn warmup(self) -> usize {
        match self {
            Self::Field(rows) => rows,
            Self::Carried | Self::Window => 0,
        }
    }

    /// The same with at most `rows` rows in front of the loss.
    pub fn bounded(self, rows: Option<usize>) -> Self {
        match self {
            Self::Field(all) => Self::Field(all.min(rows.unwrap_or(all))),
            Self::Carried | Self::Window => self,
        }
    }

    /// For a person.
    pub fn describe(self, unit: &str) -> String {
        match self {
            Self::Field(rows) => format!("sees {} {unit}s", rows + 1),
            Self::Carried => "carries its state through the text".into(),
            Self::Window => format!("sees the {unit}s of a window"),
        }
    }
}

/// Which code computes loss and gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Layers with a backward of their own.
    Fused,
    /// The plain graph, differentiated by candle.
    Graph,
}

/// How a family's loss is computed.
pub struct ObjectiveOptions<'a> {
    /// Which code does it.
    pub engine: Engine,
    /// Where. On a GPU it is the plain graph in any case: the fused layers are for a processor's caches.
    pub device: Device,
    /// The instruction set of the fused layers.
    pub isa: Isa,
    /// Rate of dropout, for families that know it.
    pub dropout: f64,
    /// The tensors, by name, whose gradients are wanted at least.
    pub learns: &'a dyn Fn(&str) -> bool,
}

impl ObjectiveOptions<'_> {
    /// Whether the fused layers compute it.
    pub fn is_fused(&self) -> bool {
        self.engine == Engine::Fused && self.device.is_cpu()
    }
}

/// The rows of a training window of vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorRows {
    /// Values of a row; 0 in a window of symbols.
    pub dims: usize,
    /// [T, dims] what the network reads.
    pub inputs: Vec<f32>,
    /// [T, dims] what it should have drawn.
    pub targets: Vec<f32>,
}

/// One training window, of symbols or of vectors. Row t of the inputs is x_{t−1}, the truth or a noisy copy of it; row t of
/// the targets is x_t.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// `[T]` what the network reads.
    pub inputs: Vec<Symbol>,
    /// `[T]` what it should have drawn.
    pub targets: Vec<Symbol>,
    /// The same of vectors, in place of the symbols.
    pub vectors: VectorRows,
    /// Rows at the front that warm the receptive field up and stay out of the loss.
    pub warmup: usize,
    /// N = ⌈T / hop⌉ frames, row t reading frame t / hop; empty for a model without local conditioning.
    pub frames: FrameTable,
    /// Row of the embedding table; `None` for a model without global conditioning.
    pub speaker: Option<usize>,
    /// Class label; `None` for a model without labels.
    pub class: Option<usize>,
    /// σ: the variable that each row is of, for a model of any order; empty for the model's own order.
    pub sites: Vec<u32>,
    /// Key of the masks that [dropout](crate::dropout) lays over the window; `None` for a reading without them.
    pub dropout: Option<u64>,
}

impl Window {
    /// T.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        match self.vectors.dims {
            0 => self.inputs.len(),
            dims => self.vectors.inputs.len() / dims,
        }
    }

    /// All that is read.
    pub fn input_values(&self) -> Values<'_> {
        match self.vectors.dims {
            0 => Values::Symbols(&self.inputs),
            dims => Values::Vectors { dims, rows: &self.vectors.inputs },
        }
    }

    /// x_{t−1}, as it is read in row t.
    #[inline(always)]
    pub fn input(&self, t: usize) -> Value<'_> {
        match self.vectors.dims {
            0 => Value::Symbol(self.inputs[t]),
            dims => Value::Vector(&self.vectors.inputs[t * dims..][..dims]),
        }
    }

    /// x_t.
    #[inline(always)]
    pub fn target(&self, t: usize) -> Value<'_> {
        match self.vectors.dims {
            0 => Value::Symbol(self.targets[t]),
            dims => Value::Vector(&self.vectors.targets[t * dims..][..dims]),
        }
    }
}

/// Why a loss could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectiveError {
    /// The batch does not fit the model.
    #[error("batch: {0}")]
    Batch(String),
    /// The graph's library failed.
    #[error("graph: {0}")]
    Graph(#[from] candle_core::Error),
}

/// Checks that every window has one target per input, a row behind its warm-up, and values of `likelihood`'s domain; the
/// length of the longest.
///
/// # Errors
/// The first window that has not, or no window at all.
pub fn check_windows(batch: &[Window], likelihood: &LikelihoodConfig) -> Result<usize, ObjectiveError> {
    let err = |i: usize, what: String| Err(ObjectiveError::Batch(format!("window {i}: {what}")));
    let (classes, dims) = (likelihood.classes(), likelihood.dims());
    if batch.is_empty() {
        return Err(ObjectiveError::Batch("no windows".into()));
    }
    for (i, w) in batch.iter().enumerate() {
        if w.vectors.dims != dims {
            return err(i, format!("vectors of {} values, the model has {dims}", w.vectors.dims));
        }
        let t = w.rows();
        let targets = w.vectors.targets.len().checked_div(dims).unwrap_or(w.targets.len());
        if targets != t || w.warmup >= t {
            return err(i, format!("{t} inputs, {targets} targets, warm-up {}", w.warmup));
        }
        if let Some(s) = w.inputs.iter().chain(&w.targets).find(|&&s| s as usize >= classes) {
            return err(i, format!("symbol {s}, the model has {classes} classes"));
        }
    }
    Ok(batch.iter().map(Window::rows).max().unwrap_or(0))
}

/// [`check_windows`] for a model that takes no condition.
///
/// # Errors
/// As that, or the first window with frames or a speaker.
pub fn check_unconditioned(batch: &[Window], likelihood: &LikelihoodConfig) -> Result<usize, ObjectiveError> {
    let longest = check_windows(batch, likelihood)?;
    match batch
        .iter()
        .position(|w| !w.frames.is_empty() || w.speaker.is_some() || w.class.is_some() || !w.sites.is_empty())
    {
        Some(i) => Err(ObjectiveError::Batch(format!("window {i}: a condition, the model takes none"))),
        None => Ok(longest),
    }
}

/// A differentiable loss.
pub trait Objective: Send + Sync {
    /// Where each tensor stands in the flat vector.
    fn layout(&self) -> &Layout;

    /// Mean negative log-likelihood in nats over all rows behind the warm-up, and, where `grads` is given, its
    /// gradient (overwritten, [`Layout::len`] values). The same inputs give the same bits at any thread count.
    ///
    /// # Errors
    /// A batch that does not fit the model.
    fn loss(
        &self,
        params: &[f32],
        batch: &[Window],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        self.loss_carried(params, batch, &mut vec![Vec::new(); batch.len()], grads)
    }

    /// Values of state that a window hands on to the next window of its stream; 0 for a family whose windows stand
    /// alone.
    fn carry_len(&self) -> usize {
        0
    }

    /// As [`Objective::loss`] for windows that go on where others ended: truncated back-propagation through time.
    /// `carry[i]` is the state before the first row of window i, empty for a new stream; it becomes the state behind
    /// the window's last row, [`Objective::carry_len`] values. No gradient flows through it. A family whose windows
    /// stand alone leaves it as it is.
    ///
    /// # Errors
    /// A batch or a carry that does not fit the model; the carry is then as it was.
    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError>;

    /// The parameters of every row's distribution [T, P], row by row, of one window; `None` where the fused layers compute
    /// the loss, which never hold them all.
    ///
    /// # Errors
    /// A window that does not fit the model.
    fn parameters(&self, params: &[f32], window: &Window) -> Result<Option<Vec<f32>>, ObjectiveError> {
        let _ = (params, window);
        Ok(None)
    }

    /// Bytes that one call with gradients will hold at its peak, parameters and gradients left out.
    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize;

    /// Where the time of [`Objective::loss`] went since the last call of this: name and seconds of each phase, all
    /// threads together. Empty for an objective that does not watch itself.
    fn phases(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}
