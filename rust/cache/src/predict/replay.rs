//! Recorded sequences, played again: what the predictor would have issued, and what of it would have been asked for.
//!
//! The sequences were recorded from our own servers (`python -m benches.sequences`). The first sessions of a set are
//! only watched, in the others predictions are issued and answered as the real calls were; time goes as it was recorded.
//! `make bar-cache-predict` prints the table and plays every other split as well.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

const SETS: [(&str, &str); 4] = [
    ("coding", include_str!("../../tests/data/sequences/coding.jsonl")),
    ("analysis", include_str!("../../tests/data/sequences/analysis.jsonl")),
    ("triage", include_str!("../../tests/data/sequences/triage.jsonl")),
    ("paging", include_str!("../../tests/data/sequences/paging.jsonl")),
];
const START_MS: u64 = 1_800_000_000_000;
/// Between two sessions of one agent.
const PAUSE_MS: u64 = 20_000;

#[derive(Debug, Clone, Deserialize)]
struct Line {
    session: u64,
    think_ms: u64,
    server: String,
    tool: String,
    arguments: Box<RawValue>,
    took_ms: f32,
    #[serde(default = "yes")]
    ok: bool,
    #[serde(default = "yes")]
    read_only: bool,
    result: Option<Box<RawValue>>,
    /// The line with the same result.
    same_as: Option<usize>,
}

fn yes() -> bool {
    true
}

impl Line {
    fn server(&self) -> u32 {
        self.server.bytes().map(u32::from).sum()
    }

    fn observed(&self) -> Observed<'_> {
        Observed {
            server: self.server(),
            tool: &self.tool,
            arguments: self.arguments.get().as_bytes(),
            read_only: self.read_only,
            ok: self.ok,
            result: self.result.as_deref().map(|result| result.get().as_bytes()),
            took_ms: self.took_ms,
            cached: false,
        }
    }
}

fn read(recorded: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in recorded.lines() {
        let mut line: Line = serde_json::from_str(line).unwrap();
        if let Some(same) = line.same_as {
            line.result = lines[same].result.clone();
        }
        lines.push(line);
    }
    lines
}

/// A predicted call in flight: when its answer comes.
struct Flight {
    ticket: Ticket,
    issued_ms: f64,
    took_ms: f32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    calls: u64,
    issued: u64,
    used: u64,
    /// Used, and answered before it was asked for.
    in_time: u64,
    real_ms: f64,
    wasted_ms: f64,
}

impl Score {
    fn precision(&self) -> f64 {
        self.used as f64 / (self.issued as f64).max(1.0)
    }

    fn coverage(&self) -> f64 {
        self.used as f64 / (self.calls as f64).max(1.0)
    }

    fn wasted(&self) -> f64 {
        self.wasted_ms / (self.wasted_ms + self.real_ms)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            issued: self.issued + other.issued,
            used: self.used + other.used,
            in_time: self.in_time + other.in_time,
            real_ms: self.real_ms + other.real_ms,
            wasted_ms: self.wasted_ms + other.wasted_ms,
        }
    }
}

/// Plays calls to one predictor, as one principal.
struct Player {
    predictor: Predictor,
    took_ms: HashMap<String, f32>,
    now_ms: f64,
    flights: Vec<Flight>,
    score: Score,
}

impl Player {
    fn new(lines: &[Line], limits: PredictLimits) -> Self {
        let mut times: HashMap<String, Vec<f32>> = HashMap::new();
        for line in lines {
            times.entry(line.tool.clone()).or_default().push(line.took_ms);
        }
        let took_ms =
            times.into_iter().map(|(tool, times)| (tool, times.iter().sum::<f32>() / times.len() as f32)).collect();
        let predictor = Predictor::new(limits);
        Self { predictor, took_ms, now_ms: START_MS as f64, flights: Vec::new(), score: Score::default() }
    }

    fn now(&self) -> u64 {
        self.now_ms as u64
    }

