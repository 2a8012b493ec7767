//! The names of the family's tensors in a checkpoint.

/// W_(dy, dx) [24, rows, D].
pub const INPUT: &str = "input.weight";
/// b `[D]`.
pub const INPUT_BIAS: &str = "input.bias";
/// The rows e of the class labels [labels, D].
pub const LABELS: &str = "input.labels";
/// Of a direction: W [places, D, 4H].
pub const ENTERING: &str = "input.weight";
/// Of a direction: U [places, H, 4H].
pub const RECURRENT: &str = "recurrent.weight";
/// Of a direction: c `[4H]`.
pub const BIAS: &str = "bias";

/// A tensor of direction `pass` of layer `l`.
pub fn pass(l: usize, pass: &str, what: &str) -> String {
    format!("layer.{l}.{pass}.{what}")
}
/// W_o [H, D].
pub fn output(l: usize) -> String {
    format!("layer.{l}.output.weight")
}
/// b_o `[D]`.
pub fn output_bias(l: usize) -> String {
    format!("layer.{l}.output.bias")
}
/// V_i: [D, A], then [A, P].
pub fn head(i: usize) -> String {
    format!("head.{i}.weight")
}
/// b_i.
pub fn head_bias(i: usize) -> String {
    format!("head.{i}.bias")
}
