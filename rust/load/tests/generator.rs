//! The generator against upstreams that do right, and against peers that do wrong: it must tell which.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use omnimind_load::plan::{Arrivals, Loop, Phase, Plan, Principal, Target, ToolCall};
use omnimind_load::upstream::{Behaviour, Eras, Stall, answer, serve_http, serve_unix};
use omnimind_load::{Report, Running, read_plan, run};

fn plan(target: Target, eras: Eras) -> Plan {
    Plan {
        target,
        eras,
        pacing: Loop::Closed,
        in_flight: 8,
        connections: 1,
        threads: 1,
        sessions: 1,
        mix: vec![ToolCall { size_bytes: 10, ..ToolCall::new("echo") }],
        principals: ["alice", "bob"].map(|name| Principal { name: name.into(), token: Some(name.into()) }).into(),
        phases: Vec::new(),
        duration: Duration::from_secs(20),
        count: Some(400),
        warm_up: Duration::ZERO,
        timeout: Duration::from_secs(5),
        lag_limit: Duration::from_secs(1),
        seed: 3,
        no_store: false,
        trail: None,
    }
}

fn socket(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("omnimind-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn on_a_thread<F: Future<Output = std::io::Result<()>>>(serve: impl FnOnce() -> F + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async { serve().await.unwrap() });
    });
}

fn near_free_http(behaviour: Behaviour) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    on_a_thread(|| async move { serve_http(tokio::net::TcpListener::from_std(listener)?, behaviour).await });
    Target::Http { authority, path: "/mcp".into() }
}

fn near_free_unix(name: &str, behaviour: Behaviour) -> Target {
    let path = socket(name);
    let (ready, listening) = std::sync::mpsc::channel();
    let own = path.clone();
    on_a_thread(
        move || async move { serve_unix(&own, behaviour, || ready.send(()).map_err(std::io::Error::other)).await },
    );
    listening.recv().unwrap();
    Target::Unix { path, hello: None }
}

fn at_once() -> Behaviour {
    Behaviour { eras: Eras::Both, delay_ms: 0..=0, stall: None }
}

/// A peer on a Unix socket that does with each answer what `mangle` says: what it returns is written.
fn mangling_unix(name: &str, mut mangle: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static) -> Target {
    let path = socket(name);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut writer: UnixStream = stream.try_clone().unwrap();
        for line in BufReader::new(stream).split(b'\n') {
            let mut out = Vec::new();
            answer(&line.unwrap(), Eras::Both, &mut out);
            out.push(b'\n');
            let _ = writer.write_all(&mangle(out));
        }
    });
    Target::Unix { path, hello: None }
}

fn assert_all_right(report: &Report, calls: u64) {
    assert!(report.is_correct() && report.errors.is_empty(), "{report}");
    assert_eq!((report.sent, report.answered, report.right), (calls, calls, calls), "{report}");
    assert!(report.throughput_per_s > 0.0 && report.latency_ms.p50 > 0.0);
}

#[test]
fn every_call_is_answered_right_in_both_eras_over_both_transports() {
    for era in [Eras::Modern, Eras::Legacy] {
        assert_all_right(&run(&plan(near_free_http(at_once()), era)).unwrap(), 400);
        let unix = near_free_unix(&format!("right-{era:?}"), at_once());
        assert_all_right(&run(&plan(unix, era)).unwrap(), 400);
    }
}

#[test]
fn answers_that_overtake_each_other_find_their_calls() {
    let shuffled = Behaviour { eras: Eras::Both, delay_ms: 0..=9, stall: None };
    let mut plan = plan(near_free_unix("shuffled", shuffled), Eras::Modern);
    (plan.in_flight, plan.threads, plan.connections) = (100, 2, 3);
    assert_all_right(&run(&plan).unwrap(), 400);
}

#[test]
fn an_open_loop_sends_by_the_clock() {
    let mut plan = plan(near_free_http(at_once()), Eras::Modern);
    plan.pacing = Loop::Open { rate_per_s: 500.0, arrivals: Arrivals::Uniform };
    (plan.count, plan.duration) = (None, Duration::from_millis(600));
    let report = run(&plan).unwrap();
    assert_all_right(&report, report.sent);
    assert!((260..=300).contains(&report.sent), "{report}");
}

