//! The cache off, small, without a disk, without an encoder; and another configuration.

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    server::{QUIET, Server},
    stage::{ERAS, Stage, told},
};

fn trusted() -> Value {
    json!({"sessions": "shared", "trust": ["annotations"], "cache": {"ttl_ms": 60_000}})
}

fn with(settings: &Value) -> Stage {
    Stage::with(vec![Server::start(false, Era::Modern, QUIET)], &[("s", "unix", &trusted())], settings)
}

async fn is_kept(stage: &Stage) -> bool {
    let call = stage.call("read", json!({}));
    call.clone().number().await == call.number().await
}

#[tokio::test]
async fn switched_off_nothing_is_kept_and_all_works() {
    let stage = with(&json!({"enabled": false}));
    assert!(!is_kept(&stage).await);
    let told_so = stage.call("read", json!({})).meta("omnimind/cache", json!("report")).answer().await;
    assert_eq!(told(&told_so), &json!({"hit": false, "why": "the cache is off"}));
    assert_eq!(stage.cache(json!({"op": "stats"})).await["on"], false);
}

#[tokio::test]
async fn with_no_room_nothing_is_kept_and_all_works() {
    for settings in [json!({"max_bytes": 1, "compressed_bytes": 0}), json!({"max_items": 0, "compressed_bytes": 0})] {
        let stage = with(&settings);
        assert!(!is_kept(&stage).await, "{settings}");
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_used_says_so_and_all_works() {
    let folder = crate::lines::folder(1);
    let settings = json!({"disk_bytes": 1 << 20, "state_dir": &*folder});
    let first = with(&settings);
    assert!(is_kept(&first).await);
    assert!(first.cache(json!({"op": "stats"})).await["levels"]["disk"].get("off").is_none());
    let second = with(&settings);
    let off = second.cache(json!({"op": "stats"})).await["levels"]["disk"]["off"].clone();
    assert!(off.as_str().unwrap().contains("another process"), "{off}");
    assert!(is_kept(&second).await);
    let third = with(&json!({"disk_bytes": 1 << 20, "state_dir": "/proc/self"}));
    let off = third.cache(json!({"op": "stats"})).await["levels"]["disk"]["off"].clone();
    assert!(off.as_str().unwrap().contains("cannot be used"), "{off}");
    assert!(is_kept(&third).await);
}

#[tokio::test]
async fn other_limits_leave_what_is_kept() {
    let stage = with(&json!({}));
    let call = stage.call("read", json!({}));
    let first = call.clone().number().await;
    stage.reload(|specs, _| specs[0]["limits"] = json!({"max": 7, "tools": {"read": {"class": "background"}}}));
    assert_eq!(call.clone().number().await, first);
    stage.reload(|specs, _| specs[0]["timeout_ms"] = json!(1_234));
    assert_ne!(call.number().await, first, "the server is reached otherwise");
}

#[tokio::test]
async fn without_an_encoder_the_semantic_level_is_off_says_so_and_its_tools_work() {
    let cache = json!({"ttl_ms": 60_000, "tools": {"read": {"enabled": true, "semantic": "question"}}});
    let stage = Stage::theirs(Era::Modern, QUIET, &json!({"trust": ["annotations"], "cache": cache}));
    let call = stage.call("read", json!({"question": "how large is it"}));
    let first = call.clone().number().await;
    assert_eq!(call.number().await, first, "the same words");
    assert_ne!(stage.call("read", json!({"question": "how big is it"})).number().await, first);
    let off = stage.cache(json!({"op": "stats"})).await["levels"]["semantic"]["off"].clone();
    assert_eq!(off, "no encoder was named");
}

#[tokio::test]
async fn a_server_that_is_configured_otherwise_begins_with_nothing_and_the_others_keep_theirs() {
    let servers = vec![Server::start(false, Era::Modern, QUIET), Server::start(false, Era::Modern, QUIET)];
    let spec = trusted();
    let stage = Stage::with(servers, &[("one", "unix", &spec), ("two", "unix", &spec)], &json!({}));
    let call = stage.call("read", json!({}));
    let (one, two) = (call.clone().number().await, call.clone().at(1).number().await);
    stage.reload(|specs, _| specs[0]["timeout_ms"] = json!(59_000));
    assert_ne!(call.clone().number().await, one);
    assert_eq!(call.at(1).number().await, two);
}

#[tokio::test]
async fn what_was_kept_before_two_reloads_is_not_what_holds_after_them() {
    for era in ERAS {
        // However often something had changed until then.
        for changes in 0..5 {
            let stage = Stage::trusted(era, QUIET);
            let call = stage.call("read", json!({}));
            for _ in 0..changes {
                stage.cache(json!({"op": "flush"})).await;
            }
            let before = call.clone().number().await;
            stage.reload(|specs, _| specs[0]["timeout_ms"] = json!(59_000));
            stage.call("write", json!({})).answer().await;
            stage.reload(|_, _| {});
            assert_ne!(call.number().await, before, "{era:?} {changes}: it was read before the write");
        }
    }
}

#[tokio::test]
async fn a_server_that_was_gone_for_a_while_begins_with_nothing() {
    let servers = vec![Server::start(false, Era::Modern, QUIET), Server::start(false, Era::Modern, QUIET)];
    let spec = trusted();
    let stage = Stage::with(servers, &[("one", "unix", &spec), ("two", "unix", &spec)], &json!({}));
    let call = stage.call("read", json!({})).at(1);
    let before = call.clone().number().await;
    stage.reload(|specs, _| specs.truncate(1));
    stage.reload(|_, _| {});
    assert_ne!(call.number().await, before);
}

#[tokio::test]
async fn the_cache_can_be_switched_off_and_on_while_it_works() {
    let stage = Stage::trusted(Era::Modern, QUIET);
    let call = stage.call("read", json!({}));
    let before = call.clone().number().await;
    stage.reload(|_, settings| settings["enabled"] = json!(false));
    assert_ne!(call.clone().number().await, call.clone().number().await);
    stage.reload(|_, _| {});
    let after = call.clone().number().await;
    assert_ne!(after, before);
    assert_eq!(call.number().await, after);
}
