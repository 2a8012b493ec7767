//! Every format but WAV, by the library symphonia.

use super::{RecordingError, caf};
use std::io;
use std::path::{Path, PathBuf};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::{Hint, Probe};
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::formats::{
    AdtsReader, AiffReader, CafReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader,
};
use symphonia::default::meta::{Id3v1Reader, Id3v2Reader};

/// A file that is decoded packet by packet.
pub(super) struct Decoder {
    path: PathBuf,
    kind: &'static str,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    /// Frames that its header promises, and whether it is known to the frame.
    promise: Option<u64>,
    exact: bool,
    /// Frames so far.
    frames: u64,
    /// Decoded, and not handed out yet.
    block: Vec<f64>,
    damaged: u64,
}

impl Decoder {
    /// Reads up to the first sound.
    ///
    /// # Errors
    /// A broken file, one without sound, or sound of a codec that is not known.
    pub fn open(
        source: Box<dyn MediaSource>,
        kind: &'static str,
        path: &Path,
    ) -> Result<Self, RecordingError> {
        let stream = MediaSourceStream::new(source, Default::default());
        let metadata = MetadataOptions::default()
            .limit_visual_bytes(Limit::Maximum(0))
            .limit_tag_bytes(Limit::Maximum(4096));
        let fail = |e| error(path, kind, e);
        let format =
            probe(kind).probe(&Hint::new(), stream, FormatOptions::default(), metadata).map_err(fail)?;
        let bad = |what: String| RecordingError::Format { path: path.into(), kind, what };
        let is_audio = |t: &&Track| t.track_type() == Some(TrackType::Audio);
        let track = (format.default_track(TrackType::Audio).filter(is_audio))
            .or_else(|| format.tracks().iter().find(is_audio))
            .ok_or_else(|| {
                bad(format!("it holds no sound that can be decoded ({} tracks)", format.tracks().len()))
            })?;
        let params = track.codec_params.as_ref().and_then(|p| p.audio());
        let params = params.ok_or_else(|| bad("its sound has no parameters".into()))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
            .map_err(|e| match e {
                Error::Unsupported(_) => RecordingError::Unknown {
                    path: path.into(),
                    found: format!("{kind} with sound in {}", codec(params.codec)),
                    advice: "; convert it, as in `ffmpeg -i IN OUT.wav`",
                },
                e => error(path, kind, e),
            })?;
        let (id, promise) = (track.id, track.num_frames);
        let exact = params.codec == well_known::CODEC_ID_FLAC && promise.is_some_and(|n| n > 0);
        let mut this = Self {
            path: path.into(),
            kind,
            track: id,
            rate: params.sample_rate.unwrap_or(0),
            channels: 0,
            promise: promise.filter(|n| *n > 0),
            exact,
            frames: 0,
            block: Vec::new(),
            damaged: 0,
            decoder,
            format,
        };
        // The first packet tells rate and channels where the header does not.
        this.decode()?;
        Ok(this)
    }

    /// Its name in errors.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples of a frame.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames that the header promises, and whether they are exactly so many.
    pub fn promise(&self) -> Option<(u64, bool)> {
        self.promise.map(|n| (n, self.exact))
    }

    /// Packets that could not be decoded so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Puts some frames into `out`, interleaved; none at the end only.
    ///
    /// # Errors
    /// A broken file.
    pub fn next(&mut self, out: &mut Vec<f64>) -> Result<(), RecordingError> {
        if self.block.is_empty() {
            self.decode()?;
        }
        std::mem::swap(out, &mut self.block);
        self.block.clear();
        Ok(())
    }

