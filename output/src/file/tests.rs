use super::*;
use crate::place::Id;

#[test]
fn an_abandoned_file_leaves_the_old_one_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, b"old").unwrap();
    let mut pending = Output::at(&path).unwrap().create().unwrap();
    pending.write_all(b"half").unwrap();
    drop(pending);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let inside = folder.path().join("no").join("a");
    let message = write(&inside, b"x").unwrap_err().to_string();
    assert!(message.contains("no folder") && !folder.path().join("no").exists(), "{message}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_permissions_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a"), b"old").unwrap();
    for mode in [0o600, 0o640, 0o755] {
        fs::set_permissions(at("a"), fs::Permissions::from_mode(mode)).unwrap();
        write(&at("a"), b"old").unwrap();
        assert_eq!(fs::metadata(at("a")).unwrap().permissions().mode() & 0o7777, mode);
    }
    symlink("a", at("b")).unwrap();
    symlink("b", at("c")).unwrap();
    write(&at("c"), b"new").unwrap();
    assert_eq!(fs::read(at("a")).unwrap(), b"new");
    assert!(at("b").is_symlink() && at("c").is_symlink());
    // A link to what is not there yet makes that.
    symlink("later", at("d")).unwrap();
    write(&at("d"), b"now").unwrap();
    assert!(at("d").is_symlink() && fs::read(at("later")).unwrap() == b"now");
    symlink("round", at("round")).unwrap();
    assert!(write(&at("round"), b"x").is_err() && at("round").is_symlink());
}

#[cfg(unix)]
#[test]
fn devices_are_written_into_and_folders_refused() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    write(&link, b"x").unwrap();
    assert!(link.is_symlink());
    assert!(matches!(write(Path::new("/dev/full"), b"x").unwrap_err().why, Why::Io(_)));
    for path in [folder.path().to_path_buf(), folder.path().join("a/"), folder.path().join("..")] {
        assert!(matches!(write(&path, b"x").unwrap_err().why, Why::Folder), "{path:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn only_a_dead_process_has_its_leftovers_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let running = Output::at(&at("a.wav")).unwrap().create().unwrap();
    for name in
        [".wavesynth-a.wav-AbC123", ".wavesynth-b.wav-AbC123", ".wavesynth-a.wav-mine", ".wavesynth-AbC123"]
    {
        fs::write(at(name), b"half").unwrap();
    }
    let names = || {
        let mut names = leftover::in_folder(folder.path());
        names.sort();
        names
    };
    assert_eq!(names().len(), 5);
    write(&at("a.wav"), b"new").unwrap();
    assert_eq!(names().len(), 4);
    assert!(!at(".wavesynth-a.wav-AbC123").exists());
    running.commit().unwrap();
    assert_eq!(names(), [".wavesynth-AbC123", ".wavesynth-a.wav-mine", ".wavesynth-b.wav-AbC123"]);
    // A name as long as the system allows.
    write(&at(&"é".repeat(127)), b"x").unwrap();
}

#[cfg(unix)]
#[test]
fn one_file_has_one_identity() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a"), b"x").unwrap();
    fs::create_dir(at("in")).unwrap();
    fs::hard_link(at("a"), at("hard")).unwrap();
    std::os::unix::fs::symlink("a", at("soft")).unwrap();
    std::os::unix::fs::symlink("in/new", at("dangling")).unwrap();
    for same in ["hard", "soft", "in/../a", "./a"] {
        assert_eq!(Id::of(&at(same)), Id::of(&at("a")), "{same}");
    }
    assert_eq!(Id::of(&at("dangling")), Id::of(&at("in/./new")));
    assert_eq!(Id::of(&at("in/../in/new")), Id::of(&at("in/new")));
    assert_ne!(Id::of(&at("in/new")), Id::of(&at("in/other")));
    assert_eq!(Id::of(Path::new("/dev/null")), None);
}
