//! Sessions: whose they are, how long they live, how many there may be.

use omnimind_gateway::relay;
use serde_json::json;

use crate::{
    double::{Double, Speaks},
    host::{Host, Legacy, Stream, collect, soon},
};

fn at<'h>(host: &'h Host, principal: &'static str, id: &str) -> Legacy<'h> {
    Legacy { host, principal, id: id.to_owned() }
}

#[tokio::test]
async fn without_a_session_there_is_no_service() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let answer = collect(host.post("ann", &[], &body).await).await;
    assert_eq!((answer.status, &answer.end["id"]), (400, &json!(1)));
    let twice = [("mcp-session-id", "a"), ("mcp-session-id", "a")];
    assert_eq!(collect(host.post("ann", &twice, &body).await).await.status, 400);
    assert_eq!(collect(relay::get(host.caller("ann", &[]))).await.status, 400);
    assert_eq!(collect(relay::delete(&host.caller("ann", &[]))).await.status, 400);
    let modern = [("mcp-protocol-version", "2026-07-28")];
    assert_eq!(collect(relay::get(host.caller("ann", &modern))).await.status, 405);
    assert_eq!(collect(relay::delete(&host.caller("ann", &modern))).await.status, 405);
}

#[tokio::test]
async fn a_strangers_id_is_no_id() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let ann = host.session("ann", json!({})).await;
    for (principal, id) in [("bob", ann.id.clone()), ("ann", format!("{}x", ann.id)), ("ann", "nonsense".to_owned())] {
        let stranger = at(&host, principal, &id);
        assert_eq!(stranger.ask("tools/list", json!({})).await.status, 404);
        assert_eq!(collect(stranger.get()).await.status, 404);
        assert_eq!(stranger.delete().await, 404);
    }
    assert_eq!(ann.ask("tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn delete_ends_a_session_and_what_hangs_on_it() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    let mut stream = Stream::of(session.get());
    let call = session.call("silent", json!({})).await;
    let (deleted, call) = tokio::join!(
        async {
            double.wait_for("tools/call", 1).await;
            session.delete().await
        },
        collect(call)
    );
    assert_eq!((deleted, call.end), (200, serde_json::Value::Null));
    assert!(soon(stream.next()).await.is_null());
    double.wait_for("notifications/cancelled", 1).await;
    assert_eq!(session.ask("tools/list", json!({})).await.status, 404);
    assert_eq!(session.delete().await, 404);
    assert!(host.plane.sessions.is_empty());
}

#[tokio::test]
async fn a_restarted_gateway_takes_a_session_up_and_remembers_its_end() {
    let double = Double::start(Speaks::Modern);
    let before = Host::with(&double, 1, &json!({}), &json!({}));
    let id = before.session("ann", json!({"elicitation": {}})).await.id;
    let after = Host::with(&double, 2, &json!({}), &json!({}));
    assert_eq!(at(&after, "bob", &id).ask("tools/list", json!({})).await.status, 404);
    let session = at(&after, "ann", &id);
    let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
    let question = stream.next().await;
    assert_eq!(question["method"], "elicitation/create", "the id carries the client's capabilities");
    session.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
    assert_eq!(stream.next().await["result"]["content"][0]["text"], "Ann");
    drop(stream);
    assert_eq!(after.plane.sessions.len(), 1);
    assert_eq!(session.delete().await, 200);
    assert_eq!(session.ask("tools/list", json!({})).await.status, 404);
}

#[tokio::test]
async fn an_id_of_another_endpoint_is_no_id_here() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::new(&double);
    let id = host.session("ann", json!({})).await.id;
    let renamed = Host::with(&double, 2, &json!({}), &json!({"name": "other"}));
    assert_eq!(at(&renamed, "ann", &id).ask("tools/list", json!({})).await.status, 404);
}

#[tokio::test]
async fn an_idle_session_ends_and_a_busy_one_does_not() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::with(&double, 1, &json!({"session_idle_ms": 30}), &json!({}));
    let idle = host.session("ann", json!({})).await;
    let listening = host.session("ann", json!({})).await;
    let stream = Stream::of(listening.get());
    let calling = host.session("ann", json!({})).await;
    let call = calling.call("silent", json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    host.plane.sessions.sweep(tokio::time::Instant::now(), &host.plane.snapshot.load().edge);
    assert_eq!(host.plane.sessions.len(), 2);
    assert_eq!(idle.ask("tools/list", json!({})).await.status, 404);
    drop((stream, call));
    assert_eq!(listening.ask("tools/list", json!({})).await.status, 200);
    assert_eq!(calling.ask("tools/list", json!({})).await.status, 200);
}

#[tokio::test]
async fn at_the_cap_idle_sessions_make_room_and_busy_ones_do_not() {
    let double = Double::start(Speaks::Legacy);
    let host = Host::with(&double, 1, &json!({"sessions": 2, "session_idle_ms": 40}), &json!({}));
    let _one = host.session("ann", json!({})).await;
    let two = host.session("ann", json!({})).await;
    let refused = host.initialize("ann", json!({})).await;
    assert_eq!((refused.status, refused.code()), (503, 42_901));
    assert!(refused.end["error"]["message"].as_str().unwrap().contains("2 sessions are open"));
    let stream = Stream::of(two.get());
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_eq!(host.initialize("ann", json!({})).await.status, 200);
    assert_eq!(host.plane.sessions.len(), 2);
    drop(stream);
}

#[tokio::test]
async fn large_capabilities_are_cut_to_what_matters() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let padding = "x".repeat(50_000);
    let session =
        host.session("ann", json!({"experimental": {"pad": {"a": padding}}, "sampling": {"context": {}}})).await;
    assert!(session.id.len() < 1_000);
    session.ask("tools/call", json!({"name": "echo", "arguments": {"text": "x"}})).await;
    let meta = double.heard("tools/call")[0]["params"]["_meta"].clone();
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {"context": {}}}));
}

#[tokio::test]
async fn subscriptions_of_a_session_have_a_cap() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let session = host.session("ann", json!({})).await;
    for n in 0..256 {
        let answer = session.ask("resources/subscribe", json!({"uri": format!("test://{n}")})).await;
        assert_eq!(answer.end["result"], json!({}));
    }
    let answer = session.ask("resources/subscribe", json!({"uri": "test://one-more"})).await;
    assert_eq!(answer.code(), 42_901);
    session.ask("resources/unsubscribe", json!({"uri": "test://0"})).await;
    assert_eq!(session.ask("resources/subscribe", json!({"uri": "test://one-more"})).await.end["result"], json!({}));
}
