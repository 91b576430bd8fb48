//! `Mcp-Param-*`: arguments that a tool's schema wants repeated as headers (`x-mcp-header`).

use std::borrow::Cow;
use std::fmt;

use super::{Lookup, PARAM_PREFIX, Values, decode, encode};
use crate::error::{HEADER_MISMATCH, RpcError};
use crate::json::{Malformed, Object, as_bool, as_str, elements, find, is_array, is_null, is_object};

const ANNOTATION: &str = "x-mcp-header";

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

/// An `x-mcp-header` that is not allowed; the tool must not be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAnnotation {
    /// What is wrong, and where.
    pub reason: String,
}

impl fmt::Display for InvalidAnnotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for InvalidAnnotation {}

impl From<Malformed> for InvalidAnnotation {
    fn from(malformed: Malformed) -> Self {
        Self { reason: malformed.to_string() }
    }
}

/// Finds the annotations of an input schema. Every schema position is looked at, also those where an annotation is not allowed; data
/// (`default`, `examples`, `const`, `enum`) is not, and no `$ref` is followed.
pub fn param_headers(input_schema: &[u8]) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    let mut found = Vec::new();
    if memchr::memmem::find(input_schema, ANNOTATION.as_bytes()).is_some()
        || memchr::memchr(b'\\', input_schema).is_some()
    {
        walk(input_schema, Some(Vec::new()), &mut found)?;
    }
    Ok(found)
}

/// Compares the headers with the arguments: both there and equal, or both absent; `null` is absent. Headers that no annotation names are not looked at.
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
    let value = argument(param, arguments);
    match (headers(&param.header), value) {
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
    if kind == ParamType::Integer && as_bool(value).is_none() && as_str(value).is_none() {
        if let (Some(left), Some(right)) = (whole(&text), whole(said)) {
            return left == right;
        }
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

/// What a keyword of JSON Schema holds.
enum Holds {
    Schema,
    Schemas,
    NamedSchemas,
    Properties,
}

fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "properties" => Holds::Properties,
        "items"
        | "contains"
        | "unevaluatedItems"
        | "additionalProperties"
        | "propertyNames"
        | "unevaluatedProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contentSchema" => Holds::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::Schemas,
        "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => Holds::NamedSchemas,
        _ => return None,
    })
}

/// Visits a schema. `path` is the chain of property names from the root, none once any other keyword was crossed.
fn walk(schema: &[u8], path: Option<Vec<String>>, found: &mut Vec<ParamHeader>) -> Result<(), InvalidAnnotation> {
    if !is_object(schema) {
        return Ok(());
    }
    let object = Object::parse(schema)?;
    if let Some(annotation) = object.get(ANNOTATION) {
        note(annotation, &object, path.as_deref(), found)?;
    }
    for member in &object {
        match holds(&member.key) {
            Some(Holds::Properties) if is_object(member.value) => {
                for property in &Object::parse(member.value)? {
                    let deeper = path
                        .as_ref()
                        .map(|path| path.iter().cloned().chain([property.key.clone().into_owned()]).collect());
                    walk(property.value, deeper, found)?;
                }
            }
            Some(Holds::Schema) => walk(member.value, None, found)?,
            Some(Holds::Schemas) if is_array(member.value) => {
                elements(member.value)?.into_iter().try_for_each(|schema| walk(schema, None, found))?
            }
            Some(Holds::NamedSchemas) if is_object(member.value) => {
                Object::parse(member.value)?.iter().try_for_each(|named| walk(named.value, None, found))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn note(
    annotation: &[u8],
    schema: &Object<'_>,
    path: Option<&[String]>,
    found: &mut Vec<ParamHeader>,
) -> Result<(), InvalidAnnotation> {
    let path = path.filter(|path| !path.is_empty());
    let place = path
        .map_or_else(|| "outside of plain properties".to_owned(), |path| format!("on property {:?}", path.join(".")));
    let invalid = |what: &str| Err(InvalidAnnotation { reason: format!("{ANNOTATION} {place} {what}") });
    let Some(path) = path else { return invalid("cannot be mirrored") };
    let Some(token) = as_str(annotation) else { return invalid("must be a string") };
    if !is_token(&token) {
        return invalid("must be a header name");
    }
    let kind = match schema.get_str("type").as_deref() {
        Some("string") => ParamType::String,
        Some("integer") => ParamType::Integer,
        Some("boolean") => ParamType::Boolean,
        _ => return invalid("needs the type string, integer or boolean"),
    };
    let header = format!("{PARAM_PREFIX}{}", token.to_ascii_lowercase());
    if found.iter().any(|other| other.header == header) {
        return invalid("is used for another property too");
    }
    found.push(ParamHeader { header, sent_as: format!("Mcp-Param-{token}"), path: path.to_vec(), kind });
    Ok(())
}

/// A field name as RFC 9110 writes it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
