//! The names of the family's tensors in a checkpoint. C contexts, E entries; indices are whole numbers.

/// `[C]` the symbol that a context puts in front of its parent's; 0 for the root.
pub const SYMBOL: &str = "context.symbol";
/// `[C + 1]` context i has the children `children[i] .. children[i + 1]`, by rising symbol.
pub const CHILDREN: &str = "context.children";
/// `[C]` λ.
pub const BACKOFF: &str = "context.backoff";
/// `[C + 1]` context i has the entries `entries[i] .. entries[i + 1]`, by rising symbol.
pub const ENTRIES: &str = "context.entries";
/// `[E]` x.
pub const ENTRY_SYMBOL: &str = "entry.symbol";
/// `[E]` w(h, x).
pub const ENTRY_WEIGHT: &str = "entry.weight";
