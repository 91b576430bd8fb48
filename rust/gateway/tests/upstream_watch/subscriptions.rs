//! What the gateway subscribes to itself, for what it keeps.

use std::sync::Arc;

use omnimind_gateway::{
    cache::changes::{Changes, Hold, What},
    session::Sessions,
    upstream::{Change, Event, Lease},
};
use omnimind_wire::Era;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, advance, pause, resume, sleep};

use crate::{
    Log, SUBSCRIPTION, for_ann, note, stranger,
    upstream_doubles::{
        children::{promising, ready, stdio},
        lines::{Double, Line, Speaks, serve},
        next, result, session, shared, soon, tool, until, watched,
    },
    worker,
};

pub(crate) const ALL: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true}}"#;
const MODERN: Speaks = Speaks::Promises(Era::Modern, ALL);
const LEGACY: Speaks = Speaks::Promises(Era::Legacy, ALL);

pub(crate) fn changes() -> Arc<Changes> {
    Changes::new("0.1.0", &Sessions::new())
}

/// Waits until something is heard of.
pub(crate) async fn heard(changes: &Arc<Changes>, lease: &Lease, what: What<'_>) {
    until("it is heard", || changes.ensure(lease, what, soon()) == Hold::Heard).await;
}

/// Agrees to every subscription as asked.
fn agree(message: Value, line: Line) {
    if message["method"] == "subscriptions/listen" {
        let filter = &message["params"]["notifications"];
        let meta = json!({SUBSCRIPTION: message["id"]});
        line.say(&note("subscriptions/acknowledged", json!({"notifications": filter, "_meta": meta})));
    } else if message["id"].is_number() {
        line.answer(&message, &json!({}));
    }
}

/// Lets time pass, in steps as long as the longest task sleeps for.
pub(crate) async fn pass(time: Duration) {
    const STEP: Duration = Duration::from_secs(10);
    pause();
    for _ in 0..time.as_secs() / STEP.as_secs() {
        advance(STEP).await;
        sleep(Duration::from_millis(1)).await;
    }
    resume();
}

fn asked(double: &Double, method: &str) -> Vec<Value> {
    double.heard.lock().iter().filter(|message| message["method"] == method).cloned().collect()
}

#[tokio::test]
async fn one_subscription_serves_all_and_grows_with_what_is_kept() {
    let (double, log, changes) = (serve(false, MODERN, agree), Arc::<Log>::default(), changes());
    let fleet = stranger(&double, &log);
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    let hold = changes.ensure(&lease, What::Tools, soon());
    assert_eq!((hold, hold.most_ms(60_000), hold.most_ms(50)), (Hold::Opening, 10_000, 50));
    heard(&changes, &lease, What::Tools).await;
    for _ in 0..100 {
        let other = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
        for what in [What::Tools, What::Prompts, What::Resources] {
            assert_eq!(changes.ensure(&other, what, soon()), Hold::Heard);
        }
    }
    assert_eq!(asked(&double, "subscriptions/listen").len(), 1);
    let first = &asked(&double, "subscriptions/listen")[0];
    assert!(first["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"] == "omnimind");

    let uris: Vec<String> = (0..50).map(|number| format!("a:{number}")).collect();
    for uri in &uris {
        assert_eq!(changes.ensure(&lease, What::Resource(uri), soon()), Hold::Opening);
    }
    for uri in &uris {
        heard(&changes, &lease, What::Resource(uri)).await;
    }
    let listens = asked(&double, "subscriptions/listen");
    assert!(listens.len() <= 3, "they are asked for together: {}", listens.len());
    let last = &listens.last().unwrap()["params"]["notifications"];
    assert_eq!(
        (&last["toolsListChanged"], last["resourceSubscriptions"].as_array().unwrap().len()),
        (&json!(true), 50)
    );
    until("the earlier ones are let go", || asked(&double, "notifications/cancelled").len() == listens.len() - 1).await;
    let methods: Vec<Value> = double.heard.lock().iter().map(|message| message["method"].clone()).collect();
    let order = ["subscriptions/listen", "subscriptions/listen", "notifications/cancelled"];
    assert_eq!(methods[..3], order, "the next one is open before");
    assert_eq!(log.take(), [], "there was no gap");
}

