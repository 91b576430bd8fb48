//! Many who want the same at once: one goes, all get it, each under its own id.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::join_all};
use omnimind_gateway::reply::Reply;
use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    host::{Stream, collect},
    server::QUIET,
    stage::{ERAS, Request, Stage, number},
};

/// Sends a request so often, each under its own id; all are on their way when it returns.
async fn many(request: &Request<'_>, count: usize) -> Vec<Reply> {
    join_all((0..count).map(|id| request.clone().id(json!(id)).send())).await
}

/// All answers; each has its own id.
async fn answers(replies: Vec<Reply>) -> Vec<Value> {
    let first = replies.len();
    let ends: Vec<Value> =
        join_all(replies.into_iter().map(collect)).await.into_iter().map(|answer| answer.end).collect();
    let ids: HashSet<String> = ends.iter().map(|end| end["id"].to_string()).collect();
    assert_eq!(ids.len(), first);
    ends
}

fn text(end: &Value) -> &str {
    end["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {end}"))
}

#[tokio::test]
async fn a_thousand_equal_requests_are_one_call_and_a_thousand_answers() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let replies = many(&stage.call("read", json!({"hold": true})), 1_000).await;
        stage.server().release(1);
        let ends = answers(replies).await;
        assert!(ends.iter().all(|end| text(end) == "#1"), "{era:?}");
        assert_eq!((stage.server().calls("read").len(), stage.server().count("tools/list")), (1, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_just_as_the_answer_does_finds_it() {
    let stage = Arc::new(Stage::trusted(Era::Modern, QUIET));
    for round in 0..200 {
        let all = (0..16).map(|id| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { stage.call("read", json!({"round": round})).id(json!(id)).number().await })
        });
        join_all(all).await;
        assert_eq!(stage.server().calls("read").len(), round + 1);
    }
}

/// When the client of the first of them goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// While a connection is sought.
    Early,
    /// When its call was sent and nothing of the answer read.
    Sent,
    /// In the midst of waiting for it.
    Waiting,
    /// When the server has answered.
    Answered,
}

#[tokio::test]
async fn when_the_first_of_them_goes_away_another_goes_in_its_place_and_no_more_than_one() {
    for (era, leaves) in ERAS
        .into_iter()
        .flat_map(|era| [Leaves::Early, Leaves::Sent, Leaves::Waiting, Leaves::Answered].map(|leaves| (era, leaves)))
    {
        let stage = Stage::theirs(era, QUIET, &json!({"cache": {"ttl_ms": 60_000}}));
        let request = stage.request("resources/read", json!({"uri": r#"x:{"ttlMs":60000,"hold":1}"#}));
        let moment = Duration::from_millis(5);
        let mut first = Box::pin(request.clone().id(json!("first")).send());
        if leaves == Leaves::Early {
            assert!((&mut first).now_or_never().is_none(), "it is on its way");
        }
        let mut led = match leaves {
            Leaves::Early => None,
            _ => Some(Stream::of((&mut first).await)),
        };
        let replies = many(&request, 100).await;
        drop(first);
        if leaves == Leaves::Waiting
            && let Some(stream) = &mut led
        {
            assert!(tokio::time::timeout(moment, stream.next()).await.is_err());
        }
        if leaves == Leaves::Answered {
            stage.server().hears("resources/read", 1).await;
            stage.server().release(1);
            tokio::time::sleep(moment).await;
        }
        drop(led);
        stage.server().release(2);
        let ends = answers(replies).await;
        let texts: HashSet<&str> =
            ends.iter().map(|end| end["result"]["contents"][0]["text"].as_str().unwrap()).collect();
        assert_eq!(texts.len(), 1, "{era:?} {leaves:?}: {texts:?}");
        let most = if leaves == Leaves::Early { 1 } else { 2 };
        assert!(stage.server().count("resources/read") <= most, "{era:?} {leaves:?}");
        assert_eq!(request.number().await, *texts.iter().next().unwrap(), "it is kept");
    }
}

#[tokio::test]
async fn an_error_is_shared_once_and_not_remembered() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let call = stage.call("read", json!({"hold": true, "fail": true}));
        let replies = many(&call, 20).await;
        stage.server().release(1);
        let ends = answers(replies).await;
        assert!(ends.iter().all(|end| end["error"]["message"] == "#1"), "{era:?} {ends:?}");
        assert_eq!(stage.server().calls("read").len(), 1);
        stage.server().release(1);
        assert_eq!(call.answer().await.end["error"]["message"], "#2");
    }
}

#[tokio::test]
async fn an_answer_that_may_not_be_kept_is_nobody_elses() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let call = stage.call("read", json!({"hold": true, "extra": {"isError": true}}));
        let replies = many(&call, 20).await;
        stage.server().release(20);
        let ends = answers(replies).await;
        let texts: HashSet<&str> = ends.iter().map(text).collect();
        assert_eq!((texts.len(), stage.server().calls("read").len()), (20, 20), "{era:?}");

        // From now on nobody waits for another's.
        let _replies = many(&call, 20).await;
        stage.server().until("all go at once", |server| server.calls("read").len() == 40).await;
    }
}

