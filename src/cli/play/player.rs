//! Main's side of a session: commands in, reports out, and an eye on everything that can go away.

use super::Args;
use super::attempt::close;
use super::controls::{self, Action, Controls};
use super::latency::Latency;
use super::report::Played;
use super::speaker::{Out, Speaker};
use super::status::{State, Status};
use crate::cli::input::Input;
use crate::cli::interrupt::{self, on_own_thread};
use crate::cli::output;
use anyhow::{Result, bail};
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wavesynth::lookup;
use wavesynth::synth::{Command, Conditioning, Event, SamplingPolicy, Session};
use wavesynth::voice::Voice;
use wavesynth_audio::cond::Condition;
use wavesynth_models::ar::Sampling;
use wavesynth_models::in_file::AtPath;

/// Time to fade out on Ctrl-C or `stop`, in ms.
pub(super) const FADE_OUT_MS: u32 = 200;
/// Time that the end has after that, beside what ring and device hold.
const END: Duration = Duration::from_secs(1);
/// How often main looks at commands, events and the clock.
const TICK: Duration = Duration::from_millis(20);
/// Time after which the latency of live input is printed: by then the devices have reported theirs.
const STEADY_AFTER: Duration = Duration::from_secs(2);

/// Conditions that can be under way.
const READING: usize = 16;

/// A condition that a thread of its own reads: the file may be a pipe, or on a disk that sleeps.
struct Reading {
    path: PathBuf,
    fade_ms: u32,
    condition: Receiver<Result<Condition>>,
}