#[tokio::test]
async fn nothing_is_asked_of_a_server_that_promised_nothing() {
    for (era, speaks) in [(Era::Legacy, Speaks::Legacy), (Era::Modern, Speaks::Modern)] {
        let (double, log, changes) = (serve(false, speaks, agree), Arc::<Log>::default(), changes());
        let lease = shared(&stranger(&double, &log), "s", "ann", era).await.unwrap();
        for what in [What::Tools, What::Prompts, What::Resources, What::Resource("a:b"), What::Data] {
            assert_eq!(changes.ensure(&lease, what, soon()), Hold::Deaf);
        }
        result(lease.call(tool("1", &json!({})))).await;
        assert_eq!(double.heard.lock().len(), 1, "only the call");
    }
}

#[tokio::test]
async fn a_server_that_honours_less_is_not_asked_again() {
    let double = serve(false, MODERN, |message, line| {
        if message["method"] == "subscriptions/listen" {
            let less = json!({"toolsListChanged": true, "resourceSubscriptions": ["a:1"]});
            let meta = json!({SUBSCRIPTION: message["id"]});
            line.say(&note("subscriptions/acknowledged", json!({"notifications": less, "_meta": meta})));
        }
    });
    let (log, changes) = (Arc::<Log>::default(), changes());
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Modern).await.unwrap();
    for uri in ["a:1", "a:2"] {
        changes.ensure(&lease, What::Resource(uri), soon());
    }
    heard(&changes, &lease, What::Tools).await;
    heard(&changes, &lease, What::Resource("a:1")).await;
    let before = asked(&double, "subscriptions/listen").len();
    for what in [What::Prompts, What::Resources, What::Resource("a:2")] {
        assert_eq!(changes.ensure(&lease, what, soon()), Hold::Deaf, "{what:?}");
    }
    sleep(Duration::from_millis(60)).await;
    assert_eq!(asked(&double, "subscriptions/listen").len(), before);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_one_subscribed_on_when_something_is_kept_of_it() {
    let (double, log, changes) =
        (
            serve(false, MODERN, |message, line| {
                if message["params"]["name"] == "break" { line.hang_up() } else { agree(message, line) }
            }),
            Arc::<Log>::default(),
            changes(),
        );
    let fleet = stranger(&double, &log);
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    heard(&changes, &lease, What::Tools).await;
    lease.call(tool("1", &json!({"name": "break"}))).finish().await.unwrap_err();
    assert_eq!(log.take(), [for_ann(Change::Lost)]);
    assert_eq!(changes.ensure(&lease, What::Tools, soon()), Hold::Deaf);
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    assert_eq!(asked(&double, "subscriptions/listen").len(), 1, "nothing of it is kept");
    heard(&changes, &lease, What::Tools).await;
    assert_eq!(asked(&double, "subscriptions/listen").len(), 2);
    assert_eq!(log.take(), []);
}

#[tokio::test]
async fn a_server_that_refuses_is_asked_once_also_on_its_next_connection() {
    let double = serve(false, MODERN, |message, line| match message["method"].as_str() {
        Some("subscriptions/listen") => line.say(
            &json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}}),
        ),
        Some("tools/call") => line.hang_up(),
        _ => {}
    });
    let (log, changes) = (Arc::<Log>::default(), changes());
    let fleet = stranger(&double, &log);
    for _ in 0..3 {
        let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
        until("it is known to refuse", || changes.ensure(&lease, What::Tools, soon()) == Hold::Deaf).await;
        let hold = changes.ensure(&lease, What::Resource("a:b"), soon());
        assert_eq!((hold, hold.most_ms(60_000)), (Hold::Deaf, 60_000), "its time alone counts");
        lease.call(tool("1", &json!({}))).finish().await.unwrap_err();
    }
    assert_eq!(asked(&double, "subscriptions/listen").len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_like_a_resource_is_still_heard_of_its_lists() {
    let double = serve(false, MODERN, |message, line| {
        if message["params"]["notifications"]["resourceSubscriptions"].is_array() {
            let error = json!({"code": -32602, "message": "no such resource"});
            return line.say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
        }
        agree(message, line);
    });
    let (log, changes) = (Arc::<Log>::default(), changes());
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Modern).await.unwrap();
    changes.ensure(&lease, What::Resource("a:b"), soon());
    heard(&changes, &lease, What::Tools).await;
    until("it is known", || changes.ensure(&lease, What::Resource("a:b"), soon()) == Hold::Deaf).await;
    assert_eq!(changes.ensure(&lease, What::Tools, soon()), Hold::Heard);
    assert_eq!(log.take(), []);
}

