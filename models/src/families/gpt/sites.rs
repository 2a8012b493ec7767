//! Where dropout lies: the numbers of its masks in a window. As in nanoGPT: what embedding and positions give, and what
//! each sublayer adds to the residual stream.

/// r_0.
pub const INPUT: usize = 0;

/// What the attention of layer `l` adds.
pub fn attention(l: usize) -> usize {
    2 * l + 1
}

/// What the perceptron of layer `l` adds.
pub fn mlp(l: usize) -> usize {
    2 * l + 2
}
