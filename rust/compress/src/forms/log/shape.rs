//! Lines grouped by their template.
//!
//! First by shape: lines are alike that differ in values only. Then shapes are joined that differ in one word, where
//! that word takes many forms (names of users, hosts, files): the word becomes a value. Shapes of different length
//! are never joined, nor such that have no other word in common; joining more freely joins what is not the same.
//!
//! Every step is linear: a shape's sum is one of terms, one a place, so that "this shape with any word here" is the
//! sum less one term and is looked up at once.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

use super::{
    pieces::{self, Piece, What},
    stamp::{self, Stamp},
};

/// Hashes are keys already.
#[derive(Default)]
pub(in crate::forms) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = sum_of(bytes);
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

pub(super) type Sums = HashSet<u64, BuildHasherDefault<AsIs>>;
pub(in crate::forms) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<AsIs>>;

/// FNV-1a with a last stir, so that low bits are good as well.
pub(in crate::forms) fn sum_of(bytes: &[u8]) -> u64 {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    stir(sum)
}

fn stir(sum: u64) -> u64 {
    let sum = (sum ^ (sum >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ (sum >> 29)
}

/// A line of the block.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Its bytes, without the line's end.
    pub(super) bytes: Range<usize>,
    pub(super) stamp: Option<Stamp>,
    /// Its pieces in [`Log::pieces`].
    pub(super) pieces: Range<usize>,
    /// Its template in [`Log::templates`].
    pub(super) template: usize,
}

/// Lines that differ in values only.
#[derive(Debug, Clone)]
pub(super) struct Template {
    /// The first of its lines.
    pub(super) first: usize,
    pub(super) lines: usize,
    /// The same for the same template, in whatever block.
    pub(super) sum: u64,
    /// Which pieces are values, in order; the others and what stands between are the same in all its lines.
    pub(super) values: Vec<usize>,
}

/// A block, read.
pub(super) struct Log<'a> {
    pub(super) block: &'a str,
    pub(super) lines: Vec<Line>,
    pub(super) pieces: Vec<Piece>,
    pub(super) templates: Vec<Template>,
}

impl<'a> Log<'a> {
    pub(super) fn read(block: &'a str) -> Self {
        let mut log = Log { block, lines: Vec::new(), pieces: Vec::new(), templates: Vec::new() };
        let mut at = 0;
        for text in block.split('\n') {
            let stamp = stamp::find(text.as_bytes());
            let first = log.pieces.len();
            pieces::cut(text, stamp.as_ref(), &mut log.pieces);
            let bytes = at..at + text.len();
            at = bytes.end + 1;
            log.lines.push(Line { bytes, stamp, pieces: first..log.pieces.len(), template: 0 });
        }
        Shapes::of(&mut log);
        log
    }

    pub(super) fn text(&self, line: &Line) -> &'a str {
        self.block.get(line.bytes.clone()).unwrap_or_default()
    }

    pub(super) fn pieces(&self, line: &Line) -> &[Piece] {
        self.pieces.get(line.pieces.clone()).unwrap_or_default()
    }

    /// A piece of a line; empty if it has no such piece.
    pub(super) fn value(&self, line: &Line, place: usize) -> &'a str {
        self.pieces(line).get(place).map_or("", |piece| piece.of(self.text(line)))
    }

    /// The line that stands for the template.
    pub(super) fn model(&self, template: &Template) -> Option<&Line> {
        self.lines.get(template.first)
    }
}

/// A shape while shapes are joined.
struct Shape {
    first: usize,
    lines: usize,
    sum: u64,
    /// What each piece adds to the sum; 0 for values.
    terms: Vec<u64>,
    /// The shape it was joined to.
    joined: Option<usize>,
}

struct Shapes<'l, 'a> {
    log: &'l mut Log<'a>,
    list: Vec<Shape>,
    by_sum: ByHash<usize>,
}

/// What a word adds to the sum at its place.
fn term(place: usize, word: &str) -> u64 {
    stir(sum_of(word.as_bytes()) ^ (place as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)) | 1
}

/// So many words in one place are names, not kinds of message.
const MANY: usize = 6;
/// So many, if a word like "user" stands before.
const SOME: usize = 3;
/// So many, if the shape has but one word besides.
const ALONE: usize = 10;
/// Names may stand in so many places of a template.
const ROUNDS: usize = 3;

impl<'l, 'a> Shapes<'l, 'a> {
    fn of(log: &'l mut Log<'a>) {
        let mut shapes = Shapes { log, list: Vec::new(), by_sum: ByHash::default() };
        for line in 0..shapes.log.lines.len() {
            shapes.sort_in(line);
        }
        for _ in 0..ROUNDS {
            if !shapes.join() {
                break;
            }
        }
        shapes.finish();
    }

    /// The sum of a line's shape: what stands between its pieces, and its words.
    fn sum(&self, line: &Line) -> u64 {
        let text = self.log.text(line);
        let pieces = self.log.pieces(line);
        let mut sum = pieces.len() as u64;
        let mut at = 0;
        for (place, piece) in pieces.iter().enumerate() {
            let gap = text.get(at..piece.start as usize).unwrap_or_default();
            sum = sum.wrapping_add(stir(sum_of(gap.as_bytes()).wrapping_add(place as u64)));
            sum = sum.wrapping_add(match piece.what {
                What::Word => term(place, piece.of(text)),
                What::Value => 0,
                What::Time => 1,
            });
            at = piece.end as usize;
        }
        sum.wrapping_add(sum_of(text.get(at..).unwrap_or_default().as_bytes()))
    }

