//! say --phones espeak: phones of a text by a program that may not be there. A script of its interface stands for it, so that the
//! tests need none; where the program itself is installed it is asked, too.

use super::common::Folder;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

/// Says of any clause what espeak-ng 1.51 says of these.
const SCRIPT: &str = r#"#!/bin/sh
for voice; do :; done
case $voice in
  en-us|cs) ;;
  *) echo "Error: The specified espeak-ng voice does not exist." >&2; exit 1 ;;
esac
while IFS= read -r clause; do
  case $clause in
    Hello,) printf ' h_ə_l_ˈoʊ\n' ;;
    "my name is Allison.") printf ' m_aɪ n_ˈeɪ_m ɪ_z ˈæ_l_ɪ_s_ə_n\n' ;;
    "Řeka (řeka)?") printf ' r̝_ˈe_k_a\n r̝_ˈe_k_a (en)_ǃ\n' ;;
    fail) echo "out of words" >&2; exit 3 ;;
    "") ;;
    *) printf ' b\n' ;;
  esac
done
"#;

fn printed(f: &Folder, path: &str, args: &[&str]) -> Output {
    f.command("say --print-phones --phones espeak").args(args).env("PATH", path).output().unwrap()
}

fn script() -> (Folder, String) {
    let f = Folder::new();
    let program = f.path("espeak-ng");
    std::fs::write(&program, SCRIPT).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = program.parent().unwrap().to_str().unwrap().to_string();
    (f, path)
}

#[test]
fn a_text_is_said_by_espeaks_phones() {
    let (f, path) = script();
    let out = printed(&f, &path, &["Hello, my name is Allison."]);
    let phones = String::from_utf8(out.stdout).unwrap();
    assert_eq!(
        phones,
        "HH AH L OW1 , M AY | N EY1 M | IH Z | AE1 L IH S AH N .\n",
        "{}",
        message(&out.stderr)
    );
    // Another language by the same phones, in parts where espeak-ng pauses; what is near to nothing is told.
    std::fs::write(f.path("text.txt"), "Řeka (řeka)? Hello,\n").unwrap();
    let out = printed(&f, &path, &["--language", "en", "--file", "text.txt"]);
    let phones = String::from_utf8(out.stdout).unwrap();
    assert_eq!(phones, "JH EY1 K AA , JH EY1 K AA ?\nHH AH L OW1 .\n", "the model has no ZH");
    assert!(message(&out.stderr).contains("the sound [ǃ]"));
    let strict = printed(&f, &path, &["--strict", "Řeka (řeka)?"]);
    assert_eq!((strict.status.code(), strict.stdout.len()), (Some(1), 0));
}

#[test]
fn an_espeak_that_fails_is_told_in_one_line() {
    let (f, path) = script();
    let empty = Folder::new();
    let none = empty.path("x").parent().unwrap().to_str().unwrap().to_string();
    let cases: [(&str, &[&str], i32, &str); 5] = [
        (&none, &["Hello,"], 1, "espeak-ng can't be started; install it"),
        (&path, &["fail"], 1, "out of words"),
        (&path, &["--language", "ru", "Да"], 1, "asked for the language ru: Error: The specified"),
        (&path, &[""], 2, "nothing to say"),
        (&path, &["--language", "xx", "Hi"], 2, "--language xx"),
    ];
    for (path, args, status, words) in cases {
        let out = printed(&f, path, args);
        let said = message(&out.stderr);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{args:?}: {said}");
        assert!(out.stdout.is_empty());
    }
    let out = f.command("say Hello. --phones").arg("HH AH0").output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(message(&out.stderr).contains("--phones espeak"));
}

#[test]
fn the_program_itself_is_understood_where_it_is_installed() {
    let Ok(path) = std::env::var("PATH") else { return };
    let Ok(version) = std::process::Command::new("espeak-ng").arg("--version").output() else { return };
    let f = Folder::new();
    let out = printed(&f, &path, &["Hello, my name is Allison. Yes?"]);
    let phones = String::from_utf8(out.stdout).unwrap();
    let version = message(&version.stdout);
    assert!(
        phones.starts_with("HH ") && phones.contains(" , M AY ") && phones.ends_with(" ?\n"),
        "{phones} by {version}"
    );
}

fn message(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
