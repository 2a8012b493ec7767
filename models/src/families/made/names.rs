//! The names of the family's tensors in a checkpoint.

/// V [H, N · P], the P parameters of a step side by side.
pub const OUTPUT: &str = "output.weight";
/// b [N · P].
pub const OUTPUT_BIAS: &str = "output.bias";
/// D [N − 1, rows, N · P].
pub const DIRECT: &str = "direct.weight";
/// The rows e of the class labels [labels, H_0].
pub const LABELS: &str = "layer.0.labels";
/// The rows f of the class labels [labels, N · P].
pub const OUTPUT_LABELS: &str = "output.labels";

/// W_l: [N − 1, rows, H_0] for l = 0, else [H_0, H_1].
pub fn weight(l: usize) -> String {
    format!("layer.{l}.weight")
}
/// c_l `[H_l]`.
pub fn bias(l: usize) -> String {
    format!("layer.{l}.bias")
}
