//! What the protocol says of caches, line by line.

use omnimind_gateway::relay;
use omnimind_wire::{Era, Limits, Message};
use serde_json::{Value, json};

use crate::{
    host::{CAPABILITIES, Stream, VERSION, collect},
    server::{QUIET, TELLS},
    stage::{ERAS, Request, Stage, number, told},
};

const LISTS: [&str; 4] = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];

/// A third party's server of one era whose lists live by `hint`, or, as the legacy era knows no hints, by configuration.
fn stage(era: Era) -> Stage {
    let ttl = if era == Era::Legacy { json!({"cache": {"ttl_ms": 1_000}}) } else { json!({}) };
    let stage = Stage::theirs(era, QUIET, &ttl);
    stage.server().lists_say(json!({"ttlMs": 1_000}));
    stage
}

#[tokio::test]
async fn lists_and_resources_are_kept_as_long_as_was_said_and_no_longer() {
    for era in ERAS {
        let stage = stage(era);
        let mut requests: Vec<Request<'_>> = LISTS.iter().map(|method| stage.request(method, json!({}))).collect();
        requests.push(stage.read(&json!({"ttlMs": 1_000})));
        for request in requests {
            let first = request.clone().number().await;
            stage.pass(999);
            assert_eq!(request.clone().number().await, first, "{era:?}");
            stage.pass(1);
            assert_ne!(request.clone().number().await, first, "{era:?}");
        }
    }
}

#[tokio::test]
async fn without_a_whole_number_of_milliseconds_an_answer_is_stale_at_once() {
    let stage = stage(Era::Modern);
    for hint in [json!(0), json!(-5), json!(1.5), json!("500"), json!(null), json!(true)] {
        let request = stage.read(&json!({"ttlMs": hint}));
        assert_ne!(request.clone().number().await, request.number().await, "{hint}");
    }
    let silent = stage.read(&json!({}));
    assert_ne!(silent.clone().number().await, silent.number().await);
}

#[tokio::test]
async fn nothing_lives_longer_than_a_day() {
    let stage = stage(Era::Modern);
    let day = 24 * 3_600_000;
    let request = stage.read(&json!({"ttlMs": 99 * day}));
    let first = request.clone().number().await;
    stage.pass(day - 1);
    assert_eq!(request.clone().number().await, first);
    stage.pass(1);
    assert_ne!(request.number().await, first);
}

#[tokio::test]
async fn what_is_handed_on_is_what_is_left_of_the_time() {
    let stage = stage(Era::Modern);
    let request = stage.read(&json!({"ttlMs": 1_000}));
    let mut left = Vec::new();
    for pause in [0, 400, 599] {
        stage.pass(pause);
        left.push(request.clone().answer().await.end["result"]["ttlMs"].as_u64().unwrap());
    }
    assert_eq!(left, [1_000, 600, 1]);
}

#[tokio::test]
async fn a_legacy_client_gets_what_is_kept_without_hints() {
    for era in ERAS {
        let stage = stage(era);
        let legacy = stage.host.session("ann", json!({})).await;
        let first = legacy.ask("prompts/list", json!({})).await;
        let second = legacy.ask("prompts/list", json!({})).await;
        assert_eq!(number(&first), number(&second), "{era:?}");
        assert!(second.end["result"].get("ttlMs").is_none() || era == Era::Legacy, "{second:?}");
        assert_eq!(stage.server().count("prompts/list"), 1);
    }
}

#[tokio::test]
async fn the_eras_of_clients_are_kept_apart() {
    for era in ERAS {
        let stage = stage(era);
        let legacy = stage.host.session("ann", json!({})).await;
        let old = number(&legacy.ask("prompts/list", json!({})).await);
        assert_ne!(stage.request("prompts/list", json!({})).number().await, old);
    }
}

