//! The four lists that servers share in, and one item of them in the names of the aggregate.

use bytes::Bytes;
use omnimind_wire::{Edit, json, names};

use super::told::Form;

/// Tools are sent whole up to this many: models want them all.
const TOOLS_A_PAGE: usize = 1_000;
/// Other lists come in pages of this size.
const ITEMS_A_PAGE: usize = 100;

/// A list that servers share in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl List {
    /// The list that a method asks for.
    pub(super) fn of(method: &str) -> Option<Self> {
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates].into_iter().find(|list| list.method() == method)
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The notification that says it changed.
    pub(crate) fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }

    /// The member of the result that holds the items.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::Templates => "resource template",
        }
    }

    /// The most items of one page.
    pub(super) fn room(self) -> usize {
        match self {
            Self::Tools => TOOLS_A_PAGE,
            Self::Prompts | Self::Resources | Self::Templates => ITEMS_A_PAGE,
        }
    }

    /// Its items are called by names, which the aggregate makes and has to find again; URIs lead back by themselves.
    pub(super) fn is_named(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }

    /// The member of an item that identifies it.
    fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// What a server calls an item, and what the aggregate does; none if the item has no name.
    pub(super) fn names(self, server: &str, raw: &[u8]) -> Option<(String, String)> {
        let inner = json::as_str(json::find(raw, &[self.key()]).ok()??)?.into_owned();
        let outer = match self {
            Self::Tools | Self::Prompts => names::join(server, &inner),
            Self::Resources | Self::Templates => names::uri::wrap(server, &inner),
        };
        Some((inner, outer))
    }

    /// A server's item, in the form it is told in, as the aggregate shows it.
    pub(super) fn shown(self, server: &str, raw: &[u8], told: &[u8], form: Form) -> Option<Bytes> {
        let (inner, outer) = self.names(server, raw)?;
        if form == Form::Line {
            let rest = told.strip_prefix(inner.as_bytes())?;
            return Some([outer.as_bytes(), rest].concat().into());
        }
        let mut edit = Edit::new(told).set(&[self.key()], json::quote(&outer));
        if self.is_named() && names::is_shortened(server, &inner, &outer) {
            // The name had to be shortened: say whose it is.
            let origin = serde_json::json!({"server": server, "name": inner}).to_string();
            edit = edit.set(&["_meta", "omnimind/name"], origin.into_bytes());
        }
        edit.finish().ok()
    }
}
