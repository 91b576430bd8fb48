//! `requestState`: sealed on the way out, checked on the way in.

use serde_json::{Value, json};

use crate::{
    double::{Double, Speaks},
    host::{Answer, Host, collect},
};

async fn ask(host: &Host, principal: &str, text: &str, more: Value) -> Answer {
    let mut params = json!({"name": "ask", "arguments": {"text": text}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let capabilities = json!({"elicitation": {}});
    collect(host.modern_as(principal, json!(1), "tools/call", params, capabilities, &[]).await).await
}

fn answers(state: &Value) -> Value {
    json!({"requestState": state, "inputResponses": {"who": {"action": "accept", "content": {"name": "Ann"}}}})
}

#[tokio::test]
async fn a_sealed_state_comes_back_as_the_servers_own() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let first = ask(&host, "ann", "who?", json!({})).await;
    assert_eq!(first.end["result"]["resultType"], "input_required");
    assert_eq!(first.end["result"]["inputRequests"]["who"]["params"]["message"], "who?");
    let state = &first.end["result"]["requestState"];
    assert_ne!(state, "round 1", "the server's state is wrapped");
    let second = ask(&host, "ann", "who?", answers(state)).await;
    assert_eq!(second.text(), "Ann");
    assert_eq!(double.heard("tools/call")[1]["params"]["requestState"], "round 1");
}

#[tokio::test]
async fn a_state_that_does_not_fit_never_reaches_the_server() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let state = ask(&host, "ann", "who?", json!({})).await.end["result"]["requestState"].clone();
    let tampered = json!(format!("{}-TAMPERED", state.as_str().unwrap()));
    let cut = json!(&state.as_str().unwrap()[..40]);
    let cases = [
        ("ann", "who?", tampered),
        ("ann", "who?", cut),
        ("ann", "who?", json!("round 1")),
        ("ann", "who?", json!(7)),
        ("bob", "who?", state.clone()),
        ("ann", "who else?", state.clone()),
    ];
    for (principal, text, state) in cases {
        let answer = ask(&host, principal, text, answers(&state)).await;
        assert_eq!((answer.status, answer.code()), (400, -32602), "{principal} {text} {state}");
    }
    assert_eq!(double.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_state_hidden_behind_escapes_is_checked_too() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask","request\u0053tate":"round 1",
        "inputResponses":{"who":{"content":{"name":"Eve"}}},"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "ask")];
    let answer = collect(host.post_raw("ann", &headers, body.to_owned()).await).await;
    assert_eq!(answer.code(), -32602);
    assert!(double.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_state_survives_a_restart_of_the_gateway() {
    let double = Double::start(Speaks::Modern);
    let before = Host::with(&double, 1, &json!({}), &json!({}));
    let state = ask(&before, "ann", "who?", json!({})).await.end["result"]["requestState"].clone();
    drop(before);
    let after = Host::with(&double, 2, &json!({}), &json!({}));
    assert_eq!(ask(&after, "ann", "who?", answers(&state)).await.text(), "Ann");
}

#[tokio::test]
async fn answers_without_a_state_pass() {
    let double = Double::start(Speaks::Modern);
    let host = Host::new(&double);
    let first = host.call("stateless", json!({})).await;
    assert!(first.end["result"].get("requestState").is_none(), "no state is made up");
    let params = json!({"name": "stateless", "arguments": {}, "requestState": null,
        "inputResponses": {"who": {"action": "decline"}, "other": {"x": 1}}});
    assert_eq!(collect(host.modern("tools/call", params).await).await.text(), "answered");
}
