//! Every call that ended, as it ended: for those who want another sum than the report's. One JSON object a line.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::ledger::Times;

/// The calls of one thread, or of all, in the order in which they ended.
#[derive(Default)]
pub(crate) struct Trail(Vec<Row>);

struct Row {
    times: Times,
    ended: Instant,
    outcome: String,
    says: String,
}

/// A row as it is written.
#[derive(Serialize)]
struct Line<'a> {
    /// When the call was due, after the start.
    due_ms: f64,
    /// How long it took from the real instant of sending.
    ms: f64,
    /// Its place in the mix.
    tool: usize,
    /// `right`, `late`, `wrong`, or the kind of the error.
    outcome: &'a str,
    /// The words of the peer's error.
    says: &'a str,
}

impl Trail {
    /// A call was answered.
    pub(crate) fn answered(&mut self, verdict: &Verdict, late: bool, times: Times, ended: Instant, message: &[u8]) {
        let (outcome, says) = match verdict {
            Verdict::Right => (if late { "late" } else { "right" }, String::new()),
            Verdict::Wrong(_) => ("wrong", String::new()),
            Verdict::Error(kind) => (kind.as_str(), words(message)),
        };
        self.0.push(Row { times, ended, outcome: outcome.to_owned(), says });
    }

    /// A call ended without an answer.
    pub(crate) fn failed(&mut self, kind: &str, times: Times, ended: Instant) {
        self.0.push(Row { times, ended, outcome: kind.to_owned(), says: String::new() });
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Writes all of it.
    pub(crate) fn write(&self, file: &Path, started: Instant) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        for row in &self.0 {
            let due_ms = row.times.intended.saturating_duration_since(started).as_secs_f64() * 1e3;
            let ms = row.ended.saturating_duration_since(row.times.sent).as_secs_f64() * 1e3;
            let line = Line { due_ms, ms, tool: row.times.tool, outcome: &row.outcome, says: &row.says };
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

/// What an error says.
fn words(message: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Fault {
        #[serde(default)]
        message: String,
    }
    #[derive(Deserialize)]
    struct Answer {
        error: Fault,
    }
    serde_json::from_slice::<Answer>(message).map_or_else(|_| String::new(), |answer| answer.error.message)
}