/// A session and all that steers it.
pub(super) struct Player<'a> {
    voice: &'a Voice,
    session: Session<Out>,
    /// `None` where the sound goes to a file.
    speaker: Option<Speaker>,
    controls: Controls,
    input: Option<&'a mut Input>,
    /// Whether a microphone that has gone is waited for.
    reconnects: bool,
    status: Status,
    policy: SamplingPolicy,
    paused: bool,
    /// Conditions that are being read, in their order.
    reading: VecDeque<Reading>,
    /// Stops asked for with a key or a line.
    stops: usize,
    /// When the first one came, by any way.
    stopping: Option<Instant>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        voice: &'a Voice,
        session: Session<Out>,
        speaker: Option<Speaker>,
        input: Option<&'a mut Input>,
        total: Option<u64>,
        policy: SamplingPolicy,
        args: &Args,
    ) -> Self {
        let live = args.input.is_live();
        Self {
            controls: Controls::new(input.as_ref().is_none_or(|i| !i.takes_stdin())),
            reconnects: !args.no_reconnect,
            status: Status::new(voice.section.sample_rate, total, voice.model.dtype, live),
            voice,
            session,
            speaker,
            input,
            policy,
            paused: false,
            reading: VecDeque::new(),
            stops: 0,
            stopping: None,
        }
    }

    /// Plays to the end; what was played.
    pub(super) fn play(mut self, args: &Args) -> Result<Played> {
        let cpu = output::cpu_time();
        let done = self.run();
        let Self { mut session, speaker, status, controls, input, voice, .. } = self;
        drop((status, controls));
        let latency = |out: Option<&Out>| match out {
            Some(Out::Device(playing)) => Some(playing.stats()),
            _ => None,
        };
        let device = latency(session.output());
        let live = input
            .as_deref()
            .zip(device)
            .and_then(|(input, device)| Latency::measured(input, session.resampling_ms(), device.latency_ms));
        let (xruns, missing) = speaker.as_ref().map_or((0, 0), |s| s.gaps(&session));
        let setup = session.setup();
        let out = session.detach();
        let written = match out {
            Some(Out::File(file)) if done.as_ref().is_ok_and(|whole| *whole) => {
                file.finish()?;
                Some(args.output.clone())
            }
            other => {
                close(other);
                None
            }
        };
        let whole = done?;
        if speaker.is_none() && !whole {
            bail!(
                "interrupted after {:.1} s of sound",
                session.progress().position() as f64 / f64::from(voice.section.sample_rate)
            );
        }
        let report = session.end()?;
        let played = Played::reported(&report, voice, args.policy.seed(), output::cpu_time() - cpu);
        let Some(speaker) = speaker else { return Ok(Played { output: written, ..played }) };
        let ms = |samples: f64| samples * 1000.0 / f64::from(setup.device_rate);
        let ring_ms = ms(setup.ring_samples as f64);
        Ok(Played {
            underruns: report.underruns + xruns,
            device_xruns: xruns,
            missing_samples: report.missing_samples + missing,
            reopened: speaker.reopened,
            latency_ms: Some(ring_ms + device.map_or(0.0, |d| f64::from(d.latency_ms))),
            realtime_callback: device.is_some_and(|d| d.realtime),
            period_ms: Some(ms(f64::from(speaker.period_frames))),
            device: Some(speaker.name),
            device_rate: Some(setup.device_rate),
            ring_ms: Some(ring_ms),
            live,
            ..played
        })
    }

    /// Until the last sample has left the loudspeaker. False where it did not.
    fn run(&mut self) -> Result<bool> {
        let start = Instant::now();
        let mut stated = false;
        while !self.is_over() {
            for asked in self.controls.wait(TICK) {
                if let Err(e) = asked.map_err(anyhow::Error::msg).and_then(|a| self.handle(a)) {
                    self.status.print(&format!("{e:#}"));
                }
            }
            if let Err(e) = self.change() {
                self.status.print(&format!("{e:#}"));
            }
            self.drop_retired();
            if self.is_to_end() {
                return Ok(false);
            }
            if let Some(speaker) = &mut self.speaker
                && let Some(news) = speaker.watch(&mut self.session)?
            {
                self.status.print(&news);
            }
            if let Some(input) = &mut self.input
                && let Some(news) = input.watch(self.reconnects)?
            {
                self.status.print(&news);
            }
            if let Some(Out::File(file)) = self.session.output() {
                file.hurry(self.controls.are_over() && !self.paused);
            }
            if !stated && start.elapsed() > STEADY_AFTER {
                stated = true;
                self.state();
            }
            let xruns = self.speaker.as_ref().map_or(0, |s| s.gaps(&self.session).0);
            let playing = self.speaker.as_ref().is_none_or(Speaker::is_up);
            let prompt = self.controls.prompt();
            let state = State { xruns, paused: self.paused, playing, prompt: prompt.as_deref() };
            self.status.show(&self.session, &state);
        }
        self.drop_retired();
        // The device still has to play its own buffer, and the period that ended the stream.
        if let Some(Out::Device(playing)) = self.session.output() {
            let setup = self.session.setup();
            let rest = setup.ring_samples as f64 / f64::from(setup.device_rate);
            let rest = rest + f64::from(playing.stats().latency_ms.clamp(0.0, 1000.0)) / 1000.0;
            std::thread::sleep(Duration::from_secs_f64(rest));
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        match self.session.output() {
            Some(Out::File(file)) => file.is_done(),
            Some(Out::Device(_)) => self.session.is_finished(),
            // What was left in the ring of a device that has gone is not worth another one.
            None => self.session.progress().is_done(),
        }
    }

    /// Passes on the first stop. Whether it is time to go at once: the second one is meant, and so is the first where the
    /// device does not play.
    fn is_to_end(&mut self) -> bool {
        let asked = interrupt::count() + self.stops;
        if asked == 0 {
            return false;
        }
        let since = *self.stopping.get_or_insert_with(|| {
            // When there are too many commands under way the wait below ends it.
            self.session.send(Command::Stop { fade_ms: FADE_OUT_MS });
            Instant::now()
        });
        let setup = self.session.setup();
        let ring = Duration::from_secs_f64(setup.ring_samples as f64 / f64::from(setup.device_rate));
        // A ring is played out twice: what it holds, and what fades.
        let limit = Duration::from_millis(FADE_OUT_MS.into()) + 2 * ring + END;
        let down = self.speaker.as_ref().is_some_and(|s| !s.is_up());
        asked > 1 || down || since.elapsed() > limit
    }

    /// What is known once devices have reported.
    fn state(&mut self) {
        let Some(Out::Device(playing)) = self.session.output() else { return };
        let device = playing.stats();
        let line = self
            .input
            .as_deref()
            .and_then(|input| Latency::measured(input, self.session.resampling_ms(), device.latency_ms));
        if let Some(latency) = line {
            self.status.print(&latency.line());
        }
        let priority = |realtime| if realtime { "real-time" } else { "ordinary" };
        let (engine, callback) = (priority(self.session.progress().is_realtime()), priority(device.realtime));
        self.status.print(&if engine == callback {
            format!("{engine} priority for the engine and the device's thread")
        } else {
            format!("{engine} priority for the engine, {callback} for the device's thread")
        });
    }

    fn drop_retired(&self) {
        // Each holds what the engine may not drop itself.
        self.session.events().for_each(|event: Event| drop(event));
    }

    fn send(&self, command: Command) -> Result<()> {
        if !self.session.send(command) {
            bail!("too many commands at once; try again");
        }
        Ok(())
    }

    fn handle(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Change { path, fade_ms } => {
                if self.reading.len() >= READING {
                    bail!("{}: {READING} conditions are being read already", path.display());
                }
                let file = path.clone();
                let own = path.to_str().and_then(|name| self.voice.speaker(name));
                let condition = on_own_thread(move || lookup::condition_or(&file, own))?;
                self.reading.push_back(Reading { path, fade_ms, condition });
            }
            Action::Temperature(temperature) => {
                self.policy.sampling = Sampling { temperature, ..self.policy.sampling }.checked()?;
                self.send(Command::Policy(self.policy))?;
                self.status.print(&format!("temperature {temperature:.2}"));
            }
            Action::Warmer(by) => {
                // Rounded, or a hundred steps of 0.05 would drift.
                let t = ((self.policy.sampling.temperature + by) * 100.0).round() / 100.0;
                self.handle(Action::Temperature(t.max(0.0)))?;
            }
            Action::Pause => self.pause(true)?,
            Action::Resume => self.pause(false)?,
            Action::TogglePause => self.pause(!self.paused)?,
            Action::Stop => self.stops += 1,
            Action::Help => self.status.print(controls::HELP),
        }
        Ok(())
    }

    /// Goes over to the conditions that have been read.
    fn change(&mut self) -> Result<()> {
        while let Some(condition) = self.reading.front().and_then(|r| r.condition.try_recv().ok())
            && let Some(Reading { path, fade_ms, .. }) = self.reading.pop_front()
        {
            let mut conditioning = Conditioning::new(self.voice, &condition?).at(&path)?;
            if self.input.is_some() {
                conditioning = conditioning.without_track();
            }
            if !conditioning.has_speaker() && !conditioning.has_track() {
                bail!("{}: holds neither a speaker vector nor a track that this voice takes", path.display());
            }
            self.send(Command::Change { conditioning: Box::new(conditioning), fade_ms })?;
            self.status.print(&format!("condition {}", path.display()));
        }
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<()> {
        self.paused = paused;
        self.send(if paused { Command::Pause } else { Command::Resume })
    }
}