#[tokio::test]
async fn what_differs_between_equal_requests_makes_no_difference() {
    let stage = stage(Era::Modern);
    let request = stage.read(&json!({"ttlMs": 1_000}));
    let first = request.clone().id(json!(1)).number().await;
    let passing = [
        ("progressToken", json!("p")),
        ("traceparent", json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("tracestate", json!("a=b")),
        ("baggage", json!("a=b")),
        ("io.modelcontextprotocol/clientInfo", json!({"name": "other", "version": "2"})),
        ("omnimind/timeoutMs", json!(5_000)),
    ];
    for (key, value) in passing {
        let answer = request.clone().id(json!(format!("id of {key}"))).meta(key, value).answer().await;
        assert_eq!((number(&answer), &answer.end["id"]), (first.clone(), &json!(format!("id of {key}"))));
    }
    for (key, value) in [("acme/tenant", json!("x")), (CAPABILITIES, json!({"roots": {}}))] {
        assert_ne!(request.clone().meta(key, value).number().await, first, "{key}");
    }
    assert_ne!(request.clone().param("more", json!(1)).number().await, first);
}

#[tokio::test]
async fn the_order_of_members_makes_no_difference() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = |arguments: &str| {
        let request = stage.call("read", json!({}));
        let meta = json!({VERSION: "2026-07-28", CAPABILITIES: {}});
        request.send_text(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{meta},"name":"read","arguments":{arguments}}}}}"#
        ))
    };
    let first = number(&collect(call(r#"{"a":1,"b":{"c":2,"d":[1,2]}}"#).await).await);
    assert_eq!(number(&collect(call(r#"{ "b": {"d":[1, 2],"c":2}, "a":1 }"#).await).await), first);
    for other in
        [r#"{"a":1,"b":{"c":2,"d":[2,1]}}"#, r#"{"a":"1","b":{"c":2,"d":[1,2]}}"#, r#"{"b":{"c":2,"d":[1,2]}}"#]
    {
        assert_ne!(number(&collect(call(other).await).await), first, "{other}");
    }
}

#[tokio::test]
async fn private_is_what_nobody_called_public_and_public_what_a_trusted_server_calls_so() {
    for (trust, scope, shared) in [
        (json!(["public"]), json!("public"), true),
        (json!(["public"]), json!("private"), false),
        (json!(["public"]), Value::Null, false),
        (json!(["annotations"]), json!("public"), false),
        (json!([]), json!("public"), false),
    ] {
        let stage = Stage::theirs(Era::Modern, QUIET, &json!({"trust": trust, "sessions": "shared"}));
        let request = stage.read(&json!({"ttlMs": 1_000, "cacheScope": scope}));
        let ann = request.clone().number().await;
        assert_eq!(request.clone().number().await, ann);
        let same = request.clone().by("bob").number().await == ann;
        assert_eq!(same, shared, "{trust} {scope}");
        assert_eq!(request.operator().number().await == ann, shared, "{trust} {scope}");
    }
}

#[tokio::test]
async fn pages_are_kept_one_by_one_and_an_empty_cursor_is_one() {
    for era in ERAS {
        let stage = stage(era);
        let first = stage.request("resources/list", json!({}));
        let second = stage.request("resources/list", json!({"cursor": ""}));
        let (one, two) = (first.clone().answer().await, second.clone().answer().await);
        assert_eq!((&one.end["result"]["nextCursor"], &two.end["result"]["nextCursor"]), (&json!(""), &json!("hold")));
        assert_eq!((first.number().await, second.number().await), (number(&one), number(&two)));
        assert_eq!(stage.server().count("resources/list"), 2);
    }
}

#[tokio::test]
async fn a_cursor_that_is_refused_takes_all_pages_of_its_list_with_it() {
    for era in ERAS {
        let stage = stage(era);
        let pages =
            [stage.request("resources/list", json!({})), stage.request("resources/list", json!({"cursor": ""}))];
        let prompts = stage.request("prompts/list", json!({}));
        let other = prompts.clone().number().await;
        let mut before = Vec::new();
        for page in &pages {
            before.push(page.clone().number().await);
        }
        assert_eq!(stage.request("resources/list", json!({"cursor": "bad"})).answer().await.code(), -32602);
        for (page, before) in pages.iter().zip(before) {
            assert_ne!(page.clone().number().await, before, "{era:?}");
        }
        assert_eq!(prompts.number().await, other, "other lists stay");
    }
}

#[tokio::test]
async fn a_list_that_changed_is_asked_for_again_whatever_its_time_before_a_client_hears_of_it() {
    for (era, method, note) in ERAS.into_iter().flat_map(|era| {
        [
            (era, "tools/list", "notifications/tools/list_changed"),
            (era, "prompts/list", "notifications/prompts/list_changed"),
            (era, "resources/list", "notifications/resources/list_changed"),
        ]
    }) {
        let stage = Stage::theirs(era, TELLS, &json!({"cache": {"ttl_ms": 60_000}}));
        stage.server().lists_say(json!({"ttlMs": 60_000}));
        let kind = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
        let wanted: Value = kind.iter().map(|kind| ((*kind).to_owned(), json!(true))).collect();
        let listen = stage.request("subscriptions/listen", json!({"notifications": wanted}));
        let mut stream = Stream::of(listen.send().await);
        stream.next().await;
        let request = stage.request(method, json!({}));
        let mut last = request.clone().number().await;
        assert_eq!(request.clone().number().await, last);
        if era == Era::Modern {
            stage.server().hears("subscriptions/listen", 2).await;
        }
        for _ in 0..5 {
            stage.server().tell(note, &json!({}), era);
            while stream.next().await["method"] != note {}
            let now = request.clone().number().await;
            assert_ne!(now, last, "{era:?} {method}");
            last = now;
        }
    }
}

/// How often what is kept of the server became old.
async fn changes(stage: &Stage) -> u64 {
    stage.cache(json!({"op": "stats"})).await["servers"][0]["changes"].as_u64().unwrap()
}

#[tokio::test]
async fn a_resource_that_was_updated_is_read_again_whatever_its_time() {
    for era in ERAS {
        let stage = Stage::theirs(era, TELLS, &json!({"cache": {"ttl_ms": 60_000}}));
        let request = stage.read(&json!({"ttlMs": 60_000}));
        let first = request.clone().number().await;
        let subscribing = if era == Era::Modern { "subscriptions/listen" } else { "resources/subscribe" };
        stage.server().hears(subscribing, 1).await;
        assert_eq!(request.clone().number().await, first);
        let before = changes(&stage).await;
        stage.server().tell("notifications/resources/updated", &json!({"uri": r#"x:{"ttlMs":60000}"#}), era);
        while changes(&stage).await == before {}
        assert_ne!(request.number().await, first, "{era:?}");
    }
}

#[tokio::test]
async fn a_worker_says_itself_that_its_data_changed() {
    let stage = Stage::ours(TELLS, &json!({}));
    let request = stage.call("read", json!({"extra": {"_meta": {"omnimind/depends": []}}}));
    let first = request.clone().number().await;
    assert_eq!(request.clone().number().await, first);
    let before = changes(&stage).await;
    stage.server().tell("notifications/omnimind/changed", &json!({}), Era::Modern);
    while changes(&stage).await == before {}
    assert_ne!(request.number().await, first);
}

#[tokio::test]
async fn questions_and_errors_are_never_kept() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let asks = json!({"resultType": "input_required", "requestState": "s", "ttlMs": 60_000});
    let never = [
        stage.read(&asks),
        stage.call("read", json!({"extra": asks})),
        stage.call("read", json!({"extra": {"isError": true}})),
        stage.call("read", json!({"extra": {"resultType": "task", "task": {"taskId": "1"}}})),
        stage.call("read", json!({"fail": true})),
        stage.request("resources/read", json!({"uri": "gone:"})),
        stage.request("prompts/get", json!({"name": "p"})),
        stage.request("completion/complete", json!({})),
    ];
    for request in never {
        let before = stage.server().double.heard.lock().len();
        for count in 1..=2 {
            request.clone().answer().await;
            let heard = stage
                .server()
                .double
                .heard
                .lock()
                .iter()
                .skip(before)
                .filter(|said| said["method"] != "tools/list")
                .count();
            assert_eq!(heard, count);
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_question_is_neither_answered_from_memory_nor_kept() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"a": 1}));
    let kept = call.clone().number().await;
    let answers = call.clone().param("inputResponses", json!({"who": {"action": "accept"}}));
    let (one, two) = (answers.clone().number().await, answers.number().await);
    assert!(one != kept && two != kept && one != two);
    assert_eq!(call.number().await, kept);
}

#[tokio::test]
async fn a_subscription_is_never_shared() {
    let stage = Stage::theirs(Era::Modern, TELLS, &json!({"cache": {"ttl_ms": 60_000}}));
    let listen = stage.request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let (mut one, mut two) = (Stream::of(listen.clone().send().await), Stream::of(listen.id(json!(2)).send().await));
    for (stream, id) in [(&mut one, 1), (&mut two, 2)] {
        let first = stream.next().await;
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id, "{first}");
    }
}

#[tokio::test]
async fn the_aggregate_remembers_each_servers_part() {
    for era in ERAS {
        let stage = Stage::theirs(era, QUIET, &json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000}}));
        stage.server().lists_say(json!({"ttlMs": 60_000}));
        for _ in 0..3 {
            let list = stage.request("tools/list", json!({})).at_all().answer().await;
            assert!(list.end["result"]["tools"][0]["name"] == "s__read", "{list:?}");
        }
        assert_eq!(stage.server().count("tools/list"), 1, "{era:?}");
        let call = stage.request("tools/call", json!({"name": "s__read", "arguments": {"a": 1}})).at_all();
        let first = call.clone().number().await;
        let report = call.meta("omnimind/cache", json!("report")).answer().await;
        assert_eq!((number(&report), &told(&report)["hit"]), (first.clone(), &json!(true)));
        assert_eq!(stage.call("read", json!({"a": 1})).number().await, first, "both endpoints share it");
        let read = |uri: &str| stage.request("resources/read", json!({"uri": uri})).at_all();
        let uri = r#"omnimind+s:x:{"ttlMs":60000}"#;
        let first = read(uri).answer().await;
        assert_eq!(first.end["result"]["contents"][0]["uri"], uri);
        let second = read(uri).answer().await;
        assert_eq!((number(&second), &second.end["result"]["contents"][0]["uri"]), (number(&first), &json!(uri)));
    }
}

#[tokio::test]
async fn a_legacy_client_of_the_aggregate_is_answered_from_memory_too() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let mut numbers = Vec::new();
    let mut session = None;
    for (method, params) in [
        (
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        ),
        ("tools/call", json!({"name": "s__read", "arguments": {}})),
        ("tools/call", json!({"name": "s__read", "arguments": {}})),
    ] {
        let mut headers = vec![("mcp-protocol-version", "2025-11-25")];
        headers.extend(session.as_deref().map(|id: &str| ("mcp-session-id", id)));
        let mut caller = stage.host.caller("ann", &headers);
        caller.target = relay::Target::All;
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let message = Message::parse(body.to_string().into(), &Limits::default()).unwrap();
        let answer = collect(relay::post(caller, message).await).await;
        session = answer.session.clone().or(session);
        if method == "tools/call" {
            numbers.push(number(&answer));
        }
    }
    assert_eq!(numbers[0], numbers[1]);
}
