//! The names of the family's tensors in a checkpoint.

/// c `[H]`.
pub const BIAS: &str = "hidden.bias";
/// The rows e of the class labels [labels, H].
pub const LABELS: &str = "hidden.labels";
/// W_t [N − 1, rows, H].
pub const WEIGHT: &str = "hidden.weight";
/// V_t [N, P, H].
pub const OUTPUT: &str = "output.weight";
/// b_t [N, P].
pub const OUTPUT_BIAS: &str = "output.bias";
