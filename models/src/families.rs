//! The families: a folder each, and one line each in [`ALL`].

pub mod char_rnn;
pub mod gpt;
pub mod made;
pub mod nade;
pub mod ngram;
pub mod pixel_cnn;
pub mod pixel_rnn;
pub mod wavenet;

use crate::family::Registered;

/// Every family that this program knows. The only place that lists them.
pub const ALL: &[Registered] = &[
    Registered::of::<wavenet::Config>(),
    Registered::of::<char_rnn::Config>(),
    Registered::of::<gpt::Config>(),
    Registered::of::<nade::Config>(),
    Registered::of::<made::Config>(),
    Registered::of::<pixel_rnn::Config>(),
    Registered::of::<ngram::Config>(),
    Registered::of::<pixel_cnn::Config>(),
];

/// The family called `name`.
pub fn find(name: &str) -> Option<&'static Registered> {
    ALL.iter().find(|f| f.name == name)
}

/// All names as a person lists them: each as `quote` writes it, `last` between the last two.
pub fn names(quote: impl Fn(&str) -> String, last: &str) -> String {
    let names: Vec<String> = ALL.iter().map(|f| quote(f.name)).collect();
    match &names[..] {
        [all @ .., end] if !all.is_empty() => format!("{} {last} {end}", all.join(", ")),
        _ => names.concat(),
    }
}
