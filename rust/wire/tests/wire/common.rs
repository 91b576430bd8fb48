//! Generated JSON: values, and many ways to write the same value.
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Texts that strings and keys are made of: plain, needing escapes, needing several bytes, alike but not the same.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,6}".prop_map(String::from),
        1 => "[ -~]{0,24}".prop_map(String::from),
        1 => Just("\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}".to_owned()),
        1 => Just("é".to_owned()),
        1 => Just("e\u{301}".to_owned()),
        1 => Just("\u{1F600}\u{FFFD}\u{2028}".to_owned()),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// Keys, few enough that two are sometimes equal.
pub(crate) fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-e]{1}".prop_map(String::from), 1 => Just("_meta".to_owned()), 1 => text()]
}

/// Values of up to four levels.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// An object.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    proptest::collection::vec((key(), value()), 0..6)
        .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>()))
}

/// A source of choices for writing a value: which spaces, which escapes.
pub(crate) struct Taste {
    choices: Vec<u8>,
    at: usize,
}

impl Taste {
    pub(crate) fn new(choices: Vec<u8>) -> Self {
        Self { choices, at: 0 }
    }

    fn next(&mut self) -> u8 {
        self.at += 1;
        self.choices.get(self.at % self.choices.len().max(1)).copied().unwrap_or(0)
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(["", "", "", " ", "\n", "\t \r\n"][usize::from(self.next()) % 6]);
    }

    fn string(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for letter in text.chars() {
            let must = matches!(letter, '"' | '\\' | '\0'..='\u{1f}');
            if must || self.next().is_multiple_of(7) {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    let hex = format!("{unit:04x}");
                    out.push_str("\\u");
                    out.push_str(&if self.next().is_multiple_of(2) { hex.to_uppercase() } else { hex });
                }
            } else {
                out.push(letter);
            }
        }
        out.push('"');
    }

    /// Writes a value in this taste.
    pub(crate) fn write(&mut self, value: &Value, out: &mut String) {
        self.space(out);
        match value {
            Value::String(text) => self.string(text, out),
            Value::Array(elements) => {
                out.push('[');
                for (n, element) in elements.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    self.write(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (n, (key, value)) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.string(key, out);
                    self.space(out);
                    out.push(':');
                    self.write(value, out);
                }
                self.space(out);
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
        self.space(out);
    }
}

/// A value written in some taste.
pub(crate) fn written(value: &Value, choices: Vec<u8>) -> String {
    let mut out = String::new();
    Taste::new(choices).write(value, &mut out);
    out
}

/// Bytes to write with.
pub(crate) fn choices() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..40)
}
