//! Numbers too small to be normal cost a hundred cycles each, and a decaying filter makes many.

/// Runs `f` with denormal numbers flushed to zero on this thread. Every thread that computes goes through here,
/// `render` as well as `play`, so that both give the same bytes. Processors other than x86 and aarch64 keep their denormal
/// numbers.
pub fn without_denormals<T>(f: impl FnOnce() -> T) -> T {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64"))]
    return no_denormals::no_denormals(f);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    f()
}
