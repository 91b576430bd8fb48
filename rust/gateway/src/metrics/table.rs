//! The series of requests: one cell for each server, method, tool and era that was met, found by its number.
//!
//! The rules. A cell is never taken back, so that its number is good for the life of the process, and who was here
//! before finds it without a hash or a count of references. Nobody can fill the table: methods are of a fixed set, a
//! tool gets a cell only once it is known to exist (see [`Operation`](super::Operation)), and there are at most
//! [`MOST_TOOLS`] of one server and [`MOST_OF_TOOLS`] in all. What finds no room is counted under [`OTHER`].

use std::{
    fmt::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use omnimind_wire::Era;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    ending::Ending,
    head,
    histogram::{Histogram, Times},
};

/// Where requests are counted that have no series of their own.
pub(crate) const OTHER: &str = "_other";
/// The server of requests that the aggregate answers itself.
pub(crate) const ALL: &str = "_all";
/// Tools of one server with series of their own.
pub(super) const MOST_TOOLS: usize = 128;
/// Cells that tools may take, and those that anything may.
const MOST_OF_TOOLS: usize = 1_024;
const MOST: usize = 1_536;
/// Twice as many would fit: a search ends soon.
const SLOTS: usize = 2_048;
/// Longer names are nobody's.
pub(super) const LONGEST: usize = 128;
const NAME: &str = "mcp_server_operation_duration_seconds";

/// The methods with series of their own.
const METHODS: [&str; 16] = [
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "prompts/list",
    "completion/complete",
    "server/discover",
    "initialize",
    "ping",
    "logging/setLevel",
    "tasks/get",
    "tasks/cancel",
];

/// What tells the series of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) server: &'a str,
    pub(super) method: &'static str,
    /// Empty where none is called.
    pub(super) tool: &'a str,
    pub(super) era: &'static str,
}

/// A cell's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellId(u16);

/// The cell of what has none.
pub(super) const NOBODY: CellId = CellId(0);

/// Times of requests of one name, by how they ended.
#[derive(Debug)]
pub(super) struct Cell {
    server: Box<str>,
    method: &'static str,
    tool: Box<str>,
    era: &'static str,
    times: [OnceLock<Box<Histogram>>; Ending::ALL.len()],
    /// Those answered from memory without being read. An answer's end is its head there, so that they are counted here
    /// alone, for both histograms.
    repeats: OnceLock<Box<Histogram>>,
}

/// All cells.
#[derive(Debug)]
pub(super) struct Table {
    /// The first is that of [`NOBODY`].
    slots: Box<[OnceLock<Box<Cell>>]>,
    used: AtomicUsize,
}

/// A method as it is counted.
pub(super) fn method(name: &str) -> &'static str {
    METHODS.iter().find(|known| **known == name).copied().unwrap_or(OTHER)
}

/// An era as it is written.
pub(super) fn era(era: Era) -> &'static str {
    match era {
        Era::Modern => "modern",
        Era::Legacy => "legacy",
    }
}

impl Name<'_> {
    fn hash(self) -> u64 {
        let parts = [self.server, self.method, self.tool, self.era];
        parts.iter().fold(0, |hash, part| xxh3_64_with_seed(part.as_bytes(), hash))
    }

    /// The same for any tool.
    fn of_any_tool(self) -> Self {
        Self { tool: OTHER, ..self }
    }
}

impl Cell {
    fn new(name: Name<'_>) -> Box<Self> {
        let Name { server, method, tool, era } = name;
        Box::new(Self {
            server: server.into(),
            method,
            tool: tool.into(),
            era,
            times: Default::default(),
            repeats: OnceLock::new(),
        })
    }

