//! render --jobs: lists of files.

use super::common::Folder;
use super::{number, refuses};

/// A list with tabs where the text has blanks.
fn list(f: &Folder, lines: &[&str]) {
    let lines: Vec<String> = lines.iter().map(|l| l.split(' ').collect::<Vec<_>>().join("\t")).collect();
    std::fs::write(f.path("list.tsv"), lines.join("\n") + "\n").unwrap();
}

const RENDER: &str = "render -m voice.safetensors";
const JOBS: &str = "render -m voice.safetensors --jobs list.tsv";
const LINES: [&str; 4] = [
    "condition track seed output seconds",
    "ann.bin track.bin 1 a.wav -",
    "both.bin - 2 b.wav ",
    "bob.bin track.bin 18446744073709551615 ./c.wav 0.1",
];

/// The meaning of the lines of `LINES`, one at a time.
fn singles(f: &Folder) {
    f.ok(&format!("{RENDER} --condition ann.bin --track track.bin --seed 1 -o 1.wav"));
    f.ok(&format!("{RENDER} --condition both.bin --seed 2 -o 2.wav"));
    f.ok(&format!(
        "{RENDER} --condition bob.bin --track track.bin --seed 18446744073709551615 --seconds 0.1 -o 3.wav"
    ));
}

fn same(f: &Folder) {
    for (a, b) in [("1.wav", "a.wav"), ("2.wav", "b.wav"), ("3.wav", "c.wav")] {
        assert!(std::fs::read(f.path(a)).unwrap() == std::fs::read(f.path(b)).unwrap(), "{b}");
    }
}

#[test]
fn a_list_is_its_lines_and_what_it_made_stays() {
    let f = Folder::new();
    list(&f, &LINES);
    singles(&f);
    let first = f.json(JOBS);
    assert_eq!((number(&first, "rendered"), number(&first, "skipped")), (3.0, 0.0));
    assert!((number(&first, "seconds") - (0.3 + 0.25 + 0.1)).abs() < 1e-9);
    same(&f);

    // Nothing to do.
    let modified = |name: &str| std::fs::metadata(f.path(name)).unwrap().modified().unwrap();
    let before = modified("c.wav");
    assert_eq!(number(&f.json(JOBS), "skipped"), 3.0);
    assert_eq!(modified("c.wav"), before);
    // One is cut off, one has another length, one has another last sample.
    let whole = std::fs::read(f.path("a.wav")).unwrap();
    std::fs::write(f.path("a.wav"), &whole[..whole.len() - 2]).unwrap();
    f.ok(&format!("{RENDER} --condition both.bin --seconds 0.1 -o b.wav"));
    let mut other = std::fs::read(f.path("c.wav")).unwrap();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(f.path("c.wav"), &other).unwrap();
    assert_eq!(number(&f.json(JOBS), "rendered"), 3.0);
    same(&f);
    std::fs::remove_file(f.path("c.wav")).unwrap();
    assert_eq!(number(&f.json(JOBS), "rendered"), 1.0);
    same(&f);
    assert_eq!(number(&f.json(&format!("{JOBS} --format f32")), "rendered"), 3.0);
    assert_eq!(number(&f.json(&format!("{JOBS} --format f32")), "skipped"), 3.0);
    // A half-written line in the record counts for nothing.
    let mut record = std::fs::read(f.path("wavesynth-jobs.tsv")).unwrap();
    record.truncate(record.len() - 10);
    std::fs::write(f.path("wavesynth-jobs.tsv"), record).unwrap();
    assert_eq!(number(&f.json(&format!("{JOBS} --format f32")), "rendered"), 1.0);
    assert_eq!(number(&f.json(&format!("{JOBS} --format f32")), "skipped"), 3.0);
}

#[test]
fn whatever_decides_the_bytes_makes_a_file_again() {
    let f = Folder::new();
    let rendered = |lines: &[&str], how: &str| {
        list(&f, lines);
        number(&f.json(&format!("{JOBS} {how}")), "rendered")
    };
    let line = ["ann.bin track.bin 1 a.wav 0.05"];
    assert_eq!(rendered(&line, ""), 1.0);
    assert_eq!(rendered(&line, ""), 0.0);
    let mut last = std::fs::read(f.path("a.wav")).unwrap();
    for (lines, how) in [
        (["bob.bin track.bin 1 a.wav 0.05"], ""),
        (["bob.bin both.bin 1 a.wav 0.05"], ""),
        (["bob.bin both.bin 2 a.wav 0.05"], ""),
        (["bob.bin both.bin 2 a.wav 0.05"], "--temperature 0.7"),
        (["bob.bin both.bin 2 a.wav 0.05"], "--temperature 0.7 --top-k 9"),
        (["bob.bin both.bin 2 a.wav 0.05"], "--sharpen 0.5"),
        (["bob.bin both.bin 2 a.wav 0.05"], "--dtype f32"),
    ] {
        assert_eq!(rendered(&lines, how), 1.0, "{lines:?} {how}");
        assert_eq!(rendered(&lines, how), 0.0, "{lines:?} {how}");
        let now = std::fs::read(f.path("a.wav")).unwrap();
        assert!(now.len() == last.len() && now != last, "{lines:?} {how}");
        last = now;
    }
    // A condition file of another content under the same name.
    std::fs::copy(f.path("ann.bin"), f.path("bob.bin")).unwrap();
    assert_eq!(rendered(&["bob.bin both.bin 2 a.wav 0.05"], "--dtype f32"), 1.0);
    // Somebody else's file at the place of an output.
    f.ok(&format!("{RENDER} --condition ann.bin --seed 5 --seconds 0.05 -o a.wav"));
    assert_eq!(rendered(&["bob.bin both.bin 2 a.wav 0.05"], "--dtype f32"), 1.0);
    assert_eq!(rendered(&["bob.bin both.bin 2 a.wav 0.05"], "--dtype f32 --force"), 1.0);
    // The record is nobody else's file.
    std::fs::write(f.path("wavesynth-jobs.tsv"), "my own table\n").unwrap();
    refuses(&f, JOBS, 1, &["wavesynth-jobs.tsv", "--force"]);
}

