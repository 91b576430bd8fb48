//! A page costs the servers no more than it shows.

use std::time::Duration;

use omnimind_wire::Era;
use serde_json::{Value, json};

use crate::{
    library::{Library, Stock},
    stage::{Stage, all, names},
};

const RESOURCES: &str = "resources/list";
const TOOLS: &str = "tools/list";

fn cursors(said: &[&str]) -> Vec<Value> {
    said.iter().map(|cursor| if *cursor == "-" { Value::Null } else { json!(cursor) }).collect()
}

#[tokio::test]
async fn a_page_is_asked_of_the_server_when_the_client_asks_for_it() {
    let library = Library::with(Stock { items: 300, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let first = stage.page(RESOURCES, None).await;
    assert_eq!(first.items, names("one", RESOURCES, 0..100));
    assert_eq!(library.cursors(RESOURCES), cursors(&["-"]));
    let second = stage.page(RESOURCES, first.next.as_deref()).await;
    assert_eq!(second.items, names("one", RESOURCES, 100..200));
    assert_eq!(library.cursors(RESOURCES), cursors(&["-", "100"]));
    let third = stage.page(RESOURCES, second.next.as_deref()).await;
    assert_eq!((third.items, third.next), (names("one", RESOURCES, 200..300), None));
}

#[tokio::test]
async fn pages_of_another_length_are_cut_and_joined_and_none_is_asked_twice() {
    let library = Library::with(Stock { items: 250, page: 30, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let pages = stage.walk("ann", RESOURCES).await;
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(all(&pages), names("one", RESOURCES, 0..250));
    assert_eq!(library.cursors(RESOURCES), cursors(&["-", "30", "60", "90", "120", "150", "180", "210", "240"]));
}

#[tokio::test]
async fn one_long_page_is_sent_once_for_a_client_that_reads_it_through() {
    for era in [Era::Modern, Era::Legacy] {
        let library = Library::speaking(era, Stock { items: 2_050, page: 5_000, ..Stock::default() });
        let stage = Stage::of(&[("one", &library)]);
        let pages = stage.walk("ann", RESOURCES).await;
        assert_eq!((pages.len(), all(&pages)), (21, names("one", RESOURCES, 0..2_050)));
        assert_eq!(library.cursors(RESOURCES).len(), 1);
    }
}

#[tokio::test]
async fn a_list_that_is_asked_from_the_beginning_is_asked_anew() {
    let library = Library::with(Stock { items: 500, page: 500, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    stage.page(RESOURCES, None).await;
    library.change(|stock| stock.items = 10);
    assert_eq!(stage.page(RESOURCES, None).await.items, names("one", RESOURCES, 0..10));
}

#[tokio::test]
async fn the_servers_come_in_their_order_and_none_is_asked_before_its_turn_once_it_is_known() {
    let (one, two) = (
        Library::with(Stock { items: 150, page: 50, ..Stock::default() }),
        Library::with(Stock { items: 120, page: 50, ..Stock::default() }),
    );
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    let pages = stage.walk("ann", RESOURCES).await;
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [100, 100, 70]);
    assert_eq!(all(&pages), [names("one", RESOURCES, 0..150), names("two", RESOURCES, 0..120)].concat());
    let before = two.cursors(RESOURCES).len();
    stage.page(RESOURCES, None).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(two.cursors(RESOURCES).len(), before, "the page was full without it");
}

#[tokio::test]
async fn tools_come_whole_up_to_a_thousand() {
    let (one, two) = (
        Library::with(Stock { items: 700, ..Stock::default() }),
        Library::with(Stock { items: 301, page: 60, ..Stock::default() }),
    );
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    let wanted = [names("one", TOOLS, 0..700), names("two", TOOLS, 0..301)].concat();
    let pages = stage.walk("ann", TOOLS).await;
    assert_eq!((pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), all(&pages)), (vec![1_000, 1], wanted));
    two.change(|stock| stock.items = 300);
    assert_eq!(stage.page(TOOLS, None).await.next, None);
}

#[tokio::test]
async fn many_small_pages_of_a_server_end_a_page_of_ours_early_but_not_the_list() {
    let library = Library::with(Stock { items: 300, page: 1, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let pages = stage.walk("ann", RESOURCES).await;
    assert_eq!(all(&pages), names("one", RESOURCES, 0..300));
    assert!(pages.iter().all(|page| page.items.len() <= 100));
}

#[tokio::test]
async fn a_server_whose_pages_are_all_empty_ends_the_list_of_no_other() {
    let (one, two) = (
        Library::with(Stock { items: 1_000, page: 0, says: json!({"nextCursor": "again"}), ..Stock::default() }),
        Library::with(Stock { items: 3, ..Stock::default() }),
    );
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    assert_eq!(all(&stage.walk("ann", RESOURCES).await), names("two", RESOURCES, 0..3));
    assert!(one.cursors(RESOURCES).len() <= 3, "a cursor that leads to itself is not followed");
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle_fails_that_page_and_the_same_cursor_goes_on_later() {
    let (one, two) = (Library::with(Stock { items: 250, ..Stock::default() }), Library::with(Stock::default()));
    let stage = Stage::of(&[("one", &one), ("two", &two)]);
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    one.change(|stock| stock.fails = Some((-32603, "out of order".into())));
    let failed = stage.ask("ann", RESOURCES, json!({"cursor": cursor})).await;
    assert_eq!((failed.code(), failed.end["error"]["message"].as_str()), (-32603, Some("out of order")));
    one.change(|stock| stock.fails = None);
    assert_eq!(stage.page(RESOURCES, Some(&cursor)).await.items, names("one", RESOURCES, 100..200));
}

#[tokio::test]
async fn what_was_read_before_a_server_failed_is_shown_and_the_cursor_leads_to_the_rest() {
    let library = Library::with(Stock { items: 250, page: 70, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    let cursor = stage.page(RESOURCES, None).await.next.unwrap();
    library.change(|stock| stock.fails = Some((-32603, "out of order".into())));
    let short = stage.page(RESOURCES, Some(&cursor)).await;
    assert_eq!(short.items, names("one", RESOURCES, 100..140), "what was left of its second page");
    library.change(|stock| stock.fails = None);
    assert_eq!(stage.page(RESOURCES, short.next.as_deref()).await.items, names("one", RESOURCES, 140..240));
}
