//! What the lines of a log begin with: all the same but for the time of day.
//!
//! Where most lines have one date, one host, one zone, these are said once above all lines, and a line is shown from
//! its time of day on.

use std::ops::Range;

use super::shape::{ByHash, Line, Log, sum_of};

/// Fewer lines than this have nothing in common worth saying.
const ENOUGH: usize = 4;

/// What stands around the time of day in most lines.
pub(super) struct Front<'a> {
    before: &'a str,
    behind: &'a str,
    /// Nothing else stands before.
    from_start: bool,
}

impl<'a> Front<'a> {
    /// The front of most lines, if they have one.
    pub(super) fn of(log: &Log<'a>) -> Option<Self> {
        let mut dates: ByHash<(usize, usize)> = ByHash::default();
        let mut timed = 0_usize;
        for (at, line) in log.lines.iter().enumerate() {
            if let Some(date) = date(log, line) {
                timed += 1;
                dates.entry(sum_of(date.as_bytes())).or_insert((0, at)).0 += 1;
            }
        }
        let (count, first) = dates.into_values().max_by_key(|(count, first)| (*count, usize::MAX - first))?;
        let model = log.lines.get(first)?;
        let before = date(log, model)?;
        (count >= ENOUGH && count.saturating_mul(2) >= timed).then(|| Self::around(log, model, before)).flatten()
    }

    fn around(log: &Log<'a>, model: &Line, date: &'a str) -> Option<Self> {
        let of = |line: &Line| {
            let stamp = line.stamp.as_ref()?;
            let text = log.text(line);
            Some((text.get(..stamp.clock.start)?, text.get(stamp.clock.end..)?))
        };
        let (before, mut behind) = of(model)?;
        let mut from_start = true;
        for line in log.lines.iter().filter(|line| self::date(log, line) == Some(date)) {
            let Some((start, end)) = of(line) else { continue };
            from_start = from_start && start == before;
            behind = common(behind, end);
        }
        // What stands behind the date of a line that begins otherwise is the date's own, the zone.
        let zone = model.stamp.as_ref().and_then(|stamp| log.text(model).get(stamp.clock.end..stamp.whole.end))?;
        let behind = if from_start {
            words(behind)
        } else {
            Some(zone).filter(|zone| behind.starts_with(*zone)).unwrap_or_default()
        };
        let front = Self { before: if from_start { before } else { date }, behind, from_start };
        (!front.before.is_empty() || !front.behind.is_empty()).then_some(front)
    }

    /// As it is said above the lines.
    pub(super) fn head(&self) -> String {
        format!("{}<time>{}", self.before, self.behind)
    }

    /// Which bytes of the line are said above all lines; the time of day is among them.
    pub(super) fn range(&self, log: &Log<'_>, line: &Line) -> Option<Range<usize>> {
        let clock = &line.stamp.as_ref()?.clock;
        let text = log.text(line);
        let start = clock.start.checked_sub(self.before.len()).filter(|start| *start == 0 || !self.from_start)?;
        let fits = text.get(start..clock.start)? == self.before && text.get(clock.end..)?.starts_with(self.behind);
        fits.then(|| start..clock.end + self.behind.len())
    }

    /// Appends the line as it is shown.
    pub(super) fn show(&self, log: &Log<'_>, line: &Line, out: &mut String) {
        let text = log.text(line);
        match self.range(log, line).zip(line.stamp.as_ref()) {
            Some((range, stamp)) => {
                out.push_str(text.get(..range.start).unwrap_or_default());
                apart(out);
                out.push_str(text.get(stamp.clock.clone()).unwrap_or_default());
                out.push_str(text.get(range.end..).unwrap_or_default());
            }
            None => out.push_str(text),
        }
    }
}

/// Where a date is left out between a level of one letter and the time, as klog writes them, a space stands for it.
pub(super) fn apart(out: &mut String) {
    if out.ends_with(|last: char| last.is_ascii_alphabetic()) {
        out.push(' ');
    }
}

/// What stands before the time of day and belongs to it.
fn date<'a>(log: &Log<'a>, line: &Line) -> Option<&'a str> {
    let stamp = line.stamp.as_ref()?;
    log.text(line).get(stamp.whole.start..stamp.clock.start)
}

fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let mut length = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    while !one.is_char_boundary(length) {
        length -= 1;
    }
    one.get(..length).unwrap_or_default()
}

/// The whole words of it: what stands before the last space, and before any quote.
fn words(text: &str) -> &str {
    let text = text.split('"').next().unwrap_or_default();
    text.rfind(' ').and_then(|end| text.get(..end)).unwrap_or_default().trim_end()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn shown(block: &str) -> (String, String) {
        let log = Log::read(block);
        let front = Front::of(&log).unwrap();
        let mut out = String::new();
        front.show(&log, &log.lines[0], &mut out);
        (front.head(), out)
    }

    #[test]
    fn what_all_lines_begin_with_is_said_once() {
        for (line, head, rest) in [
            ("2026-11-21 10:00:0#,123 INFO a# b", "2026-11-21 <time> INFO", "10:00:00,123 a0 b"),
            ("Nov 21 10:00:0# gate sshd[#]: x", "Nov 21 <time> gate", "10:00:00 sshd[0]: x"),
            ("[2026/11/21 10:00:0#] a#", "[2026/11/21 <time>]", "10:00:00 a0"),
            (
                "10.0.0.# - - [21/Nov/2026:10:00:0# +0000] \"GET /\" 200",
                "21/Nov/2026:<time> +0000",
                "10.0.0.0 - - [10:00:00] \"GET /\" 200",
            ),
            ("time=2026-11-21T10:00:0#Z level=#", "time=2026-11-21T<time>Z", "10:00:00 level=0"),
        ] {
            let block: Vec<String> = (0..6).map(|at| line.replace('#', &at.to_string())).collect();
            let (said, shown) = shown(&block.join("\n"));
            assert_eq!((said.as_str(), shown.as_str()), (head, rest));
        }
    }

    #[test]
    fn a_level_of_one_letter_stands_apart_from_the_time() {
        let line = |at: usize| format!("{}0102 01:02:0{at}.123456    7 main.go:12] x{at}", ["I", "W"][at % 2]);
        let block: Vec<String> = (0..6).map(line).collect();
        let (said, first) = shown(&block.join("\n"));
        assert_eq!((said.as_str(), first.as_str()), ("0102 <time>", "I 01:02:00.123456    7 main.go:12] x0"));
    }

    #[test]
    fn lines_of_many_days_are_shown_whole() {
        let block: Vec<String> = (1..9).map(|at| format!("2026-11-2{at} 10:00:00 x")).collect();
        assert!(Front::of(&Log::read(&block.join("\n"))).is_none());
    }
}