    /// One session from its first call to its last; `acting`: predictions are issued.
    fn session(&mut self, calls: &[Line], acting: bool) {
        self.now_ms += PAUSE_MS as f64;
        let caller = Caller { principal: 1, session: calls.first().map_or(0, |line| line.session) };
        for line in calls {
            self.now_ms += line.think_ms as f64;
            let cached = self.arrive(caller, line);
            let spent_ms = if cached { 0.0 } else { line.took_ms };
            self.now_ms += f64::from(spent_ms);
            let seen = Observed { cached, took_ms: spent_ms, ..line.observed() };
            let predictions = self.predictor.observe(caller, &seen, self.now());
            if acting {
                self.score.calls += 1;
                self.score.real_ms += f64::from(line.took_ms);
                for prediction in predictions {
                    self.issue(caller, &prediction);
                }
            }
        }
        self.land(caller, f64::INFINITY);
    }

    fn arrive(&mut self, caller: Caller, line: &Line) -> bool {
        self.land(caller, self.now_ms);
        let arrival = self.predictor.arrived(caller, &line.observed(), self.now());
        for ticket in arrival.cancel {
            let at = self.flights.iter().position(|flight| flight.ticket == ticket).unwrap();
            let spent_ms = self.now_ms - self.flights.swap_remove(at).issued_ms;
            self.predictor.cancelled(caller, ticket, spent_ms as f32, self.now());
        }
        let Some(ticket) = arrival.used else { return false };
        self.score.used += 1;
        self.score.in_time += u64::from(!self.flights.iter().any(|flight| flight.ticket == ticket));
        true
    }

    /// Answers come in that were due by now.
    fn land(&mut self, caller: Caller, by_ms: f64) {
        let due = |flight: &Flight| flight.issued_ms + f64::from(flight.took_ms) <= by_ms;
        for flight in self.flights.extract_if(.., |flight| due(flight)) {
            let at_ms = (flight.issued_ms + f64::from(flight.took_ms)) as u64;
            self.predictor.finished(caller, flight.ticket, flight.took_ms, at_ms);
        }
    }

    fn issue(&mut self, caller: Caller, prediction: &Prediction) {
        if let Ok(ticket) = self.predictor.begin(caller, prediction, self.now()) {
            self.score.issued += 1;
            let took_ms = self.took_ms.get(&*prediction.tool).copied().unwrap_or(10.0);
            self.flights.push(Flight { ticket, issued_ms: self.now_ms, took_ms });
        }
    }
}

/// Plays a set: sessions for which `watched` holds first and only to learn from, then the others.
fn play(lines: &[Line], tested: &[Line], watched: impl Fn(u64) -> bool, limits: PredictLimits) -> Score {
    let mut player = Player::new(lines, limits);
    let sessions =
        |lines: &[Line]| lines.chunk_by(|a, b| a.session == b.session).map(<[Line]>::to_vec).collect::<Vec<_>>();
    for session in sessions(lines).iter().filter(|session| watched(session[0].session)) {
        player.session(session, false);
    }
    let before = player.predictor.stats(player.now());
    for session in sessions(tested).iter().filter(|session| !watched(session[0].session)) {
        player.session(session, true);
    }
    let after = player.predictor.stats(player.now() + 60_000);
    player.score.wasted_ms = after.wasted_ms - before.wasted_ms;
    assert_eq!(after.issued, player.score.issued);
    assert_eq!(after.issued, after.used + after.wasted + after.cancelled);
    player.score
}

fn table(rows: &[(String, Score)]) -> String {
    let mut table = format!(
        "{:<22}{:>8}{:>8}{:>8}{:>11}{:>10}{:>9}{:>10}\n",
        "set", "calls", "issued", "used", "precision", "coverage", "in time", "wasted"
    );
    for (name, score) in rows {
        let _ = writeln!(
            table,
            "{name:<22}{:>8}{:>8}{:>8}{:>10.1}%{:>9.1}%{:>8.1}%{:>9.1}%",
            score.calls,
            score.issued,
            score.used,
            score.precision() * 100.0,
            score.coverage() * 100.0,
            score.in_time as f64 / (score.used as f64).max(1.0) * 100.0,
            score.wasted() * 100.0,
        );
    }
    table
}

