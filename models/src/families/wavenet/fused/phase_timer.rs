//! Where the time of a window goes. The clock is read a dozen times a tile, which costs under 1 % of it.

use std::time::{Duration, Instant};

/// What a thread is doing.
#[derive(Debug, Clone, Copy)]
pub enum Phase {
    /// Embedding, frame-rate network and the layers' V_l c, forward and back.
    Input,
    /// z of the layers.
    Gate,
    /// tanh and σ.
    Activation,
    /// R_l h and S_l h.
    Out,
    /// The head, its softmax and loss, and back to the skip sum.
    Head,
    /// Gradient of h, from those of residual stream and skip sum.
    OutBack,
    /// Gradient of z.
    ActivationBack,
    /// Gradient of the residual stream.
    GateBack,
    /// Gradients of layers' and head's weights.
    Weights,
}

impl Phase {
    /// Names of the phases, in their order.
    pub const NAMES: [&'static str; 9] = [
        "embedding and condition",
        "gate products",
        "activation",
        "residual and skip products",
        "head and softmax",
        "residual and skip products, back",
        "activation, back",
        "gate products, back",
        "weight gradients",
    ];
}

/// Time spent by phase.
pub struct PhaseTimer {
    since: Instant,
    spent: [Duration; Phase::NAMES.len()],
}

impl Default for PhaseTimer {
    fn default() -> Self {
        Self { since: Instant::now(), spent: Default::default() }
    }
}

impl PhaseTimer {
    /// The first phase begins.
    pub fn start(&mut self) {
        self.since = Instant::now();
    }

    /// `phase` ends here, and the next begins.
    #[inline(always)]
    pub fn mark(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[phase as usize] += now - self.since;
        self.since = now;
    }

    /// Seconds by phase since the last call.
    pub fn take(&mut self) -> [f64; Phase::NAMES.len()] {
        std::mem::take(&mut self.spent).map(|d| d.as_secs_f64())
    }
}
