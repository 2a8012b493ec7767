//! The names of the family's tensors in a checkpoint.

use crate::family::CLASSIFIER;

/// What the names of the tables of rows begin with.
pub const INPUT: &str = "input.";
/// E [classes, width], or a row for each number that a value enters as.
pub const EMBED: &str = "input.embed";
/// P [context, width] of steps.
pub const POSITION: &str = "input.position";
/// Y and Y' [height, width]: of the pixel that is wanted, and of the one that enters.
pub const ROW: [&str; 2] = ["input.row", "input.entering.row"];
/// X and X' [width of the grid, width]: the same.
pub const COLUMN: [&str; 2] = ["input.column", "input.entering.column"];
/// The rows e of the class labels [labels, width].
pub const LABELS: &str = "input.labels";
/// W_head [width, parameters of the likelihood], where it is not tied.
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
/// A tensor of the classification head: `weight` [width, K] or `bias` `[K]`.
pub fn classifier(what: &str) -> String {
    format!("{CLASSIFIER}{what}")
}
/// The matrix of a product, or the gain of a norm, at a place.
pub fn weight(at: &str, what: &str) -> String {
    format!("{at}.{what}.weight")
}
/// Its bias.
pub fn bias(at: &str, what: &str) -> String {
    format!("{at}.{what}.bias")
}
