//! `x-mcp-header`: which arguments a tool's input schema wants repeated as headers, and whether it may.
//!
//! An annotation is good on a property that plain `properties` lead to from the root, of type string, integer or
//! boolean, with a name that is a header name and is used once. A client must not offer a tool with any other.
//! All places where a schema may stand are looked at, data (`default`, `examples`, `const`, `enum`) is not, and no
//! `$ref` is followed.

use std::borrow::Cow;
use std::fmt;

use super::PARAM_PREFIX;
use super::params::{ParamHeader, ParamType};
use crate::json::{Key, Limits, Malformed, Scan, Scanner, as_str, read};

const ANNOTATION: &str = "x-mcp-header";

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

/// Finds the annotations of an input schema.
pub fn param_headers(input_schema: &[u8]) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    let mut walk = Walk { path: Some(Vec::new()), found: Vec::new(), invalid: None };
    let unreadable = |malformed: Malformed| InvalidAnnotation { reason: malformed.to_string() };
    read(input_schema, Limits::WIDEST, |scanner| walk.schema(scanner)).map_err(unreadable)?;
    match walk.invalid {
        Some(reason) => Err(InvalidAnnotation { reason }),
        None => Ok(walk.found),
    }
}

/// What a keyword of JSON Schema holds.
enum Holds {
    Properties,
    Schema,
    Schemas,
    NamedSchemas,
    Data,
}

fn holds(keyword: &str) -> Holds {
    match keyword {
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
        _ => Holds::Data,
    }
}

struct Walk<'a> {
    /// The property names from the root; none once any other keyword was crossed.
    path: Option<Vec<Cow<'a, str>>>,
    found: Vec<ParamHeader>,
    /// The first thing that is wrong.
    invalid: Option<String>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, scanner: &mut Scanner<'a>) -> Scan {
        if scanner.peek() != Some(b'{') {
            return scanner.value();
        }
        let (mut annotation, mut kind) = (None, None);
        scanner.members(|scanner, key| match (holds(&key.text()), scanner.peek()) {
            (Holds::Properties, Some(b'{')) => scanner.members(|scanner, name| self.property(scanner, name)),
            (Holds::Schema, _) => self.elsewhere(scanner, &mut Self::schema),
            (Holds::Schemas, Some(b'[')) => {
                self.elsewhere(scanner, &mut |walk, scanner| scanner.elements(|scanner| walk.schema(scanner)))
            }
            (Holds::NamedSchemas, Some(b'{')) => {
                self.elsewhere(scanner, &mut |walk, scanner| scanner.members(|scanner, _| walk.schema(scanner)))
            }
            _ => {
                let raw = scanner.raw()?.as_bytes();
                match key.text().as_ref() {
                    ANNOTATION => annotation = Some(raw),
                    "type" => kind = as_str(raw),
                    _ => {}
                }
                Ok(())
            }
        })?;
        if let Some(annotation) = annotation {
            self.note(annotation, kind.as_deref());
        }
        Ok(())
    }

    fn property(&mut self, scanner: &mut Scanner<'a>, name: &Key<'a>) -> Scan {
        if let Some(path) = &mut self.path {
            path.push(name.text());
        }
        self.schema(scanner)?;
        if let Some(path) = &mut self.path {
            path.pop();
        }
        Ok(())
    }

    /// Visits what no argument can be told to come from.
    fn elsewhere(
        &mut self,
        scanner: &mut Scanner<'a>,
        visit: &mut dyn FnMut(&mut Self, &mut Scanner<'a>) -> Scan,
    ) -> Scan {
        let path = self.path.take();
        visit(self, scanner)?;
        self.path = path;
        Ok(())
    }

    fn note(&mut self, annotation: &[u8], kind: Option<&str>) {
        match self.judge(annotation, kind) {
            Ok(param) => self.found.push(param),
            Err(reason) => drop(self.invalid.get_or_insert(reason)),
        }
    }

    fn judge(&self, annotation: &[u8], kind: Option<&str>) -> Result<ParamHeader, String> {
        let path = self.path.as_ref().filter(|path| !path.is_empty());
        let Some(path) = path else { return Err(format!("{ANNOTATION} stands where no argument is")) };
        let invalid = |what: &str| Err(format!("{ANNOTATION} on property {:?} {what}", path.join(".")));
        let Some(token) = as_str(annotation) else { return invalid("must be a string") };
        if !is_token(&token) {
            return invalid("must be a header name");
        }
        let kind = match kind {
            Some("string") => ParamType::String,
            Some("integer") => ParamType::Integer,
            Some("boolean") => ParamType::Boolean,
            _ => return invalid("needs the type string, integer or boolean"),
        };
        let header = format!("{PARAM_PREFIX}{}", token.to_ascii_lowercase());
        if self.found.iter().any(|other| other.header == header) {
            return invalid("names a header that another property has");
        }
        let path = path.iter().map(|key| key.clone().into_owned()).collect();
        Ok(ParamHeader { header, sent_as: format!("Mcp-Param-{token}"), path, kind })
    }
}

/// A field name as RFC 9110 writes it.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
