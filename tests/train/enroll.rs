//! Enrolling a speaker that the voice was not trained on.

use crate::common::{Place, babble, go, write_wav};
use wavesynth::train::enroll::{Options, enroll};
use wavesynth_models::weights::Checkpoint;

#[test]
fn a_new_speaker_gets_a_vector_of_the_voices_own_space() {
    let place = Place::with_voices();
    let run = place.run_file(
        "out",
        "residual_channels = 16\nskip_channels = 16\ndilations = { cycle = 5, layers = 5 }\nspeaker_dim = 4\n\
         hidden = 16",
        "steps = 150\nwindow = 1600\nbatch = 4\nlearning_rate = 5e-3\nwarmup_steps = 20\neval_seconds = 1\n\
         log_every = 50",
    );
    let voice = go(&run, false, None).unwrap().voice;
    let checkpoint = Checkpoint::read(&voice).unwrap();
    let files: Vec<_> = (0..3)
        .map(|i| {
            let path = place.path(&format!("new/{i}.wav"));
            write_wav(&path, &babble(150.0, 1.5, 100 + i));
            path
        })
        .collect();
    let options = Options { name: "new".into(), steps: 30, seed: 1 };
    let done = enroll(&checkpoint, &voice, &files, &options).unwrap();
    assert!(done.after <= done.before, "{} {}", done.before, done.after);
    let vector = done.condition.speaker.as_ref().unwrap();
    assert_eq!(vector.values.len(), 4);
    assert_eq!(vector.space, checkpoint.header.sections["voice"]["space"]);
    let pitch = done.condition.stats.as_ref().unwrap().median_f0_hz;
    assert!((135.0..165.0).contains(&pitch), "{pitch}");
    let again = enroll(&checkpoint, &voice, &files, &options).unwrap();
    assert_eq!(again.condition, done.condition);

    // One recording is split by time; a crumb of sound is refused.
    let one = enroll(&checkpoint, &voice, &[place.path("data/low/0.wav")], &options);
    assert!(format!("{:#}", one.unwrap_err()).contains("wanted at least 2 s"));
    write_wav(&place.path("long.wav"), &babble(150.0, 4.0, 9));
    enroll(&checkpoint, &voice, &[place.path("long.wav")], &options).unwrap();
}
