//! What families over sequences of a fixed length share: an order of N sites, and a class label that holds for a whole
//! sequence.

use crate::ar::Symbol;
use crate::condition::ConditionSpec;
use crate::config::{ConfigError, range};
use crate::family::Facts;
use crate::kernels::aligned::Aligned;
use crate::likelihood::LikelihoodConfig;
#[cfg(feature = "train")]
use crate::objective::{ObjectiveError, Window, check_windows};
use crate::order::Order;
#[cfg(feature = "train")]
use candle_core::{Device, Tensor};

/// Checks that `order` names from 2 to 65,536 sites, each a step of its own.
///
/// # Errors
/// What it does not.
pub fn validate_order(order: &Order) -> Result<(), ConfigError> {
    order.validate()?;
    match order {
        Order::Time => {
            let want = "sites: the family is of sequences of a fixed length".into();
            Err(ConfigError { field: "order", found: "time".into(), want })
        }
        Order::Sites(s) if !s.groups.is_empty() => {
            let found = format!("{} groups", s.groups.len());
            Err(ConfigError { field: "order.groups", found, want: "none: every step fills one site".into() })
        }
        Order::Sites(s) => range("order.sites", s.sites.len(), 2, 1 << 16, "2 to 65536 sites"),
    }
}

/// Checks a config's number of class labels.
///
/// # Errors
/// More than there may be.
pub fn validate_labels(labels: usize) -> Result<(), ConfigError> {
    range("labels", labels, 0, 1 << 16, "a number from 0 to 65536")
}

/// N; 0 for the order of time, which [`validate_order`] refuses.
pub fn len(order: &Order) -> usize {
    order.len().unwrap_or(0)
}

/// The condition and the symbols that one of its frames lasts: a label for a whole sequence, where there are labels.
pub fn condition(labels: usize, n: usize) -> (Option<ConditionSpec>, usize) {
    match labels {
        0 => (None, 1),
        classes => (Some(ConditionSpec { classes, ..ConditionSpec::default() }), n),
    }
}

/// What the sizes of such a family mean: of `macs` multiply-adds a variable, all of the past counting.
pub fn facts(
    likelihood: LikelihoodConfig,
    start: Symbol,
    order: &Order,
    labels: usize,
    macs: usize,
) -> Facts {
    let (condition, hop) = condition(labels, len(order));
    Facts { likelihood, start, order: order.clone(), condition, hop, macs, past: None }
}

/// A row for each label, of whole vectors, and zeros for none.
pub struct Labels {
    rows: Aligned,
    width: usize,
}

impl Labels {
    /// The rows of `table` [K, `columns`], padded to `width` values; `None` for a model without labels.
    pub fn new(table: Option<&[f32]>, columns: usize, width: usize) -> Self {
        let table = table.unwrap_or(&[]);
        let none = vec![0.0; columns];
        Self { rows: Aligned::rows(&[table, &none].concat(), columns, width), width }
    }

    /// That of `class`; zeros without one, and for one that the model does not know.
    ///
    /// # Real-time
    /// Yes.
    #[inline(always)]
    pub fn row(&self, class: Option<usize>) -> &[f32] {
        let none = self.rows.len() / self.width - 1;
        &self.rows[class.map_or(none, |c| c.min(none)) * self.width..][..self.width]
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        4 * self.width
    }
}

/// Checks a batch of windows of at most `n` rows with a class below `labels` or none, and with orders of their own where the model
/// is one of `any_order`; the length of the longest.
///
/// # Errors
/// The first window that does not fit.
#[cfg(feature = "train")]
pub fn check_batch(
    batch: &[Window],
    likelihood: &LikelihoodConfig,
    n: usize,
    labels: usize,
    any_order: bool,
) -> Result<usize, ObjectiveError> {
    let longest = check_windows(batch, likelihood)?;
    let err = |i: usize, what: String| Err(ObjectiveError::Batch(format!("window {i}: {what}")));
    for (i, w) in batch.iter().enumerate() {
        if !w.frames.is_empty() || w.speaker.is_some() || (labels == 0 && w.class.is_some()) {
            return err(i, "a condition that the model does not take".into());
        }
        if let Some(class) = w.class.filter(|&c| c >= labels) {
            return err(i, format!("class {class}, the model has {labels}"));
        }
        let is_order = any_order && w.sites.len() == n && w.sites.iter().all(|&s| (s as usize) < n);
        if !w.sites.is_empty() && !is_order {
            return err(i, "an order that the model does not take".into());
        }
        if w.rows() > n {
            return err(i, format!("{} rows, the model has {n} steps", w.rows()));
        }
    }
    Ok(longest)
}

/// The classes of `batch` as the graphs read them, one-hot rows [B, 1, K]; `None` without labels.
///
/// # Errors
/// A device out of memory.
#[cfg(feature = "train")]
pub fn one_hot(batch: &[Window], labels: usize, device: &Device) -> candle_core::Result<Option<Tensor>> {
    if labels == 0 {
        return Ok(None);
    }
    let mut rows = vec![0f32; batch.len() * labels];
    for (row, window) in rows.chunks_exact_mut(labels).zip(batch) {
        if let Some(class) = window.class {
            row[class] = 1.0;
        }
    }
    Tensor::from_vec(rows, (batch.len(), 1, labels), device).map(Some)
}

/// What the classes of `cond` [B, ⌈T / N⌉, K] add to step `t`: [B, width] by `table` [K, width].
///
/// # Errors
/// Shapes that do not fit.
#[cfg(feature = "train")]
pub fn class_rows(cond: &Tensor, t: usize, n: usize, table: &Tensor) -> candle_core::Result<Tensor> {
    cond.narrow(1, t / n, 1)?.squeeze(1)?.contiguous()?.matmul(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Sites;

    #[test]
    fn orders_without_a_length_and_in_groups_are_refused() {
        let sites = |sites: &[u32], groups: &[u32]| {
            Order::Sites(Sites { sites: sites.to_vec(), groups: groups.to_vec() })
        };
        assert_eq!(validate_order(&sites(&[1, 0], &[])), Ok(()));
        for (order, words) in [
            (Order::Time, "config: order is time, wanted sites"),
            (sites(&[0], &[]), "config: order.sites is 1, wanted 2 to 65536 sites"),
            (sites(&[0, 1, 2], &[2, 1]), "config: order.groups is 2 groups, wanted none"),
            (sites(&[0, 0], &[]), "config: order.sites is 0, wanted every variable"),
        ] {
            let said = validate_order(&order).unwrap_err().to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }

    #[test]
    fn a_label_that_is_none_has_a_row_of_zeros() {
        let labels = Labels::new(Some(&[1.0, 2.0, 3.0, 4.0]), 2, 4);
        assert_eq!(labels.row(Some(1)), [3.0, 4.0, 0.0, 0.0]);
        assert_eq!((labels.row(None), labels.row(Some(9))), (&[0.0; 4][..], &[0.0; 4][..]));
        assert_eq!(Labels::new(None, 2, 4).row(None), [0.0; 4]);
    }
}
