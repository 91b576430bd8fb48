//! Legacy clients of a legacy server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{Host, Stream, collect},
};

#[tokio::test]
async fn the_handshake_answers_for_the_server_in_the_clients_version() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let hello = host.initialize("ann", json!({})).await;
    assert_eq!(hello.end["result"]["instructions"], "be gentle");
    let id = hello.session.expect("a session id");
    assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
    for (asked, agreed) in [("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-11-25")] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": asked}});
        let answer = collect(host.post("ann", &[], &body).await).await;
        assert_eq!(answer.end["result"]["protocolVersion"], agreed);
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    assert_eq!(collect(host.post("ann", &[], &body).await).await.code(), -32602);
}

#[tokio::test]
async fn calls_and_progress_pass_and_ping_stays_here() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    assert_eq!(session.ask("ping", json!({})).await.end, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    assert!(double.heard("ping").is_empty());
    let answer = session
        .ask("tools/call", json!({"name": "progress", "_meta": {"progressToken": 9, "omnimind/principal": "x"}}))
        .await;
    assert_eq!((answer.notes.len(), answer.text()), (3, "done"));
    assert_eq!(answer.notes[2]["params"], json!({"progressToken": 9, "progress": 3, "total": 3}));
    assert!(double.heard("tools/call")[0]["params"]["_meta"].get("omnimind/principal").is_none());
    let missing = session.ask("resources/read", json!({"uri": "test://none"})).await;
    assert_eq!((missing.status, missing.code()), (200, -32002));
}

#[tokio::test]
async fn what_only_the_modern_era_has_stays_there() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    for method in ["server/discover", "subscriptions/listen"] {
        assert_eq!(session.ask(method, json!({})).await.code(), -32601);
    }
}

#[tokio::test]
async fn a_servers_question_is_asked_on_the_calls_stream_and_answered_by_post() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({"elicitation": {}})).await;
    let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
    let question = stream.next().await;
    assert_eq!((&question["method"], &question["params"]["message"]), (&json!("elicitation/create"), &json!("who?")));
    session.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
    assert_eq!(stream.next().await["result"]["content"][0]["text"], "Ann");
}

#[tokio::test]
async fn nobody_answers_anothers_question() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let ann = host.session("ann", json!({"elicitation": {}})).await;
    let bob = host.session("bob", json!({"elicitation": {}})).await;
    let other = host.session("ann", json!({"elicitation": {}})).await;
    let mut stream = Stream::of(ann.call("ask", json!({"text": "who?"})).await);
    let question = stream.next().await;
    for thief in [&bob, &other] {
        thief.respond(&question["id"], json!({"action": "accept", "content": {"name": "Eve"}})).await;
    }
    assert!(stream.is_quiet().await);
    ann.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
    assert_eq!(stream.next().await["result"]["content"][0]["text"], "Ann");
}

#[tokio::test]
async fn a_question_the_client_cannot_answer_is_refused() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({"sampling": {}})).await;
    assert_eq!(collect(session.call("ask", json!({})).await).await.text(), "refused: -32601");
}

#[tokio::test]
async fn a_slow_answer_does_not_count_as_the_servers_silence() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::with(&double, 1, &json!({}), &json!({"timeout_ms": 80}));
    let session = host.session("ann", json!({"elicitation": {}})).await;
    let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
    let question = stream.next().await;
    let quiet = tokio::time::timeout(Duration::from_millis(160), stream.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    session.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
    assert_eq!(stream.next().await["result"]["content"][0]["text"], "Ann");
    let silent = collect(session.call("silent", json!({})).await).await;
    assert_eq!((silent.status, silent.code()), (504, 50_400));
}

#[tokio::test]
async fn a_client_cancels_its_own_calls_and_no_others() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let ann = host.session("ann", json!({})).await;
    let bob = host.session("bob", json!({})).await;
    let mut stream = Stream::of(ann.call("silent", json!({})).await);
    tokio::select! {
        _ = double.wait_for("tools/call", 1) => {}
        message = stream.next() => panic!("{message}"),
    }
    bob.say("notifications/cancelled", json!({"requestId": 7})).await;
    ann.say("notifications/cancelled", json!({"requestId": "7"})).await;
    assert!(stream.is_quiet().await);
    assert!(double.heard("notifications/cancelled").is_empty());
    let cancelled = Instant::now();
    ann.say("notifications/cancelled", json!({"requestId": 7})).await;
    assert_eq!(stream.next().await, Value::Null, "a cancelled call has no answer");
    drop(stream);
    double.wait_for("notifications/cancelled", 1).await;
    assert!(cancelled.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn an_id_in_flight_is_not_taken_twice() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    let first = session.call("silent", json!({})).await;
    assert_eq!(collect(session.call("echo", json!({"text": "x"})).await).await.code(), -32600);
    drop(first);
    assert_eq!(collect(session.call("echo", json!({"text": "x"})).await).await.text(), "x");
}

#[tokio::test]
async fn a_session_has_one_stream() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    let stream = Stream::of(session.get());
    let second = collect(session.get()).await;
    assert_eq!(second.status, 409);
    drop(stream);
    Stream::of(session.get());
}

