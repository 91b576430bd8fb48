//! `omnimind-load`: drive an MCP server, or be one that costs nothing.

#![forbid(unsafe_code)]

mod cli;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use omnimind_load::isolation::serve_vault;
use omnimind_load::upstream::{serve_http, serve_stdio, serve_unix};

use crate::cli::{Cli, Command, Place, RunArguments, UpstreamArguments};

/// Wrong, duplicate or missing answers.
const INCORRECT: u8 = 1;
/// The arguments or the target are no good.
const UNUSABLE: u8 = 2;
/// The generator was the limit.
const SATURATED: u8 = 3;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Upstream(arguments) => upstream(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Vault { instances } => vault(&instances).map(|()| ExitCode::SUCCESS),
        Command::Isolation { script } => isolation(&script),
        Command::Fixed(arguments) => {
            omnimind_load::fixed::serve(arguments.http, arguments.size, announce_http).map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error}");
        ExitCode::from(UNUSABLE)
    })
}

fn run(arguments: &RunArguments) -> io::Result<ExitCode> {
    let plan = arguments.plan().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let report = omnimind_load::run(&plan)?;
    if arguments.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(io::stdout(), "{report}")?;
    }
    Ok(if !report.is_correct() {
        ExitCode::from(INCORRECT)
    } else if report.saturated && !arguments.allow_saturated {
        ExitCode::from(SATURATED)
    } else {
        ExitCode::SUCCESS
    })
}

fn upstream(arguments: &UpstreamArguments) -> io::Result<()> {
    let behaviour = arguments.behaviour();
    let place = arguments.place();
    if let Place::Stdio = place {
        return serve_stdio(&behaviour);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match place {
            Place::Http(address) => {
                let listener = tokio::net::TcpListener::bind(address).await?;
                announce_http(listener.local_addr()?)?;
                serve_http(listener, behaviour).await
            }
            Place::Unix(path) => {
                let ready = || announce(&serde_json::json!({"path": path, "pid": std::process::id()}));
                serve_unix(path, behaviour, ready).await
            }
            Place::Stdio => Ok(()),
        }
    })
}

fn announce_http(bound: SocketAddr) -> io::Result<()> {
    let (port, url) = (bound.port(), format!("http://{bound}/mcp"));
    announce(&serde_json::json!({"port": port, "url": url, "pid": std::process::id()}))
}

fn vault(instances: &Path) -> io::Result<()> {
    let instances = serde_json::from_slice(&std::fs::read(instances)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready = || announce(&serde_json::json!({"pid": std::process::id()}));
    tokio::task::LocalSet::new().block_on(&runtime, serve_vault(instances, ready))
}

fn isolation(script: &Path) -> io::Result<ExitCode> {
    let script = serde_json::from_slice(&std::fs::read(script)?)?;
    Ok(if omnimind_load::isolation::run(script)? { ExitCode::SUCCESS } else { ExitCode::from(INCORRECT) })
}

/// The first line of output: where the upstream is.
fn announce(place: &serde_json::Value) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{place}")?;
    output.flush()
}