    pub(super) fn name(&self) -> Name<'_> {
        Name { server: &self.server, method: self.method, tool: &self.tool, era: self.era }
    }

    pub(super) fn add(&self, ending: Ending, ns: u64) {
        if let Some(times) = self.times.get(ending as usize) {
            times.get_or_init(Box::default).add(ns);
        }
    }

    /// One that was answered as the last like it was.
    pub(super) fn repeat(&self, ns: u64) {
        self.repeats.get_or_init(Box::default).add(ns);
    }

    fn render(&self, text: &mut String) {
        let mut labels = String::with_capacity(128);
        let Name { server, method, tool, era } = self.name();
        for (label, value) in [("server", server), ("method", method), ("tool", tool)] {
            let _ = write!(labels, "{label}=\"");
            escape(&mut labels, value);
            labels.push_str("\",");
        }
        let _ = write!(labels, "era=\"{era}\"");
        let common = labels.len();
        for (ending, times) in Ending::ALL.into_iter().zip(&self.times) {
            let also = if ending == Ending::Ram { self.repeats.get() } else { None };
            let known = [times.get(), also];
            if known.iter().all(Option::is_none) {
                continue;
            }
            labels.truncate(common);
            let _ = write!(labels, ",outcome=\"{}\",cache=\"{}\"", ending.outcome(), ending.cache());
            sum(known.into_iter().flatten().map(|times| &**times)).render(text, NAME, &labels);
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        let table = Self { slots: (0..SLOTS).map(|_| OnceLock::new()).collect(), used: AtomicUsize::new(1) };
        if let Some(first) = table.slots.first() {
            first.get_or_init(|| Cell::new(Name { server: OTHER, method: OTHER, tool: OTHER, era: OTHER }));
        }
        table
    }
}

impl Table {
    pub(super) fn cell(&self, id: CellId) -> Option<&Cell> {
        self.slots.get(usize::from(id.0))?.get().map(|cell| &**cell)
    }

    /// The cell of this name, if there is one.
    pub(super) fn find(&self, name: Name<'_>) -> Option<CellId> {
        self.search(name).ok()
    }

    /// The cell of this name, made if there is room; else that of any tool of the server, else nobody's.
    pub(super) fn find_or_make(&self, name: Name<'_>) -> CellId {
        loop {
            match self.search(name) {
                Ok(id) => return id,
                Err(Some(free)) if self.has_room(name) => {
                    if self.slots.get(usize::from(free.0)).is_some_and(|slot| slot.set(Cell::new(name)).is_ok()) {
                        self.used.fetch_add(1, Relaxed);
                        return free;
                    }
                    // Another took the place, perhaps for the same name.
                }
                Err(_) if name.tool.is_empty() || name.tool == OTHER => return NOBODY,
                Err(_) => return self.find_or_make(name.of_any_tool()),
            }
        }
    }

    /// The cell of a name, or where it might be made.
    fn search(&self, name: Name<'_>) -> Result<CellId, Option<CellId>> {
        #[allow(clippy::cast_possible_truncation, reason = "its low bits are wanted")]
        let start = name.hash() as usize;
        for step in 0..SLOTS {
            // Not the first, which is nobody's.
            let at = 1 + start.wrapping_add(step) % (SLOTS - 1);
            let id = CellId(u16::try_from(at).unwrap_or_default());
            match self.cell(id) {
                Some(cell) if cell.name() == name => return Ok(id),
                Some(_) => {}
                None => return Err(Some(id)),
            }
        }
        Err(None)
    }

    fn has_room(&self, name: Name<'_>) -> bool {
        let used = self.used.load(Relaxed);
        if name.tool.is_empty() || name.tool == OTHER {
            return used < MOST;
        }
        let is_of_server = |cell: &&Cell| *cell.server == *name.server && cell.era == name.era && !cell.tool.is_empty();
        used < MOST_OF_TOOLS && name.tool.len() <= LONGEST && self.cells().filter(is_of_server).count() < MOST_TOOLS
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.slots.iter().filter_map(|slot| slot.get().map(|cell| &**cell))
    }

    /// All that were answered without being read.
    pub(super) fn repeats(&self) -> Times {
        sum(self.cells().filter_map(|cell| cell.repeats.get()).map(|times| &**times))
    }

    /// Prometheus text, in the order of names.
    pub(super) fn render(&self, text: &mut String) {
        head(text, NAME, "histogram", "Time from a request's head to the last word of its answer.");
        let mut cells: Vec<&Cell> = self.cells().collect();
        cells.sort_by_key(|cell| (&cell.server, cell.method, &cell.tool, cell.era));
        for cell in cells {
            cell.render(text);
        }
    }
}