#[test]
fn an_open_loop_counts_latency_from_the_instant_a_call_was_due() {
    // One place, 20 ms a call, 100 calls a second: the queue grows, and only due-time latency shows it.
    let slow = Behaviour { eras: Eras::Both, delay_ms: 20..=20, stall: None };
    let mut plan = plan(near_free_http(slow), Eras::Modern);
    plan.pacing = Loop::Open { rate_per_s: 100.0, arrivals: Arrivals::Uniform };
    (plan.in_flight, plan.count, plan.duration) = (1, Some(60), Duration::from_secs(5));
    let report = run(&plan).unwrap();
    assert_all_right(&report, 60);
    assert!(report.latency_ms.max > 400.0, "{report}");
    assert!(report.service_ms.p50 < 200.0, "{report}");
    assert!(report.waited_for_a_place > 40, "{}", report.waited_for_a_place);
}

#[test]
fn an_answer_after_its_deadline_is_late_and_no_goodput() {
    let slow = Behaviour { eras: Eras::Both, delay_ms: 60..=60, stall: None };
    let mut plan = plan(near_free_http(slow), Eras::Modern);
    plan.mix = vec![
        ToolCall { deadline_ms: Some([5, 20]), ..ToolCall::new("echo") },
        ToolCall { deadline_ms: Some([5_000, 9_000]), ..ToolCall::new("echo") },
    ];
    (plan.in_flight, plan.count) = (50, Some(200));
    plan.trail = Some(socket("trail"));
    let report = run(&plan).unwrap();
    assert_all_right(&report, 200);
    assert!((60..=140).contains(&report.late), "{report}");
    let good = report.goodput_per_s / report.throughput_per_s * 200.0;
    assert!((good + f64::from(u32::try_from(report.late).unwrap()) - 200.0).abs() < 1.0, "{report}");
    let trail = std::fs::read_to_string(socket("trail")).unwrap();
    let rows: Vec<serde_json::Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let late = rows.iter().filter(|row| row["outcome"] == "late").count();
    assert_eq!((rows.len(), late as u64), (200, report.late));
    assert!(rows.iter().all(|row| (row["tool"] == 0) == (row["outcome"] == "late") && row["ms"].as_f64() > Some(55.0)));
}

#[test]
fn a_call_says_what_is_left_of_its_time_and_how_urgent_it_is() {
    let (heard, hears) = std::sync::mpsc::channel();
    let path = socket("urgent");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut writer = stream.try_clone().unwrap();
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let asked: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let mut out = Vec::new();
            answer(&line, Eras::Both, &mut out);
            out.push(b'\n');
            let _ = writer.write_all(&out);
            heard.send(asked["params"]["_meta"].clone()).unwrap();
        }
    });
    let mut plan = plan(Target::Unix { path, hello: None }, Eras::Modern);
    plan.count = Some(3);
    let class = Some("background".into());
    plan.mix = vec![ToolCall { deadline_ms: Some([300, 700]), class, ..ToolCall::new("echo") }];
    assert_all_right(&run(&plan).unwrap(), 3);
    let metas: Vec<_> = hears.iter().take(3).collect();
    for meta in metas {
        assert_eq!(meta["omnimind/class"], "background");
        assert!((100..=700).contains(&meta["omnimind/timeoutMs"].as_u64().unwrap()), "{meta}");
    }
}

#[test]
fn a_mix_calls_every_tool_and_counts_refusals_by_code() {
    let mut plan = plan(near_free_unix("mix", at_once()), Eras::Modern);
    plan.mix.push(ToolCall { arguments: "{}".into(), ..ToolCall::new("unknown") });
    let report = run(&plan).unwrap();
    assert!(report.is_correct(), "{report}");
    let refused = report.errors["rpc_-32602"];
    assert_eq!(report.right + refused, 400);
    assert!((120..=280).contains(&refused), "{report}");
    let after = report.refusal_ms["rpc_-32602"];
    assert!(after.p50 > 0.0 && after.p50 <= after.p99, "{report}");
}

