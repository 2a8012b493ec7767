use super::*;
use crate::kind;

const A: Kind = Kind { name: "an A", endings: &["a"], is_text: false, is: |p| kind::begins(p, b"A") };
const B: Kind = Kind { name: "a B", endings: &["npy"], is_text: true, is: |p| kind::begins(p, b"B") };

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), b"A file").unwrap();
    folder
}

#[test]
fn inputs_and_other_outputs_are_not_written() {
    let f = folder();
    let mut plan = Plan::new(true);
    plan.reads(&f.path().join("x"));
    plan.reads(Path::new("no-such-file"));
    let e = plan.writes("-o", &f.path().join(".").join("x"), &A).unwrap_err();
    assert!(matches!(e.why, Why::Input { .. }) && e.is_usage());
    plan.writes("-o", &f.path().join("y"), &A).unwrap();
    let e = plan.writes("--codes", &f.path().join("./y"), &A).unwrap_err();
    assert!(e.to_string().contains("-o") && e.to_string().contains("--codes"), "{e}");
    // A folder stands for its files.
    let mut plan = Plan::new(false);
    plan.reads(f.path());
    assert!(plan.writes("-o", &f.path().join("x"), &A).is_err());
}

#[test]
fn other_kinds_stay_unless_forced() {
    let f = folder();
    let x = f.path().join("x");
    Plan::new(false).writes("-o", &x, &A).unwrap();
    let e = Plan::new(false).writes("-o", &x, &B).unwrap_err();
    assert!(matches!(e.why, Why::Kind(_)) && e.to_string().contains("--force") && !e.is_usage(), "{e}");
    Plan::new(true).writes("-o", &x, &B).unwrap();
    // Nothing is lost with an empty file.
    fs::write(&x, b"").unwrap();
    Plan::new(false).writes("-o", &x, &B).unwrap();
    let mut permissions = fs::metadata(&x).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&x, permissions).unwrap();
    assert!(matches!(Plan::new(false).writes("-o", &x, &B).unwrap_err().why, Why::ReadOnly));
    Plan::new(true).writes("-o", &x, &B).unwrap();
}

#[test]
fn names_promise_their_format() {
    let f = folder();
    let at = |name: &str| f.path().join(name);
    for good in ["y", "y.a", "y.A", "y.unheard-of", "y.2"] {
        Plan::new(false).writes("-o", &at(good), &A).unwrap();
    }
    for bad in ["y.flac", "y.MP3", "y.npy", "y.txt"] {
        let e = Plan::new(true).writes("-o", &at(bad), &A).unwrap_err();
        assert!(matches!(e.why, Why::Ending { .. }) && e.to_string().contains("y.a"), "{e}");
    }
}

#[test]
fn places_are_checked_and_nothing_is_made() {
    let f = folder();
    let at = |name: &str| f.path().join(name);
    let mut plan = Plan::new(false);
    assert!(matches!(plan.writes("-o", &at("no/y"), &A).unwrap_err().why, Why::NoFolder(_)));
    assert!(matches!(plan.writes("-o", f.path(), &A).unwrap_err().why, Why::Folder));
    assert!(matches!(plan.writes("-o", &at("x/y"), &A).unwrap_err().why, Why::NoFolder(_) | Why::Denied(_)));
    assert!(plan.folder("-o", &at("x")).is_err());
    assert!(plan.folder("-o", &at("x/y")).is_err());
    assert!(plan.folder("-o", Path::new("-")).is_err());
    plan.folder("-o", &at("new/er")).unwrap();
    let inside = plan.writes("-o", &at("new/er/y"), &A).unwrap();
    assert_eq!(fs::read_dir(f.path()).unwrap().count(), 1);
    inside.write(b"A").unwrap();
    assert_eq!(fs::read(at("new/er/y")).unwrap(), b"A");
}

#[test]
fn stdout_is_for_one() {
    let mut plan = Plan::new(false);
    assert!(plan.writes("-o", Path::new("-"), &B).unwrap().is_stdout());
    let e = plan.writes("--codes", Path::new("-"), &B).unwrap_err();
    assert!(e.to_string().contains("-o") && e.to_string().contains("--codes") && e.is_usage(), "{e}");
    assert!(plan.prints("--json").is_err());
}