#[tokio::test]
async fn a_server_that_ends_every_subscription_at_once_is_left_alone() {
    let double = serve(false, MODERN, |message, line| {
        agree(message.clone(), line.clone());
        line.answer(&message, &json!({"_meta": {SUBSCRIPTION: message["id"]}}));
    });
    let (log, changes) = (Arc::<Log>::default(), changes());
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Modern).await.unwrap();
    pause();
    until("it is given up", || changes.ensure(&lease, What::Tools, soon()) == Hold::Deaf).await;
    resume();
    let times = asked(&double, "subscriptions/listen").len();
    assert_eq!(times, 3);
    assert_eq!(log.count(&Change::Lost), times, "each time something may have been missed");
}

#[tokio::test]
async fn a_legacy_server_is_asked_once_for_a_resource_and_never_for_lists() {
    let (double, log, changes) = (serve(false, LEGACY, agree), Arc::<Log>::default(), changes());
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Legacy).await.unwrap();
    for what in [What::Tools, What::Prompts, What::Resources] {
        assert_eq!(changes.ensure(&lease, what, soon()), Hold::Heard);
    }
    let until_then = Instant::now() + Duration::from_secs(90);
    for uri in ["a:1", "a:2", "a:1"] {
        assert_ne!(changes.ensure(&lease, What::Resource(uri), until_then), Hold::Deaf);
    }
    heard(&changes, &lease, What::Resource("a:2")).await;
    changes.ensure(&lease, What::Resource("a:1"), Instant::now() + Duration::from_secs(3_000));
    assert_eq!(asked(&double, "resources/subscribe").len(), 2);
    assert!(asked(&double, "resources/unsubscribe").is_empty());

    pass(Duration::from_secs(130)).await;
    until("what nobody keeps is let go", || asked(&double, "resources/unsubscribe").len() == 1).await;
    assert_eq!(asked(&double, "resources/unsubscribe")[0]["params"]["uri"], "a:2");
    assert_eq!(changes.ensure(&lease, What::Resource("a:1"), soon()), Hold::Heard);
}

#[tokio::test]
async fn there_is_an_end_to_the_resources_of_one_connection() {
    let (double, log, changes) = (serve(false, MODERN, agree), Arc::<Log>::default(), changes());
    let lease = shared(&stranger(&double, &log), "s", "ann", Era::Modern).await.unwrap();
    let most = Changes::MOST_URIS;
    let uris: Vec<String> = (0..most).map(|number| format!("a:{number}")).collect();
    for uri in &uris {
        assert_eq!(changes.ensure(&lease, What::Resource(uri), soon()), Hold::Opening);
    }
    assert_eq!(changes.ensure(&lease, What::Resource("one more"), soon()), Hold::Full);
    heard(&changes, &lease, What::Resource(&uris[most - 1])).await;
    assert_eq!(changes.ensure(&lease, What::Resource("one more"), soon()), Hold::Full);
}

#[tokio::test]
async fn a_worker_is_told_of_no_principal_so_that_it_tells_of_all() {
    let (double, log, changes) = (serve(true, MODERN, agree), Arc::<Log>::default(), changes());
    let fleet = worker(&double, &log);
    let lease = shared(&fleet, "s", "ann", Era::Modern).await.unwrap();
    assert_eq!(changes.ensure(&lease, What::Data, soon()), Hold::Heard);
    heard(&changes, &lease, What::Resource("a:b")).await;
    let listen = asked(&double, "subscriptions/listen").pop().unwrap();
    assert!(listen["params"]["_meta"].get("omnimind/principal").is_none(), "{listen}");
    result(lease.call(tool("1", &json!({})))).await;
    assert_eq!(asked(&double, "tools/call")[0]["params"]["_meta"]["omnimind/principal"], "ann");
}