#[test]
fn an_answer_given_to_another_caller_is_wrong() {
    let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
    let target = mangling_unix("swapped", move |line| {
        // Two answers exchange what they carry, and keep their ids.
        kept.push_back(line);
        if kept.len() < 2 {
            return Vec::new();
        }
        let texts: Vec<String> = kept.drain(..).map(|line| String::from_utf8(line).unwrap()).collect();
        let cut = |text: &str| text.find("\"result\"").unwrap();
        let (first, second) = (&texts[0], &texts[1]);
        let swapped = [&first[..cut(first)], &second[cut(second)..], &second[..cut(second)], &first[cut(first)..]];
        swapped.concat().into_bytes()
    });
    let report = run(&plan(target, Eras::Modern)).unwrap();
    assert!(!report.is_correct());
    assert_eq!((report.wrong, report.right), (400, 0), "{report}");
    assert!(report.samples[0].starts_with("another's canary"), "{:?}", report.samples);
}

#[test]
fn an_answer_given_twice_is_a_duplicate() {
    let target = mangling_unix("twice", |line| [line.clone(), line].concat());
    let report = run(&plan(target, Eras::Modern)).unwrap();
    assert_eq!((report.right, report.duplicate), (400, 400), "{report}");
    assert!(!report.is_correct());
}

#[test]
fn an_answer_nobody_asked_for_is_counted() {
    let target = mangling_unix("unasked", |line| {
        let stray = b"{\"jsonrpc\":\"2.0\",\"id\":9007199254740000,\"result\":{}}\n".to_vec();
        [line, stray].concat()
    });
    let report = run(&plan(target, Eras::Modern)).unwrap();
    assert_eq!((report.right, report.unasked), (400, 400), "{report}");
}

#[test]
fn a_call_that_is_never_answered_is_missing() {
    let mut turn = 0;
    let target = mangling_unix("missing", move |line| {
        turn += 1;
        if turn == 7 { Vec::new() } else { line }
    });
    let mut plan = plan(target, Eras::Modern);
    plan.timeout = Duration::from_millis(200);
    let report = run(&plan).unwrap();
    assert_eq!((report.right, report.missing, report.errors["timeout"]), (399, 1, 1), "{report}");
    assert!(!report.is_correct());
}

#[test]
fn a_peer_that_hangs_up_is_not_taken_for_a_quiet_end() {
    let path = socket("hangs-up");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || drop(listener.accept().unwrap()));
    let report = run(&plan(Target::Unix { path, hello: None }, Eras::Modern)).unwrap();
    assert!(!report.is_correct(), "{report}");
    assert!(report.connections_lost == 1 || report.missing > 0);
}

#[test]
fn http_answers_in_events_and_chunks_are_read_and_a_second_one_is_a_duplicate() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut bytes = vec![0; 64 * 1024];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes);
                    let start = text.find("\r\n\r\n").unwrap() + 4;
                    let length = text[start..].find('\0').unwrap();
                    let mut body = Vec::new();
                    answer(&bytes[start..start + length], Eras::Both, &mut body);
                    let event = format!("event: message\ndata: {}\n\n", String::from_utf8(body).unwrap());
                    let note = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n";
                    let stream_body = format!("{note}{event}{event}");
                    write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                    )
                    .unwrap();
                    for part in stream_body.as_bytes().chunks(50) {
                        write!(stream, "{:x}\r\n", part.len()).unwrap();
                        stream.write_all(part).unwrap();
                        stream.write_all(b"\r\n").unwrap();
                    }
                    stream.write_all(b"0\r\n\r\n").unwrap();
                    bytes.fill(0);
                }
            });
        }
    });
    let report = run(&plan(Target::Http { authority, path: "/mcp".into() }, Eras::Modern)).unwrap();
    assert_eq!((report.right, report.duplicate), (400, 400), "{report}");
}

#[test]
fn a_dead_target_is_an_error_for_a_socket_and_counted_over_http() {
    let nowhere = Target::Unix { path: Path::new("/nonexistent/socket").into(), hello: None };
    assert!(run(&plan(nowhere, Eras::Modern)).is_err());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut plan = plan(Target::Http { authority: format!("127.0.0.1:{port}"), path: "/mcp".into() }, Eras::Modern);
    plan.count = Some(20);
    let report = run(&plan).unwrap();
    assert_eq!((report.errors["connect"], report.missing), (20, 20), "{report}");
}

#[test]
fn a_generator_that_cannot_keep_up_says_so() {
    let mut plan = plan(near_free_unix("saturated", at_once()), Eras::Modern);
    plan.pacing = Loop::Open { rate_per_s: 5_000_000.0, arrivals: Arrivals::Uniform };
    plan.lag_limit = Duration::from_millis(5);
    (plan.in_flight, plan.count, plan.duration) = (1000, None, Duration::from_millis(300));
    plan.timeout = Duration::from_millis(300);
    let report = run(&plan).unwrap();
    assert!(report.saturated, "{report}");
    assert!(!report.saturated_by.is_empty());
}

