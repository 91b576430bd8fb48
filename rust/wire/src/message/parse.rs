//! From bytes to a message in one pass: spans are noted while scanning, judged when the text is known to be sound.

use bytes::Bytes;

use super::id::BadId;
use super::noted::Noted;
use super::{Id, Message, Notification, Request, Response, name_key};
use crate::error::RpcError;
use crate::json::{Key, Limits, Malformed, MalformedKind as Kind, Object, Scan, Scanner, Span, as_i64, as_str, read};

/// The spans of what matters in an envelope.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
    inner: Params,
}

/// The spans of what matters in `params`.
#[derive(Default)]
struct Params {
    meta: Option<Span>,
    name: Option<Span>,
    uri: Option<Span>,
    task: Option<Span>,
    state: bool,
    responses: bool,
    noted: Noted,
}

pub(super) fn message(raw: &Bytes, limits: Limits) -> Result<Message, Malformed> {
    let envelope = scan(raw, limits)?;
    let id = envelope.id(raw)?;
    envelope.judge(raw, id.clone()).map_err(|mut malformed| {
        malformed.id = id.map(Box::new);
        malformed
    })
}

fn scan(raw: &Bytes, limits: Limits) -> Result<Envelope, Malformed> {
    let mut envelope = Envelope::default();
    read(raw, limits, |scanner| {
        let start = scanner.at();
        let otherwise = match scanner.peek() {
            Some(b'{') => return scanner.members(|scanner, key| envelope.member(scanner, key)),
            Some(b'[') => Kind::Batch,
            _ => Kind::NotAnObject,
        };
        scanner.value()?;
        Err(scanner.fail_at(otherwise, start))
    })?;
    Ok(envelope)
}

impl Envelope {
    fn member(&mut self, scanner: &mut Scanner<'_>, key: &Key<'_>) -> Scan {
        let slot = match key.bytes().as_ref() {
            b"jsonrpc" => &mut self.jsonrpc,
            b"id" => &mut self.id,
            b"method" => &mut self.method,
            b"result" => &mut self.result,
            b"error" => &mut self.error,
            b"params" => {
                let start = scanner.at();
                match scanner.peek() {
                    Some(b'{') => scanner.members(|scanner, key| self.inner.member(scanner, key))?,
                    _ => scanner.value()?,
                }
                self.params = Some(start..scanner.at());
                return Ok(());
            }
            _ => return scanner.value(),
        };
        *slot = Some(scanner.span()?);
        Ok(())
    }

    fn id(&self, raw: &Bytes) -> Result<Option<Id>, Malformed> {
        let Some(span) = self.id.as_ref() else { return Ok(None) };
        let text = text(raw, span);
        if text == b"null" && self.error.is_some() {
            return Ok(None);
        }
        match Id::read(text) {
            Ok(id) => Ok(Some(id)),
            Err(BadId::Type) => Err(Malformed::new(Kind::IdType, span.start)),
            Err(BadId::Range) => Err(Malformed::new(Kind::IdRange, span.start)),
        }
    }

    fn judge(mut self, raw: &Bytes, id: Option<Id>) -> Result<Message, Malformed> {
        match &self.jsonrpc {
            Some(span) if text(raw, span) == b"\"2.0\"" => {}
            Some(span) if as_str(text(raw, span)).as_deref() == Some("2.0") => {}
            span => return Err(Malformed::new(Kind::Version, span.as_ref().map_or(0, |span| span.start))),
        }
        let noted = std::mem::take(&mut self.inner.noted);
        match (&self.method, &self.result, &self.error, id) {
            (Some(method), None, None, id) => self.call(raw, method, id, noted),
            (None, Some(result), None, Some(id)) => {
                Ok(Message::Response(Response { id: Some(id), outcome: Ok(raw.slice(result.clone())) }))
            }
            (None, None, Some(error), id) => {
                Ok(Message::Response(Response { id, outcome: Err(rpc_error(raw, error)?) }))
            }
            (None, Some(_), None, None) => Err(Malformed::new(Kind::IdType, 0)),
            (None, None, None, _) => Err(Malformed::new(Kind::NoMessage, 0)),
            _ => Err(Malformed::new(Kind::Ambiguous, 0)),
        }
    }

    fn call(&self, raw: &Bytes, method: &Span, id: Option<Id>, noted: Noted) -> Result<Message, Malformed> {
        let name = as_str(text(raw, method)).filter(|name| !name.is_empty());
        let method = name.ok_or_else(|| Malformed::new(Kind::MethodType, method.start))?.into_owned();
        let params = object(raw, self.params.as_ref(), Kind::ParamsType)?;
        let meta = object(raw, self.inner.meta.as_ref(), Kind::MetaType)?;
        Ok(match id {
            Some(id) => {
                let subject = self.inner.subject(&method).map(|span| raw.slice(span));
                let id_raw = self.id.clone().map_or_else(Bytes::new, |span| raw.slice(span));
                let (has_state, has_responses) = (self.inner.state, self.inner.responses);
                Message::Request(Request { id, id_raw, method, params, meta, has_state, has_responses, noted, subject })
            }
            None => Message::Notification(Notification { method, params, meta }),
        })
    }
}

impl Params {
    fn member(&mut self, scanner: &mut Scanner<'_>, key: &Key<'_>) -> Scan {
        let slot = match key.bytes().as_ref() {
            b"name" => &mut self.name,
            b"uri" => &mut self.uri,
            b"taskId" => &mut self.task,
            b"_meta" => {
                let start = scanner.at();
                match scanner.peek() {
                    Some(b'{') => scanner.members(|scanner, key| self.noted.member(scanner, key, start))?,
                    _ => scanner.value()?,
                }
                self.meta = Some(start..scanner.at());
                return Ok(());
            }
            b"requestState" => {
                self.state = true;
                return scanner.value();
            }
            b"inputResponses" => {
                self.responses = true;
                return scanner.value();
            }
            _ => return scanner.value(),
        };
        *slot = Some(scanner.span()?);
        Ok(())
    }

    fn subject(&self, method: &str) -> Option<Span> {
        match name_key(method)? {
            "name" => self.name.clone(),
            "uri" => self.uri.clone(),
            _ => self.task.clone(),
        }
    }
}

/// A member that is an object; `null` is as good as absent, as some senders write it so.
fn object(raw: &Bytes, span: Option<&Span>, kind: Kind) -> Result<Option<Bytes>, Malformed> {
    match span.map(|span| (span, text(raw, span).first())) {
        None | Some((_, Some(b'n'))) => Ok(None),
        Some((span, Some(b'{'))) => Ok(Some(raw.slice(span.clone()))),
        Some((span, _)) => Err(Malformed::new(kind, span.start)),
    }
}

fn rpc_error(raw: &Bytes, span: &Span) -> Result<RpcError, Malformed> {
    let shape = || Malformed::new(Kind::ErrorShape, span.start);
    let error = Object::parse(text(raw, span)).map_err(|_| shape())?;
    let code = error.get("code").and_then(as_i64).ok_or_else(shape)?;
    let message = error.get_str("message").ok_or_else(shape)?.into_owned();
    let data = error.get("data").map(|data| raw.slice_ref(data));
    Ok(RpcError { code, message, data })
}

/// The text of a span that the scanner gave out for these bytes.
fn text<'a>(raw: &'a Bytes, span: &Span) -> &'a [u8] {
    raw.get(span.clone()).unwrap_or_default()
}