/// More lines than are rendered at once, no two of one length.
#[test]
fn many_lines_are_each_what_they_are_alone() {
    let f = Folder::new();
    let line = |i: usize| {
        let condition = ["ann.bin", "bob.bin"][i % 2];
        format!("{condition} track.bin {} {i}.wav {}", i / 2, 0.02 + 0.005 * (i * 7 % 19) as f64)
    };
    let lines: Vec<_> = (0..19).map(line).collect();
    list(&f, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let all = f.json(&format!("{JOBS} --format f32 --temperature 0.9"));
    assert_eq!(number(&all, "rendered"), 19.0);
    for line in &lines {
        let [condition, track, seed, output, seconds] = *line.split(' ').collect::<Vec<_>>() else {
            panic!()
        };
        f.ok(&format!(
            "{RENDER} --condition {condition} --track {track} --seed {seed} --seconds {seconds} --format f32 \
             --temperature 0.9 -o one.wav"
        ));
        let read = |name| std::fs::read(f.path(name)).unwrap();
        assert!(read("one.wav") == read(output), "{line}");
    }
}

#[test]
fn a_mistake_anywhere_is_told_before_anything_is_rendered() {
    let f = Folder::new();
    for (line, words) in [
        ("ann.bin track.bin 1", &["list.tsv line 4", "3 columns", "4 or 5"][..]),
        ("ann.bin track.bin one x.wav", &["line 4", "seed `one`"]),
        ("ann.bin track.bin 1 x.wav long", &["line 4", "seconds `long`"]),
        ("gone.bin track.bin 1 x.wav", &["line 4", "gone.bin"]),
        ("ann.bin gone.bin 1 x.wav", &["line 4", "gone.bin"]),
        ("ann.bin track.bin 1 no/x.wav", &["line 4", "no/x.wav", "no folder"]),
        ("ann.bin track.bin 1 .", &["line 4", "names no file"]),
        ("ann.bin track.bin 1 ./a.wav", &["line 4", "./a.wav", "line 2"]),
    ] {
        list(&f, &[LINES[0], LINES[1], LINES[2], line]);
        refuses(&f, JOBS, 1, words);
        assert!(!f.path("a.wav").exists(), "{line}");
    }
    list(&f, &[LINES[1], "- track.bin 1 x.wav"]);
    refuses(&f, JOBS, 2, &["line 2", "--condition"]);
    list(&f, &[LINES[1], "ann.bin - 1 x.wav -1"]);
    refuses(&f, JOBS, 2, &["line 2", "--seconds -1"]);
    list(&f, &["# nothing", ""]);
    refuses(&f, JOBS, 1, &["list.tsv", "no line"]);
    refuses(&f, &JOBS.replace("list", "gone"), 1, &["gone.tsv"]);
    refuses(&f, &format!("{JOBS} -o x.wav"), 2, &["--jobs"]);
}

#[cfg(feature = "mpi")]
#[test]
fn two_ranks_make_each_file_once() {
    let f = Folder::new();
    list(&f, &LINES);
    singles(&f);
    let run = |args: &str| {
        let mut mpirun = std::process::Command::new("mpirun");
        mpirun.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        mpirun.args(["--oversubscribe", "-n", "2", env!("CARGO_BIN_EXE_wavesynth")]);
        let out = mpirun.args(args.split_whitespace()).current_dir(f.path("")).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let first: serde_json::Value = run(&format!("{JOBS} --json"));
    assert_eq!((number(&first, "rendered"), number(&first, "ranks")), (3.0, 2.0));
    same(&f);
    assert_eq!(number(&run(&format!("{JOBS} --json")), "skipped"), 3.0);
    let sums: serde_json::Value = run("bench allreduce --values 1,1000 --json");
    assert_eq!((number(&sums[0], "ranks"), number(&sums[1], "values")), (2.0, 1000.0));
}