fn with_total(mut rows: Vec<(String, Score)>) -> Vec<(String, Score)> {
    let total = rows.iter().fold(Score::default(), |sum, (_, score)| sum.plus(*score));
    rows.push(("all".into(), total));
    rows
}

/// Sessions in four parts; some of them are watched, the others are tested.
fn parts(lines: &[Line], watched: [bool; 4]) -> impl Fn(u64) -> bool {
    let sessions = lines.last().map_or(0, |line| line.session) + 1;
    move |session| watched[(session * 4 / sessions) as usize]
}

const FIRST_HALF: [bool; 4] = [true, true, false, false];
const OTHER_SPLITS: [[bool; 4]; 5] = [
    [false, false, true, true],
    [true, false, true, false],
    [false, true, false, true],
    [true, false, false, true],
    [false, true, true, false],
];

/// The calls of these sessions in an order that means nothing, by a number that stands for chance.
fn shuffled(lines: &[Line], seed: u64) -> Vec<Line> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|place| xxhash_rust::xxh3::xxh3_64_with_seed(&place.to_le_bytes(), seed));
    let mixed = lines.iter().zip(order).map(|(place, other)| Line { session: place.session, ..lines[other].clone() });
    mixed.collect()
}

fn played(split: [bool; 4]) -> Vec<(String, Score)> {
    let play_set = |(name, recorded): (&str, &str)| {
        let lines = read(recorded);
        (name.to_owned(), play(&lines, &lines, parts(&lines, split), PredictLimits::default()))
    };
    with_total(SETS.map(play_set).to_vec())
}

#[test]
fn most_of_what_is_issued_is_asked_for_and_little_tool_time_is_wasted() {
    let rows = played(FIRST_HALF);
    println!("{}", table(&rows));
    for (name, score) in &rows {
        assert!(score.used >= 5, "{name} shows nothing: {score:?}");
        assert!(score.precision() >= 0.5, "{name}: {:.3}", score.precision());
        assert!(score.wasted() <= 0.1, "{name}: {:.3}", score.wasted());
    }
    if std::env::var_os("OMNIMIND_FULL").is_some() {
        for split in OTHER_SPLITS {
            let rows = played(split);
            println!("watched parts {split:?}\n{}", table(&rows));
            let (_, all) = rows[rows.len() - 1];
            assert!(all.precision() >= 0.5 && all.wasted() <= 0.1, "{all:?}");
        }
    }
}

#[test]
fn in_sequences_without_order_precision_collapses() {
    let free = BudgetLimits { wasted_share: 1.0, ..BudgetLimits::default() };
    let limits = PredictLimits { caution: 0.3, budget: free, ..PredictLimits::default() };
    let (mut ordered, mut mixed) = (Vec::new(), Vec::new());
    for (name, recorded) in SETS {
        let lines = read(recorded);
        let watched = parts(&lines, FIRST_HALF);
        ordered.push((name.to_owned(), play(&lines, &lines, &watched, limits)));
        mixed.push((name.to_owned(), play(&lines, &shuffled(&lines, 1), &watched, limits)));
    }
    let (ordered, mixed) = (with_total(ordered), with_total(mixed));
    println!("less cautious, without a budget\n{}\nand without order\n{}", table(&ordered), table(&mixed));
    let (ordered, mixed) = (ordered[ordered.len() - 1].1, mixed[mixed.len() - 1].1);
    assert!(mixed.issued >= 20, "nothing was tried: {mixed:?}");
    assert!(mixed.precision() < 0.25 && mixed.precision() < ordered.precision() / 3.0, "{mixed:?} {ordered:?}");
}

#[test]
fn with_the_budget_little_tool_time_is_wasted_even_without_order() {
    for (name, recorded) in SETS {
        let lines = read(recorded);
        let score = play(&lines, &shuffled(&lines, 2), parts(&lines, FIRST_HALF), PredictLimits::default());
        assert!(score.wasted() <= 0.1, "{name}: {score:?}");
    }
}
