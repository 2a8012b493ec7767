//! The page for people: one file, embedded, that loads nothing from elsewhere.

use super::answer::{Answer, Body};
use crate::serve::Server;
use bytes::Bytes;
use serde_json::json;

const PAGE: &str = include_str!("page.html");

/// What the page may do: run what is in it, and ask this server.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, with the voices in it.
pub(super) fn page(server: &Server) -> Answer {
    let of = |language: &str| json!({ "name": language, "example": server.front_end.example(language) });
    let languages: Vec<_> = server.front_end.languages().into_iter().map(of).collect();
    let settings = json!({
        "voices": server.voices.names().collect::<Vec<_>>(),
        "maxChars": server.limits.max_chars,
        "languages": languages,
    });
    // No name can end the script that it stands in.
    let settings = settings.to_string().replace('<', "\\u003c");
    let page = PAGE.replace("/*SETTINGS*/null", &settings);
    Answer::new("text/html; charset=utf-8", Body::Whole(Bytes::from(page).into()))
        .with("content-security-policy", POLICY)
        .with("referrer-policy", "no-referrer")
}
