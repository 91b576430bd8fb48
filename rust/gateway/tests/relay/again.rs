//! Calls whose server dies under them: what may run twice is sent again, once; what may not never runs twice.

use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{Answer, Host, collect},
};

const ERAS: [Speaks; 2] = [Speaks::Modern, Speaks::Legacy];

fn trusting(double: &Double) -> Host {
    Host::with(double, 1, &json!({}), &json!({"trust": ["annotations"]}))
}

/// A lost call ends with one clear error.
fn is_lost(answer: &Answer) -> bool {
    let said = answer.end["error"]["message"].as_str().unwrap_or("").to_owned();
    answer.status == 503 && answer.code() == 50_300 && said.contains("nobody can say whether the call ran")
}

#[tokio::test]
async fn a_read_that_is_lost_is_sent_again_whoever_the_server_is() {
    for speaks in ERAS {
        let double = Double::start(speaks);
        let host = Host::new(&double);
        let answer = collect(host.modern("resources/read", json!({"uri": "flaky:1"})).await).await;
        assert_eq!(answer.end["result"]["contents"][0]["text"], "run 2", "{speaks:?} {answer:?}");
    }
}

#[tokio::test]
async fn a_tool_of_a_stranger_never_runs_twice_whatever_it_says_of_itself() {
    for (speaks, tool) in ERAS.into_iter().flat_map(|era| [(era, "flaky_read"), (era, "flaky_write")]) {
        let double = Double::start(speaks);
        let host = Host::new(&double);
        let answer = host.call(tool, json!({})).await;
        assert!(is_lost(&answer), "{answer:?}");
        assert_eq!(double.runs(), 1);
        assert_eq!(host.call(tool, json!({})).await.text(), "run 2", "and the next call finds the server");
    }
}

#[tokio::test]
async fn a_tool_of_a_trusted_server_runs_again_if_it_says_that_this_does_no_harm() {
    for speaks in ERAS {
        for (tool, again) in
            [("flaky_read", true), ("flaky_repeat", true), ("flaky_write", false), ("flaky_liar", false)]
        {
            let double = Double::start(speaks);
            let host = trusting(&double);
            let answer = host.call(tool, json!({})).await;
            if again {
                assert_eq!(answer.text(), "run 2", "{speaks:?} {tool}");
            } else {
                assert!(is_lost(&answer), "{speaks:?} {tool} {answer:?}");
            }
            assert_eq!(double.runs(), if again { 2 } else { 1 });
        }
    }
}

#[tokio::test]
async fn what_a_trusted_server_said_of_its_tools_is_remembered() {
    let double = Double::start(Speaks::Modern);
    let host = trusting(&double);
    collect(host.modern("tools/list", json!({})).await).await;
    assert_eq!(host.call("flaky_read", json!({})).await.text(), "run 2");
    assert_eq!(double.heard("tools/list").len(), 1);
}

#[tokio::test]
async fn a_session_goes_on_when_its_server_has_died_under_a_call() {
    for speaks in ERAS {
        let double = Double::start(speaks);
        let host = trusting(&double);
        let session = host.session("ann", json!({})).await;
        assert_eq!(collect(session.call("flaky_read", json!({})).await).await.text(), "run 2", "{speaks:?}");
        let answer = collect(session.call("echo", json!({"text": "still here"})).await).await;
        assert_eq!(answer.text(), "still here");
        let met = if speaks == Speaks::Modern { "server/discover" } else { "initialize" };
        assert_eq!(double.heard(met).len(), 2, "{speaks:?}: it was met anew, and its client never knew");
    }
}

#[tokio::test]
async fn progress_of_a_second_run_is_kept_to_itself() {
    let double = Double::start(Speaks::Legacy);
    let host = trusting(&double);
    let params = json!({"name": "flaky_read", "arguments": {}, "_meta": {"progressToken": "p"}});
    let answer = collect(host.modern("tools/call", params).await).await;
    assert_eq!(answer.text(), "run 2");
    let progress: Vec<&Value> = answer.notes.iter().filter(|note| note["method"] == "notifications/progress").collect();
    assert!(progress.len() <= 1, "{progress:?}");
}

