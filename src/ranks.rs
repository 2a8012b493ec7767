//! The processes that share one piece of work: a training run over several machines, a list of files to render.
//!
//! Each process is a rank, 0 to size − 1. Started by `mpirun` or `srun`, a program built with the feature `mpi` finds the
//! others; any other program is the only rank, and every method here is then the identity. So code that uses
//! [`Ranks`] does not depend on how the program was built or started.
//!
//! All ranks have to make the same calls in the same order. A rank that can't go on ends them all ([`Ranks::abort`]), for
//! the others would wait for it forever.

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
use mpi as world;
#[cfg(not(feature = "mpi"))]
mod solo;
#[cfg(not(feature = "mpi"))]
use solo as world;

use anyhow::{Result, ensure};
use std::time::Duration;
pub use world::Number;
use world::World;

/// Variables in which launchers give the number of processes: Open MPI, Hydra or SLURM's PMI-2, SLURM.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// How long a rank other than 0 waits before it reports an error. Most errors occur on all ranks, and then rank 0 has
/// reported it and ended the others by now. On a busy machine the launcher needs more than a second for that.
const GRACE: Duration = Duration::from_secs(3);

/// Added for each rank, so that two of them do not report at once.
const STAGGER: Duration = Duration::from_millis(20);

/// This process among those that it works with.
#[derive(Debug)]
pub struct Ranks {
    world: Option<World>,
    rank: usize,
    size: usize,
}

impl Ranks {
    /// One process, alone.
    pub fn solo() -> Self {
        Self { world: None, rank: 0, size: 1 }
    }

    /// The processes that a launcher started together with this one. To be called once in a process.
    ///
    /// # Errors
    /// A launcher started several, and they can't find each other: each would do all the work, into the same files.
    pub fn open() -> Result<Self> {
        let launched = SIZES.iter().find_map(|name| std::env::var(name).ok()?.parse().ok()).unwrap_or(1);
        if launched == 1 {
            return Ok(Self::solo());
        }
        let (world, rank, size) = World::open(launched)?;
        ensure!(
            size == launched,
            "{launched} processes were started and MPI connects {size} of them; start them with mpirun, or with srun \
             --mpi=pmix"
        );
        Ok(Self { world: Some(world), rank, size })
    }

    /// This one's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is the rank that writes files and prints messages.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Replaces each value by its sum over the ranks: the same bits on all of them.
    pub fn sum<T: Number>(&self, values: &mut [T]) {
        if let Some(world) = &self.world {
            world.sum(values);
        }
    }

    /// The bytes of every rank, in the order of the ranks, on every rank.
    ///
    /// # Errors
    /// More than 2 GiB in all, beyond MPI's counts.
    pub fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        match &self.world {
            Some(world) => world.gather(&own, self.size),
            None => Ok(vec![own]),
        }
    }

    /// Replaces a mean over `weight` items of this rank (of the loss, and of its gradient, entry by entry) by the mean
    /// over the items of all ranks; gives that and the number of all items.
    pub fn mean(&self, value: f64, weight: u64, gradient: &mut [f32]) -> (f64, u64) {
        if self.world.is_none() {
            return (value, weight);
        }
        let mut sums = [value * weight as f64, weight as f64];
        self.sum(&mut sums);
        let share = (weight as f64 / sums[1]) as f32;
        gradient.iter_mut().for_each(|g| *g *= share);
        self.sum(gradient);
        (sums[0] / sums[1], sums[1] as u64)
    }

    /// Whether the value is true on any rank.
    pub fn any(&self, own: bool) -> bool {
        let mut votes = [u64::from(own)];
        self.sum(&mut votes);
        votes[0] > 0
    }

    /// Checks that all ranks hold the same `content`, called `what` in the error.
    ///
    /// # Errors
    /// One of them differs, as when machines do not see the same files.
    pub fn same(&self, content: &[u8], what: &str) -> Result<()> {
        let all = self.gather(content.to_vec())?;
        let other = all.iter().position(|c| *c != all[0]);
        ensure!(
            other.is_none(),
            "rank {} and rank 0 do not have the same {what}; all ranks must see the same files and run the same program",
            other.unwrap_or(0)
        );
        Ok(())
    }

    /// Ends all ranks for an error of this one: `report` prints it, unless another rank was first.
    pub fn abort(&self, code: u8, report: impl FnOnce()) -> ! {
        if !self.is_first() {
            std::thread::sleep(GRACE + STAGGER * self.rank as u32);
        }
        report();
        self.end(code)
    }

    fn end(&self, code: u8) -> ! {
        match &self.world {
            Some(world) => world.abort(i32::from(code)),
            None => std::process::exit(i32::from(code)),
        }
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        // Leaving MPI in order would wait for the others, and they wait for this rank.
        if self.world.is_some() && std::thread::panicking() {
            self.end(101);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_everything_is_the_identity() {
        let ranks = Ranks::solo();
        let mut values = [0.1f32, 0.7];
        ranks.sum(&mut values);
        assert_eq!(ranks.mean(0.1, 3, &mut values), (0.1, 3));
        assert_eq!(values, [0.1, 0.7]);
        assert_eq!(ranks.gather(vec![1, 2]).unwrap(), [[1, 2]]);
        assert!(ranks.any(true) && !ranks.any(false));
        assert_eq!((ranks.rank(), ranks.size(), ranks.is_first()), (0, 1, true));
    }
}
