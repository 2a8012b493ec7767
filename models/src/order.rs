//! Which variable each step fills: the order of p(x) = Π p(x_σ(t) | x_σ(<t)).
//!
//! An order is data that a config holds. What samples, what cuts a data set into sequences and what masks a convolution
//! all read the same one.

mod scan;

pub use scan::{Grid, Scan};

use crate::config::ConfigError;
use serde::{Deserialize, Serialize};

/// The order in which the variables of a sequence are filled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Step t fills variable t, for sequences of any length.
    #[default]
    Time,
    /// A permutation of the N variables of a sequence.
    Sites(Sites),
}

/// A permutation, perhaps in groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sites {
    /// σ: the variable that step t fills.
    pub sites: Vec<u32>,
    /// Steps of each group, which are filled at once given all groups before; one step each where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
}

impl Order {
    /// Whether it is the order of time.
    pub fn is_time(&self) -> bool {
        *self == Self::Time
    }

    /// N; `None` where sequences have any length.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::Time => None,
            Self::Sites(s) => Some(s.sites.len()),
        }
    }

    /// Whether there is no variable at all.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// σ(t): the variable that step t fills.
    ///
    /// # Panics
    /// When t is not below [`Order::len`].
    ///
    /// # Real-time
    /// Yes.
    pub fn site(&self, t: usize) -> usize {
        match self {
            Self::Time => t,
            Self::Sites(s) => s.sites[t] as usize,
        }
    }

    /// The first step of each group and, at the end, N; empty for [`Order::Time`], where every step is its own group.
    pub fn group_starts(&self) -> Vec<usize> {
        let Self::Sites(s) = self else { return Vec::new() };
        let mut starts = vec![0];
        match s.groups.is_empty() {
            true => starts.extend(1..=s.sites.len()),
            false => starts.extend(s.groups.iter().scan(0, |sum, &n| {
                *sum += n as usize;
                Some(*sum)
            })),
        }
        starts
    }

    /// `variables` in the order of the steps.
    ///
    /// # Panics
    /// When there are not [`Order::len`] of them.
    pub fn to_steps<T: Copy>(&self, variables: &[T]) -> Vec<T> {
        match self {
            Self::Time => variables.to_vec(),
            Self::Sites(s) => {
                assert_eq!(variables.len(), s.sites.len(), "a value for every variable");
                s.sites.iter().map(|&site| variables[site as usize]).collect()
            }
        }
    }

    /// What was drawn in the order of the steps, each value at its variable.
    ///
    /// # Panics
    /// As [`Order::to_steps`].
    pub fn to_variables<T: Copy + Default>(&self, steps: &[T]) -> Vec<T> {
        match self {
            Self::Time => steps.to_vec(),
            Self::Sites(s) => {
                assert_eq!(steps.len(), s.sites.len(), "a value for every step");
                let mut variables = vec![T::default(); steps.len()];
                s.sites.iter().zip(steps).for_each(|(&site, &x)| variables[site as usize] = x);
                variables
            }
        }
    }

    /// Checks that the sites are a permutation and that the groups cover it.
    ///
    /// # Errors
    /// What is not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self::Sites(s) = self else { return Ok(()) };
        let fail =
            |field, found: String, want: &'static str| Err(ConfigError { field, found, want: want.into() });
        let mut seen = vec![false; s.sites.len()];
        for &site in &s.sites {
            match seen.get_mut(site as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return fail("order.sites", site.to_string(), "every variable from 0 on once"),
            }
        }
        let steps: u64 = s.groups.iter().map(|&n| u64::from(n)).sum();
        if !s.groups.is_empty() && (s.groups.contains(&0) || steps != s.sites.len() as u64) {
            return fail(
                "order.groups",
                format!("{steps} steps"),
                "groups of 1 step or more that cover all sites",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(sites: &[u32], groups: &[u32]) -> Order {
        Order::Sites(Sites { sites: sites.to_vec(), groups: groups.to_vec() })
    }

    #[test]
    fn a_permutation_and_its_inverse_undo_each_other() {
        let order = sites(&[2, 0, 3, 1], &[]);
        assert_eq!(order.validate(), Ok(()));
        assert_eq!(order.to_steps(b"abcd"), b"cadb");
        assert_eq!(order.to_variables(&order.to_steps(b"abcd")), b"abcd");
        assert_eq!((order.site(2), order.len(), order.group_starts()), (3, Some(4), vec![0, 1, 2, 3, 4]));
        assert_eq!(Order::Time.to_steps(b"ab"), b"ab");
        assert_eq!((Order::Time.site(7), Order::Time.len()), (7, None));
    }

    #[test]
    fn groups_cover_the_sites() {
        assert_eq!(sites(&[1, 0, 2], &[2, 1]).group_starts(), [0, 2, 3]);
        for bad in
            [sites(&[1, 0, 2], &[2]), sites(&[1, 0, 2], &[3, 0]), sites(&[0, 0], &[]), sites(&[1], &[])]
        {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_config_holds_it() {
        let order = sites(&[1, 0], &[2]);
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(json, r#"{"sites":{"sites":[1,0],"groups":[2]}}"#);
        assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
        assert_eq!(serde_json::from_str::<Order>(r#""time""#).unwrap(), Order::Time);
    }
}
