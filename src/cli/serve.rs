//! `wavesynth serve`: text to speech for other programs and for people.

use super::args::{self, ModelArgs};
use super::{interrupt, usage};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wavesynth::lookup;
use wavesynth::serve::spoken::Spoken;
use wavesynth::serve::voices::Voices;
use wavesynth::serve::{Addresses, Limits, Server};
use wavesynth::tts::SayModel;
use wavesynth_output::say;

/// Where Wyoming's servers of speech are expected.
const WYOMING: &str = "127.0.0.1:10200";

/// Streams at a time, at most.
const MOST_STREAMS: usize = 256;

/// Characters of an input, at most, however many are asked for.
const MOST_CHARS: usize = 1 << 20;

/// What stands behind the options.
const HELP: &str = "\
By HTTP:
  POST /v1/audio/speech  speech while it is made, as OpenAI's clients ask for it:
                         {\"input\": \"Hello.\", \"voice\": \"en_allison\"}
                         also response_format (wav, pcm), speed (0.25 to 4),
                         language, seed, stream_format (audio, sse)
  GET /v1/audio/voices   the voices; a mixture is a voice, too:
                         \"en_allison=0.7 it_carlo=0.3\"
  GET /health            how many streams there are, and how many are free
  GET /                  a page to type, choose voices and listen

Ctrl-C or SIGTERM ends it: sounds that are being made fade out, within two
seconds.";

/// Text to speech for other programs, by HTTP or Wyoming's protocol, and on a page for people
#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Text-to-speech model: a checkpoint or the folder of a run [default: the shipped ones]
    #[arg(long, value_name = "MODEL")]
    speech: Option<PathBuf>,
    /// Where to listen for HTTP. Anyone who reaches the address can use it: there is no password
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8880")]
    listen: SocketAddr,
    /// Also speak Wyoming's protocol, which Home Assistant uses [without an address: 127.0.0.1:10200]
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = WYOMING)]
    wyoming: Option<SocketAddr>,
    /// Voices to offer: names of shipped ones, condition files; the first one speaks where none is asked for
    /// [default: all that are shipped]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    voices: Vec<String>,
    /// Requests that are spoken at a time; one more is refused [default: as many as this machine plays in real time, which is
    /// measured at the start]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    streams: Option<usize>,
    /// Characters of an input, at most
    #[arg(long, value_name = "N", default_value_t = 4096, allow_negative_numbers = true)]
    max_chars: usize,
    /// Seconds from a request to the end of its sound, at most
    #[arg(long, value_name = "S", default_value_t = 600, allow_negative_numbers = true)]
    timeout: u64,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    if let Some(n) = args.streams.filter(|n| !(1..=MOST_STREAMS).contains(n)) {
        usage!("--streams {n}: wanted 1 to {MOST_STREAMS}");
    }
    if !(1..=MOST_CHARS).contains(&args.max_chars) {
        usage!("--max-chars {}: wanted 1 to {MOST_CHARS}", args.max_chars);
    }
    if !(1..=86_400).contains(&args.timeout) {
        usage!("--timeout {}: wanted 1 to 86400 s (a day)", args.timeout);
    }
    interrupt::watch()?;
    let voice = args.model.voice()?;
    let voices = Voices::new(&voice, &args.voices)?;
    let limits = Limits { max_chars: args.max_chars, timeout: Duration::from_secs(args.timeout) };
    let spoken = match &args.speech {
        None => Spoken::shipped(args.model.isa()?)?,
        Some(path) => {
            let (file, path) = lookup::checkpoint(path).context("--speech")?;
            let model = SayModel::open(file, &path, args.model.isa()?)?;
            Spoken::one(model).with_context(|| path.display().to_string())?
        }
    };
    let server = Server::new(voice, voices, Box::new(spoken), args.streams, limits)?;
    let addresses = Addresses { http: args.listen, wyoming: args.wyoming };
    interrupt::working();
    server.run(addresses, listening, || interrupt::count() > 0)
}

fn listening(server: &Server, addresses: Addresses) {
    let capacity = server.capacity();
    if capacity.alone < 1.0 {
        say!("warning: this machine makes {:.2} s of sound a second; it will have gaps", capacity.alone);
    }
    let wyoming = addresses.wyoming.map_or(String::new(), |a| format!(", Wyoming at {a}"));
    say!(
        "serving at http://{}{wyoming}; {} streams at a time ({:.1} x real time alone); Ctrl-C ends it",
        addresses.http,
        capacity.streams,
        capacity.alone
    );
}
