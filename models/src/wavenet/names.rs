//! The names of the family's tensors in a checkpoint.

/// E [classes, R].
pub const EMBED: &str = "input.embed";
/// One vector a speaker [speakers, E].
pub const SPEAKERS: &str = "cond.speakers";
/// b_s `[S]`.
pub const SKIP_BIAS: &str = "skip.bias";

/// Product `i` of the frame-rate network [in, H].
pub fn hidden(i: usize) -> String {
    format!("cond.hidden.{i}.weight")
}
/// Its bias `[H]`.
pub fn hidden_bias(i: usize) -> String {
    format!("cond.hidden.{i}.bias")
}
/// W_l [K, R, 2D], tap K−1 the current one.
pub fn gate(l: usize) -> String {
    format!("layer.{l}.gate.weight")
}
/// b_l `[2D]`, the tanh half first.
pub fn gate_bias(l: usize) -> String {
    format!("layer.{l}.gate.bias")
}
/// V_l [len of c, 2D].
pub fn cond(l: usize) -> String {
    format!("layer.{l}.cond.weight")
}
/// R_l [D, R].
pub fn residual(l: usize) -> String {
    format!("layer.{l}.residual.weight")
}
/// b'_l `[R]`.
pub fn residual_bias(l: usize) -> String {
    format!("layer.{l}.residual.bias")
}
/// S_l [D, S].
pub fn skip(l: usize) -> String {
    format!("layer.{l}.skip.weight")
}
/// W_0 [S, A] or W_1 [A, classes].
pub fn head(i: usize) -> String {
    format!("head.{i}.weight")
}
/// Its bias.
pub fn head_bias(i: usize) -> String {
    format!("head.{i}.bias")
}
