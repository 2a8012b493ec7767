//! Numbers too small to be normal cost a hundred cycles each, and a decaying filter makes many.

/// Runs `f` with denormal numbers flushed to zero on this thread. Every thread that computes goes through here,
/// `render` as well as `play`, so that both give the same bytes.
pub fn without_denormals<T>(f: impl FnOnce() -> T) -> T {
    no_denormals::no_denormals(f)
}
