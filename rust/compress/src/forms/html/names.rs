//! Names of tags: which of them end a block, which nobody sees, what a field of a form says.

use super::{tags::Tag, text::decoded};

/// What nobody sees.
pub(super) static HIDDEN: &[&str] = &["script", "style", "svg", "template", "iframe", "object", "canvas", "noembed"];

/// What ends what stood before it.
pub(super) static BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "footer",
    "nav",
    "aside",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "caption",
    "pre",
    "blockquote",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "legend",
    "address",
    "hr",
    "title",
    "body",
    "html",
    "head",
    "option",
    "summary",
    "details",
    "button",
    "br",
    "textarea",
    "select",
    "center",
    "menu",
    "dialog",
    "hgroup",
    "search",
];

static INLINE: &[&str] = &[
    "a", "b", "i", "u", "s", "em", "strong", "span", "small", "code", "sub", "sup", "img", "input", "label", "meta",
    "link", "script", "style", "svg", "path", "g", "iframe", "font", "noscript", "time", "abbr", "cite", "q", "kbd",
    "mark", "var", "picture", "source", "video", "audio", "wbr", "template", "base", "col", "colgroup", "del", "ins",
];

pub(super) fn is_known(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    BLOCKS.contains(&name.as_str()) || INLINE.contains(&name.as_str())
}

/// The level of a heading.
pub(super) fn level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

/// A field of a form, unless nobody sees it.
pub(super) fn field(tag: &Tag<'_>) -> Option<String> {
    let of = |name| tag.attribute(name).filter(|value| !value.is_empty());
    if of("type").is_some_and(|kind| kind.eq_ignore_ascii_case("hidden")) {
        return None;
    }
    let name = of("name").or_else(|| of("id")).or_else(|| of("aria-label"))?;
    let value = of("value").or_else(|| of("placeholder"));
    Some(value.map_or_else(|| format!("[field {name}]"), |value| format!("[field {name}: {}]", decoded(value))))
}
