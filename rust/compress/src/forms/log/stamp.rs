//! The time at the begin of a line, in the spellings that logs use.
//!
//! Rule: a stamp is a time of day and what stands around it: a date before, a zone or a year behind. The time of day
//! is never taken apart, so that whoever reads one line can copy it; the date, the same for most lines, is split off
//! as what stands before.

use std::ops::Range;

/// Where the time stands in a line, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    /// With date and zone.
    pub(super) whole: Range<usize>,
    /// The time of day alone.
    pub(super) clock: Range<usize>,
}

/// A time later in the line than this is part of the message.
const REACH: usize = 72;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// The name of a month or a day of the week, as dates have it.
pub(super) fn is_calendar(word: &[u8]) -> bool {
    word.len() == 3 && (MONTHS.contains(&word) || DAYS.contains(&word))
}

/// The first time in the first bytes of a line.
pub(super) fn find(line: &[u8]) -> Option<Stamp> {
    if let Some(stamp) = six_and_six(line) {
        return Some(stamp);
    }
    let reach = line.len().min(REACH);
    let mut at = 2;
    while at < reach {
        if line.get(at) == Some(&b':')
            && let Some(clock) = clock_around(line, at)
        {
            let start = date_before(line, clock.start).unwrap_or(clock.start);
            let end = zone_after(line, clock.end).unwrap_or(clock.end);
            return Some(Stamp { whole: start..end, clock });
        }
        at += 1;
    }
    None
}

