//! The other ranks, over MPI.

use ::mpi::Threading;
use ::mpi::collective::SystemOperation;
use ::mpi::datatype::PartitionMut;
use ::mpi::environment::Universe;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, CommunicatorCollectives, Equivalence};
use anyhow::{Context, Result};

/// A value that ranks can sum.
pub trait Number: Equivalence + Clone {}
impl Number for f32 {}
impl Number for f64 {}
impl Number for u64 {}

/// MPI, from its beginning to its end.
pub struct World {
    /// Leaves MPI when it is dropped.
    _universe: Universe,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// Also gives this rank and the number of ranks.
    pub fn open(launched: usize) -> Result<(Self, usize, usize)> {
        // Serialized: one thread at a time, which is not always the one that began.
        let (universe, _) = ::mpi::initialize_with_threading(Threading::Serialized).with_context(|| {
            format!("MPI can't be started for {launched} processes: it is running already")
        })?;
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok((Self { _universe: universe }, rank, size))
    }

    pub fn sum<T: Number>(&self, values: &mut [T]) {
        // A count of MPI is 31 bits wide.
        for part in values.chunks_mut(1 << 30) {
            let own = part.to_vec();
            SimpleCommunicator::world().all_reduce_into(&own[..], part, SystemOperation::sum());
        }
    }

    pub fn gather(&self, own: &[u8], size: usize) -> Result<Vec<Vec<u8>>> {
        let world = SimpleCommunicator::world();
        let mut lens = vec![0u64; size];
        world.all_gather_into(&(own.len() as u64), &mut lens[..]);
        let mut begin = 0u64;
        let ranges: Vec<(u64, u64)> = lens
            .iter()
            .map(|len| {
                begin += len;
                (begin - len, *len)
            })
            .collect();
        i32::try_from(begin).with_context(|| format!("the ranks can't exchange {begin} bytes at once"))?;
        // An MPI may refuse a buffer that has no memory.
        if begin == 0 {
            return Ok(vec![Vec::new(); size]);
        }
        let mut all = vec![0u8; begin as usize];
        let displacements: Vec<i32> = ranges.iter().map(|r| r.0 as i32).collect();
        let counts: Vec<i32> = lens.iter().map(|len| *len as i32).collect();
        world.all_gather_varcount_into(own, &mut PartitionMut::new(&mut all[..], counts, displacements));
        Ok(ranges.iter().map(|&(at, len)| all[at as usize..][..len as usize].to_vec()).collect())
    }

    pub fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }
}
