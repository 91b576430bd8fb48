//! Every URI field of a message, and nothing else, through a function.
//!
//! Values that may hold a URI are known by method and place; text, structured content and metadata are never searched.

use bytes::Bytes;

use crate::json::{Limits, Malformed, Scan, Scanner, Span, as_str, push_quoted, read};

/// What stands at a place of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A URI, or a URI template.
    Uri,
    /// An array of a shape.
    Each(&'static Shape),
    /// An object with some members of a shape.
    Fields(&'static [(&'static str, Shape)]),
    /// A content block: `resource_link`, `resource`, `tool_result`.
    Block,
    /// A map of anything to a shape.
    Values(&'static Shape),
}

pub(crate) const RESOURCE: Shape = Shape::Fields(&[("uri", Shape::Uri)]);
const TEMPLATE: Shape = Shape::Fields(&[("uriTemplate", Shape::Uri)]);
pub(crate) const BLOCKS: Shape = Shape::Each(&Shape::Block);
/// Sampling and prompts have one block or an array of them.
const MESSAGE: Shape = Shape::Fields(&[("content", BLOCKS)]);
const SAMPLING: Shape = Shape::Fields(&[("messages", Shape::Each(&MESSAGE))]);
const QUESTION: Shape = Shape::Fields(&[("params", SAMPLING)]);
const ASKED: (&str, Shape) = ("inputRequests", Shape::Values(&QUESTION));

/// The shape of a result, or of a notification's params, by method.
pub(crate) fn answer(method: &str) -> Option<Shape> {
    Some(match method {
        "resources/list" => Shape::Fields(&[("resources", Shape::Each(&RESOURCE))]),
        "resources/templates/list" => Shape::Fields(&[("resourceTemplates", Shape::Each(&TEMPLATE))]),
        "resources/read" => Shape::Fields(&[("contents", Shape::Each(&RESOURCE)), ASKED]),
        "tools/call" => Shape::Fields(&[("content", BLOCKS), ASKED]),
        "prompts/get" => Shape::Fields(&[("messages", Shape::Each(&MESSAGE)), ASKED]),
        "notifications/resources/updated" => RESOURCE,
        "notifications/subscriptions/acknowledged" => LISTEN,
        "sampling/createMessage" => SAMPLING,
        _ => return None,
    })
}

const LISTEN: Shape =
    Shape::Fields(&[("notifications", Shape::Fields(&[("resourceSubscriptions", Shape::Each(&Shape::Uri))]))]);

/// The shape of a request's params, by method.
fn question(method: &str) -> Option<Shape> {
    Some(match method {
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => RESOURCE,
        "completion/complete" => Shape::Fields(&[("ref", RESOURCE)]),
        "subscriptions/listen" => LISTEN,
        _ => return None,
    })
}

/// Puts every URI of a result (or of the params of a notification or request from a server) through `change`; none
/// leaves it as it is.
/// `method` is the request's, or the notification's own.
pub fn rewrite_uris(
    method: &str,
    raw: &[u8],
    change: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Bytes, Malformed> {
    rewrite(answer(method), raw, change)
}

/// Puts every URI of a client's request's params through `change`; none leaves it as it is.
pub fn rewrite_request_uris(
    method: &str,
    params: &[u8],
    change: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Bytes, Malformed> {
    rewrite(question(method), params, change)
}

fn rewrite(
    shape: Option<Shape>,
    raw: &[u8],
    change: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Bytes, Malformed> {
    let Some(shape) = shape else { return Ok(Bytes::copy_from_slice(raw)) };
    let mut uris = Vec::new();
    read(raw, Limits::WIDEST, |scanner| visit(scanner, shape, &mut uris))?;
    uris.sort_unstable_by_key(|span| span.start);
    let mut out = Vec::with_capacity(raw.len() + 64 * uris.len());
    let mut done = 0;
    for span in uris {
        let Some(changed) = raw.get(span.clone()).and_then(as_str).and_then(|uri| change(&uri)) else { continue };
        out.extend_from_slice(raw.get(done..span.start).unwrap_or_default());
        push_quoted(&mut out, &changed);
        done = span.end;
    }
    out.extend_from_slice(raw.get(done..).unwrap_or_default());
    Ok(out.into())
}

/// Reads one value of a shape and notes where its URIs stand; a value that is not of the shape is read over.
fn visit(scanner: &mut Scanner<'_>, shape: Shape, uris: &mut Vec<Span>) -> Scan {
    match (shape, scanner.peek()) {
        (Shape::Uri, Some(b'"')) => uris.push(scanner.span()?),
        (Shape::Each(inner), Some(b'[')) => scanner.elements(|scanner| visit(scanner, *inner, uris))?,
        (Shape::Each(inner), Some(b'{')) => visit(scanner, *inner, uris)?,
        (Shape::Fields(fields), Some(b'{')) => {
            scanner.members(|scanner, key| {
                match fields.iter().find(|(name, _)| name.as_bytes() == key.bytes().as_ref()) {
                    Some((_, inner)) => visit(scanner, *inner, uris),
                    None => scanner.value(),
                }
            })?;
        }
        (Shape::Values(inner), Some(b'{')) => scanner.members(|scanner, _| visit(scanner, *inner, uris))?,
        (Shape::Block, Some(b'{')) => block(scanner, uris)?,
        _ => return scanner.value(),
    }
    Ok(())
}

/// A block says by its type which of its members counts, and may say it last.
fn block(scanner: &mut Scanner<'_>, uris: &mut Vec<Span>) -> Scan {
    let (mut kind, mut link, mut resource, mut nested) = (None, Vec::new(), Vec::new(), Vec::new());
    scanner.members(|scanner, key| match key.text().as_ref() {
        "type" => {
            kind = as_str(scanner.raw()?.as_bytes());
            Ok(())
        }
        "uri" => visit(scanner, Shape::Uri, &mut link),
        "resource" => visit(scanner, RESOURCE, &mut resource),
        "content" => visit(scanner, BLOCKS, &mut nested),
        _ => scanner.value(),
    })?;
    uris.append(match kind.as_deref() {
        Some("resource_link") => &mut link,
        Some("resource") => &mut resource,
        Some("tool_result") => &mut nested,
        _ => return Ok(()),
    });
    Ok(())
}
