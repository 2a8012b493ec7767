//! Sound that breaks off and comes back without a click.

use std::f32::consts::PI;

/// Smooths the places where missing samples begin and end. The default changes nothing.
#[derive(Debug, Default)]
pub(super) struct Join {
    /// Samples of either fade.
    samples: usize,
    /// Samples of the next sound that are still to rise.
    rising: usize,
    /// What dies away, and samples that it still takes.
    falling: (f32, usize),
    /// The sample before, and whether it was missing.
    last: f32,
    missing: bool,
}

impl Join {
    /// From now on with fades of so many samples.
    pub(super) fn fade_over(&mut self, samples: usize) {
        self.samples = samples;
    }

    /// Has the next real samples rise.
    pub(super) fn rise(&mut self) {
        self.rising = usize::MAX;
    }

    /// `block` begins with `real` samples; the rest of it is missing, if it `breaks` off there, and silent.
    ///
    /// # Real-time
    /// Yes: only samples in a fade cost anything.
    pub(super) fn smooth(&mut self, block: &mut [f32], real: usize, breaks: bool) {
        if self.samples == 0 {
            return;
        }
        self.rising = self.rising.min(self.samples);
        let (sound, missing) = block.split_at_mut(real);
        for x in sound.iter_mut().take(self.rising.max(self.falling.1)) {
            if self.rising > 0 {
                self.rising -= 1;
                *x *= 1.0 - self.share(self.rising + 1);
            }
            *x += self.fall();
        }
        if let Some(&last) = sound.last() {
            (self.last, self.missing) = (last, false);
        }
        if !missing.is_empty() && breaks {
            // What has begun to die away goes on doing so.
            if !self.missing {
                self.falling = (self.last, self.samples);
            }
            self.missing = true;
            self.rising = self.samples;
            missing.iter_mut().take(self.falling.1).for_each(|x| *x = self.fall());
            self.last = missing.last().copied().unwrap_or(self.last);
        }
    }

    fn fall(&mut self) -> f32 {
        let (from, left) = self.falling;
        if left == 0 {
            return 0.0;
        }
        self.falling.1 = left - 1;
        from * self.share(left - 1)
    }

    /// A raised cosine: 1 at the full number of samples, 0 at none.
    fn share(&self, left: usize) -> f32 {
        0.5 - 0.5 * (PI * left as f32 / self.samples as f32).cos()
    }
}

#[cfg(test)]
mod tests {
    use crate::ring::ring;

    /// Steps at the joins, of a sound that stands at full scale, and what is heard of it.
    fn steps(real: &[usize], block: usize, fade: usize) -> (f32, Vec<f32>) {
        let (mut producer, mut consumer) = ring(10_000);
        consumer.fade_over(fade);
        let mut heard = Vec::new();
        for &n in real {
            producer.push_slice(&vec![1.0; n]);
            let mut out = vec![9.0; block];
            consumer.fill(&mut out);
            heard.extend(out);
        }
        let first = heard.iter().position(|x| *x != 0.0).unwrap();
        let steps = heard[first..].windows(2).map(|w| (w[1] - w[0]).abs());
        (steps.fold(0.0, f32::max), heard)
    }

    /// 10 ms at 16 kHz: no step reaches -40 dBFS, wherever sound ends and begins, even within a fade.
    #[test]
    fn silence_comes_and_goes_without_a_step() {
        for block in [64, 160, 333] {
            for starved in [0, 1, 7, 63] {
                let real: Vec<usize> =
                    [block, block, starved, 0, 0, 0, block, 3, block, block, 0, block, block].into();
                let (step, heard) = steps(&real, block, 160);
                assert!(step < 0.01, "block {block}, {starved} left: a step of {step}");
                assert_eq!(heard[2 * block - 1], 1.0);
                assert!(heard.iter().all(|x| (0.0..=1.0 + 1e-6).contains(x)));
            }
        }
        // Without a fade it is the cut that it always was.
        assert_eq!(steps(&[64, 10, 64], 64, 0).0, 1.0);
    }

    #[test]
    fn what_follows_is_itself_again() {
        let (_, heard) = steps(&[100, 40, 100, 100, 100], 100, 50);
        assert_eq!(heard[..140], [1.0; 140]);
        assert!(heard[190..200].iter().all(|x| *x == 0.0));
        assert!(heard[200] < 0.01 && heard[250..].iter().all(|x| *x == 1.0));
    }

    #[test]
    fn the_end_and_the_beginning_are_left_alone() {
        let (mut producer, mut consumer) = ring(100);
        consumer.fade_over(50);
        let mut out = [9.0; 40];
        consumer.fill(&mut out);
        producer.push_slice(&[1.0; 50]);
        producer.close();
        consumer.fill(&mut out);
        assert_eq!(out, [1.0; 40]);
        consumer.fill(&mut out);
        assert_eq!((&out[..10], &out[10..]), (&[1.0; 10][..], &[0.0; 30][..]));
        let (mut producer, mut consumer) = ring(100);
        consumer.fade_over(50);
        consumer.rise();
        producer.push_slice(&[1.0; 100]);
        let mut out = [9.0; 100];
        consumer.fill(&mut out);
        assert!(out[0] < 0.01 && out[49] < 1.0 && out[50..] == [1.0; 50]);
    }
}