#[test]
fn a_plan_that_makes_no_sense_is_refused_in_words() {
    let good = plan(near_free_unix("unused", at_once()), Eras::Modern);
    let bad: [fn(&mut Plan); 6] = [
        |plan| plan.in_flight = 0,
        |plan| plan.mix.clear(),
        |plan| plan.principals.clear(),
        |plan| plan.principals[0].name = "a b".into(),
        |plan| plan.threads = 9,
        |plan| plan.pacing = Loop::Open { rate_per_s: f64::NAN, arrivals: Arrivals::Poisson },
    ];
    for spoil in bad {
        let mut plan = good.clone();
        spoil(&mut plan);
        assert_eq!(run(&plan).unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{plan:?}");
    }
}

/// How many calls the near-free upstream says it answered.
fn counted(target: &Target) -> u64 {
    let Target::Http { authority, .. } = target else { panic!("over HTTP only") };
    let mut stream = std::net::TcpStream::connect(authority).unwrap();
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"near-free/calls"}"#;
    write!(stream, "POST /mcp HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str::<serde_json::Value>(body).unwrap()["result"]["calls"].as_u64().unwrap()
}

fn phase(name: &str, duration_s: f64, pace: f64) -> Phase {
    Phase { name: name.into(), duration_s, pace }
}

#[test]
fn a_server_that_stalls_looks_slow_in_an_open_loop_and_fast_in_a_closed_one() {
    let stall = Stall { length: Duration::from_millis(200), every: Duration::from_secs(1) };
    let stalling = Behaviour { stall: Some(stall), ..at_once() };
    let mut plan = plan(near_free_http(stalling), Eras::Modern);
    (plan.in_flight, plan.count, plan.duration) = (400, None, Duration::from_millis(2_400));
    plan.pacing = Loop::Open { rate_per_s: 400.0, arrivals: Arrivals::Poisson };
    let open = run(&plan).unwrap();
    assert_all_right(&open, open.sent);
    assert!(open.latency_ms.p99 >= 150.0, "{open}");
    (plan.in_flight, plan.pacing) = (4, Loop::Closed);
    let closed = run(&plan).unwrap();
    assert_all_right(&closed, closed.sent);
    assert!(closed.latency_ms.p99 * 5.0 < open.latency_ms.p99, "{closed}");
    assert!(closed.latency_ms.max > 150.0, "{closed}");
}

#[test]
fn its_count_is_the_servers_own_and_the_parts_add_up() {
    let target = near_free_http(at_once());
    let mut plan = plan(target.clone(), Eras::Both);
    plan.mix = vec![
        ToolCall { server: "a".into(), ..ToolCall::new("echo") },
        ToolCall { server: "b".into(), arguments: "{}".into(), weight: 2, ..ToolCall::new("echo") },
        ToolCall { server: "a".into(), arguments: "{}".into(), ..ToolCall::new("unknown") },
    ];
    plan.phases = vec![phase("slow", 0.4, 1.0), phase("fast", 0.4, 4.0)];
    plan.pacing = Loop::Open { rate_per_s: 300.0, arrivals: Arrivals::Uniform };
    (plan.count, plan.warm_up) = (None, Duration::from_millis(200));
    let report = run(&plan).unwrap();
    let refused = report.errors["rpc_-32602"];
    assert_eq!(report.right + refused, report.sent, "{report}");
    assert_eq!(counted(&target), report.right, "an unknown tool is no call it answered");
    // 60 arrivals in the warm-up, 120 in the slow phase, 480 in the fast one; who wakes late misses the last of them.
    assert!((500..=602).contains(&report.measured), "{}", report.measured);
    for parts in [&report.phases, &report.tools, &report.servers, &report.eras] {
        assert_eq!(parts.iter().map(|part| part.calls).sum::<u64>(), report.measured);
        assert!(parts.iter().all(|part| part.calls == part.right + part.errors.values().sum::<u64>()));
    }
    assert!((119..=121).contains(&report.phases[0].calls), "{:?}", report.phases);
    assert_eq!(report.phases.iter().map(|part| part.offered_per_s).collect::<Vec<_>>(), [Some(300.0), Some(1200.0)]);
    assert_eq!(report.offered_per_s, Some(750.0), "on average");
    let names = |parts: &[omnimind_load::report::Part]| parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&report.servers), names(&report.eras)),
        (vec!["a".into(), "b".into()], vec!["modern".into(), "legacy".into()])
    );
    assert!(report.eras[0].calls.abs_diff(report.eras[1].calls) <= 4, "{:?}", report.eras);
    let moments: u64 = report.timeline.iter().map(|moment| moment.right + moment.failed).sum();
    assert_eq!(moments, report.measured);
    let curve = &report.curve;
    assert!(curve.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1), "{curve:?}");
    let p99 = curve.iter().find(|point| (point.0 - 99.0).abs() < 1e-9).unwrap().1;
    assert!((p99 - report.latency_ms.p99).abs() < 1e-9, "{p99} {report}");
}

