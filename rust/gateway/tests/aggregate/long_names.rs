//! Names are found again, also those of lists that nobody has read to their end.

use serde_json::json;

use crate::{
    library::{Library, Stock},
    stage::Stage,
};

async fn described(stage: &Stage, name: &str) -> Option<String> {
    let answer = stage.ask("ann", "prompts/get", json!({"name": name})).await;
    answer.end["result"]["description"].as_str().map(Into::into)
}

#[tokio::test]
async fn a_name_of_a_later_page_is_found_and_one_that_nobody_has_is_refused() {
    let library = Library::with(Stock { items: 350, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    stage.page("prompts/list", None).await;
    assert_eq!(described(&stage, "one__349").await.as_deref(), Some("349"));
    let other = Library::with(Stock { items: 350, ..Stock::default() });
    let stage = Stage::of(&[("one", &other)]);
    assert_eq!(described(&stage, "one__349").await.as_deref(), Some("349"), "also before anybody listed it");
    let unknown = stage.ask("ann", "prompts/get", json!({"name": "one__350"})).await;
    assert_eq!(unknown.code(), -32602, "{unknown:?}");
    assert!(other.heard("prompts/get").len() == 1, "a list that is known whole has no other names");
}

#[tokio::test]
async fn of_a_list_longer_than_what_is_remembered_the_server_knows_the_names() {
    let library = Library::with(Stock { items: 25_000, page: 25_000, ..Stock::default() });
    let stage = Stage::of(&[("one", &library)]);
    assert_eq!(described(&stage, "one__3").await.as_deref(), Some("3"));
    assert_eq!(described(&stage, "one__24999").await.as_deref(), Some("24999"));
    assert_eq!(library.cursors("prompts/list").len(), 1, "it is not listed again for that");
    let unknown = stage.ask("ann", "prompts/get", json!({"name": "two__3"})).await;
    assert_eq!(unknown.code(), -32602, "{unknown:?}");
}
