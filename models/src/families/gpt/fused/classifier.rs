//! The classification head of one reading: the loss of its class, and the gradient.

use crate::families::gpt::classifier::Classifier;
use crate::families::gpt::norm::normed_backward;
use crate::fused::rows::softmax_loss;
use crate::kernels::Simd;
use crate::kernels::panel::add;

/// What it keeps of a reading of T rows; nothing without a head or a class.
#[derive(Default)]
pub struct ClassTape {
    /// The class, where there is one.
    class: Option<usize>,
    /// n(mean r_L) [width padded].
    normed: Vec<f32>,
    /// Gradient of the logits, zeros in the padding.
    d_logits: Vec<f32>,
    /// Classes.
    classes: usize,
    /// Width without the padding.
    width: usize,
    /// 1 / T times the gradient of the mean [width padded]: that of every row.
    d_row: Vec<f32>,
    nats: f64,
}

impl ClassTape {
    /// Reads the rows `x` of r_L [T, padded]: the loss of `class` and its gradient by `classifier`, a head and the weight of one image.
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        s: S,
        classifier: Option<(Classifier<'_>, f32)>,
        class: Option<usize>,
        x: &[f32],
        padded: usize,
    ) {
        self.class = class.filter(|_| classifier.is_some());
        let (Some((head, weight)), Some(class)) = (classifier, self.class) else { return };
        (self.classes, self.width) = (head.bias.len(), head.weight.len() / head.bias.len());
        let share = (x.len() / padded) as f32;
        self.normed.clear();
        self.normed.resize(padded, 0.0);
        x.chunks_exact(padded).for_each(|row| add(s, &mut self.normed, row));
        self.normed.iter_mut().for_each(|v| *v /= share);
        let scale = head.logits(s, &mut self.normed, &mut self.d_logits);
        self.d_logits.resize(self.classes.next_multiple_of(S::LANES), 0.0);
        self.nats = softmax_loss(s, &mut self.d_logits, class, self.classes, weight);
        let mut d_normed = vec![0.0; padded];
        for (d, row) in d_normed.iter_mut().zip(head.weight.chunks_exact(self.classes)) {
            *d = row.iter().zip(&self.d_logits).map(|(w, d)| w * d).sum::<f32>() / share;
        }
        self.d_row.clear();
        self.d_row.resize(padded, 0.0);
        normed_backward(s, self.width, padded, &d_normed, &self.normed, &[scale], &mut self.d_row);
    }

    /// −ln p of the class; 0 without one.
    pub fn nats(&self) -> f64 {
        self.class.map_or(0.0, |_| self.nats)
    }

    /// Adds the gradient of every row of r_L to `d_x` [T, padded].
    #[inline(always)]
    pub fn add_gradient<S: Simd>(&self, s: S, d_x: &mut [f32]) {
        if self.class.is_some() {
            d_x.chunks_exact_mut(self.d_row.len()).for_each(|row| add(s, row, &self.d_row));
        }
    }

    /// Adds the gradient of the head's matrix and bias to `head`, one behind the other.
    pub fn add_to_head(&self, head: &mut [f32]) {
        if self.class.is_none() {
            return;
        }
        let d = &self.d_logits[..self.classes];
        let rows = self.normed[..self.width].iter().chain([&1.0]);
        for (&x, row) in rows.zip(head.chunks_exact_mut(self.classes)) {
            row.iter_mut().zip(d).for_each(|(g, d)| *g += x * d);
        }
    }
}
