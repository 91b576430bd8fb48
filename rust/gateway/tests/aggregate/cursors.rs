//! What a cursor is good for, and for whom.

use std::time::{SystemTime, UNIX_EPOCH};

use omnimind_gateway::relay::Target;
use omnimind_wire::seal::{Claims, Keyring, Kind};
use serde_json::json;

use crate::{
    library::{Library, Stock},
    stage::{Stage, names},
};

const RESOURCES: &str = "resources/list";
const DAY_S: u64 = 24 * 3_600;

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token as this gateway's keys would make it.
fn sealed(kind: Kind, backend: &str, expires_at: u64, method: &str, payload: &str) -> String {
    let claims =
        Claims { principal: "ann", backend, expires_at, binding: method.as_bytes(), payload: payload.as_bytes() };
    Keyring::new(vec![[0x11; 32]]).seal(kind, &claims, [0; 12])
}

async fn refused(stage: &Stage, principal: &str, method: &str, cursor: &str) -> String {
    let answer = stage.ask(principal, method, json!({"cursor": cursor})).await;
    assert_eq!(answer.code(), -32602, "{answer:?}");
    answer.end["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_cursor_is_for_its_principal_its_list_its_endpoint_and_its_time() {
    let library = Library::with(Stock::default());
    let stage = Stage::of(&[("one", &library)]);
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    assert!(refused(&stage, "bob", RESOURCES, &cursor).await.contains("not issued to this caller"));
    assert!(refused(&stage, "ann", "prompts/list", &cursor).await.contains("another list"));
    let mut tampered = cursor.clone().into_bytes();
    tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
    refused(&stage, "ann", RESOURCES, std::str::from_utf8(&tampered).unwrap()).await;
    let good = |kind, backend, expires_at, method| sealed(kind, backend, expires_at, method, "0\none\n300");
    for (cursor, why) in [
        (good(Kind::Cursor, "*", now_s() - 1, RESOURCES), "expired"),
        (good(Kind::Cursor, "one", now_s() + 60, RESOURCES), "another list"),
        (good(Kind::Session, "*", now_s() + 60, RESOURCES), "issued for something else"),
        (good(Kind::RequestState, "*", now_s() + 60, RESOURCES), "issued for something else"),
        (good(Kind::Cursor, "*", now_s() + 60, "tools/list"), "another list"),
        (sealed(Kind::Cursor, "*", now_s() + 60, RESOURCES, "100 one"), "another version"),
        (String::new(), "malformed"),
        ("100".to_owned(), "malformed"),
    ] {
        let said = refused(&stage, "ann", RESOURCES, &cursor).await;
        assert!(said.contains(why) && said.ends_with("list from the beginning"), "{said}");
    }
    let answer = stage.ask("ann", RESOURCES, json!({"cursor": 7})).await;
    assert_eq!(answer.code(), -32602);
    assert_eq!(library.cursors(RESOURCES).len(), 1, "no server saw any of them");
    let page = stage.page(RESOURCES, Some(&good(Kind::Cursor, "*", now_s() + 60, RESOURCES))).await;
    assert_eq!(page.items, names("one", RESOURCES, 300..400), "a sound one is taken");
}

#[tokio::test]
async fn a_cursor_is_good_for_a_day() {
    let library = Library::with(Stock::default());
    let stage = Stage::of(&[("one", &library)]);
    let before = now_s();
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    let keys = Keyring::new(vec![[0x11; 32]]);
    let expires_at = keys.open(Kind::Cursor, &cursor, "ann", before).unwrap().expires_at;
    assert!((before + DAY_S..=now_s() + DAY_S).contains(&expires_at));
}

#[tokio::test]
async fn a_cursor_is_taken_up_by_the_next_gateway_with_the_servers_own() {
    let library = Library::with(Stock { items: 250, page: 40, ..Stock::default() });
    let cursor = Stage::of(&[("one", &library)]).page(RESOURCES, None).await.next.unwrap();
    let before = library.cursors(RESOURCES).len();
    let next = Stage::with(2, &[("one", &library)], &json!({}), &json!({}));
    assert_eq!(next.page(RESOURCES, Some(&cursor)).await.items, names("one", RESOURCES, 100..200));
    assert_eq!(library.cursors(RESOURCES)[before], "80", "where it was, not from the beginning");
}

#[tokio::test]
async fn a_server_that_does_not_know_its_own_cursor_any_more_sends_the_client_back_to_the_beginning() {
    let library = Library::with(Stock::default());
    let stage = Stage::of(&[("one", &library)]);
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    library.change(|stock| stock.fails = Some((-32602, "no such cursor".into())));
    let said = refused(&stage, "ann", RESOURCES, &cursor).await;
    assert!(said.contains("one says: no such cursor") && said.ends_with("list from the beginning"), "{said}");
}

#[tokio::test]
async fn a_cursor_of_a_server_that_is_not_configured_any_more_sends_the_client_back_to_the_beginning() {
    let (one, two) = (Library::with(Stock::default()), Library::with(Stock::default()));
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    stage.without(&["one"]);
    assert!(refused(&stage, "ann", RESOURCES, &cursor).await.contains("one is not configured any more"));
}

#[tokio::test]
async fn the_empty_cursor_of_a_server_is_one_like_any_other() {
    let library = Library::with(Stock { items: 100, says: json!({"nextCursor": ""}), ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let first = stage.page(RESOURCES, None).await;
    stage.page(RESOURCES, Some(&first.next.expect("there is a next page"))).await;
    assert_eq!(library.cursors(RESOURCES), [json!(null), json!("")]);
}

#[tokio::test]
async fn a_pass_through_hands_on_the_servers_cursors_as_they_are() {
    let library = Library::with(Stock { items: 300, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let spec = stage.host.plane.snapshot.load().servers[0].clone();
    let ask = |params| stage.ask_at(Target::One(spec.clone()), "ann", RESOURCES, params);
    assert_eq!(ask(json!({})).await.end["result"]["nextCursor"], "100");
    let second = ask(json!({"cursor": "100"})).await;
    assert_eq!(second.end["result"]["resources"][0]["uri"], "lib:100");
    library.change(|stock| stock.fails = Some((-32602, "no such cursor".into())));
    let refused = ask(json!({"cursor": "\u{e4} x"})).await;
    assert_eq!((refused.code(), refused.end["error"]["message"].as_str()), (-32602, Some("no such cursor")));
    assert_eq!(library.cursors(RESOURCES).last().unwrap(), "\u{e4} x");
}
