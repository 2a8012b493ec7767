//! Mixtures of Gaussians with diagonal covariance, one for each state.

use super::acoustics::{DIMS, Observation};

/// Least variance, as a share of that of all frames: a state of few frames would else claim them alone.
const LEAST_VARIANCE: f64 = 0.02;

/// A component is split to either side of its mean by so much of its deviation.
const SPLIT: f32 = 0.2;

/// Frames that a component needs at least; one with fewer stays as it was.
const LEAST_FRAMES: f64 = 8.0;

/// ln 2π.
const LN_TAU: f64 = 1.837_877_066_409_345_5;

#[derive(Debug, Clone)]
struct Gaussian {
    mean: Observation,
    /// 1 / variance.
    precision: Observation,
    /// ln of weight and normalisation.
    constant: f32,
    weight: f64,
}

impl Gaussian {
    fn new(mean: [f64; DIMS], variance: [f64; DIMS], weight: f64) -> Self {
        let log_det: f64 = variance.iter().map(|v| v.ln()).sum();
        Self {
            mean: mean.map(|m| m as f32),
            precision: variance.map(|v| (1.0 / v) as f32),
            constant: (weight.ln() - 0.5 * (DIMS as f64 * LN_TAU + log_det)) as f32,
            weight,
        }
    }

    fn log_density(&self, x: &Observation) -> f32 {
        let mut sum = 0.0;
        for ((x, m), p) in x.iter().zip(&self.mean).zip(&self.precision) {
            sum += (x - m) * (x - m) * p;
        }
        self.constant - 0.5 * sum
    }
}

/// The densities of all states.
#[derive(Debug, Clone)]
pub struct Mixtures {
    states: Vec<Vec<Gaussian>>,
    /// ln of the probability to stay, and to go on.
    moves: Vec<(f32, f32)>,
}

/// What frames tell of the states.
#[derive(Debug, Clone)]
pub struct Sums {
    /// For each component of each state: frames, their sum, and the sum of their squares.
    states: Vec<Vec<Moments>>,
    /// All frames together.
    all: Moments,
    /// For each state the times that it was entered, roughly: frames that came behind a frame of another state.
    entered: Vec<f64>,
    last: Option<usize>,
}

#[derive(Debug, Clone)]
struct Moments {
    count: f64,
    sum: [f64; DIMS],
    squares: [f64; DIMS],
}

impl Moments {
    const NONE: Self = Self { count: 0.0, sum: [0.0; DIMS], squares: [0.0; DIMS] };

    fn add(&mut self, x: &Observation, weight: f64) {
        self.count += weight;
        for ((sum, squares), x) in self.sum.iter_mut().zip(&mut self.squares).zip(x) {
            let x = f64::from(*x);
            *sum += weight * x;
            *squares += weight * x * x;
        }
    }

    fn plus(&mut self, other: &Self) {
        self.count += other.count;
        for k in 0..DIMS {
            self.sum[k] += other.sum[k];
            self.squares[k] += other.squares[k];
        }
    }

    fn mean(&self) -> [f64; DIMS] {
        self.sum.map(|s| s / self.count.max(1.0))
    }

    fn variance(&self, least: &[f64; DIMS]) -> [f64; DIMS] {
        let mean = self.mean();
        std::array::from_fn(|k| (self.squares[k] / self.count.max(1.0) - mean[k] * mean[k]).max(least[k]))
    }
}

impl Mixtures {
    /// So many states, that are all alike until [`Mixtures::update`].
    pub fn of(states: usize) -> Self {
        let one = Gaussian::new([0.0; DIMS], [1.0; DIMS], 1.0);
        Self { states: vec![vec![one]; states], moves: vec![(-0.7, -0.7); states] }
    }

    /// ln of the density of `x` in a state.
    pub fn log_density(&self, state: usize, x: &Observation) -> f32 {
        let mut best = f32::MIN;
        let mut logs = [f32::MIN; 8];
        for (log, gaussian) in logs.iter_mut().zip(&self.states[state]) {
            *log = gaussian.log_density(x);
            best = best.max(*log);
        }
        let n = self.states[state].len();
        if n == 1 { best } else { best + logs[..n].iter().map(|l| (l - best).exp()).sum::<f32>().ln() }
    }

    /// ln of the probability to stay in a state, and of that to go on.
    pub fn moves(&self, state: usize) -> (f32, f32) {
        self.moves[state]
    }

    /// Finds all states anew.
    pub fn update(&mut self, sums: &Sums) {
        let least = sums.all.variance(&[1e-6; DIMS]).map(|v| LEAST_VARIANCE * v);
        for (state, (gaussians, moments)) in self.states.iter_mut().zip(&sums.states).enumerate() {
            let frames: f64 = moments.iter().map(|m| m.count).sum();
            if frames < LEAST_FRAMES {
                // A phone that is nearly never said sounds like any.
                if gaussians.len() == 1 && gaussians[0].weight == 1.0 {
                    *gaussians = vec![Gaussian::new(sums.all.mean(), sums.all.variance(&least), 1.0)];
                }
                continue;
            }
            let kept: Vec<&Moments> = moments.iter().filter(|m| m.count >= LEAST_FRAMES).collect();
            if !kept.is_empty() {
                let total: f64 = kept.iter().map(|m| m.count).sum();
                let gaussian = |m: &&Moments| Gaussian::new(m.mean(), m.variance(&least), m.count / total);
                *gaussians = kept.iter().map(gaussian).collect();
            }
            let leave = (sums.entered[state] / frames).clamp(0.02, 0.98);
            self.moves[state] = ((1.0 - leave).ln() as f32, leave.ln() as f32);
        }
    }

    /// Makes two of every component.
    pub fn split(&mut self) {
        for gaussians in &mut self.states {
            let halves = |g: &Gaussian| {
                [-SPLIT, SPLIT].map(|by| Gaussian {
                    mean: std::array::from_fn(|k| g.mean[k] + by / g.precision[k].sqrt()),
                    precision: g.precision,
                    constant: g.constant - std::f32::consts::LN_2,
                    weight: g.weight / 2.0,
                })
            };
            *gaussians = gaussians.iter().flat_map(halves).collect();
        }
    }
}

impl Sums {
    /// Nothing yet.
    pub fn of(mixtures: &Mixtures) -> Self {
        let states = mixtures.states.iter().map(|g| vec![Moments::NONE; g.len()]).collect();
        Self { states, all: Moments::NONE, entered: vec![0.0; mixtures.states.len()], last: None }
    }

    /// Adds a frame of a state, in the order of time.
    pub fn add(&mut self, mixtures: &Mixtures, state: usize, x: &Observation) {
        self.all.add(x, 1.0);
        if self.last.replace(state) != Some(state) {
            self.entered[state] += 1.0;
        }
        let gaussians = &mixtures.states[state];
        if let [moments] = &mut self.states[state][..] {
            return moments.add(x, 1.0);
        }
        let total = mixtures.log_density(state, x);
        for (gaussian, moments) in gaussians.iter().zip(&mut self.states[state]) {
            moments.add(x, f64::from((gaussian.log_density(x) - total).exp()));
        }
    }

    /// Both together.
    pub fn plus(mut self, other: Self) -> Self {
        for (a, b) in self.states.iter_mut().flatten().zip(other.states.iter().flatten()) {
            a.plus(b);
        }
        self.all.plus(&other.all);
        self.entered.iter_mut().zip(&other.entered).for_each(|(a, b)| *a += b);
        self
    }
}