#[tokio::test]
async fn calls_and_failures_are_counted_by_server() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    host.call("echo", json!({"text": "a"})).await;
    host.call("no such tool", json!({})).await;
    host.call("flaky_write", json!({})).await;
    let counts = host.plane.fleet.counts();
    assert_eq!((counts[0].name.as_str(), counts[0].calls, counts[0].failed), ("double", 3, 1));
}

/// A worker of ours on a socket, which opens with its key.
mod worker {
    use std::path::PathBuf;

    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::UnixListener,
    };

    /// Serves until the test ends; turns away what is no greeting if it `drains`.
    pub(super) fn start(name: &str, drains: bool) -> PathBuf {
        let path = std::env::temp_dir().join(format!("omnimind-again-{}-{name}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let name = name.to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let name = name.clone();
                tokio::spawn(async move {
                    let (reader, mut writer) = stream.into_split();
                    let mut lines = BufReader::new(reader).lines();
                    let _key = lines.next_line().await;
                    while let Ok(Some(line)) = lines.next_line().await {
                        let Ok(request) = serde_json::from_str::<Value>(&line) else { continue };
                        if request.get("id").is_none() {
                            continue;
                        }
                        let answer = answer(&request, &name, drains);
                        let _ = writer.write_all(format!("{answer}\n").as_bytes()).await;
                    }
                });
            }
        });
        path
    }

    fn answer(request: &Value, name: &str, drains: bool) -> Value {
        let mut answer = json!({"jsonrpc": "2.0", "id": request["id"]});
        match request["method"].as_str().unwrap() {
            "server/discover" => {
                answer["result"] = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                    "resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
            }
            "initialize" => {
                answer["result"] = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": name, "version": "1"}});
            }
            _ if drains => {
                answer["error"] = json!({"code": 50300, "message": "stopping", "data": {"reason": "draining"}});
            }
            "tools/list" => {
                answer["result"] = json!({"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
            }
            _ => {
                answer["result"] = json!({"content": [{"type": "text", "text": name}], "resultType": "complete"});
            }
        }
        answer
    }
}

#[tokio::test]
async fn a_call_that_a_stopping_worker_turned_away_goes_to_the_next_one_whatever_it_does() {
    let (old, new) = (worker::start("old", true), worker::start("new", false));
    let double = Double::start(Speaks::Modern);
    let spec = json!({"kind": "worker", "sessions": "shared", "first_party": true});
    let host = Host::with(&double, 1, &json!({}), &spec);
    let says = |path: &std::path::Path, key: &str| {
        let change = json!({"name": "double", "state": "ready", "path": path, "key": key});
        host.plane.fleet.server_changed(serde_json::from_value(change).unwrap());
    };
    says(&old, "11");
    let session = host.session("ann", json!({})).await;
    let call = tokio::spawn({
        let plane = host.plane.clone();
        async move { Host { plane }.call("write", json!({})).await.text().to_owned() }
    });
    let list = tokio::spawn({
        let plane = host.plane.clone();
        async move { collect(Host { plane }.modern("tools/list", json!({})).await).await.status }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let sitting = session.call("write", json!({}));
    says(&new, "22");
    assert_eq!(collect(sitting.await).await.text(), "new", "a session's call too");
    assert_eq!((call.await.unwrap().as_str(), list.await.unwrap()), ("new", 200));
    for path in [old, new] {
        let _ = std::fs::remove_file(path);
    }
}

#[tokio::test]
async fn a_subscription_that_meets_a_dead_connection_is_made_on_the_next() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    for uri in ["test://a", "test://b", "test://c"] {
        double.hang_up();
        let answer = session.ask("resources/subscribe", json!({"uri": uri})).await;
        assert_eq!(answer.end["result"], json!({}), "{answer:?}");
    }
}