fn digits(line: &[u8], range: Range<usize>) -> bool {
    line.get(range).is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// `hh:mm:ss` whose first colon stands at `colon`, with the fraction of a second.
fn clock_around(line: &[u8], colon: usize) -> Option<Range<usize>> {
    let start = colon.checked_sub(2)?;
    let end = colon + 6;
    let fits = digits(line, start..colon)
        && digits(line, colon + 1..colon + 3)
        && line.get(colon + 3) == Some(&b':')
        && digits(line, colon + 4..end);
    if !fits || start > 0 && line.get(start - 1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let fraction = match line.get(end) {
        Some(b'.' | b',' | b':') => line.iter().skip(end + 1).take(9).take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let end = if fraction > 0 { end + 1 + fraction } else { end };
    (!line.get(end).is_some_and(u8::is_ascii_digit)).then_some(start..end)
}

/// `081109 203615 `, date and time as six digits each.
fn six_and_six(line: &[u8]) -> Option<Stamp> {
    let fits = digits(line, 0..6)
        && line.get(6) == Some(&b' ')
        && digits(line, 7..13)
        && matches!(line.get(13), Some(b' '))
        && line.get(7..9).is_some_and(|hour| hour < b"24".as_slice());
    fits.then_some(Stamp { whole: 0..13, clock: 7..13 })
}

/// Where the date begins that ends before `clock`.
fn date_before(line: &[u8], clock: usize) -> Option<usize> {
    let end = clock.checked_sub(1)?;
    if !matches!(line.get(end), Some(b' ' | b'T' | b':' | b'-' | b'_')) {
        return None;
    }
    numeric_date(line, end).or_else(|| named_date(line, end)).or_else(|| month_and_day(line, end))
}

/// How many bytes before `end` are like this, at most `most`.
fn run_before(line: &[u8], end: usize, most: usize, like: impl Fn(u8) -> bool) -> usize {
    let from = end.saturating_sub(most);
    line.get(from..end).unwrap_or_default().iter().rev().take_while(|byte| like(**byte)).count()
}

/// `2026-11-21`, `2026/11/21`, `21.11.2026`, `26/11/21`, `11-21`, `20261121`, `1121` after the letter of a level,
/// `2026年11月21日`.
fn numeric_date(line: &[u8], end: usize) -> Option<usize> {
    if line.get(..end)?.ends_with("日".as_bytes()) {
        let length = run_before(line, end, 17, |byte| byte.is_ascii_digit() || !byte.is_ascii());
        return (length >= 13).then_some(end - length);
    }
    let length = run_before(line, end, 10, |byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'/' | b'.'));
    let start = end - length;
    let date = line.get(start..end)?;
    let before = start.checked_sub(1).and_then(|at| line.get(at));
    let numbers = date.iter().filter(|byte| byte.is_ascii_digit()).count();
    let fits = match length - numbers {
        0 => numbers == 8 || numbers == 4 && matches!(before, Some(b'I' | b'W' | b'E' | b'F')),
        1 => numbers == 4,
        2 => numbers == 6 || numbers == 8,
        _ => false,
    };
    let free = numbers == 4 || !before.is_some_and(u8::is_ascii_alphanumeric);
    (fits && free && date.first().is_some_and(u8::is_ascii_digit)).then_some(start)
}

/// `21/Nov/2026`, `21-Nov-2026`.
fn named_date(line: &[u8], end: usize) -> Option<usize> {
    let start = end.checked_sub(11)?;
    let date = line.get(start..end)?;
    let fits = digits(date, 0..2) && MONTHS.contains(&date.get(3..6)?) && digits(date, 7..11);
    fits.then_some(start)
}

/// `Nov 21`, `Nov  1`, `Sat Nov 21`, and the day before the month.
fn month_and_day(line: &[u8], end: usize) -> Option<usize> {
    let day = end - run_before(line, end, 2, |byte| byte.is_ascii_digit());
    let gap = run_before(line, day, 2, |byte| byte == b' ');
    let month = (day - gap).checked_sub(3)?;
    if day == end || gap == 0 || !MONTHS.contains(&line.get(month..month + 3)?) {
        return None;
    }
    let weekday = month.checked_sub(4).filter(|at| {
        line.get(*at..*at + 3).is_some_and(|name| DAYS.contains(&name)) && line.get(*at + 3) == Some(&b' ')
    });
    Some(weekday.unwrap_or(month))
}

/// Where the zone or the year ends that begins at `clock`.
fn zone_after(line: &[u8], clock: usize) -> Option<usize> {
    let rest = line.get(clock..)?;
    let spaces = usize::from(rest.first() == Some(&b' '));
    let zone = rest.get(spaces..)?;
    let length = match zone {
        [b'Z', ..] if spaces == 0 => 1,
        [b'+' | b'-', ..] if digits(zone, 1..5) => 5,
        [b'+' | b'-', ..] if digits(zone, 1..3) && zone.get(3) == Some(&b':') && digits(zone, 4..6) => 6,
        [b'+' | b'-', ..] if digits(zone, 1..3) && spaces == 0 => 3,
        [b'U', b'T', b'C', ..] => 3,
        _ if digits(zone, 0..4) && zone.get(4) == Some(&b']') => 4,
        _ => return None,
    };
    let end = spaces + length;
    (!rest.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some(clock + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_are_found_with_their_time_of_day() {
        for (line, whole, clock) in [
            ("2026-11-21 10:00:01,234 INFO x", "2026-11-21 10:00:01,234", "10:00:01,234"),
            ("2026-11-21T10:00:01.234567Z x", "2026-11-21T10:00:01.234567Z", "10:00:01.234567"),
            ("[2026/11/21 10:00:01] x", "2026/11/21 10:00:01", "10:00:01"),
            ("ts=2026-11-21T10:00:01+02:00 x", "2026-11-21T10:00:01+02:00", "10:00:01"),
            ("Nov 21 10:00:01 host sshd[1]: x", "Nov 21 10:00:01", "10:00:01"),
            ("[Sun Dec  4 04:47:44 2005] [error] x", "Sun Dec  4 04:47:44 2005", "04:47:44"),
            ("I1121 10:00:01.234567   12 a.go:3] x", "1121 10:00:01.234567", "10:00:01.234567"),
            ("10.0.0.1 - - [21/Nov/2026:10:00:01 +0000] x", "21/Nov/2026:10:00:01 +0000", "10:00:01"),
            ("081109 203615 148 INFO x", "081109 203615", "203615"),
            ("03-17 16:13:38.811  1702 x", "03-17 16:13:38.811", "16:13:38.811"),
            ("21.11.2026 10:00:01 ОШИБКА", "21.11.2026 10:00:01", "10:00:01"),
            ("2026年11月21日 10:00:01 错误", "2026年11月21日 10:00:01", "10:00:01"),
            ("10:00:01 x", "10:00:01", "10:00:01"),
            ("20171223-22:15:29:606|Step|x", "20171223-22:15:29:606", "22:15:29:606"),
        ] {
            let stamp = find(line.as_bytes()).unwrap();
            assert_eq!(line.get(stamp.whole), Some(whole), "{line}");
            assert_eq!(line.get(stamp.clock), Some(clock), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        for line in ["", ":", "1:2:3", "00:1a:2b:3c:4d:5e", "a 110:00:01", "10:00", "123456 999999 x"] {
            assert_eq!(find(line.as_bytes()), None, "{line}");
        }
    }
}
