//! What a client is told of a result that was shortened: `_meta["omnimind/compression"]`.

use std::collections::BTreeMap;

use omnimind_compress::{Outcome, mark};
use serde_json::{Value, json};

/// The report, as JSON. `criticalInfoPreserved` is true only if nothing that had to stay is missing and the budget is
/// met.
pub(super) fn report<'a>(
    before: usize,
    after: usize,
    budget: usize,
    outcomes: impl Iterator<Item = &'a Outcome> + Clone,
) -> String {
    let mut critical: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for share in outcomes.clone().flat_map(|outcome| &outcome.critical) {
        let sum = critical.entry(share.kind.name()).or_default();
        *sum = (sum.0.saturating_add(share.kept), sum.1.saturating_add(share.total));
    }
    let cut = |outcome: &&Outcome| !outcome.omissions.is_empty();
    let handles: Vec<String> = outcomes.clone().filter(cut).map(|outcome| mark::hex(&outcome.handle)).collect();
    let mut report = json!({
        "tokensBefore": before,
        "tokensAfter": after,
        "budgetTokens": budget,
        "tokenizer": "o200k_base",
        "exact": true,
        "lossless": handles.is_empty(),
        "criticalInfoPreserved": outcomes.clone().all(|outcome| outcome.preserved),
        "critical": critical.into_iter().map(|(kind, (kept, total))| (kind.to_owned(), json!({"kept": kept, "total": total})))
            .collect::<serde_json::Map<_, _>>(),
        "handles": handles,
    });
    let missing: Vec<Value> = outcomes
        .clone()
        .flat_map(|outcome| &outcome.missing)
        .map(|missing| json!({"lines": [missing.lines.0, missing.lines.1], "text": missing.text}))
        .collect();
    if let (false, Some(report)) = (missing.is_empty(), report.as_object_mut()) {
        let more: usize = outcomes.map(|outcome| outcome.missing_more).sum();
        report.insert("missing".to_owned(), Value::Array(missing));
        report.insert("missingMore".to_owned(), more.into());
    }
    report.to_string()
}
