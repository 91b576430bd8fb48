//! Tools: which answers are kept, and what makes them old.

use std::{collections::HashSet, time::Duration};

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    host::{Stream, collect},
    server::{QUIET, Server, TELLS},
    stage::{ERAS, Stage, number},
};

async fn is_kept(stage: &Stage, tool: &str, arguments: Value) -> bool {
    let call = stage.call(tool, arguments);
    call.clone().number().await == call.number().await
}

#[tokio::test]
async fn a_tools_answer_is_kept_if_all_speaks_for_it_and_if_anything_is_missing_not() {
    let whole = json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
    for era in ERAS {
        let stage = Stage::theirs(era, QUIET, &whole);
        assert!(is_kept(&stage, "read", json!({})).await);
        for tool in ["surf", "liar", "write", "mute", "no such tool"] {
            assert!(!is_kept(&stage, tool, json!({})).await, "{era:?} {tool}");
        }
        for less in [
            json!({"cache": {"ttl_ms": 60_000}}),
            json!({"trust": ["public"], "cache": {"ttl_ms": 60_000}}),
            json!({"trust": ["annotations"]}),
            json!({"trust": ["annotations"], "cache": {"ttl_ms": 0}}),
            json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000, "tools": {"read": {"enabled": false}}}}),
            json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000, "enabled": false}}),
            json!({"trust": ["annotations"], "sessions": "own", "cache": {"ttl_ms": 60_000}}),
        ] {
            assert!(!is_kept(&Stage::theirs(era, QUIET, &less), "read", json!({})).await, "{era:?} {less}");
        }
        let own = json!({"trust": ["annotations"], "cache": {"tools": {"read": {"enabled": true, "ttl_ms": 500}}}});
        let stage = Stage::theirs(era, QUIET, &own);
        assert!(is_kept(&stage, "read", json!({})).await);
        let first = stage.call("read", json!({})).number().await;
        stage.pass(500);
        assert_ne!(stage.call("read", json!({})).number().await, first);
        assert!(!is_kept(&stage, "look", json!({})).await, "it has no time of its own");
    }
}

#[tokio::test]
async fn a_tool_of_ours_is_kept_if_it_says_what_its_answer_depends_on() {
    let stage = Stage::ours(QUIET, &json!({}));
    let says = |depends: Value| json!({"extra": {"_meta": {"omnimind/depends": depends}}});
    assert!(!is_kept(&stage, "read", json!({})).await);
    assert!(is_kept(&stage, "read", says(json!([]))).await);
    let folder = crate::lines::folder(1);
    let path = folder.join("file");
    let missing = says(json!([{"path": path, "missing": true}]));
    assert!(is_kept(&stage, "read", missing.clone()).await);
    let call = stage.call("read", missing);
    let before = call.clone().number().await;
    std::fs::write(&path, "x").unwrap();
    assert_ne!(call.number().await, before, "what it depends on has changed");
    let many = vec![json!({"path": folder.join("none"), "missing": true}); 17];
    assert!(!is_kept(&stage, "read", says(json!(many))).await);
    assert!(is_kept(&stage, "read", says(json!(many[..16]))).await);
}

#[tokio::test]
async fn a_tool_that_is_described_otherwise_is_another_tool() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let call = stage.call("read", json!({}));
        let first = call.clone().number().await;
        stage.server().describe("read", "in other units");
        assert_eq!(call.clone().number().await, first, "nobody has heard of it");
        stage.pass(60_000);
        let second = call.clone().number().await;
        stage.server().describe("read", "in third units");
        stage.request("tools/list", json!({})).answer().await;
        assert_ne!(call.number().await, second, "{era:?}");
    }
}

#[tokio::test]
async fn a_tool_that_no_longer_only_reads_is_called_each_time_once_that_was_said() {
    let stage = Stage::trusted(Era::Legacy, TELLS);
    assert!(is_kept(&stage, "read", json!({})).await);
    let first = stage.call("read", json!({})).number().await;
    stage.server().describe("read", "x");
    stage.server().tell("notifications/tools/list_changed", &json!({}), Era::Legacy);
    let call = stage.call("read", json!({}));
    let asked_again = async {
        while call.clone().number().await == first {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), asked_again).await.unwrap();
    assert!(stage.server().count("tools/list") >= 2);
}

/// How a call that may write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    Failed,
    Lost,
    Cancelled,
    TimedOut,
}

const ENDS: [End; 5] = [End::Answered, End::Failed, End::Lost, End::Cancelled, End::TimedOut];

