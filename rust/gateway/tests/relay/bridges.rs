//! One era on one side, the other on the other.

use omnimind_gateway::reply::Reply;
use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{Answer, Host, Stream, collect},
};

mod modern_client_of_a_legacy_server {
    use super::*;

    async fn call(host: &Host, principal: &str, tool: &str, capabilities: Value, more: Value) -> Reply {
        let mut params = json!({"name": tool, "arguments": {"text": "who?"}});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        host.modern_as(principal, json!(1), "tools/call", params, capabilities, &[]).await
    }

    async fn called(host: &Host, principal: &str, tool: &str, capabilities: Value, more: Value) -> Answer {
        collect(call(host, principal, tool, capabilities, more).await).await
    }

    fn named(state: &Value, name: &str) -> Value {
        json!({"requestState": state, "inputResponses": {"q1": {"action": "accept", "content": {"name": name}}}})
    }

    #[tokio::test]
    async fn results_get_what_the_modern_era_asks_for_and_requests_lose_it() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let answer = host.call("echo", json!({"text": "hello"})).await;
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert_eq!(answer.end["result"]["resultType"], "complete");
        assert_eq!(answer.end["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "double");
        let heard = double.wait_for("tools/call", 1).await;
        assert!(heard["params"].get("_meta").is_none(), "{heard}");
        let list = collect(host.modern("tools/list", json!({})).await).await;
        assert_eq!((&list.end["result"]["ttlMs"], &list.end["result"]["cacheScope"]), (&json!(0), &json!("private")));
    }

    #[tokio::test]
    async fn discover_is_answered_from_the_handshake() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let result = collect(host.modern("server/discover", json!({})).await).await.end["result"].clone();
        assert_eq!(result["instructions"], "be gentle");
        assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
        assert!(result["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")));
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "double");
    }

    #[tokio::test]
    async fn errors_are_those_of_the_modern_era() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let answer = collect(host.modern("resources/read", json!({"uri": "test://none"})).await).await;
        assert_eq!((answer.status, answer.code()), (400, -32602));
        assert_eq!(answer.end["error"]["data"]["uri"], "test://none");
    }

    #[tokio::test]
    async fn progress_and_cancellation_work_as_at_home() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let answer = called(&host, "ann", "progress", json!({}), json!({"_meta": {"progressToken": 5}})).await;
        assert_eq!(answer.notes.len(), 3);
        assert_eq!(answer.notes[0]["params"]["progressToken"], 5);
        let mut stream = Stream::of(call(&host, "ann", "silent", json!({}), json!({})).await);
        tokio::select! {
            _ = double.wait_for("tools/call", 2) => {}
            message = stream.next() => panic!("{message}"),
        }
        drop(stream);
        double.wait_for("notifications/cancelled", 1).await;
    }

    #[tokio::test]
    async fn log_messages_come_only_if_the_request_wants_them_and_as_grave_as_it_says() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let level = |level: &str| json!({"_meta": {"io.modelcontextprotocol/logLevel": level}});
        assert!(called(&host, "ann", "log", json!({}), json!({})).await.notes.is_empty());
        let warnings = called(&host, "ann", "log", json!({}), level("warning")).await.notes;
        assert_eq!(warnings.iter().map(|note| &note["params"]["level"]).collect::<Vec<_>>(), ["warning"]);
        assert_eq!(called(&host, "ann", "log", json!({}), level("debug")).await.notes.len(), 2);
    }

    #[tokio::test]
    async fn a_question_becomes_input_required_and_its_answer_goes_on_with_the_same_call() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let capabilities = json!({"elicitation": {}});
        let token = |token: &str| json!({"_meta": {"progressToken": token}});
        let first = called(&host, "ann", "ask", capabilities.clone(), token("one")).await;
        let result = &first.end["result"];
        assert_eq!((first.status, &result["resultType"]), (200, &json!("input_required")));
        assert_eq!(result["inputRequests"]["q1"]["method"], "elicitation/create");
        assert_eq!(result["inputRequests"]["q1"]["params"]["message"], "who?");
        assert_eq!(host.plane.sessions.parked(), 1);
        let mut more = named(&result["requestState"], "Ann");
        more.as_object_mut().unwrap().extend(token("two").as_object().unwrap().clone());
        let second = called(&host, "ann", "ask", capabilities, more).await;
        assert_eq!(second.text(), "Ann");
        assert_eq!(second.notes[0]["params"]["progressToken"], "two", "notes carry the token of the second request");
        assert_eq!((double.heard("tools/call").len(), host.plane.sessions.parked()), (1, 0));
    }

    #[tokio::test]
    async fn a_parked_call_is_taken_up_once_and_only_by_its_principal() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let capabilities = json!({"elicitation": {}});
        let state =
            called(&host, "ann", "ask", capabilities.clone(), json!({})).await.end["result"]["requestState"].clone();
        for (principal, tool, more) in [
            ("bob", "ask", named(&state, "Eve")),
            ("ann", "echo", named(&state, "Eve")),
            ("ann", "ask", json!({"requestState": state})),
            ("ann", "ask", json!({"requestState": state, "inputResponses": null})),
            ("ann", "ask", json!({"requestState": state, "inputResponses": {"q1": 12345}})),
        ] {
            let answer = called(&host, principal, tool, capabilities.clone(), more).await;
            assert_eq!((answer.status, answer.code()), (400, -32602));
            assert_eq!(host.plane.sessions.parked(), 1);
        }
        assert_eq!(called(&host, "ann", "ask", capabilities.clone(), named(&state, "Ann")).await.text(), "Ann");
        let again = called(&host, "ann", "ask", capabilities, named(&state, "Eve")).await;
        assert_eq!(again.code(), -32602);
        assert!(again.end["error"]["message"].as_str().unwrap().contains("no longer waits"));
    }

    #[tokio::test]
    async fn a_call_parked_before_a_restart_fails_with_one_clear_error() {
        let double = Double::start(Speaks::Legacy);
        let capabilities = json!({"elicitation": {}});
        let before = Host::with(&double, 1, &json!({}), &json!({}));
        let state =
            called(&before, "ann", "ask", capabilities.clone(), json!({})).await.end["result"]["requestState"].clone();
        let after = Host::with(&double, 2, &json!({}), &json!({}));
        let answer = called(&after, "ann", "ask", capabilities, named(&state, "Ann")).await;
        assert_eq!(answer.code(), -32602);
        assert!(answer.end["error"]["message"].as_str().unwrap().contains("lost in a restart"));
    }

    #[tokio::test]
    async fn what_is_not_answered_is_asked_again() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let capabilities = json!({"elicitation": {}, "sampling": {}});
        let first = called(&host, "ann", "ask_two", capabilities.clone(), json!({})).await;
        let mut state = first.end["result"]["requestState"].clone();
        let mut asked = first.end["result"]["inputRequests"].clone();
        let mut answer = first;
        // The second question may come with the first or after it; each is answered alone.
        for _ in 0..4 {
            let (key, request) = asked.as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
            let response = if request["method"] == "elicitation/create" {
                json!({"action": "accept", "content": {"name": "Ann"}})
            } else {
                json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}})
            };
            let more = json!({"requestState": state, "inputResponses": {key: response}});
            answer = called(&host, "ann", "ask_two", capabilities.clone(), more).await;
            if answer.end["result"]["resultType"] == "complete" {
                break;
            }
            state = answer.end["result"]["requestState"].clone();
            asked = answer.end["result"]["inputRequests"].clone();
        }
        assert_eq!(answer.text(), "Ann and m");
    }

    #[tokio::test]
    async fn a_question_the_client_cannot_answer_is_refused_upstream() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let answer = called(&host, "ann", "ask", json!({"sampling": {}}), json!({})).await;
        assert_eq!(answer.text(), "refused: -32601");
        let answer = called(&host, "ann", "ask", json!({}), json!({})).await;
        assert!(answer.text().starts_with("refused:"), "{answer:?}");
    }

    #[tokio::test]
    async fn dropping_a_parked_calls_time_cancels_it_upstream() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        called(&host, "ann", "ask", json!({"elicitation": {}}), json!({"_meta": {"omnimind/timeoutMs": 40}})).await;
        assert_eq!(host.plane.sessions.parked(), 1);
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        host.plane.sessions.sweep(tokio::time::Instant::now(), &host.plane.snapshot.load().edge);
        assert_eq!(host.plane.sessions.parked(), 0);
        double.wait_for("notifications/cancelled", 1).await;
    }

    #[tokio::test]
    async fn a_principal_cannot_park_without_end() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let mut refused = None;
        for _ in 0..9 {
            let answer = called(&host, "ann", "ask", json!({"elicitation": {}}), json!({})).await;
            if answer.end["result"]["resultType"] != "input_required" {
                refused = Some(answer);
            }
        }
        // Eight connections of the call's own is what a stranger's socket gets; the ninth call cannot be asked.
        assert!(refused.unwrap().text().starts_with("refused:"));
        assert_eq!(host.plane.sessions.parked(), 8);
    }

    #[tokio::test]
    async fn a_subscription_is_translated_both_ways_and_ended() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let wanted =
            json!({"resourceSubscriptions": ["test://a"], "toolsListChanged": true, "promptsListChanged": true});
        let params = json!({"notifications": wanted});
        let mut stream =
            Stream::of(host.modern_as("ann", json!("s"), "subscriptions/listen", params, json!({}), &[]).await);
        let acknowledged = stream.next().await;
        assert_eq!(
            acknowledged["params"]["notifications"],
            json!({"toolsListChanged": true, "resourceSubscriptions": ["test://a"]}),
            "the server has no prompts"
        );
        assert_eq!(double.wait_for("resources/subscribe", 1).await["params"]["uri"], "test://a");
        double.tell("notifications/resources/updated", &json!({"uri": "test://b"}));
        double.tell("notifications/resources/list_changed", &json!({}));
        double.tell("notifications/resources/updated", &json!({"uri": "test://a"}));
        let note = stream.next().await;
        assert_eq!(
            (&note["method"], &note["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!("test://a"))
        );
        assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s");
        host.call("change", json!({})).await;
        assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
        drop(stream);
        double.wait_for("resources/unsubscribe", 1).await;
    }

    #[tokio::test]
    async fn a_resource_is_unsubscribed_when_the_last_lets_it_go() {
        let double = Double::start(Speaks::Legacy);
        let host = Host::new(&double);
        let listen =
            || host.modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": ["test://a"]}}));
        let (mut one, mut two) = (Stream::of(listen().await), Stream::of(listen().await));
        one.next().await;
        two.next().await;
        drop(one);
        double.tell("notifications/resources/updated", &json!({"uri": "test://a"}));
        assert_eq!(two.next().await["params"]["uri"], "test://a");
        assert!(double.heard("resources/unsubscribe").is_empty());
        drop(two);
        double.wait_for("resources/unsubscribe", 1).await;
    }
}