#[tokio::test]
async fn the_stream_brings_changes_and_only_the_resources_subscribed_to() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let ann = host.session("ann", json!({})).await;
    let other = host.session("ann", json!({})).await;
    let (mut one, mut two) = (Stream::of(ann.get()), Stream::of(other.get()));
    assert!(one.is_quiet().await && two.is_quiet().await);
    assert_eq!(ann.ask("resources/subscribe", json!({"uri": "test://a"})).await.end["result"], json!({}));
    assert!(one.is_quiet().await && two.is_quiet().await);
    double.tell("notifications/resources/updated", &json!({"uri": "test://b"}));
    double.tell("notifications/resources/updated", &json!({"uri": "test://a"}));
    assert_eq!(one.next().await["params"]["uri"], "test://a");
    double.tell("notifications/tools/list_changed", &json!({}));
    assert_eq!(one.next().await["method"], "notifications/tools/list_changed");
    assert_eq!(two.next().await["method"], "notifications/tools/list_changed", "the other session did not subscribe");
    ann.ask("resources/unsubscribe", json!({"uri": "test://a"})).await;
    double.wait_for("resources/unsubscribe", 1).await;
}

#[tokio::test]
async fn a_question_outside_of_calls_waits_for_the_stream() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({"roots": {}})).await;
    let asking = double.ask("roots/list", json!({}));
    tokio::pin!(asking);
    assert!(tokio::time::timeout(Duration::from_millis(30), &mut asking).await.is_err());
    let mut stream = Stream::of(session.get());
    let answering = async {
        let question = stream.next().await;
        assert_eq!(question["method"], "roots/list");
        session.respond(&question["id"], json!({"roots": [{"uri": "file:///a"}]})).await;
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert_eq!(answer["result"]["roots"][0]["uri"], "file:///a");
    // The stream closes and opens again: questions go on.
    drop(stream);
    let mut stream = Stream::of(session.get());
    let (answer, ()) = tokio::join!(double.ask("roots/list", json!({})), async {
        let question = stream.next().await;
        session.respond(&question["id"], json!({"roots": []})).await;
    });
    assert_eq!(answer["result"]["roots"], json!([]));
}

#[tokio::test]
async fn the_level_is_told_and_kept_to() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let loud = host.session("ann", json!({})).await;
    let calm = host.session("ann", json!({})).await;
    assert_eq!(loud.ask("logging/setLevel", json!({"level": "debug"})).await.end["result"], json!({}));
    calm.ask("logging/setLevel", json!({"level": "error"})).await;
    let told: Vec<Value> =
        double.heard("logging/setLevel").iter().map(|told| told["params"]["level"].clone()).collect();
    assert_eq!(told, ["debug", "debug"], "the connection is shared: the most talkative level wins");
    assert_eq!(collect(calm.call("log", json!({})).await).await.notes.len(), 0);
    assert_eq!(collect(loud.call("log", json!({})).await).await.notes.len(), 2);
}

#[tokio::test]
async fn what_a_session_wanted_is_wanted_again_on_a_new_connection() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    session.ask("logging/setLevel", json!({"level": "debug"})).await;
    session.ask("resources/subscribe", json!({"uri": "test://a"})).await;
    double.hang_up();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(collect(session.call("echo", json!({"text": "back"})).await).await.text(), "back");
    assert_eq!(double.wait_for("resources/subscribe", 2).await["params"]["uri"], "test://a");
    assert_eq!(double.wait_for("logging/setLevel", 2).await["params"]["level"], "debug");
}

#[tokio::test]
async fn a_stream_goes_on_over_a_new_connection_and_tells_of_the_gap() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    session.ask("resources/subscribe", json!({"uri": "test://a"})).await;
    let mut stream = Stream::of(session.get());
    assert!(stream.is_quiet().await);
    double.hang_up();
    let told = [stream.next().await, stream.next().await, stream.next().await];
    let methods: Vec<&str> = told.iter().map(|note| note["method"].as_str().unwrap()).collect();
    let (tools, resources) = ("notifications/tools/list_changed", "notifications/resources/list_changed");
    assert_eq!(methods, [tools, resources, "notifications/resources/updated"]);
    assert_eq!(double.wait_for("resources/subscribe", 2).await["params"]["uri"], "test://a");
    double.tell("notifications/resources/updated", &json!({"uri": "test://a/b"}));
    assert_eq!(stream.next().await["params"]["uri"], "test://a/b");
}

#[tokio::test]
async fn progress_on_a_question_goes_only_where_the_question_came_from() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({"roots": {}})).await;
    let mut stream = Stream::of(session.get());
    session.say("notifications/progress", json!({"progressToken": "t", "progress": 1})).await;
    let (_, ()) = tokio::join!(double.ask("roots/list", json!({"_meta": {"progressToken": "t"}})), async {
        let question = stream.next().await;
        session.say("notifications/progress", json!({"progressToken": "t", "progress": 2})).await;
        session.respond(&question["id"], json!({"roots": []})).await;
    });
    let heard = double.wait_for("notifications/progress", 1).await;
    assert_eq!(heard["params"]["progress"], 2);
}