    /// The next packet with sound in it.
    fn decode(&mut self) -> Result<(), RecordingError> {
        let Self { path, kind, .. } = self;
        let (path, kind) = (path.clone(), *kind);
        let bad = |what: String| RecordingError::Format { path: path.clone(), kind, what };
        while self.block.is_empty() {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.end(),
                // Another stream begins in the same file: what came so far is a recording.
                Err(Error::ResetRequired) => return self.end(),
                Err(Error::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => return self.cut(),
                Err(e) => return Err(error(&path, kind, e)),
            };
            if packet.track_id != self.track {
                continue;
            }
            let sound = match self.decoder.decode(&packet) {
                Ok(sound) => sound,
                // The packet is lost, and the next ones can be whole.
                Err(Error::DecodeError(_) | Error::IoError(_)) => {
                    self.damaged += 1;
                    continue;
                }
                Err(e) => return Err(error(&path, kind, e)),
            };
            let (rate, channels) = (sound.spec().rate(), sound.spec().channels().count());
            if channels == 0 || rate == 0 {
                return Err(bad(format!("{channels} channels of {rate} Hz")));
            }
            if self.channels == 0 {
                (self.rate, self.channels) = (rate, channels);
            }
            if (self.rate, self.channels) != (rate, channels) {
                return Err(bad(format!(
                    "it changes from {} channels of {} Hz to {channels} of {rate} Hz after {} samples; convert it to \
                     WAV",
                    self.channels, self.rate, self.frames
                )));
            }
            sound.copy_to_vec_interleaved(&mut self.block);
            self.frames += (self.block.len() / channels) as u64;
        }
        Ok(())
    }

    /// The end of the file.
    fn end(&mut self) -> Result<(), RecordingError> {
        let path = self.path.clone();
        if self.frames == 0 {
            return Err(match self.damaged {
                0 => RecordingError::Empty { path },
                n => self.bad(format!("none of its {n} packets can be decoded")),
            });
        }
        match self.promise {
            Some(wanted) if self.exact && self.frames != wanted && self.damaged == 0 => {
                Err(RecordingError::Truncated {
                    path,
                    found: format!("{} samples", self.frames),
                    wanted: format!("{wanted} samples"),
                })
            }
            _ if self.exact && self.damaged > 0 => {
                Err(self.bad(format!("{} of its packets are damaged; copy it again", self.damaged)))
            }
            _ if self.decoder.finalize().verify_ok == Some(false) => {
                Err(self.bad("its sound does not have its checksum: it is damaged; copy it again".into()))
            }
            _ => Ok(()),
        }
    }

    /// The file ends within a packet.
    fn cut(&mut self) -> Result<(), RecordingError> {
        let path = self.path.clone();
        let seconds = |frames: u64| format!("{:.2} s", frames as f64 / f64::from(self.rate.max(1)));
        match self.promise {
            _ if self.frames == 0 => Err(self.bad("the file ends before any sound".into())),
            Some(wanted) if wanted > self.frames => {
                let found = seconds(self.frames);
                Err(RecordingError::Truncated { path, found, wanted: seconds(wanted) })
            }
            _ => self.end(),
        }
    }

    fn bad(&self, what: String) -> RecordingError {
        RecordingError::Format { path: self.path.clone(), kind: self.kind, what }
    }
}

/// The readers of the formats that a file of `kind` may have: what looks like another one's beginning further inside is none. CAF has
/// its own, behind [`caf::check`].
fn probe(kind: &'static str) -> Probe {
    let mut probe = Probe::default();
    if kind == caf::KIND {
        probe.register_format::<CafReader<'_>>();
        return probe;
    }
    probe.register_format::<AdtsReader<'_>>();
    probe.register_format::<FlacReader<'_>>();
    probe.register_format::<IsoMp4Reader<'_>>();
    probe.register_format::<MpaReader<'_>>();
    probe.register_format::<AiffReader<'_>>();
    probe.register_format::<WavReader<'_>>();
    probe.register_format::<OggReader<'_>>();
    probe.register_metadata::<Id3v1Reader<'_>>();
    probe.register_metadata::<Id3v2Reader<'_>>();
    probe
}

/// The library's error for the file at `path`.
fn error(path: &Path, kind: &'static str, e: Error) -> RecordingError {
    let what = match e {
        Error::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => "the file ends too early".into(),
        Error::IoError(source) => return RecordingError::Io { path: path.into(), source },
        Error::Unsupported(what) => format!("{what}; convert it, as in `ffmpeg -i IN OUT.wav`"),
        e => e.to_string(),
    };
    RecordingError::Format { path: path.into(), kind, what }
}

/// The name of a codec that there is no decoder for.
fn codec(id: symphonia::core::codecs::audio::AudioCodecId) -> String {
    match id {
        well_known::CODEC_ID_OPUS => "Opus".into(),
        well_known::CODEC_ID_AC3 | well_known::CODEC_ID_EAC3 => "Dolby Digital".into(),
        well_known::CODEC_ID_WMA => "Windows Media Audio".into(),
        id => format!("an unknown codec ({id})"),
    }
}
