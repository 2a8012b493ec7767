//! How well the classes of images are found.

use serde::Serialize;
use wavesynth::images::likeliest;

/// How well classes are found.
#[derive(Debug, Serialize)]
pub struct Classes {
    by: FoundBy,
    seen: Seen,
    /// The likeliest of each image.
    found: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// Behind each tenth of the steps, from none to all: the mean probability of the true class, or of the one that is found in
    /// the end where no labels are given.
    probability: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy_by_tenths: Option<Vec<f64>>,
}

/// What finds the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    BayesRule,
    ClassificationHead,
}

/// What the steps show, by which the classes are found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Pixels,
    Codes,
}

/// The log-probabilities of an image's classes behind each tenth of the steps, from none to all.
pub type Posterior = [Vec<f64>; 11];

/// Of `rows`, behind no step and behind each, those behind each tenth of the steps, from none to all.
pub fn tenths(rows: &[Vec<f64>]) -> Posterior {
    std::array::from_fn(|t| rows[(rows.len() - 1) * t / 10].clone())
}

impl Classes {
    /// How well the classes of `images` are found; each has its label, if any.
    pub fn of(images: &[Posterior], labels: Vec<Option<usize>>, by: FoundBy, seen: Seen) -> Self {
        let found: Vec<usize> = images.iter().map(|rows| likeliest(&rows[10])).collect();
        let mean = |of: &dyn Fn(usize) -> f64| (0..images.len()).map(of).sum::<f64>() / images.len() as f64;
        let is_labelled = labels.iter().all(Option::is_some);
        let meant: Vec<usize> = labels.iter().zip(&found).map(|(l, f)| l.unwrap_or(*f)).collect();
        let right = |t: usize| mean(&|i| f64::from(u8::from(likeliest(&images[i][t]) == meant[i])));
        Self {
            probability: (0..=10).map(|t| mean(&|i| images[i][t][meant[i]].exp())).collect(),
            accuracy: is_labelled.then(|| right(10)),
            accuracy_by_tenths: is_labelled.then(|| (0..=10).map(right).collect()),
            by,
            seen,
            found,
        }
    }

    /// Lines of a table, a line break before each.
    pub fn table(&self) -> String {
        let mut t = String::new();
        if let Some(accuracy) = self.accuracy {
            let by = match self.by {
                FoundBy::ClassificationHead => "the classification head",
                FoundBy::BayesRule => "Bayes' rule",
            };
            t += &format!("\nclasses by {by}: {:.2} % right", 100.0 * accuracy);
        }
        let percent =
            |values: &[f64]| -> String { values.iter().map(|v| format!(" {:>5.1}", 100.0 * v)).collect() };
        t += match self.seen {
            Seen::Pixels => "\npixels seen, %         ",
            Seen::Codes => "\ncodes seen, %          ",
        };
        t += &percent(&(0..=10).map(|i| f64::from(i) / 10.0).collect::<Vec<_>>());
        if let Some(accuracy) = &self.accuracy_by_tenths {
            t += &format!("\nright, %               {}", percent(accuracy));
        }
        t += &format!("\nprobability of class, %{}", percent(&self.probability));
        if self.accuracy.is_none() {
            let found: Vec<String> = self.found.iter().take(64).map(usize::to_string).collect();
            t += &format!("\nfound: {}", found.join(" "));
        }
        t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_images_classes_eleven_rows_are_kept() {
        let rows: Vec<Vec<f64>> = (0..=36).map(|t| vec![f64::from(t)]).collect();
        let kept: Vec<f64> = tenths(&rows).iter().map(|row| row[0]).collect();
        assert_eq!(kept, [0.0, 3.0, 7.0, 10.0, 14.0, 18.0, 21.0, 25.0, 28.0, 32.0, 36.0]);
        assert_eq!(tenths(&rows[..1]).map(|row| row[0]), [0.0; 11]);
    }

    #[test]
    fn classes_are_counted_by_what_is_seen() {
        let sure = |class: usize| [0.1f64, 0.9].map(|p| if class == 1 { p } else { 1.0 - p }.ln()).to_vec();
        let image =
            |class: usize| std::array::from_fn(|t| if t < 5 { vec![0.5f64.ln(); 2] } else { sure(class) });
        let labels = vec![Some(0), Some(1), Some(1)];
        let classes = Classes::of(&[image(0), image(1), image(0)], labels, FoundBy::BayesRule, Seen::Codes);
        assert_eq!((&classes.found[..], classes.accuracy), (&[0, 1, 0][..], Some(2.0 / 3.0)));
        assert!((classes.probability[4] - 0.5).abs() < 1e-9);
        assert!((classes.probability[5] - 1.9 / 3.0).abs() < 1e-9, "{:?}", classes.probability);
    }
}
