//! Features of images: what the layers of a model hand on while it reads one.

use super::{ImageModel, Scored};
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
        let mut stream = self.model.generator(Sampling::default());
        let shape = stream.hidden()?;
        let order = image.order.unwrap_or(self.order());
        stream.condition(&Condition {
            class: image.class,
            order: super::model::sites(image.order),
            ..Condition::default()
        });
        let n = self.grid().len();
        let (mut sum, mut row) = (vec![0.0f64; shape.values()], vec![0.0; shape.values()]);
        for t in 0..n {
            stream.read_hidden(image.variables.get(order.site(t)), &mut row);
            sum.iter_mut().zip(&row).for_each(|(s, &x)| *s += f64::from(x));
        }
        Some(sum.into_iter().map(|s| (s / n as f64) as f32).collect())
    }
}
