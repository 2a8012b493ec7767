//! The names of the family's tensors in a checkpoint.

/// One vector a speaker [speakers, E].
pub const SPEAKERS: &str = "cond.speakers";
/// The frame-rate network.
pub const HIDDEN: &str = "cond.hidden";
/// The one that reads others' tracks.
pub const OTHERS: &str = "cond.others";
/// b_s `[S]`.
pub const SKIP_BIAS: &str = "skip.bias";
/// W_1 [A, classes].
pub const OUT: &str = "head.1.weight";
/// b_1 `[classes]`.
pub const OUT_BIAS: &str = "head.1.bias";

/// E_i [classes, R]: the row for the symbol i + 1 before a bunch.
pub fn embed(i: usize) -> String {
    if i == 0 { "input.embed".into() } else { format!("input.lag.{i}.embed") }
}

/// Product `i` of a frame-rate network [in, out].
pub fn frame(net: &str, i: usize) -> String {
    format!("{net}.{i}.weight")
}
/// Its bias `[out]`.
pub fn frame_bias(net: &str, i: usize) -> String {
    format!("{net}.{i}.bias")
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
/// W_{0,j} [S, A] of phase `j` of a bunch.
pub fn phase(j: usize) -> String {
    format!("{}.weight", of_phase(j))
}
/// b_{0,j} `[A]`.
pub fn phase_bias(j: usize) -> String {
    format!("{}.bias", of_phase(j))
}
/// F_{j,i} [classes, A]: phase `j`'s row for the symbol drawn i + 1 before.
pub fn drawn(j: usize, i: usize) -> String {
    format!("{}.lag.{i}.embed", of_phase(j))
}

fn of_phase(j: usize) -> String {
    if j == 0 { "head.0".into() } else { format!("head.0.phase.{j}") }
}

/// Parts that the tensor's columns fall into: the two halves of a gate, else one.
pub fn column_parts(name: &str) -> usize {
    if name.contains(".gate.") || name.contains(".cond.") { 2 } else { 1 }
}

/// Whether a tensor is of a frame-rate network.
pub fn is_of_frames(name: &str) -> bool {
    [HIDDEN, OTHERS].iter().any(|net| name.strip_prefix(net).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether a tensor is a table of which a symbol or a speaker picks a row.
pub fn is_table(name: &str) -> bool {
    name.ends_with("embed") || name == SPEAKERS
}
