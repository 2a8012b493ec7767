//! How far a long piece of work has come: a bar on stderr while a person watches.

#[cfg(feature = "cli")]
use indicatif::{ProgressBar, ProgressStyle};
use wavesynth_output::say;

/// A bar on stderr. It draws nothing where stderr is no terminal, and nothing in a build without the feature `cli`.
#[derive(Debug, Clone)]
pub struct Progress {
    #[cfg(feature = "cli")]
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `len` steps, drawn as `template` says in the words of the crate `indicatif`.
    #[cfg_attr(not(feature = "cli"), expect(unused_variables, reason = "nothing is drawn"))]
    pub fn new(len: u64, template: &str) -> Self {
        #[cfg(feature = "cli")]
        {
            let bar = ProgressBar::new(len);
            // A damaged template leaves the plain style.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            Self { bar }
        }
        #[cfg(not(feature = "cli"))]
        Self {}
    }

    /// A bar that nobody sees.
    pub fn hidden() -> Self {
        #[cfg(feature = "cli")]
        return Self { bar: ProgressBar::hidden() };
        #[cfg(not(feature = "cli"))]
        Self {}
    }

    /// Whether nobody sees it.
    pub fn is_hidden(&self) -> bool {
        #[cfg(feature = "cli")]
        return self.bar.is_hidden();
        #[cfg(not(feature = "cli"))]
        true
    }

    /// `n` steps further.
    #[cfg_attr(not(feature = "cli"), expect(unused_variables, reason = "nothing is drawn"))]
    pub fn inc(&self, n: u64) {
        #[cfg(feature = "cli")]
        self.bar.inc(n);
    }

    /// At step `position`, with a message where the template shows one.
    #[cfg_attr(not(feature = "cli"), expect(unused_variables, reason = "nothing is drawn"))]
    pub fn set(&self, position: u64, message: String) {
        #[cfg(feature = "cli")]
        {
            self.bar.set_position(position);
            self.bar.set_message(message);
        }
    }

    /// A line on stderr, above the bar.
    pub fn print(&self, line: &str) {
        #[cfg(feature = "cli")]
        self.bar.suspend(|| say!("{line}"));
        #[cfg(not(feature = "cli"))]
        say!("{line}");
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        #[cfg(feature = "cli")]
        self.bar.finish_and_clear();
    }
}
