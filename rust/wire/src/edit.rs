//! Changes to an object without writing the rest of it anew.
//!
//! Members that are not named keep their bytes, literals of numbers and escapes included; an object on the path of a
//! change is put together
//! again from its members. Later changes win over earlier ones.

use std::borrow::Cow;

use bytes::Bytes;

use crate::json::{self, Limits, Malformed, MalformedKind, Object, push_quoted};

/// What happens at the end of a path.
#[derive(Debug, Clone)]
enum Action<'a> {
    Set(Cow<'a, [u8]>),
    Remove { prune: bool },
}

#[derive(Debug, Clone)]
struct Change<'a> {
    path: Vec<&'a str>,
    action: Action<'a>,
}

/// Changes to one object, collected, then made in one go.
#[derive(Debug, Clone)]
pub struct Edit<'a> {
    raw: &'a [u8],
    changes: Vec<Change<'a>>,
}

impl<'a> Edit<'a> {
    /// Begins with the text of an object; nothing or `null` stands for an empty one.
    pub fn new(raw: &'a [u8]) -> Self {
        Self { raw, changes: Vec::new() }
    }

    /// Puts a value (raw JSON) at a path; objects on the way are made where they are missing.
    #[must_use]
    pub fn set(mut self, path: &[&'a str], value: impl Into<Cow<'a, [u8]>>) -> Self {
        self.changes.push(Change { path: path.to_vec(), action: Action::Set(value.into()) });
        self
    }

    /// Takes away what is at a path, if anything is.
    #[must_use]
    pub fn remove(mut self, path: &[&'a str]) -> Self {
        self.changes.push(Change { path: path.to_vec(), action: Action::Remove { prune: false } });
        self
    }

    /// Takes away what is at a path, and the objects on the way that became empty by it.
    #[must_use]
    pub fn remove_pruned(mut self, path: &[&'a str]) -> Self {
        self.changes.push(Change { path: path.to_vec(), action: Action::Remove { prune: true } });
        self
    }

    /// True if nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the changes. Fails if the text, a step on a path, or the object itself is not what it should be, or a
    /// value is not JSON.
    pub fn finish(self) -> Result<Bytes, Malformed> {
        let mut out = Vec::with_capacity(self.raw.len() + 64);
        let base = if self.raw.is_empty() || json::is_null(self.raw) { None } else { Some(self.raw) };
        let steps: Vec<Step<'_, 'a>> =
            self.changes.iter().map(|change| (change.path.as_slice(), &change.action)).collect();
        level(base, &steps, &mut out)?;
        Ok(out.into())
    }
}

/// The part of a path that is still ahead, and what happens at its end.
type Step<'e, 'a> = (&'e [&'a str], &'e Action<'a>);

/// What becomes of one member.
struct Slot<'e, 'a> {
    key: &'e str,
    base: Option<&'e [u8]>,
    deeper: Vec<Step<'e, 'a>>,
}

/// Writes one object with its changes; says whether it should vanish as it became empty by a pruning removal.
fn level<'e, 'a>(base: Option<&'e [u8]>, steps: &[Step<'e, 'a>], out: &mut Vec<u8>) -> Result<bool, Malformed> {
    let object = base.map(Object::parse).transpose()?;
    let mut slots: Vec<Slot<'e, 'a>> = Vec::new();
    for (path, action) in steps {
        let Some((key, rest)) = path.split_first() else { return Err(Malformed::new(MalformedKind::NotAnObject, 0)) };
        let at = slots.iter().position(|slot| slot.key == *key).unwrap_or_else(|| {
            let base = base.and_then(|base| {
                object.as_ref()?.iter().find(|m| m.key == *key).and_then(|m| base.get(m.value_span.clone()))
            });
            slots.push(Slot { key, base, deeper: Vec::new() });
            slots.len() - 1
        });
        if let Some(slot) = slots.get_mut(at) {
            if rest.is_empty() {
                slot.deeper.clear();
                slot.base = match action {
                    Action::Set(value) => {
                        json::check(value, &Limits { max_depth: Limits::DEEPEST })?;
                        Some(value)
                    }
                    Action::Remove { .. } => None,
                };
            } else {
                slot.deeper.push((rest, action));
            }
        }
    }
    out.push(b'{');
    let open = out.len();
    if let (Some(object), Some(base)) = (&object, base) {
        for member in object {
            let key = base.get(member.key_span.clone()).unwrap_or_default();
            match slots.iter().position(|slot| slot.key == member.key) {
                Some(at) => write_slot(&slots.remove(at), key, open, out)?,
                None => write_member(key, member.value, open, out),
            }
        }
    }
    for slot in slots {
        let mut key = Vec::with_capacity(slot.key.len() + 2);
        push_quoted(&mut key, slot.key);
        write_slot(&slot, &key, open, out)?;
    }
    let empty = out.len() == open;
    out.push(b'}');
    Ok(empty && steps.iter().any(|(_, action)| matches!(action, Action::Remove { prune: true })))
}

fn write_member(key: &[u8], value: &[u8], open: usize, out: &mut Vec<u8>) {
    if out.len() > open {
        out.push(b',');
    }
    out.extend_from_slice(key);
    out.push(b':');
    out.extend_from_slice(value);
}

fn write_slot(slot: &Slot<'_, '_>, key: &[u8], open: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let sets = slot.deeper.iter().any(|(_, action)| matches!(action, Action::Set(_)));
    if !sets && (slot.deeper.is_empty() || !slot.base.is_some_and(json::is_object)) {
        if let Some(value) = slot.base {
            write_member(key, value, open, out);
        }
        return Ok(());
    }
    let base = slot.base.filter(|base| !json::is_null(base));
    let before = out.len();
    write_member(key, b"", open, out);
    if level(base, &slot.deeper, out)? {
        out.truncate(before);
    }
    Ok(())
}
