//! Every URI field of a message, and nothing else, through a function.
//!
//! Values that may hold a URI are known by method and place; text, structured content and metadata are never searched.

use bytes::Bytes;

use crate::json::{Malformed, Object, as_str, elements, is_array, is_object, push_quoted};

/// What stands at a place of a message.
#[derive(Debug, Clone, Copy)]
enum Shape {
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

const RESOURCE: Shape = Shape::Fields(&[("uri", Shape::Uri)]);
const TEMPLATE: Shape = Shape::Fields(&[("uriTemplate", Shape::Uri)]);
const BLOCKS: Shape = Shape::Each(&Shape::Block);
/// Sampling and prompts have one block or an array of them.
const MESSAGE: Shape = Shape::Fields(&[("content", BLOCKS)]);
const SAMPLING: Shape = Shape::Fields(&[("messages", Shape::Each(&MESSAGE))]);
const QUESTION: Shape = Shape::Fields(&[("params", SAMPLING)]);
const ASKED: (&str, Shape) = ("inputRequests", Shape::Values(&QUESTION));

/// The shape of a result, or of a notification's params, by method.
fn answer(method: &str) -> Option<Shape> {
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

/// Puts every URI of a result (or of the params of a notification or request from a server) through `change`; none leaves it as it is.
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
    let mut out = Vec::with_capacity(raw.len() + 128);
    let mut walk = Walk { raw, done: 0, out: &mut out, change };
    walk.visit(shape, raw)?;
    walk.copy_to(raw.len());
    Ok(out.into())
}

/// Copies the text up to each URI, then writes the URI anew.
struct Walk<'w> {
    raw: &'w [u8],
    done: usize,
    out: &'w mut Vec<u8>,
    change: &'w mut dyn FnMut(&str) -> Option<String>,
}

impl<'w> Walk<'w> {
    fn visit(&mut self, shape: Shape, value: &'w [u8]) -> Result<(), Malformed> {
        match shape {
            Shape::Uri => self.uri(value),
            Shape::Each(inner) if is_array(value) => {
                for element in elements(value)? {
                    self.visit(*inner, element)?;
                }
            }
            Shape::Each(inner) => self.visit(*inner, value)?,
            Shape::Fields(fields) if is_object(value) => {
                for member in &Object::parse(value)? {
                    if let Some((_, inner)) = fields.iter().find(|(key, _)| *key == member.key) {
                        self.visit(*inner, member.value)?;
                    }
                }
            }
            Shape::Values(inner) if is_object(value) => {
                for member in &Object::parse(value)? {
                    self.visit(*inner, member.value)?;
                }
            }
            Shape::Block if is_object(value) => self.block(&Object::parse(value)?)?,
            Shape::Fields(_) | Shape::Values(_) | Shape::Block => {}
        }
        Ok(())
    }

    fn block(&mut self, block: &Object<'w>) -> Result<(), Malformed> {
        let (key, inner) = match block.get_str("type").as_deref() {
            Some("resource_link") => ("uri", Shape::Uri),
            Some("resource") => ("resource", RESOURCE),
            Some("tool_result") => ("content", BLOCKS),
            _ => return Ok(()),
        };
        block.get(key).map_or(Ok(()), |value| self.visit(inner, value))
    }

    fn uri(&mut self, value: &'w [u8]) {
        let Some(changed) = as_str(value).and_then(|uri| (self.change)(&uri)) else { return };
        let start = value.as_ptr() as usize - self.raw.as_ptr() as usize;
        self.copy_to(start);
        push_quoted(self.out, &changed);
        self.done = start + value.len();
    }

    fn copy_to(&mut self, end: usize) {
        self.out.extend_from_slice(self.raw.get(self.done..end).unwrap_or_default());
        self.done = end;
    }
}
