//! The names of the family's tensors in a checkpoint.

use super::geometry::Stack;

/// E [classes or numbers, embedding].
pub const EMBED: &str = "input.embed";
/// b `[embedding]`, where values enter as numbers.
pub const EMBED_BIAS: &str = "input.bias";

fn stack(l: usize, stack: Stack) -> String {
    let name = match stack {
        Stack::Vertical => "vertical",
        Stack::Horizontal => "horizontal",
    };
    format!("layer.{l}.{name}")
}

/// W_l or U_l [taps · inputs, 2C].
pub fn weight(l: usize, of: Stack) -> String {
    format!("{}.weight", stack(l, of))
}
/// b_l or d_l `[2C]`.
pub fn bias(l: usize, of: Stack) -> String {
    format!("{}.bias", stack(l, of))
}
/// A_l or B_l [labels, 2C].
pub fn class(l: usize, of: Stack) -> String {
    format!("{}.class", stack(l, of))
}
/// Whether `name` is one of [`class`].
pub fn is_class(name: &str) -> bool {
    name.ends_with(".class")
}
/// Whether the columns of `name` are the two halves of a gated unit.
pub fn is_gated(name: &str) -> bool {
    name.starts_with("layer.") && !name.contains(".residual.")
}
/// V_l [2C, 2C].
pub fn between(l: usize) -> String {
    format!("layer.{l}.vertical_to_horizontal.weight")
}
/// R_l [C, C].
pub fn residual(l: usize) -> String {
    format!("layer.{l}.residual.weight")
}
/// r_l `[C]`.
pub fn residual_bias(l: usize) -> String {
    format!("layer.{l}.residual.bias")
}
/// P [C, A] for i = 0, Q [A, parameters] for 1.
pub fn head(i: usize) -> String {
    format!("head.{i}.weight")
}
/// p `[A]` for i = 0, q `[parameters]` for 1.
pub fn head_bias(i: usize) -> String {
    format!("head.{i}.bias")
}
