//! The head, its likelihood and loss, and their backward, in one pass over a tile of rows.

use super::parameter_layout::ParameterLayout;
use crate::families::pixel_cnn::Config;
use crate::fused::padded::Weights;
use crate::fused::rows::{add_rows, broadcast, pass_where_positive};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::rectify;
use crate::kernels::tile::{Strided, multiply};
use crate::objective::Window;
use std::ops::Range;

/// Buffers of one tile.
#[derive(Default)]
pub struct HeadScratch {
    /// relu(h_L) [TILE, C].
    features: Vec<f32>,
    /// relu of the first product [TILE, A], and its gradient.
    hidden: Vec<f32>,
    d_hidden: Vec<f32>,
    /// Parameters, then their gradient [TILE, P].
    params: Vec<f32>,
}

/// A tile of the head.
pub struct HeadTile<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// Where the parameters stand.
    pub layout: &'a ParameterLayout,
    /// The weights.
    pub weights: &'a Weights,
    /// The data.
    pub window: &'a Window,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The tile's place among the window's rows.
    pub rows: Range<usize>,
    /// h_L [n, C].
    pub features: &'a [f32],
    /// Its gradient, where one is wanted.
    pub d_features: &'a mut [f32],
    /// The padded gradient to add to.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut HeadScratch,
}

impl HeadTile<'_> {
    /// The sum of −ln p over the rows, in nats.
    #[inline(always)]
    pub fn run<S: Simd>(self, s: S) -> f64 {
        let Self { config, layout, weights, window, scale, rows, d_features, gradient, scratch, .. } = self;
        let (ParameterLayout { c, a, p, head: [w0, w1], head_bias: [b0, b1], .. }, n) = (layout, rows.len());
        let (c, a, p, channels, hidden_channels) = (*c, *a, *p, config.channels, config.head_channels);
        let HeadScratch { features, hidden, d_hidden, params } = scratch;
        features.resize(n * c, 0.0);
        features.copy_from_slice(self.features);
        rectify(s, features);
        broadcast(hidden, &weights.forward[b0.clone()], n);
        multiply(s, (n, a, channels), hidden, Strided::rows(features, c), weights.get(w0));
        rectify(s, hidden);
        broadcast(params, &weights.forward[b1.clone()], n);
        multiply(s, (n, p, hidden_channels), params, Strided::rows(hidden, a), weights.get(w1));
        let (mut nats, likelihood) = (0.0, config.likelihood());
        for (row, t) in params.chunks_exact_mut(p).zip(rows) {
            nats += likelihood.loss_row(s, row, window.target(t), scale);
        }
        let Some(gradient) = gradient else { return nats };
        add_rows(s, &mut gradient[b1.clone()], params);
        let m = (hidden_channels, p, n);
        multiply(s, m, &mut gradient[w1.at.clone()], Strided::transposed(hidden, a), params);
        d_hidden.clear();
        d_hidden.resize(n * a, 0.0);
        multiply(s, (n, a, p), d_hidden, Strided::rows(params, p), weights.transpose(w1));
        pass_where_positive(s, d_hidden, hidden);
        add_rows(s, &mut gradient[b0.clone()], d_hidden);
        let m = (channels, a, n);
        multiply(s, m, &mut gradient[w0.at.clone()], Strided::transposed(features, c), d_hidden);
        d_features.fill(0.0);
        multiply(s, (n, c, a), d_features, Strided::rows(d_hidden, a), weights.transpose(w0));
        pass_where_positive(s, d_features, features);
        nats
    }
}
