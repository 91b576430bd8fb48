//! A run: threads, each with an event loop and connections of its own, opened before any of them starts to send.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::chance::Chance;
use crate::check::{Verdict, judge};
use crate::clock::thread_cpu;
use crate::connection::{Connection, Failure, Response};
use crate::ledger::{Ledger, Times};
use crate::lines::Link;
use crate::pace::Pace;
use crate::plan::{Era, Eras, Plan, Target};
use crate::report::Report;
use crate::requests::Requests;
use crate::watch::{LOOK, Watch};

/// What the tasks of one thread share.
pub(crate) struct Share {
    pub(crate) pace: Pace,
    pub(crate) requests: RefCell<Requests>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) timeout: Duration,
    /// Legacy HTTP sessions: those of each principal.
    sessions: Vec<Vec<Option<String>>>,
}

/// What a thread opened before the start.
enum Opened {
    Http { authority: String, sessions: Vec<Vec<Option<String>>> },
    Unix(Vec<Link>),
}

/// Carries out a plan.
///
/// # Errors
/// If the target cannot be opened at all; what fails later is counted in the report.
pub fn run(plan: &Plan) -> io::Result<Report> {
    run_watched(plan, None)
}

/// The same, and somebody may watch.
pub(crate) fn run_watched(plan: &Plan, watch: Option<&Watch>) -> io::Result<Report> {
    plan.check().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let tag = run_tag();
    let gate = Barrier::new(plan.threads);
    let failed = AtomicBool::new(false);
    let outcomes: Vec<io::Result<(Ledger, Window, Effort)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads)
            .map(|index| {
                let (gate, failed, tag) = (&gate, &failed, tag.as_str());
                scope.spawn(move || one_thread(plan, tag, index, gate, failed, watch))
            })
            .collect();
        let lost = || Err(io::Error::other("a sending thread ended by itself"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
    });
    let mut total: Option<(Ledger, Window, Effort)> = None;
    for outcome in outcomes {
        let (ledger, window, effort) = outcome?;
        match &mut total {
            Some((sum, whole, efforts)) => {
                sum.add(ledger);
                whole.finished = whole.finished.max(window.finished);
                efforts.cpu += effort.cpu;
                efforts.busy = efforts.busy.max(effort.busy);
            }
            none => *none = Some((ledger, window, effort)),
        }
    }
    let (ledger, window, effort) = total.ok_or_else(|| io::Error::other("no thread ran"))?;
    if let (Some(file), Some(trail)) = (&plan.trail, &ledger.trail) {
        trail.write(file, window.started)?;
    }
    Report::new(plan, &ledger, window, effort)
}

/// The instants that bound a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) started: Instant,
    pub(crate) measured_from: Instant,
    pub(crate) until: Instant,
    pub(crate) finished: Instant,
}

/// What sending took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// CPU of the sending threads.
    pub(crate) cpu: Duration,
    /// Share of the time that the busiest of them used a CPU.
    pub(crate) busy: f64,
}

fn one_thread(
    plan: &Plan,
    tag: &str,
    index: usize,
    gate: &Barrier,
    failed: &AtomicBool,
    watch: Option<&Watch>,
) -> io::Result<(Ledger, Window, Effort)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let requests = Requests::new(plan, tag, index as u64);
    let opened = local.block_on(&runtime, open(plan, &requests, index));
    failed.fetch_or(opened.is_err(), Ordering::Relaxed);
    gate.wait();
    let opened = opened?;
    if failed.load(Ordering::Relaxed) {
        return Err(io::Error::other("another thread could not open the target"));
    }
    let before = thread_cpu();
    let (ledger, window) = local.block_on(&runtime, send(plan, requests, opened, index, watch))?;
    let cpu = thread_cpu().saturating_sub(before);
    let wall = window.finished.saturating_duration_since(window.started).as_secs_f64().max(1e-9);
    Ok((ledger, window, Effort { cpu, busy: cpu.as_secs_f64() / wall }))
}

async fn open(plan: &Plan, requests: &Requests, index: usize) -> io::Result<Opened> {
    match &plan.target {
        Target::Http { authority, .. } => {
            let sessions = open_sessions(plan, requests, authority).await?;
            Ok(Opened::Http { authority: authority.clone(), sessions })
        }
        Target::Unix { path, hello } => {
            let era = if plan.eras == Eras::Legacy { Era::Legacy } else { Era::Modern };
            let mut links = Vec::new();
            for _ in 0..share_of(plan.connections, plan.threads, index).max(1) {
                links.push(Link::open(path, hello.as_deref(), era).await?);
            }
            Ok(Opened::Unix(links))
        }
    }
}

/// Legacy: `initialize` and `notifications/initialized`, for each session of each principal.
async fn open_sessions(plan: &Plan, requests: &Requests, authority: &str) -> io::Result<Vec<Vec<Option<String>>>> {
    let mut sessions = vec![vec![None]; requests.principals()];
    if requests.eras() == Eras::Modern {
        return Ok(sessions);
    }
    let mut connection = Connection::new(authority, plan.timeout);
    for (principal, own) in sessions.iter_mut().enumerate() {
        own.clear();
        for _ in 0..plan.sessions {
            let mut out = Vec::new();
            requests.write_http_opening(principal, &Requests::initialize_body(), None, &mut out);
            let response = connection.exchange(&out).await.map_err(cannot_open)?;
            if response.head.status != 200 {
                return Err(io::Error::other(format!("initialize was answered with {}", response.head.status)));
            }
            let session = response.head.session.clone();
            out.clear();
            requests.write_http_opening(principal, Requests::initialized_body(), session.as_deref(), &mut out);
            connection.exchange(&out).await.map_err(cannot_open)?;
            own.push(session);
        }
    }
    Ok(sessions)
}

