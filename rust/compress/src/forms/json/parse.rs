//! JSON as a flat list of nodes over the text: where each value stands, and where its last inner value ends.
//!
//! Rule: exactly what RFC 8259 allows is read, and nothing is changed: a number keeps its spelling, a string its
//! escapes. Objects with two members of one name, and values nested deeper than [`DEPTH`], are refused, since nobody
//! agrees on what they mean. No recursion: the depth costs a stack of numbers, so that printing may recurse.

use std::{borrow::Cow, collections::HashSet};

use super::text;

/// The deepest nesting that is read.
pub(crate) const DEPTH: usize = 96;

/// Bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u32,
    pub(crate) to: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Null,
    True,
    False,
    Number,
    /// Its span is what stands between the quotes.
    Text,
    Array,
    Object,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) sort: Sort,
    /// What stands between the quotes of its name, if it is a member.
    pub(crate) name: Option<Span>,
    pub(crate) span: Span,
    /// The first node that is not inside this one.
    pub(crate) end: u32,
    /// A string with escapes.
    pub(crate) escaped: bool,
}

/// A text that is one JSON value, or several in a row.
#[derive(Debug)]
pub(crate) struct Doc<'a> {
    pub(crate) text: &'a str,
    pub(crate) nodes: Vec<Node>,
}

/// The number of a node.
pub(crate) type At = u32;

impl<'a> Doc<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut doc = Self { text, nodes: Vec::with_capacity(text.len() / 12) };
        doc.add(0, text.len())?;
        Some(doc)
    }

    /// A document of no value, to [`add`](Self::add) to.
    pub(crate) fn of_many(text: &'a str) -> Self {
        Self { text, nodes: Vec::with_capacity(text.len() / 12) }
    }

    /// Reads one more value, which has to fill these bytes. After a `None` the document is of no use.
    pub(crate) fn add(&mut self, from: usize, to: usize) -> Option<At> {
        let root = u32::try_from(self.nodes.len()).ok()?;
        u32::try_from(to).ok()?;
        let bytes = self.text.as_bytes().get(..to)?;
        Parser { bytes, at: from, nodes: &mut self.nodes, open: Vec::new() }.run()?;
        let objects = (root..u32::try_from(self.nodes.len()).ok()?).filter(|at| self.sort(*at) == Sort::Object);
        objects.into_iter().all(|at| self.names_differ(at)).then_some(root)
    }

    pub(crate) fn node(&self, at: At) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    pub(crate) fn sort(&self, at: At) -> Sort {
        self.node(at).map_or(Sort::Null, |node| node.sort)
    }

    /// The members or elements of a node.
    pub(crate) fn inner(&self, at: At) -> impl Iterator<Item = At> + '_ {
        let end = self.node(at).map_or(at, |node| node.end);
        let mut next = at.saturating_add(1);
        std::iter::from_fn(move || {
            let found = (next < end).then_some(next)?;
            next = self.node(found).map_or(end, |node| node.end.max(found.saturating_add(1)));
            Some(found)
        })
    }

    pub(crate) fn raw(&self, span: Span) -> &'a str {
        self.text.get(span.from as usize..span.to as usize).unwrap_or_default()
    }

    /// The name of a member as it stands in the text.
    pub(crate) fn raw_name(&self, at: At) -> &'a str {
        self.node(at).and_then(|node| node.name).map_or("", |span| self.raw(span))
    }

    /// The value's text: what stands between the quotes, a number's spelling, `{…}`.
    pub(crate) fn raw_value(&self, at: At) -> &'a str {
        self.node(at).map_or("", |node| self.raw(node.span))
    }

    /// The bytes of a value, with its quotes, and with its name if it has one.
    pub(crate) fn source(&self, at: At) -> std::ops::Range<usize> {
        let Some(node) = self.node(at) else { return 0..0 };
        let quote = usize::from(node.sort == Sort::Text);
        let from = node
            .name
            .map_or((node.span.from as usize).saturating_sub(quote), |name| (name.from as usize).saturating_sub(1));
        from..node.span.to as usize + quote
    }

    fn names_differ(&self, object: At) -> bool {
        let mut seen = 0_u64;
        let doubtful = self.inner(object).any(|at| {
            let name = self.raw_name(at);
            let bit = 1_u64 << (text::hash(name.as_bytes()) & 63);
            let doubtful = seen & bit != 0 || name.contains('\\');
            seen |= bit;
            doubtful
        });
        if !doubtful {
            return true;
        }
        let mut names: HashSet<Cow<'_, str>> = HashSet::new();
        self.inner(object).all(|at| {
            let raw = self.raw_name(at);
            names.insert(text::unescaped(raw).unwrap_or(Cow::Borrowed(raw)))
        })
    }
}

