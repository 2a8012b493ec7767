//! The names of the family's tensors in a checkpoint.

/// E [classes, width].
pub const EMBED: &str = "input.embed";
/// P [context, width].
pub const POSITION: &str = "input.position";
/// W_head [width, classes], where it is not tied.
pub const HEAD: &str = "output.head.weight";
/// Where the last norm stands.
pub const OUTPUT: &str = "output";

/// Where layer `l`'s attention stands: it has `norm`, `qkv` [width, 3·width] and `out` [width, width].
pub fn attention(l: usize) -> String {
    format!("layer.{l}.attention")
}
/// Where layer `l`'s perceptron stands: it has `norm`, `up` [width, 4·width] and `down` [4·width, width].
pub fn mlp(l: usize) -> String {
    format!("layer.{l}.mlp")
}
/// The matrix of a product, or the gain of a norm, at a place.
pub fn weight(at: &str, what: &str) -> String {
    format!("{at}.{what}.weight")
}
/// Its bias.
pub fn bias(at: &str, what: &str) -> String {
    format!("{at}.{what}.bias")
}