fn cannot_open(failure: Failure) -> io::Error {
    io::Error::other(format!("the target could not be opened: {}", failure.kind()))
}

async fn send(
    plan: &Plan,
    requests: Requests,
    opened: Opened,
    index: usize,
    watch: Option<&Watch>,
) -> io::Result<(Ledger, Window)> {
    let started = Instant::now();
    let measured_from = started + plan.warm_up;
    let until = plan.steps().last().map_or(measured_from, |&(end, _)| started + end);
    let count = plan.count.map_or(u64::MAX, |count| share_of_count(count, plan.threads, index));
    let (sessions, transport) = match opened {
        Opened::Http { authority, sessions } => (sessions, Ok(authority)),
        Opened::Unix(links) => (Vec::new(), Err(links)),
    };
    let share = Rc::new(Share {
        pace: Pace::new(plan, until, count),
        requests: RefCell::new(requests),
        ledger: RefCell::new(Ledger::new(plan, started)?),
        timeout: plan.timeout,
        sessions,
    });
    let places = share_of(plan.in_flight, plan.threads, index).max(1);
    let mut workers = Vec::new();
    match transport {
        Ok(authority) => {
            for _ in 0..places {
                let connection = Connection::new(&authority, plan.timeout);
                workers.push(tokio::task::spawn_local(drive_http(Rc::clone(&share), connection)));
            }
        }
        Err(links) => {
            let several = links.len();
            for (slot, link) in links.into_iter().enumerate() {
                let own = share_of(places, several, slot).max(1);
                workers.push(tokio::task::spawn_local(link.drive(Rc::clone(&share), own)));
            }
        }
    }
    let chance = Chance::new(plan.seed.wrapping_add(index as u64));
    let sending = async {
        share.pace.tick(plan, started, chance, &share.ledger).await?;
        for worker in workers {
            worker.await.map_err(io::Error::other)?;
        }
        Ok::<(), io::Error>(())
    };
    match watch {
        None => sending.await?,
        Some(watch) => tokio::select! {
            done = sending => done?,
            lost = show(watch, index, &share, started) => lost?,
        },
    }
    let window = Window { started, measured_from, until: share.pace.until(), finished: Instant::now() };
    let share = Rc::into_inner(share).ok_or_else(|| io::Error::other("a task outlived the run"))?;
    let mut ledger = share.ledger.into_inner();
    ledger.unsent = share.pace.unsent();
    Ok((ledger, window))
}

/// Lets others see how far this thread is, and ends its sending when they want it; returns only if it cannot.
async fn show(watch: &Watch, index: usize, share: &Share, started: Instant) -> io::Result<()> {
    loop {
        tokio::time::sleep(LOOK).await;
        if watch.stops() {
            share.pace.stop();
            share.ledger.borrow_mut().cut(share.pace.until());
        }
        watch.publish(index, &share.ledger.borrow(), started.elapsed())?;
    }
}

/// One connection: the next call as soon as there is one and the last is answered.
async fn drive_http(share: Rc<Share>, mut connection: Connection) {
    let (mut body, mut out) = (Vec::new(), Vec::with_capacity(1024));
    while let Some(intended) = share.pace.next().await {
        let (call, canary) = {
            let mut requests = share.requests.borrow_mut();
            let call = requests.next_call(intended);
            let sessions = share.sessions.get(call.principal).map(Vec::as_slice).unwrap_or_default();
            let session = if call.legacy { sessions.get(call.turn % sessions.len().max(1)) } else { None };
            let session = session.and_then(Option::as_deref);
            out.clear();
            requests.write_http(call, session, &mut body, &mut out);
            (call, requests.canary(call))
        };
        share.ledger.borrow_mut().sent += 1;
        let times = Times::of(call, intended);
        match connection.exchange(&out).await {
            Ok(response) => settle(&response, call.number, canary.as_deref(), times, &mut share.ledger.borrow_mut()),
            Err(failure) => {
                share.ledger.borrow_mut().error(failure.kind(), times);
                // A dead target must not turn a closed loop into a busy one.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// Books a whole HTTP answer.
fn settle(response: &Response, number: u64, canary: Option<&str>, times: Times, ledger: &mut Ledger) {
    let status = || format!("http_{}", response.head.status);
    let answers = response.answers();
    let Some((first, more)) = answers.split_first() else {
        ledger.error(&status(), times);
        return;
    };
    let verdict = match judge(first, number, canary) {
        Verdict::Wrong(_) if response.head.status / 100 != 2 => Verdict::Error(status()),
        verdict => verdict,
    };
    ledger.book(verdict, times, first);
    for another in more {
        ledger.duplicate(another);
    }
    if !response.surplus.is_empty() {
        ledger.duplicate(&response.surplus);
    }
}

/// What falls to `index` when `whole` is spread over `parts`.
fn share_of(whole: usize, parts: usize, index: usize) -> usize {
    whole / parts + usize::from(index < whole % parts)
}

fn share_of_count(whole: u64, parts: usize, index: usize) -> u64 {
    let (parts, index) = (parts as u64, index as u64);
    whole / parts + u64::from(index < whole % parts)
}

/// A name for this run, so that answers kept from another are told apart.
fn run_tag() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", Chance::new(crate::ledger::ns(now) ^ u64::from(std::process::id())).next() >> 24)
}
