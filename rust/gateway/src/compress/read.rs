//! `resources/read` of what was left out: `omnimind://context/<handle>`, whole or in parts, on every endpoint.
//!
//! `?lines=3-9` are these lines of it, `?bytes=0-500` these bytes. What is read so is never shortened, and never another principal's.

use std::sync::Arc;

use bytes::Bytes;
use omnimind_compress::expand::{Part, expand};
use omnimind_wire::{
    Request, RpcError,
    error::{INTERNAL_ERROR, INVALID_PARAMS},
    json::as_str,
};
use tokio::task::spawn_blocking;

use super::URI;
use crate::{relay::Client, upstream::Failure};

/// The URI that a request wants to read, if it is one of ours.
pub(crate) fn is_ours(request: &Request) -> Option<String> {
    if request.method != "resources/read" {
        return None;
    }
    let uri = request.param("uri").and_then(as_str)?;
    uri.starts_with(URI).then(|| uri.into_owned())
}

/// The result, in the modern form.
pub(crate) async fn read(client: &Client, uri: &str) -> Result<Bytes, Failure> {
    let (principal, plane) = (Arc::clone(client.principal()), Arc::clone(&client.caller.plane));
    let asked = uri.to_owned();
    let read = spawn_blocking(move || {
        let rest = asked.strip_prefix(URI).unwrap_or_default();
        let (name, part) = rest.split_once('?').unwrap_or((rest, ""));
        let part = part_of(part).map_err(|why| not_found(&asked, why))?;
        let kept = match plane.compress.originals.get(&principal, name) {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                let why = "nothing is kept under this name: it was never yours, or more than a day has passed";
                return Err(not_found(&asked, why.to_owned()));
            }
            Err(trouble) => return Err(not_found(&asked, trouble.to_string())),
        };
        let text = String::from_utf8(kept.bytes).map_err(|_| not_found(&asked, "it is no text".to_owned()))?;
        let read = expand(&text, &part, None).map_err(|unreadable| not_found(&asked, unreadable.to_string()))?;
        let contents = serde_json::json!([{"uri": asked, "mimeType": kept.mime, "text": read.text}]);
        let result = serde_json::json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "contents": contents,
        });
        Ok(Bytes::from(result.to_string()))
    });
    let read = read.await.unwrap_or_else(|_| Err(RpcError::new(INTERNAL_ERROR, "the original could not be read")));
    read.map_err(Failure::Rpc)
}

fn not_found(uri: &str, why: String) -> RpcError {
    RpcError::new(INVALID_PARAMS, why).with_data(serde_json::json!({"uri": uri}).to_string())
}

/// Reads what follows the question mark.
fn part_of(query: &str) -> Result<Part<'static>, String> {
    let numbers = |text: &str| -> Option<(usize, usize)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let numbers: (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (numbers.0 <= numbers.1).then_some(numbers)
    };
    let part = match query.split_once('=') {
        None if query.is_empty() => Some(Part::All),
        Some(("lines", lines)) => numbers(lines).map(|(first, last)| Part::Lines(first, last)),
        Some(("bytes", bytes)) => numbers(bytes).map(|(first, end)| Part::Bytes(first..end)),
        _ => None,
    };
    part.ok_or_else(|| {
        format!("{query:?} is no part of an original: write ?lines=3-9, ?bytes=0-500, or nothing for all of it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_all_or_lines_or_bytes_and_nothing_else() {
        assert_eq!(part_of(""), Ok(Part::All));
        assert_eq!(part_of("lines=3-9"), Ok(Part::Lines(3, 9)));
        assert_eq!(part_of("lines=3"), Ok(Part::Lines(3, 3)));
        assert_eq!(part_of("bytes=0-90"), Ok(Part::Bytes(0..90)));
        for odd in ["lines=9-3", "lines=a", "line=3", "lines=3-", "lines=3-9&x=1", "lines", "bytes=-1"] {
            assert!(part_of(odd).is_err(), "{odd}");
        }
    }
}
