//! What lives behind a cursor is bounded, and is gone when nobody has used it for half a minute.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    library::{Library, Stock},
    stage::{Stage, names, pass},
};

const RESOURCES: &str = "resources/list";
const ALMOST: Duration = Duration::from_secs(29);
const A_LITTLE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_rest_that_nobody_reads_is_freed_after_half_a_minute_and_the_cursor_stays_good() {
    let library = Library::with(Stock { items: 500, page: 500, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let first = stage.page(RESOURCES, None).await;
    assert_eq!(stage.rests().0, 1);
    pass(ALMOST).await;
    let second = stage.page(RESOURCES, first.next.as_deref()).await;
    assert_eq!((stage.rests().0, library.cursors(RESOURCES).len()), (1, 1), "it was used, and lives on");
    pass(ALMOST).await;
    assert_eq!(stage.rests().0, 1);
    pass(A_LITTLE).await;
    assert_eq!(stage.rests(), (0, 0));
    let third = stage.page(RESOURCES, second.next.as_deref()).await;
    assert_eq!(third.items, names("one", RESOURCES, 200..300));
    assert_eq!((stage.rests().0, library.cursors(RESOURCES).len()), (1, 2), "the server was asked again");
    pass(ALMOST + A_LITTLE).await;
    assert_eq!(stage.rests(), (0, 0), "what came later is freed as well");
}

#[tokio::test]
async fn a_rest_is_nobodys_but_its_principals() {
    let library = Library::with(Stock { items: 500, page: 500, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let mut asked = 0;
    for principal in ["ann", "bob"] {
        let first = stage.page_of(principal, RESOURCES, None).await;
        stage.page_of(principal, RESOURCES, first.next.as_deref()).await;
        asked += 1;
        assert_eq!((stage.rests().0, library.cursors(RESOURCES).len()), (asked, asked));
    }
}

#[tokio::test]
async fn a_server_that_was_configured_anew_is_asked_anew() {
    let (one, two) = (
        Library::with(Stock { items: 500, page: 500, ..Stock::default() }),
        Library::with(Stock { items: 1, ..Stock::default() }),
    );
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    let first = stage.page(RESOURCES, None).await;
    stage.without(&["two"]);
    stage.page(RESOURCES, first.next.as_deref()).await;
    assert_eq!(one.cursors(RESOURCES).len(), 1, "it is the same server still");
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_what_its_page_asked() {
    let library = Library::with(Stock { holds: Some("100".into()), ..Stock::default() });
    let stage = Arc::new(Stage::of(&[("one", &library)]));
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    for (params, method) in [(json!({"cursor": cursor}), RESOURCES), (json!({}), "prompts/list")] {
        library.change(|stock| stock.holds = Some(if method == RESOURCES { "100" } else { "" }.into()));
        let before = library.heard("notifications/cancelled").len();
        let asking = tokio::spawn({
            let stage = Arc::clone(&stage);
            async move { stage.ask("ann", method, params).await }
        });
        library.hears(method, if method == RESOURCES { 2 } else { 1 }).await;
        asking.abort();
        library.hears("notifications/cancelled", before + 1).await;
        let (asked, cancelled) = (library.heard(method), library.heard("notifications/cancelled"));
        assert_eq!(cancelled.last().unwrap()["params"]["requestId"], asked.last().unwrap()["id"]);
    }
}

#[tokio::test]
async fn a_server_that_is_too_slow_for_a_list_is_waited_for_once_and_cancelled_after_half_a_minute() {
    let (one, two) = (
        Library::with(Stock { items: 5, holds: Some(String::new()), ..Stock::default() }),
        Library::with(Stock { items: 5, ..Stock::default() }),
    );
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    assert_eq!(stage.page(RESOURCES, None).await.items, names("two", RESOURCES, 0..5));
    assert_eq!(stage.page(RESOURCES, None).await.items, names("two", RESOURCES, 0..5));
    assert_eq!(one.cursors(RESOURCES).len(), 1, "it is being waited for");
    assert_eq!(one.heard("notifications/cancelled").len(), 0);
    pass(ALMOST + A_LITTLE).await;
    one.hears("notifications/cancelled", 1).await;
    one.change(|stock| stock.holds = None);
    assert_eq!(stage.page(RESOURCES, None).await.items.len(), 10, "and then asked again");
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_a_slow_one_and_its_part_is_told_of_when_it_comes() {
    let library = Library::with(Stock { items: 250, holds: Some("100".into()), ..Stock::default() });
    let one_at_a_time = json!({"limits": {"policy": "fixed", "start": 1, "min": 1, "max": 1}});
    let stage = Arc::new(Stage::with(1, &[("one", &library)], &one_at_a_time, &json!({})));
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    let reading = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { stage.page(RESOURCES, Some(&cursor)).await }
    });
    library.hears(RESOURCES, 2).await;
    let mut listening = stage.listen("bob", "promptsListChanged").await;
    assert_eq!(stage.page_of("bob", "prompts/list", None).await.items.len(), 0);
    library.release();
    assert_eq!(reading.await.unwrap().items.len(), 100);
    assert_eq!(listening.next().await["method"], "notifications/prompts/list_changed");
    assert_eq!(stage.page_of("bob", "prompts/list", None).await.items.len(), 100);
}

#[tokio::test]
async fn a_next_page_that_was_asked_ahead_and_is_not_wanted_is_cancelled_after_half_a_minute() {
    let library = Library::with(Stock { holds: Some("100".into()), ..Stock::default() });
    let more = json!({"cache": {"ttl_ms": 60_000, "predict": [RESOURCES]}});
    for (predict, asked) in [(false, 1), (true, 2)] {
        let stage = Stage::with(1, &[("one", &library)], &more, &json!({"predict": predict}));
        library.double.heard.lock().clear();
        // Real work, of which a share may be spent on guesses.
        library.change(|stock| stock.holds = Some(String::new()));
        tokio::join!(stage.page("prompts/list", None), async {
            library.hears("prompts/list", 1).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            library.change(|stock| stock.holds = Some("100".into()));
            library.release();
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.page(RESOURCES, None).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(library.cursors(RESOURCES).len(), asked, "asked ahead: {predict}");
        pass(ALMOST).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(library.heard("notifications/cancelled").len(), 0);
        pass(A_LITTLE).await;
        if predict {
            library.hears("notifications/cancelled", 1).await;
        }
    }
}