#[test]
fn a_connection_that_was_closed_while_it_rested_is_opened_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut bytes = vec![0; 64 * 1024];
                let read = stream.read(&mut bytes).unwrap();
                let text = String::from_utf8_lossy(&bytes[..read]);
                let mut body = Vec::new();
                answer(text.split("\r\n\r\n").nth(1).unwrap().as_bytes(), Eras::Both, &mut body);
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
                stream.write_all(&body).unwrap();
            });
        }
    });
    let mut plan = plan(Target::Http { authority, path: "/mcp".into() }, Eras::Modern);
    // Every connection takes one call and is closed; the next call on it comes a tenth of a second later.
    plan.pacing = Loop::Open { rate_per_s: 10.0, arrivals: Arrivals::Uniform };
    (plan.in_flight, plan.count) = (1, Some(5));
    assert_all_right(&run(&plan).unwrap(), 5);
}

#[test]
fn a_run_can_be_watched_and_ended_early() {
    let mut plan = plan(near_free_http(at_once()), Eras::Modern);
    plan.pacing = Loop::Open { rate_per_s: 200.0, arrivals: Arrivals::Poisson };
    (plan.count, plan.phases) = (None, vec![phase("long", 3_600.0, 1.0)]);
    let running = Running::start(plan).unwrap();
    let progress = || serde_json::from_str::<serde_json::Value>(&running.progress_json().unwrap()).unwrap();
    let mut seen = progress();
    while seen["right"].as_u64() < Some(100) {
        assert!(!running.wait(Duration::from_millis(50)));
        seen = progress();
    }
    assert!(seen["latency_ms"]["p99"].as_f64() > Some(0.0), "{seen}");
    assert!(running.report_json().unwrap().is_none());
    running.stop();
    assert!(running.wait(Duration::from_secs(5)));
    let report: serde_json::Value = serde_json::from_str(&running.report_json().unwrap().unwrap()).unwrap();
    assert_eq!(report["sent"], report["right"]);
    assert!(report["elapsed_s"].as_f64() < Some(60.0), "{}", report["elapsed_s"]);
    assert_eq!(report["saturated_by"], serde_json::json!([]), "what was not due before the end is no arrears");
}

#[test]
fn a_plan_of_another_program_is_read_and_its_mistakes_are_named() {
    let good = serde_json::json!({
        "url": "http://127.0.0.1:4320/mcp", "eras": "both", "rate_per_s": 10.0, "arrivals": "uniform", "in_flight": 4,
        "threads": 1, "sessions": 1, "calls": [{"tool": "echo"}], "principals": [{"name": "local"}],
        "phases": [{"name": "all", "duration_s": 1.0}], "warm_up_s": 0.5, "timeout_s": 3.0, "seed": 1, "no_store": true,
    });
    let plan = read_plan(good.to_string().as_bytes()).unwrap();
    assert_eq!((plan.eras, plan.no_store, plan.warm_up), (Eras::Both, true, Duration::from_millis(500)));
    let spoilt = [
        ("url", serde_json::json!("https://x"), "no http:// URL"),
        ("phases", serde_json::json!([]), "at least one phase"),
        ("warm_up_s", serde_json::json!(-1), "no length of time"),
        ("calls", serde_json::json!([{"tool": "a\r\nb"}]), "cannot stand in a header"),
        ("rate", serde_json::json!(1), "unknown field `rate`"),
    ];
    for (key, value, said) in spoilt {
        let mut bad = good.clone();
        bad[key] = value;
        let why = read_plan(bad.to_string().as_bytes()).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
}