fn sum<'a>(all: impl Iterator<Item = &'a Histogram>) -> Times {
    all.fold(Times::default(), |mut sum, times| {
        sum.merge(&times.times());
        sum
    })
}

/// A label's value: tools have the names their servers gave them.
fn escape(out: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name<'a>(server: &'a str, tool: &'a str) -> Name<'a> {
        Name { server, method: "tools/call", tool, era: "modern" }
    }

    fn text(table: &Table) -> String {
        let mut text = String::new();
        table.render(&mut text);
        text
    }

    #[test]
    fn a_name_has_one_cell_however_often_it_is_asked_for() {
        let table = Table::default();
        assert_eq!(table.find(name("a", "x")), None);
        let id = table.find_or_make(name("a", "x"));
        assert_eq!((table.find(name("a", "x")), table.find_or_make(name("a", "x"))), (Some(id), id));
        for other in [name("a", "y"), name("ax", ""), Name { era: "legacy", ..name("a", "x") }] {
            assert_ne!(table.find_or_make(other), id);
        }
    }

    #[test]
    fn threads_that_make_the_same_cells_at_once_get_the_same() {
        let table = Table::default();
        let tools: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let all: Vec<Vec<CellId>> = std::thread::scope(|scope| {
            let make = || tools.iter().map(|tool| table.find_or_make(name("a", tool))).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        assert!(all.len() == 4 && all.iter().all(|ids| *ids == all[0]));
        assert_eq!((table.cells().count(), table.used.load(Relaxed)), (101, 101));
    }

    #[test]
    fn one_server_cannot_take_the_room_of_another_nor_all_of_them_more_than_there_is() {
        let table = Table::default();
        for server in 0..100 {
            let server = format!("s{server}");
            for tool in 0..2 * MOST_TOOLS {
                table.find_or_make(name(&server, &format!("t{tool}")));
            }
        }
        let of_first = table.cells().filter(|cell| &*cell.server == "s0" && &*cell.tool != OTHER).count();
        assert_eq!(of_first, MOST_TOOLS);
        let other = table.find_or_make(name("s0", "one more"));
        assert_eq!(table.cell(other).map(|cell| cell.name().tool), Some(OTHER));
        assert!(table.cells().count() <= MOST);
        // Lists of servers that came later still have series of their own.
        let list = Name { server: "new", method: "tools/list", tool: "", era: "modern" };
        assert_ne!(table.find_or_make(list), NOBODY);
        for server in 0..2 * MOST {
            table.find_or_make(Name { server: &format!("l{server}"), ..list });
        }
        assert_eq!((table.cells().count(), table.find_or_make(Name { server: "late", ..list })), (MOST, NOBODY));
    }

    #[test]
    fn too_long_a_name_is_nobodys_and_an_odd_one_is_written_so_that_it_can_be_read() {
        let table = Table::default();
        let long = table.find_or_make(name("a", &"x".repeat(LONGEST + 1)));
        assert_eq!(table.cell(long).map(|cell| cell.name().tool), Some(OTHER));
        let odd = table.find_or_make(name("a", "a\"b\\c\nd"));
        table.cell(odd).into_iter().for_each(|cell| cell.add(Ending::Ok, 1));
        assert!(text(&table).contains(r#"tool="a\"b\\c\nd",era="modern",outcome="ok",cache="none",le="0.00005"} 1"#));
    }

    #[test]
    fn only_what_happened_is_told() {
        let table = Table::default();
        let id = table.find_or_make(name("a", "x"));
        assert_eq!(text(&table).lines().count(), 2);
        for (ending, ns) in [(Ending::Ram, 10), (Ending::Ram, 20), (Ending::ToolError, 30)] {
            table.cell(id).into_iter().for_each(|cell| cell.add(ending, ns));
        }
        table.cell(id).into_iter().for_each(|cell| cell.repeat(40));
        let text = text(&table);
        assert!(text.contains("outcome=\"ok\",cache=\"ram\"} 0.000000070\n"), "{text}");
        assert!(text.contains("outcome=\"tool_error\",cache=\"none\"} 1\n"), "{text}");
        assert!(!text.contains("cancelled"), "{text}");
    }
}
