//! What a session did last: its most recent call of each of its last tools, with what each answered.
//!
//! One call a tool, because a list is read from for many calls after it was fetched: a window of the last few calls
//! would have lost it. Six tools at most, the one called longest ago goes first.

use super::mind::Read;
use super::ppm::Symbol;
use super::value::{Arguments, Value};
use super::view::{Leaf, Path, Status, View, step};

const TOOLS: usize = 6;
const RECENT: usize = 16;
/// Lists of one result in which places are remembered.
const LISTS: usize = 16;

/// One call that was answered.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: Symbol,
    pub(super) arguments: Arguments,
    pub(super) view: View,
    /// Of each list, the place of the element that was last copied from it.
    used: Vec<(Path, u16)>,
}

/// A call that was thought to come next, kept to see how good such thoughts are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thought {
    pub(super) tool: Symbol,
    pub(super) fingerprint: u64,
    pub(super) link: u64,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    /// Newest first, one a tool.
    calls: Vec<Call>,
    /// Fingerprints of calls since the last write.
    recent: Vec<u64>,
    /// The last two calls as symbols of tool and status, the last one first.
    pub(super) past: [Option<Symbol>; 2],
    pub(super) status: Status,
    pub(super) thoughts: Vec<Thought>,
}

impl Session {
    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(super) fn last(&self) -> Option<&Call> {
        self.calls.first()
    }

    pub(super) fn call(&self, tool: Symbol) -> Option<&Call> {
        self.calls.iter().find(|call| call.tool == tool)
    }

    /// Marks every element that this value is a copy of, so that "the next one" means the one after it.
    pub(super) fn mark(&mut self, value: &Value) {
        for call in &mut self.calls {
            let Call { arguments, view, used, .. } = call;
            for leaf in view.leaves() {
                let Some(place) = leaf.place else { continue };
                if copies(value, leaf, view, arguments) {
                    if let Some((_, at)) = used.iter_mut().find(|(path, _)| *path == leaf.path) {
                        *at = place;
                    } else if used.len() < LISTS {
                        used.push((leaf.path, place));
                    }
                }
            }
        }
    }

    /// The call is now the last one.
    pub(super) fn take_in(&mut self, read: Read, read_only: bool) {
        let Read { tool, arguments, view } = read;
        self.status = view.status;
        self.past = [Some(step(tool, &[view.status as u8])), self.past[0]];
        if !read_only {
            self.recent.clear();
        }
        let arguments = arguments.unwrap_or_default();
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, arguments.fingerprint(tool));
        self.calls.retain(|call| call.tool != tool);
        self.calls.truncate(TOOLS - 1);
        self.calls.insert(0, Call { tool, arguments, view, used: Vec::new() });
    }

    /// Whether the answer to this call is known since the last write.
    pub(super) fn knows(&self, fingerprint: u64) -> bool {
        self.recent.contains(&fingerprint)
    }

    pub(super) fn bytes(&self) -> usize {
        let calls =
            self.calls.iter().map(|call| call.arguments.bytes() + call.view.bytes() + call.used.len() * 16 + 128);
        calls.sum::<usize>() + (RECENT + self.thoughts.len() * 3) * 8 + 192
    }
}

/// Whether the value is this element, as it is or beneath a folder that the call named.
fn copies(value: &Value, leaf: &Leaf, view: &View, arguments: &Arguments) -> bool {
    value.is(leaf.digest) || (View::is_text(leaf) && beneath(value, view.text_of(leaf), arguments).is_some())
}

/// The name of the argument that the value is a path beneath, if what remains of it is this element.
pub(super) fn beneath<'a>(value: &Value, element: &str, arguments: &'a Arguments) -> Option<&'a std::sync::Arc<str>> {
    let folder = value.as_text()?.strip_suffix(element)?.strip_suffix('/')?;
    arguments
        .iter()
        .find(|(_, base)| base.as_text().is_some_and(|base| base.trim_end_matches('/') == folder))
        .map(|(name, _)| name)
}

impl Call {
    /// The elements of a list that come after the one last copied, with that one first if there is any.
    pub(super) fn after_used(&self, path: Path) -> (Option<&Leaf>, impl Iterator<Item = &Leaf>) {
        let used = self.used.iter().find(|(of, _)| *of == path).map(|(_, place)| *place);
        let list = move || self.view.leaves().iter().filter(move |leaf| leaf.path == path);
        (
            used.and_then(|used| list().find(|leaf| leaf.place == Some(used))),
            list().filter(move |leaf| leaf.place > used),
        )
    }
}