struct Parser<'t, 'n> {
    bytes: &'t [u8],
    at: usize,
    nodes: &'n mut Vec<Node>,
    open: Vec<usize>,
}

impl Parser<'_, '_> {
    fn run(mut self) -> Option<()> {
        let mut name = None;
        loop {
            self.space();
            if self.value(name)? {
                name = self.name_if_object()?;
                continue;
            }
            loop {
                self.space();
                let Some(&top) = self.open.last() else { return (self.at == self.bytes.len()).then_some(()) };
                let object = self.nodes.get(top)?.sort == Sort::Object;
                let byte = self.peek()?;
                self.at += 1;
                match byte {
                    b',' => break,
                    b'}' if object => self.close()?,
                    b']' if !object => self.close()?,
                    _ => return None,
                }
            }
            name = self.name_if_object()?;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Reads a scalar or an empty container, or opens a container: then true.
    fn value(&mut self, name: Option<Span>) -> Option<bool> {
        let from = self.at;
        let sort = match self.peek()? {
            b'{' => Sort::Object,
            b'[' => Sort::Array,
            b'"' => {
                let (span, escaped) = self.string()?;
                self.push(Sort::Text, name, span, escaped)?;
                return Some(false);
            }
            b't' => self.word(b"true", Sort::True)?,
            b'f' => self.word(b"false", Sort::False)?,
            b'n' => self.word(b"null", Sort::Null)?,
            _ => self.number()?,
        };
        if !matches!(sort, Sort::Object | Sort::Array) {
            self.push(sort, name, span(from, self.at), false)?;
            return Some(false);
        }
        if self.open.len() >= DEPTH {
            return None;
        }
        self.open.push(self.nodes.len());
        self.push(sort, name, span(from, from), false)?;
        self.at += 1;
        self.space();
        if self.peek()? == if sort == Sort::Object { b'}' } else { b']' } {
            self.at += 1;
            self.close()?;
            return Some(false);
        }
        Some(true)
    }

    fn push(&mut self, sort: Sort, name: Option<Span>, span: Span, escaped: bool) -> Option<()> {
        let end = u32::try_from(self.nodes.len()).ok()?.checked_add(1)?;
        self.nodes.push(Node { sort, name, span, end, escaped });
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let end = u32::try_from(self.nodes.len()).ok()?;
        let node = self.open.pop().and_then(|top| self.nodes.get_mut(top))?;
        node.end = end;
        node.span.to = u32::try_from(self.at).ok()?;
        Some(())
    }

    /// Before the next value: its name and the colon, if the innermost container is an object.
    #[allow(clippy::option_option, reason = "refused, none needed, and the name")]
    fn name_if_object(&mut self) -> Option<Option<Span>> {
        if self.nodes.get(*self.open.last()?)?.sort != Sort::Object {
            return Some(None);
        }
        self.space();
        if self.peek()? != b'"' {
            return None;
        }
        let (name, _) = self.string()?;
        self.space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(Some(name))
    }

    fn word(&mut self, word: &[u8], sort: Sort) -> Option<Sort> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            sort
        })
    }

    fn number(&mut self) -> Option<Sort> {
        self.at += text::number(self.bytes.get(self.at..)?)?;
        Some(Sort::Number)
    }

    fn string(&mut self) -> Option<(Span, bool)> {
        let from = self.at + 1;
        let (length, escaped) = text::string(self.bytes.get(from..)?)?;
        self.at = from + length + 1;
        Some((span(from, from + length), escaped))
    }
}

fn span(from: usize, to: usize) -> Span {
    Span { from: u32::try_from(from).unwrap_or(u32::MAX), to: u32::try_from(to).unwrap_or(u32::MAX) }
}