#[tokio::test]
async fn an_idle_child_is_let_go_although_it_is_listened_to() {
    let (log, changes) = (Arc::<Log>::default(), changes());
    let (fleet, outbox) = watched(&stdio("principal"), log.clone());
    let promises: Value = serde_json::from_str(ALL).unwrap();
    let nursery = promising(&fleet, &outbox, "modern", &promises, agree);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    heard(&changes, &lease, What::Tools).await;
    drop(lease);
    pass(Duration::from_secs(620)).await;
    until("it is given back", || nursery.wishes("release_child").len() == 1).await;
    assert_eq!(log.take(), [for_ann(Change::Restarted)]);
    assert_eq!(nursery.wishes("want_child").len(), 1, "nobody wants another");
    assert!(nursery.wishes("wake").is_empty());
}

#[tokio::test]
async fn a_retired_connection_is_not_held_and_not_listened_to() {
    let (log, changes) = (Arc::<Log>::default(), changes());
    let (fleet, outbox) = watched(&stdio("principal"), log.clone());
    let promises: Value = serde_json::from_str(ALL).unwrap();
    let nursery = promising(&fleet, &outbox, "modern", &promises, agree);
    ready(&fleet, "c");
    let lease = shared(&fleet, "c", "ann", Era::Modern).await.unwrap();
    heard(&changes, &lease, What::Tools).await;
    fleet.child_retire(1, Duration::from_secs(60));
    assert_eq!(changes.ensure(&lease, What::Tools, soon()), Hold::Deaf);
    until("it is given back while a lease is held", || nursery.wishes("release_child").len() == 1).await;
    assert_eq!(log.take(), [for_ann(Change::Restarted)]);
}

#[tokio::test]
async fn the_gateways_own_requests_are_nobodys_calls() {
    let held = Arc::new(Mutex::new(Vec::<(Value, Line)>::new()));
    let hold = Arc::clone(&held);
    let double = serve(false, LEGACY, move |message, line| match message["method"].as_str() {
        Some("resources/subscribe") => hold.lock().push((message, line)),
        Some("tools/call") => {
            line.say(&note("message", json!({"level": "info", "data": "x"})));
            line.say(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "?"}}));
        }
        _ => {}
    });
    let (log, changes) = (Arc::<Log>::default(), changes());
    let fleet = stranger(&double, &log);
    let lease = session(&fleet, "s", "one").await;
    changes.ensure(&lease, What::Resource("a:b"), soon());
    until("the gateway waits for an answer", || !held.lock().is_empty()).await;
    assert!(lease.exclusive());
    let mut called = lease.call(tool("1", &json!({})));
    assert!(matches!(next(&mut called).await, Event::Note(note) if &*note.method == "notifications/message"));
    assert!(matches!(next(&mut called).await, Event::Ask(_)), "the question is the session's");
    assert_eq!(fleet.counts().iter().map(|count| count.calls).sum::<u64>(), 0, "only the relay counts calls");
    held.lock()[0].1.say(&note("resources/updated", json!({"uri": "a:b"})));
    assert_eq!(
        &*lease.notes().recv().await.unwrap().method,
        "notifications/resources/updated",
        "there is one principal"
    );
}

#[tokio::test]
async fn what_another_connection_hears_as_well_is_not_lost() {
    let (double, log, changes) = (serve(false, LEGACY, agree), Arc::<Log>::default(), changes());
    let servers = json!([{"name": "s", "kind": "unix", "tier": "high", "path": double.path, "sessions": "own"}]);
    let fleet = watched(&servers, log.clone()).0;
    let (one, two) = (session(&fleet, "s", "one").await, session(&fleet, "s", "two").await);
    for lease in [&one, &two] {
        assert_eq!(changes.ensure(lease, What::Tools, soon()), Hold::Heard);
    }
    let mut gone = one.notes();
    drop(one);
    pass(Duration::from_secs(50)).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), gone.recv()).await;
    assert!(closed.expect("it ends").is_none(), "the first connection is closed");
    sleep(Duration::from_millis(20)).await;
    assert_eq!(log.take(), []);
    drop(two);
    pass(Duration::from_secs(50)).await;
    until("the last one is missed", || log.count(&Change::Lost) == 1).await;
}