mod legacy_client_of_a_modern_server {
    use super::*;

    #[tokio::test]
    async fn the_handshake_is_made_of_discover_and_requests_get_their_meta() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let hello = host.initialize("ann", json!({"sampling": {}})).await;
        let result = &hello.end["result"];
        assert_eq!(
            (&result["protocolVersion"], &result["serverInfo"]["name"]),
            (&json!("2025-11-25"), &json!("double"))
        );
        let session = host.session("ann", json!({"sampling": {}})).await;
        let answer =
            session.ask("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}, "_meta": {"x": 1}})).await;
        assert_eq!(answer.text(), "hi");
        assert!(answer.end["result"].get("resultType").is_none());
        let meta = double.wait_for("tools/call", 1).await["params"]["_meta"].clone();
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
        assert_eq!((&meta["io.modelcontextprotocol/clientInfo"]["name"], &meta["x"]), (&json!("t"), &json!(1)));
    }

    #[tokio::test]
    async fn results_and_errors_lose_what_the_legacy_era_does_not_know() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({})).await;
        let list = session.ask("tools/list", json!({})).await.end["result"].clone();
        assert!(list.get("ttlMs").is_none() && list.get("cacheScope").is_none() && list.get("resultType").is_none());
        let number = collect(session.call("number", json!({})).await).await.end["result"].clone();
        assert!(number.get("structuredContent").is_none(), "a bare number is no legacy structured content");
        let missing = session.ask("resources/read", json!({"uri": "test://none"})).await;
        assert_eq!((missing.status, missing.code()), (200, -32002));
        assert_eq!(collect(session.call("fails", json!({})).await).await.code(), -32602);
    }

    #[tokio::test]
    async fn input_required_becomes_a_request_on_the_calls_stream() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({"elicitation": {}})).await;
        let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
        let question = stream.next().await;
        assert_eq!(
            (&question["method"], &question["params"]["message"]),
            (&json!("elicitation/create"), &json!("who?"))
        );
        session.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
        let answer = stream.next().await;
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(7), &json!("Ann")));
        assert_eq!(double.heard("tools/call")[1]["params"]["requestState"], "round 1");
    }

    #[tokio::test]
    async fn rounds_go_on_until_the_server_is_content() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({"sampling": {}})).await;
        let mut stream = Stream::of(session.call("twice", json!({})).await);
        for _ in 0..2 {
            let question = stream.next().await;
            assert_eq!(question["method"], "sampling/createMessage");
            session
                .respond(
                    &question["id"],
                    json!({"model": "m", "role": "assistant", "content": {"type": "text", "text": ""}}),
                )
                .await;
        }
        assert_eq!(stream.next().await["result"]["content"][0]["text"], "2 rounds");
    }

    #[tokio::test]
    async fn a_server_that_is_never_content_is_given_up() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({})).await;
        let answer = collect(session.call("insatiable", json!({})).await).await;
        assert_eq!(answer.code(), -32603);
        assert_eq!(double.heard("tools/call").len(), 17);
    }

    #[tokio::test]
    async fn a_client_that_declines_with_an_error_ends_the_call() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({"elicitation": {}})).await;
        let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
        let question = stream.next().await;
        let error =
            json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "the user walked off"}});
        host.post("ann", &session.headers(), &error).await;
        let answer = stream.next().await;
        assert_eq!(answer["error"]["message"], "the user walked off");
    }

    #[tokio::test]
    async fn a_client_without_the_capability_is_not_asked() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({})).await;
        let answer = collect(session.call("ask", json!({})).await).await;
        assert!(answer.notes.is_empty());
        assert!(answer.end["error"]["message"].as_str().unwrap().contains("elicitation/create"));
    }

    #[tokio::test]
    async fn the_level_set_once_goes_with_every_call() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({})).await;
        assert_eq!(session.ask("logging/setLevel", json!({"level": "warning"})).await.end["result"], json!({}));
        let answer = collect(session.call("log", json!({})).await).await;
        assert_eq!(answer.notes.iter().map(|note| &note["params"]["level"]).collect::<Vec<_>>(), ["warning"]);
        let meta = double.heard("tools/call")[0]["params"]["_meta"].clone();
        assert_eq!(meta["io.modelcontextprotocol/logLevel"], "warning");
        assert_eq!(session.ask("logging/setLevel", json!({"level": "loud"})).await.code(), -32602);
    }

    #[tokio::test]
    async fn subscriptions_feed_the_sessions_stream() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({})).await;
        let mut stream = Stream::of(session.get());
        assert!(stream.is_quiet().await);
        double.wait_for("subscriptions/listen", 1).await;
        assert_eq!(session.ask("resources/subscribe", json!({"uri": "test://a"})).await.end["result"], json!({}));
        assert!(stream.is_quiet().await);
        let listen = double.wait_for("subscriptions/listen", 2).await;
        assert_eq!(listen["params"]["notifications"]["resourceSubscriptions"], json!(["test://a"]));
        let subscription = json!({"io.modelcontextprotocol/subscriptionId": listen["id"]});
        double.tell("notifications/resources/updated", &json!({"uri": "test://a", "_meta": subscription}));
        let note = stream.next().await;
        assert_eq!(
            (&note["method"], &note["params"]),
            (&json!("notifications/resources/updated"), &json!({"uri": "test://a"}))
        );
        collect(session.call("change", json!({})).await).await;
        assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    }

    #[tokio::test]
    async fn dropping_the_stream_between_rounds_takes_the_question_back() {
        let double = Double::start(Speaks::Modern);
        let host = Host::new(&double);
        let session = host.session("ann", json!({"elicitation": {}})).await;
        let mut stream = Stream::of(session.call("ask", json!({"text": "who?"})).await);
        let question = stream.next().await;
        drop(stream);
        session.respond(&question["id"], json!({"action": "accept", "content": {"name": "Ann"}})).await;
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        assert_eq!(double.heard("tools/call").len(), 1, "an answer to a call that is gone starts nothing");
    }
}
