//! Features of images: what the layers of a model hand on while it reads one, and the class that a head tells by them.

use super::{ImageModel, Scored, log_sum};
use wavesynth_models::ar::{HiddenShape, Sampling};
use wavesynth_models::condition::Condition;

impl ImageModel {
    /// Layers and width of [`ImageModel::features`]; `None` where the model's family shows nothing.
    pub fn hidden(&self) -> Option<HiddenShape> {
        self.model.generator(Sampling::default()).hidden()
    }

    /// The mean over the steps of what each layer hands on while the image is read, [layers, width] (Chen et al. 2020, "Generative
    /// Pretraining from Pixels", section 2.3, which takes the mean over the positions, too). `None` where the model's family
    /// shows nothing.
    pub fn features(&self, image: &Scored) -> Option<Vec<f32>> {
        let mut sum = vec![0.0f64; self.hidden()?.values()];
        let add = |row: &[f32], _| sum.iter_mut().zip(row).for_each(|(s, &x)| *s += f64::from(x));
        self.read_hidden(image, add);
        let n = self.grid().len();
        Some(sum.into_iter().map(|s| (s / n as f64) as f32).collect())
    }

    /// ln p(class | the first pixels) by the classification head, and the nats of every pixel, as [`ImageModel::classify`] gives both.
    pub(super) fn classify_by_head(&self, image: &Scored) -> (Vec<Vec<f64>>, Vec<f32>) {
        let (k, width) = (self.classes(), self.hidden().map_or(0, |shape| shape.width));
        let (mut rows, mut nats) = (vec![vec![-(k as f64).ln(); k]], Vec::new());
        let mut sum = vec![0.0f64; width];
        self.read_hidden(image, |row, x| {
            nats.push(x);
            sum.iter_mut().zip(&row[row.len() - width..]).for_each(|(s, &x)| *s += f64::from(x));
            let mean: Vec<f32> = sum.iter().map(|s| (s / nats.len() as f64) as f32).collect();
            let logits: Vec<f64> = self.model.class_logits(&mean).into_iter().map(f64::from).collect();
            let all = log_sum(&logits);
            rows.push(logits.iter().map(|y| y - all).collect());
        });
        (rows, nats)
    }

    /// Reads an image: `each` gets the hidden values of every step and −ln p of its variable. Nothing where the model's family
    /// shows nothing.
    fn read_hidden(&self, image: &Scored, mut each: impl FnMut(&[f32], f32)) {
        let mut stream = self.model.generator(Sampling::default());
        let Some(shape) = stream.hidden() else { return };
        let order = image.order.unwrap_or(self.order());
        stream.condition(&Condition {
            class: image.class,
            order: super::model::sites(image.order),
            ..Condition::default()
        });
        let mut row = vec![0.0; shape.values()];
        for t in 0..self.grid().len() {
            if let Some(nats) = stream.read_hidden(image.variables.get(order.site(t)), &mut row) {
                each(&row, nats);
            }
        }
    }
}