#[tokio::test]
async fn one_that_waits_may_be_cancelled_and_the_others_are_not() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let legacy = stage.host.session("ann", json!({})).await;
        let call = json!({"name": "read", "arguments": {"hold": true}});
        let first = legacy.request(json!(1), "tools/call", call.clone()).await;
        let mut second = Stream::of(legacy.request(json!(2), "tools/call", call.clone()).await);
        let third = legacy.request(json!(3), "tools/call", call).await;
        assert!(second.is_quiet().await);
        legacy.say("notifications/cancelled", json!({"requestId": 2})).await;
        assert_eq!(second.next().await, Value::Null, "it ends without an answer");
        stage.server().release(1);
        for (answer, id) in [(collect(first).await, 1), (collect(third).await, 3)] {
            assert_eq!((number(&answer), &answer.end["id"]), ("#1".to_owned(), &json!(id)), "{era:?}");
        }
        assert_eq!((stage.server().calls("read").len(), stage.server().count("notifications/cancelled")), (1, 0));
    }
}

#[tokio::test]
async fn one_that_waits_and_disconnects_leaves_the_call_to_the_others() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"hold": true}));
    let first = call.clone().send().await;
    let mut second = Stream::of(call.id(json!(2)).send().await);
    assert!(second.is_quiet().await);
    drop(second);
    stage.server().release(1);
    assert_eq!(number(&collect(first).await), "#1");
    assert_eq!((stage.server().calls("read").len(), stage.server().count("notifications/cancelled")), (1, 0));
}

#[tokio::test]
async fn one_that_waits_has_its_own_deadline() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"hold": true}));
    let first = call.clone().send().await;
    let hurried = call.clone().id(json!(2)).meta("omnimind/timeoutMs", json!(30)).answer().await;
    assert_eq!((hurried.status, hurried.code()), (504, 42_902));
    stage.server().release(1);
    assert_eq!(number(&collect(first).await), "#1");
}

#[tokio::test]
async fn one_in_a_hurry_does_not_hurry_those_who_wait_for_it() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"hold": true}));
    let hurried = call.clone().meta("omnimind/timeoutMs", json!(60)).send().await;
    let patient = tokio::spawn(collect(call.id(json!(2)).send().await));
    assert_eq!(collect(hurried).await.status, 504);
    stage.server().until("the other goes itself", |server| server.calls("read").len() == 2).await;
    stage.server().release(2);
    assert_eq!(patient.await.unwrap().status, 200);
}

#[tokio::test]
async fn what_became_old_meanwhile_is_brought_to_nobody_else() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let replies = many(&stage.call("read", json!({"hold": true})), 3).await;
    let waiting = tokio::spawn(answers(replies));
    stage.server().until("one runs", |server| server.calls("read").len() == 1).await;
    stage.call("write", json!({})).answer().await;
    stage.server().release(3);
    let ends = waiting.await.unwrap();
    let texts: HashSet<&str> = ends.iter().map(text).collect();
    assert_eq!(texts.len(), 3, "what was read before the write belongs to who asked before: {texts:?}");
}