#[tokio::test]
async fn a_call_that_may_write_makes_answers_old_when_it_is_sent_and_when_it_ends_however_that_is() {
    for (era, end, tool) in
        ERAS.into_iter().flat_map(|era| ENDS.map(|end| (era, end, if end == End::Lost { "mute" } else { "write" })))
    {
        let stage = Stage::trusted(era, QUIET);
        let read = stage.call("read", json!({}));
        let before = read.clone().number().await;
        assert_eq!(read.clone().number().await, before);

        let mut write = stage.call(tool, json!({"hold": true, "fail": end == End::Failed}));
        if end == End::TimedOut {
            write = write.meta("omnimind/timeoutMs", json!(100));
        }
        let mut writing = Stream::of(write.send().await);
        stage.server().until("it runs", |server| server.calls(tool).len() == 1).await;
        let meanwhile = read.clone().number().await;
        assert_ne!(meanwhile, before, "{era:?} {end:?}: it was sent");
        assert_eq!(read.clone().number().await, meanwhile, "nothing more has happened yet");

        match end {
            End::Answered | End::Failed => {
                stage.server().release(1);
                writing.next().await;
            }
            End::Lost => {
                stage.server().hang_up();
                assert!(writing.next().await["error"].is_object());
            }
            End::Cancelled => drop(writing),
            End::TimedOut => assert!(writing.next().await["error"].is_object()),
        }
        assert_ne!(read.clone().number().await, meanwhile, "{era:?} {end:?}: it is over");
    }
}

#[tokio::test]
async fn a_read_on_its_way_across_a_write_is_neither_kept_nor_joined() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let read = stage.call("read", json!({"hold": true}));
        let old = read.clone().send().await;
        let old = tokio::spawn(collect(old));
        stage.server().until("it runs", |server| server.calls("read").len() == 1).await;
        stage.call("write", json!({})).answer().await;
        let new = tokio::spawn(collect(read.clone().send().await));
        stage.server().until("the next one runs", |server| server.calls("read").len() == 2).await;
        stage.server().release(1);
        let old = number(&old.await.unwrap());
        stage.server().release(1);
        let new = number(&new.await.unwrap());
        assert_ne!(old, new);
        assert_eq!(read.number().await, new, "{era:?}");
        assert_eq!(stage.server().calls("read").len(), 2);
    }
}

#[tokio::test]
async fn a_read_across_a_write_is_not_kept_though_nobody_asks_meanwhile() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let read = stage.call("read", json!({"hold": true}));
        let old = tokio::spawn(collect(read.clone().send().await));
        stage.server().until("it runs", |server| server.calls("read").len() == 1).await;
        stage.call("write", json!({})).answer().await;
        stage.server().release(2);
        let old = number(&old.await.unwrap());
        assert_ne!(read.number().await, old, "{era:?}");
    }
}

#[tokio::test]
async fn an_untrusted_servers_calls_may_all_write() {
    let stage = Stage::theirs(Era::Modern, QUIET, &json!({"sessions": "shared"}));
    let read = stage.read(&json!({"ttlMs": 60_000}));
    let first = read.clone().number().await;
    stage.call("read", json!({})).by("bob").answer().await;
    assert_ne!(read.number().await, first);
}

#[tokio::test]
async fn principals_and_their_roles_never_share() {
    for era in ERAS {
        let stage = Stage::trusted(era, QUIET);
        let call = stage.call("read", json!({"a": 1}));
        let numbers = [
            call.clone().number().await,
            call.clone().by("bob").number().await,
            call.clone().operator().number().await,
        ];
        let again =
            [call.clone().number().await, call.clone().by("bob").number().await, call.operator().number().await];
        assert_eq!(numbers, again);
        let all: HashSet<&String> = numbers.iter().collect();
        assert_eq!(all.len(), 3, "{numbers:?}");
    }
}

#[tokio::test]
async fn what_is_being_fetched_is_not_shared_between_principals_either() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({"hold": true}));
    let mut waiting = Vec::new();
    for request in [call.clone(), call.clone().by("bob"), call.operator()] {
        waiting.push(tokio::spawn(collect(request.send().await)));
    }
    stage.server().until("each calls", |server| server.calls("read").len() == 3).await;
    stage.server().release(3);
    let mut numbers = Vec::new();
    for answer in waiting {
        numbers.push(number(&answer.await.unwrap()));
    }
    numbers.sort();
    assert_eq!(numbers, ["#1", "#2", "#3"]);
}

#[tokio::test]
async fn servers_with_equal_tools_never_share() {
    let spec = json!({"trust": ["annotations"], "cache": {"ttl_ms": 60_000}});
    let servers = vec![Server::start(false, Era::Modern, QUIET), Server::start(false, Era::Modern, QUIET)];
    let stage = Stage::with(servers, &[("one", "unix", &spec), ("two", "unix", &spec)], &json!({}));
    stage.servers[1].release(0);
    // The second server's answers are counted on, so that equal numbers are the same answer.
    stage.request("resources/read", json!({"uri": "a:"})).at(1).answer().await;
    let call = stage.call("read", json!({}));
    let (one, two) = (call.clone().number().await, call.clone().at(1).number().await);
    assert_ne!(one, two);
    assert_eq!((call.clone().number().await, call.at(1).number().await), (one, two));
}

#[tokio::test]
async fn a_tool_and_a_resource_of_one_name_are_two_things() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let first = stage.call("read", json!({})).number().await;
    assert_ne!(stage.call("look", json!({})).number().await, first);
    assert_ne!(stage.request("resources/read", json!({"uri": "read", "arguments": {}})).number().await, first);
}
