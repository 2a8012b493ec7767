//! The nats of images by the order that is asked for: the model's own, random ones, or by segments.

use super::Args;
use std::ops::Range;
use wavesynth::images::{Groups, ImageModel, Scored, Variables, log_sum};
use wavesynth_models::order::{Order, Scan};

/// −ln p of every pixel of some images, variable by variable.
pub(super) fn nats_of(
    args: &Args,
    model: &ImageModel,
    variables: &[Variables],
    images: Range<usize>,
    label: &dyn Fn(usize) -> Option<usize>,
) -> Vec<Vec<f32>> {
    let (asked, grid) = (&args.images, model.grid());
    let in_order = |seed: &dyn Fn(usize) -> Option<u64>| -> Vec<Vec<f32>> {
        let orders: Vec<_> =
            images.clone().map(|i| seed(i).map(|seed| Scan::Random.order(grid, seed))).collect();
        let group: Vec<_> = (images.clone().zip(&orders))
            .map(|(i, order)| Scored { order: order.as_ref(), ..Scored::new(&variables[i], label(i)) })
            .collect();
        let steps = model.score(&group);
        let place = |(steps, order): (Vec<f32>, &Option<Order>)| {
            order.as_ref().unwrap_or(model.order()).to_variables(&steps)
        };
        steps.into_iter().zip(&orders).map(place).collect()
    };
    if let Some(segments) = images.clone().map(|i| asked.groups(grid, i)).collect::<Option<Vec<_>>>() {
        let one = |(i, groups): (usize, &Groups)| model.score_groups(&variables[i], label(i), groups);
        return images.clone().zip(&segments).map(one).collect();
    }
    let Some(orders) = asked.orders else { return in_order(&|_| None) };
    let readings: Vec<_> = (0..orders).map(|m| in_order(&|i| Some(asked.random(i, m)))).collect();
    // p(x) is the mean over orders. A pixel has the mean of its nats in each, all moved alike.
    (0..images.len())
        .map(|i| {
            let log_p: Vec<f64> =
                readings.iter().map(|r| -r[i].iter().map(|&n| f64::from(n)).sum::<f64>()).collect();
            let nats = (orders as f64).ln() - log_sum(&log_p);
            let mean = -log_p.iter().sum::<f64>() / orders as f64;
            let share = |p: usize| readings.iter().map(|r| f64::from(r[i][p])).sum::<f64>() / orders as f64;
            let moved = (nats - mean) / grid.len() as f64;
            (0..grid.len()).map(|p| (share(p) + moved) as f32).collect()
        })
        .collect()
}
