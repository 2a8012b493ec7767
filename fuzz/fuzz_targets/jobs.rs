//! Lists of `render --jobs`: a line that was understood can be written again, and is then the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::job_list::{JobLine, parse};

/// `job` as a line. A blank in front keeps it from being a comment.
fn line(job: &JobLine) -> String {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map_or("-".into(), |p| p.display().to_string());
    let seconds = job.seconds.map_or("-".into(), |s| s.to_string());
    let (condition, track) = (path(&job.condition), path(&job.track));
    format!(" {condition}\t{track}\t{}\t{}\t{seconds}\n", job.seed, job.output.display())
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text) {
        Ok(jobs) => {
            assert!(jobs.iter().all(|job| job.output.file_name().is_some()));
            let again = parse(&jobs.iter().map(line).collect::<String>()).unwrap();
            let same = |job: &JobLine| format!("{:?}", JobLine { line: 0, ..job.clone() });
            assert!(jobs.iter().map(same).eq(again.iter().map(same)));
        }
        Err(e) => assert!(e.line().is_none_or(|line| (1..=text.lines().count()).contains(&line))),
    }
});
