//! The names of the family's tensors in a checkpoint.

/// W [H, classes].
pub const HEAD: &str = "head.weight";
/// b `[classes]`.
pub const HEAD_BIAS: &str = "head.bias";

/// W_c [F, gates · H].
pub const CONDITION: &str = "condition.weight";

/// W_l [H, gates · H], for l = 0 [classes, gates · H].
pub fn input(l: usize) -> String {
    format!("layer.{l}.input.weight")
}
/// U_l [H, gates · H].
pub fn recurrent(l: usize) -> String {
    format!("layer.{l}.recurrent.weight")
}
/// b_l [gates · H].
pub fn bias(l: usize) -> String {
    format!("layer.{l}.bias")
}
/// a_l `[H]`, the bias inside a GRU's r · n'.
pub fn candidate_bias(l: usize) -> String {
    format!("layer.{l}.candidate.bias")
}
