//! The command line, and how it becomes a plan.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use omnimind_load::plan::{Arrivals, Eras, Loop, Plan, Principal, Target, ToolCall};
use omnimind_load::report::LAG_LIMIT;
use omnimind_load::upstream::{Behaviour, Stall};

/// Drives an MCP server and checks every answer, or is a server that costs next to nothing.
#[derive(Parser)]
#[command(name = "omnimind-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send calls to a server; print what came back.
    ///
    /// Exit status: 0 all well, 1 an answer was wrong, double or missing, 2 the run could not be made,
    /// 3 the generator itself was the limit.
    Run(Box<RunArguments>),
    /// Be a server with one tool, `echo`. Its first line of output is JSON that says where it is.
    Upstream(UpstreamArguments),
    /// Be a server that reads no request and always says the same. Its first line of output says where it is.
    Fixed(FixedArguments),
    /// Be servers whose every answer says for whom it was made. The first line of output tells that all listen.
    Vault {
        /// JSON: a list of objects with name, socket, data, and perhaps key and lies
        #[arg(value_name = "FILE")]
        instances: PathBuf,
    },
    /// Be many principals before a gateway of vaults, and look at every mark of every answer.
    ///
    /// Steps are read from the input, one JSON a line, and answered with what was counted until then.
    /// Exit status: 0 if every answer was its caller's own and up to date, else 1.
    Isolation {
        /// JSON: authority, slots, roaming, servers, knobs, seed
        #[arg(value_name = "FILE")]
        script: PathBuf,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ErasName {
    /// 2026-07-28
    Modern,
    /// 2025-11-25
    Legacy,
    /// Each
    Both,
}

impl ErasName {
    fn eras(self) -> Eras {
        match self {
            Self::Modern => Eras::Modern,
            Self::Legacy => Eras::Legacy,
            Self::Both => Eras::Both,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ArrivalsName {
    /// Exponential gaps, as independent callers make
    Poisson,
    /// Equal gaps
    Uniform,
}

#[derive(Args)]
#[group(id = "target", required = true, multiple = false)]
struct TargetArguments {
    /// MCP endpoint (HTTP, no TLS)
    #[arg(long, value_name = "URL", help = "MCP endpoint, like http://127.0.0.1:4320/mcp")]
    http: Option<String>,
    /// Unix socket that speaks newline-delimited JSON-RPC
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// Protocol era to speak; with both every other call is legacy (HTTP only)
    #[arg(long, value_enum, default_value = "modern")]
    era: ErasName,
    /// Calls in flight at most [closed loop: 16; open loop: 1000]
    #[arg(long, value_name = "N")]
    in_flight: Option<usize>,
    /// Open loop: send this many calls a second, whether or not answers come
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// How the gaps of an open loop are spread
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: ArrivalsName,
    /// Measure for this long
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    duration_s: f64,
    /// Stop after this many calls
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Send for this long before measuring
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    warm_up_s: f64,
    /// A call unanswered for this long is an error
    #[arg(long, value_name = "S", default_value_t = 30.0)]
    timeout_s: f64,
    /// Threads that send
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Connections to a Unix socket (over HTTP every call in flight has its own)
    #[arg(long, value_name = "N", default_value_t = 1)]
    connections: usize,
    /// Legacy HTTP: sessions for each principal and thread
    #[arg(long, value_name = "N", default_value_t = 1)]
    sessions: usize,
    /// Tool to call
    #[arg(long, value_name = "NAME", default_value = "echo", conflicts_with = "mix")]
    tool: String,
    /// Its arguments as JSON; $CANARY names caller and call and must come back, $RUN names the run, $NUMBER numbers, $PAD pads
    #[arg(long, value_name = "JSON", default_value_t = ToolCall::echo_arguments(), conflicts_with = "mix")]
    arguments: String,
    /// Bytes that $PAD stands for
    #[arg(long, value_name = "BYTES", default_value_t = 0, conflicts_with = "mix")]
    size: usize,
    /// An answer is wanted within so long, and later is late; MIN..MAX draws anew for each call
    #[arg(long, value_name = "MS|MIN..MAX", value_parser = delay, conflicts_with = "mix")]
    deadline_ms: Option<RangeInclusive<u64>>,
    /// JSON file: a list of objects with tool, arguments, `size_bytes`, weight, `deadline_ms` (two) and class
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// A caller and the file that holds its bearer token; repeat for several, who then call in turn
    #[arg(long = "principal", value_name = "NAME[=TOKEN_FILE]")]
    principals: Vec<String>,
    /// File whose first line is sent before the first message on a Unix socket, as a worker wants its key; each
    /// call then names its caller in `_meta`
    #[arg(long, value_name = "FILE")]
    hello: Option<PathBuf>,
    /// An open loop later than this for one arrival in a hundred is saturated
    #[arg(long, value_name = "MS", default_value_t = LAG_LIMIT.as_secs_f64() * 1e3)]
    lag_limit_ms: f64,
    /// Exit with 0 although the generator was the limit
    #[arg(long)]
    pub(crate) allow_saturated: bool,
    /// Ask for answers that do not come from memory
    #[arg(long)]
    no_store: bool,
    /// Seed of arrivals and choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write every call that ended to this file, a JSON object a line: when it was due after the start, how long it took,
    /// which of the mix it was, what became of it, and what it was told if it failed
    #[arg(long, value_name = "FILE")]
    trail: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct UpstreamArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Protocol eras to speak
    #[arg(long, value_enum, default_value = "both")]
    era: ErasName,
    /// Hold back the answer to every call for so long; MIN..MAX draws anew for each call
    #[arg(long, value_name = "MS|MIN..MAX", default_value = "0", value_parser = delay)]
    delay_ms: RangeInclusive<u64>,
    /// Over HTTP: stop answering for so long every now and then
    #[arg(long, value_name = "MS", default_value_t = 0)]
    stall_ms: u64,
    /// How often
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    stall_every_ms: u64,
}

#[derive(Args)]
pub(crate) struct FixedArguments {
    /// Listen here; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: SocketAddr,
    /// Bytes of every answer's body
    #[arg(long, value_name = "BYTES", default_value_t = 300)]
    pub(crate) size: usize,
}

#[derive(Args)]
#[group(id = "place", required = true, multiple = false)]
struct PlaceArguments {
    /// Listen for HTTP here; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Listen on this Unix socket
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Serve one client on stdin and stdout
    #[arg(long)]
    stdio: bool,
}

/// Where an upstream serves.
pub(crate) enum Place<'a> {
    Http(SocketAddr),
    Unix(&'a Path),
    Stdio,
}

impl RunArguments {
    /// The plan these arguments describe.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        let pacing = match self.rate {
            Some(rate_per_s) => Loop::Open {
                rate_per_s,
                arrivals: match self.arrivals {
                    ArrivalsName::Poisson => Arrivals::Poisson,
                    ArrivalsName::Uniform => Arrivals::Uniform,
                },
            },
            None => Loop::Closed,
        };
        let plan = Plan {
            target: self.target()?,
            eras: self.era.eras(),
            in_flight: self.in_flight.unwrap_or(if self.rate.is_some() { 1000 } else { 16 }),
            pacing,
            connections: self.connections,
            threads: self.threads,
            sessions: self.sessions,
            mix: self.mix()?,
            principals: self.principals()?,
            phases: Vec::new(),
            duration: seconds("duration-s", self.duration_s)?,
            count: self.count,
            warm_up: seconds("warm-up-s", self.warm_up_s)?,
            timeout: seconds("timeout-s", self.timeout_s)?,
            lag_limit: seconds("lag-limit-ms", self.lag_limit_ms / 1e3)?,
            seed: self.seed,
            no_store: self.no_store,
            trail: self.trail.clone(),
        };
        plan.check()?;
        Ok(plan)
    }

    fn target(&self) -> Result<Target, String> {
        if let Some(path) = &self.target.unix {
            let hello = self.hello.as_deref().map(first_line).transpose()?;
            return Ok(Target::Unix { path: path.clone(), hello });
        }
        Target::http(self.target.http.as_deref().unwrap_or_default())
    }

    fn mix(&self) -> Result<Vec<ToolCall>, String> {
        let Some(file) = &self.mix else {
            let (tool, arguments) = (self.tool.clone(), self.arguments.clone());
            let deadline_ms = self.deadline_ms.as_ref().map(|range| [*range.start(), *range.end()]);
            return Ok(vec![ToolCall { arguments, size_bytes: self.size, deadline_ms, ..ToolCall::new(tool) }]);
        };
        serde_json::from_str(&read(file)?).map_err(|why| format!("{}: {why}", file.display()))
    }

    fn principals(&self) -> Result<Vec<Principal>, String> {
        if self.principals.is_empty() {
            return Ok(vec![Principal { name: "local".into(), token: None }]);
        }
        let each = self.principals.iter().map(|given| match given.split_once('=') {
            Some((name, file)) => Ok(Principal { name: name.to_owned(), token: Some(first_line(Path::new(file))?) }),
            None => Ok(Principal { name: given.clone(), token: None }),
        });
        each.collect()
    }
}

impl UpstreamArguments {
    /// How it behaves.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let length = Duration::from_millis(self.stall_ms);
        let stall = Stall { length, every: Duration::from_millis(self.stall_every_ms) };
        let stall = (self.stall_ms > 0).then_some(stall);
        Behaviour { eras: self.era.eras(), delay_ms: self.delay_ms.clone(), stall }
    }

    /// Where it serves.
    pub(crate) fn place(&self) -> Place<'_> {
        match (&self.place.http, &self.place.unix) {
            (Some(address), _) => Place::Http(*address),
            (None, Some(path)) => Place::Unix(path),
            (None, None) => Place::Stdio,
        }
    }
}

fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|_| format!("{name}: {value} is no length of time"))
}

fn delay(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no whole number of milliseconds"));
    match text.split_once("..") {
        Some((least, most)) => Ok(number(least)?..=number(most)?),
        None => number(text).map(|ms| ms..=ms),
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    Ok(read(file)?.lines().next().unwrap_or_default().trim().to_owned())
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))
}