    fn sort_in(&mut self, at: usize) {
        let Some(line) = self.log.lines.get(at) else { return };
        let sum = self.sum(line);
        let known = self.by_sum.get(&sum).copied();
        let shape = known.unwrap_or(self.list.len());
        if known.is_none() {
            let terms = self.terms(line);
            self.list.push(Shape { first: at, lines: 0, sum, terms, joined: None });
            self.by_sum.insert(sum, shape);
        }
        if let Some(shape) = self.list.get_mut(shape) {
            shape.lines += 1;
        }
        if let Some(line) = self.log.lines.get_mut(at) {
            line.template = shape;
        }
    }

    fn terms(&self, line: &Line) -> Vec<u64> {
        let text = self.log.text(line);
        let pieces = self.log.pieces(line).iter().enumerate();
        pieces.map(|(place, piece)| if piece.what == What::Word { term(place, piece.of(text)) } else { 0 }).collect()
    }

    /// Joins shapes that differ in one word of many forms. False if there are none.
    fn join(&mut self) -> bool {
        let mut forms: ByHash<usize> = ByHash::default();
        let open: Vec<usize> = (0..self.list.len()).filter(|at| self.is_open(*at)).collect();
        for shape in open.iter().filter_map(|at| self.list.get(*at)) {
            for term in shape.terms.iter().filter(|term| **term != 0) {
                *forms.entry(shape.sum.wrapping_sub(*term)).or_default() += 1;
            }
        }
        let mut any = false;
        for at in open {
            if let Some(place) = self.place_of_names(at, &forms) {
                self.widen(at, place);
                any = true;
            }
        }
        any
    }

    fn is_open(&self, at: usize) -> bool {
        self.list.get(at).is_some_and(|shape| shape.joined.is_none())
    }

    /// Where in the shape a name stands.
    fn place_of_names(&self, at: usize, forms: &ByHash<usize>) -> Option<usize> {
        let shape = self.list.get(at)?;
        let words = shape.terms.iter().filter(|term| **term != 0).count();
        let line = self.log.lines.get(shape.first)?;
        let places = shape.terms.iter().enumerate().filter(|(_, term)| **term != 0);
        let counted =
            places.map(|(place, term)| (forms.get(&shape.sum.wrapping_sub(*term)).copied().unwrap_or(0), place));
        let (count, place) = counted.max_by_key(|(count, place)| (*count, usize::MAX - place))?;
        let enough = match words {
            0 | 1 => return None,
            2 => ALONE,
            _ if self.is_named(line, place) => SOME,
            _ => MANY,
        };
        (count >= enough).then_some(place)
    }

    /// A word that announces a name stands before this piece.
    fn is_named(&self, line: &Line, place: usize) -> bool {
        let before = place.checked_sub(1).and_then(|place| self.log.pieces(line).get(place));
        before.is_some_and(|piece| {
            let word = piece.of(self.log.text(line));
            NAMING.iter().any(|naming| word.eq_ignore_ascii_case(naming))
        })
    }

    /// Makes the word at this place of the shape a value, and joins it to the shape that is the same then.
    fn widen(&mut self, at: usize, place: usize) {
        let Some(shape) = self.list.get_mut(at) else { return };
        let Some(term) = shape.terms.get_mut(place) else { return };
        shape.sum = shape.sum.wrapping_sub(*term);
        *term = 0;
        let (sum, lines) = (shape.sum, shape.lines);
        let other = *self.by_sum.entry(sum).or_insert(at);
        if other == at || !self.is_open(other) {
            return;
        }
        if let Some(shape) = self.list.get_mut(at) {
            shape.joined = Some(other);
        }
        if let Some(shape) = self.list.get_mut(other) {
            shape.lines += lines;
        }
    }

    /// Numbers the templates in the order of their first lines.
    fn finish(self) {
        let mut numbers: Vec<Option<usize>> = vec![None; self.list.len()];
        for at in 0..self.log.lines.len() {
            let Some(line) = self.log.lines.get(at) else { continue };
            let mut root = line.template;
            while let Some(next) = self.list.get(root).and_then(|shape| shape.joined) {
                root = next;
            }
            let Some(shape) = self.list.get(root) else { continue };
            let known = numbers.get(root).copied().flatten();
            let number = known.unwrap_or(self.log.templates.len());
            if known.is_none() {
                let values = shape.terms.iter().enumerate().filter(|(_, term)| **term == 0);
                let values = values.map(|(place, _)| place).collect();
                self.log.templates.push(Template { first: at, lines: 0, sum: shape.sum, values });
            }
            if let Some(slot) = numbers.get_mut(root) {
                *slot = Some(number);
            }
            if let Some(template) = self.log.templates.get_mut(number) {
                template.lines += 1;
            }
            if let Some(line) = self.log.lines.get_mut(at) {
                line.template = number;
            }
        }
    }
}

/// Words before a name, in the languages of the logs we know.
const NAMING: [&str; 30] = [
    "user",
    "username",
    "for",
    "from",
    "to",
    "by",
    "host",
    "hostname",
    "server",
    "client",
    "file",
    "name",
    "table",
    "topic",
    "queue",
    "job",
    "task",
    "service",
    "module",
    "class",
    "device",
    "interface",
    "key",
    "account",
    "node",
    "пользователь",
    "пользователя",
    "сервер",
    "файл",
    "用户",
];
