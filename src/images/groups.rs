//! Several pixels at a time, by a model of any order: segments of an image, each drawn given all before it, its pixels given none
//! of the others (RandSAC: Hua et al., ICLR 2023; MAR: Li et al. 2024, arXiv:2406.11838).
//!
//! What is drawn so has the likelihood Π_segments Π_j p(x_j | x of the segments before), which is exact and which
//! [`ImageModel::score_groups`] gives. It is another distribution than that of single steps, and the more so the larger the
//! segments.

use super::{Drawing, ImageModel, Variables};
use std::f64::consts::FRAC_PI_2;
use wavesynth_models::ar::{Generator, NotFinite, Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::order::{Grid, Order};

/// Pixels in segments: each pixel once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(Vec<Vec<u32>>);

/// How many pixels a segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// So many segments, small ones first: behind segment k of K the fraction 1 − cos(π k / 2K) of the pixels is filled, as in
    /// MaskGIT and MAR.
    Cosine(usize),
    /// Squares of so many pixels each way, at the right and the lower edge what is left: RandSAC's.
    Squares(usize),
}

impl Groups {
    /// Segments over `grid` in a random order of `seed`: of single pixels for [`Schedule::Cosine`], of the squares for
    /// [`Schedule::Squares`].
    pub fn new(schedule: Schedule, grid: Grid, seed: u64) -> Self {
        let mut uniforms = Uniforms::new(seed);
        let n = grid.len();
        Self(match schedule {
            Schedule::Cosine(steps) => {
                let mut sites: Vec<u32> = (0..n as u32).collect();
                uniforms.shuffle(&mut sites);
                let steps = steps.clamp(1, n);
                let filled = |k: usize| {
                    let share = 1.0 - (FRAC_PI_2 * k as f64 / steps as f64).cos();
                    // One pixel a segment at least, and enough left for those behind.
                    ((share * n as f64).round() as usize).clamp(k, n - (steps - k))
                };
                (0..steps).map(|k| sites[filled(k)..filled(k + 1)].to_vec()).collect()
            }
            Schedule::Squares(side) => {
                let side = side.max(1);
                let squares = grid.height.div_ceil(side) * grid.width.div_ceil(side);
                let mut groups = vec![Vec::new(); squares];
                for site in 0..n {
                    let (y, x) = grid.place(site);
                    groups[y / side * grid.width.div_ceil(side) + x / side].push(site as u32);
                }
                uniforms.shuffle(&mut groups);
                groups
            }
        })
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pixels up to the end of segment `k`.
    pub fn filled(&self, k: usize) -> usize {
        self.0[..=k].iter().map(Vec::len).sum()
    }

    /// The pixels, segment behind segment.
    pub fn order(&self) -> Order {
        Order::Sites(wavesynth_models::order::Sites { sites: self.0.concat(), groups: Vec::new() })
    }
}

impl ImageModel {
    /// A stream that begins an image of `class`.
    fn stream(&self, class: Option<usize>, sampling: Sampling) -> Box<dyn Generator> {
        let mut stream = self.model.generator(sampling);
        stream.condition(&Condition { class, ..Condition::default() });
        stream
    }

    /// Image number `i` of `drawing`, drawn segment by segment. `each` is called behind every segment with its number and the
    /// image as far as it is. Known pixels stand in the place of what is drawn.
    ///
    /// # Errors
    /// Numbers that are none.
    ///
    /// # Panics
    /// For a model of one order.
    pub fn draw_groups(
        &self,
        drawing: &Drawing,
        i: usize,
        groups: &Groups,
        mut each: impl FnMut(usize, &Variables),
    ) -> Result<Variables, NotFinite> {
        let likelihood = self.model.config.facts().likelihood;
        let (dims, u) = (likelihood.dims(), likelihood.get().uniforms());
        let width = dims.max(1);
        let mut stream = self.stream(drawing.classes[i], drawing.sampling);
        let mut random = Uniforms::keyed(drawing.seed, drawing.first + i as u64);
        let mut image = Variables::zeros(self.grid().len(), dims);
        let mut scored = Vec::new();
        for (k, sites) in groups.0.iter().enumerate() {
            let uniforms: Vec<f32> = (0..sites.len() * u).map(|_| random.next_uniform()).collect();
            let mut values = vec![0.0; sites.len() * width];
            scored.resize(sites.len(), 0.0);
            // Known pixels are read before those that are drawn, which then are drawn given them.
            let is_known = |site: u32| drawing.known.is_some_and(|k| k.is_known[site as usize]);
            let (known, unknown): (Vec<u32>, Vec<u32>) = sites.iter().partition(|&&site| is_known(site));
            if let Some(all) = drawing.known.filter(|_| !known.is_empty()) {
                let mut values: Vec<f32> =
                    known.iter().flat_map(|&site| all.variables.numbers(site as usize)).collect();
                assert!(stream.group(&known, None, &mut values, &mut scored), "a model of one order");
                known.iter().for_each(|&s| image.set(s as usize, all.variables.get(s as usize)));
            }
            if !unknown.is_empty() {
                let values = &mut values[..unknown.len() * width];
                assert!(stream.group(&unknown, Some(&uniforms), values, &mut scored), "a model of one order");
                for (&site, value) in unknown.iter().zip(values.chunks_exact(width)) {
                    image.set_numbers(site as usize, value);
                }
            }
            each(k, &image);
        }
        if stream.is_finite() { Ok(image) } else { Err(NotFinite) }
    }

    /// −ln p of every pixel of an image, segment by segment, variable by variable: what [`ImageModel::draw_groups`] gives it.
    ///
    /// # Panics
    /// For a model of one order.
    pub fn score_groups(&self, variables: &Variables, class: Option<usize>, groups: &Groups) -> Vec<f32> {
        let mut stream = self.stream(class, Sampling::default());
        let mut nats = vec![0.0; variables.len()];
        for sites in &groups.0 {
            let mut values: Vec<f32> =
                sites.iter().flat_map(|&site| variables.numbers(site as usize)).collect();
            let mut scored = vec![0.0; sites.len()];
            assert!(stream.group(sites, None, &mut values, &mut scored), "a model of one order");
            sites.iter().zip(scored).for_each(|(&site, n)| nats[site as usize] = n);
        }
        nats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid { height: 5, width: 7 };

    fn sizes(groups: &Groups) -> Vec<usize> {
        groups.0.iter().map(Vec::len).collect()
    }

    #[test]
    fn every_pixel_is_in_one_segment() {
        let schedules = [1, 2, 4, 34, 35, 99]
            .map(Schedule::Cosine)
            .into_iter()
            .chain([1, 2, 3, 9].map(Schedule::Squares));
        for schedule in schedules {
            let groups = Groups::new(schedule, GRID, 3);
            assert_eq!(groups.order().validate(), Ok(()), "{schedule:?}");
            assert_eq!(groups.order().len(), Some(35));
            assert!(sizes(&groups).iter().all(|&n| n > 0), "{schedule:?}");
        }
    }

    #[test]
    fn schedules_are_what_they_are_called() {
        assert_eq!(sizes(&Groups::new(Schedule::Cosine(4), GRID, 1)), [3, 7, 12, 13]);
        assert_eq!(sizes(&Groups::new(Schedule::Cosine(35), GRID, 1)), [1; 35]);
        let squares = Groups::new(Schedule::Squares(3), GRID, 1);
        let mut found = sizes(&squares);
        found.sort();
        assert_eq!(found, [2, 3, 6, 6, 9, 9]);
        assert_ne!(squares, Groups::new(Schedule::Squares(3), GRID, 2));
    }
}
