//! `Mcp-Param-*`: arguments that a tool wants repeated as headers, compared with the body or made from it.

use std::borrow::Cow;

use super::{Lookup, Values, decode, encode};
use crate::error::{HEADER_MISMATCH, RpcError};
use crate::json::{as_f64, as_str, find, is_array, is_null, is_object};

/// The type an annotated property has; others cannot be mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamType {
    /// Compared as text.
    String,
    /// Compared as a number.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// One argument that is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The whole header name in lower case, `mcp-param-` included.
    pub header: String,
    /// The header name as it is sent.
    pub sent_as: String,
    /// The keys that lead to the argument.
    pub path: Vec<String>,
    /// Its type.
    pub kind: ParamType,
}

/// Compares the headers with the arguments: both there and equal, or both absent; `null` is absent. Headers that no
/// annotation names are not looked at: they are forwarded.
pub fn check_params(
    expected: &[ParamHeader],
    arguments: Option<&[u8]>,
    headers: Lookup<'_, '_>,
) -> Result<(), RpcError> {
    expected.iter().try_for_each(|param| check_one(param, arguments, headers))
}

/// The headers to send with arguments, name and value.
pub fn mirror_params(expected: &[ParamHeader], arguments: Option<&[u8]>) -> Vec<(String, String)> {
    let mirrored = |param: &ParamHeader| {
        let value = rendered(argument(param, arguments)?)?;
        Some((param.sent_as.clone(), encode(&value).into_owned()))
    };
    expected.iter().filter_map(mirrored).collect()
}

fn check_one(param: &ParamHeader, arguments: Option<&[u8]>, headers: Lookup<'_, '_>) -> Result<(), RpcError> {
    let refuse = |what: &str| {
        let message = format!("{} {what} the argument {:?}", param.sent_as, param.path.join("."));
        Err(RpcError::new(HEADER_MISMATCH, message))
    };
    match (headers(&param.header), argument(param, arguments)) {
        (Values::Many, _) => refuse("is sent more than once for"),
        (Values::None, None) => Ok(()),
        (Values::One(_), None) => refuse("is sent without"),
        (Values::None, Some(value)) if rendered(value).is_none() => Ok(()),
        (Values::None, Some(_)) => refuse("is missing, it must repeat"),
        (Values::One(header), Some(value)) => match decode(header) {
            Some(said) if agrees(param.kind, value, &said) => Ok(()),
            Some(_) => refuse("does not equal"),
            None => refuse("is not encoded correctly for"),
        },
    }
}

fn argument<'a>(param: &ParamHeader, arguments: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let path: Vec<&str> = param.path.iter().map(String::as_str).collect();
    find(arguments?, &path).ok().flatten().filter(|value| !is_null(value))
}

/// An argument as a header says it; none for objects and arrays.
fn rendered(value: &[u8]) -> Option<Cow<'_, str>> {
    if is_object(value) || is_array(value) {
        return None;
    }
    as_str(value).or_else(|| std::str::from_utf8(value).ok().map(Cow::Borrowed))
}

fn agrees(kind: ParamType, value: &[u8], said: &str) -> bool {
    let Some(text) = rendered(value) else { return false };
    if kind == ParamType::Integer
        && as_f64(value).is_some()
        && let (Some(left), Some(right)) = (whole(&text), whole(said))
    {
        return left == right;
    }
    text == said
}

/// The sign and digits of a number that is whole, whatever its size: `42`, `42.0` and `-0` have one form each.
fn whole(text: &str) -> Option<(bool, &str)> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (digits, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(digits) || !numeric(fraction) || fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some((negative && !digits.is_empty(), digits))
}
