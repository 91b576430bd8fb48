//! Dates and times of day, in the forms that logs, mails and people write.

use super::text::{HIGH, LETTER, Text, class};

/// Where the date or time that begins at `at` ends.
pub(super) fn end(text: Text<'_>, at: usize) -> Option<usize> {
    let end = match text.digits(at, 9) {
        4 => year_first(text, at),
        8 => compact(text, at),
        1 | 2 => day_first(text, at).or_else(|| clock(text, at)),
        _ => None,
    }?;
    (!text.at(end).is_ascii_alphanumeric()).then_some(end)
}

/// `2026-11-22`, `2026/11/22 10:11:12.5`, `2026-11-22T10:11Z`, `2026-11`, `2026-W47`.
fn year_first(text: Text<'_>, at: usize) -> Option<usize> {
    if !(1000..3000).contains(&text.value(at, 4)) {
        return None;
    }
    let sign = text.at(at + 4);
    if !matches!(sign, b'-' | b'/' | b'.') {
        return None;
    }
    if sign == b'-' && text.at(at + 5) == b'W' && text.digits(at + 6, 3) == 2 {
        return Some(at + 8);
    }
    let month = text.digits(at + 5, 3);
    if !(1..=2).contains(&month) || !(1..=12).contains(&text.value(at + 5, month)) {
        return None;
    }
    let day_at = at + 5 + month + 1;
    if text.before(day_at) != sign {
        return (sign == b'-' && month == 2).then_some(at + 7);
    }
    let day = text.digits(day_at, 3);
    if !(1..=2).contains(&day) || !(1..=31).contains(&text.value(day_at, day)) {
        return None;
    }
    Some(with_clock(text, day_at + day))
}

/// `20261122T101112Z`, `20261122`.
fn compact(text: Text<'_>, at: usize) -> Option<usize> {
    let (year, month, day) = (text.value(at, 4), text.value(at + 4, 2), text.value(at + 6, 2));
    if !((1970..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    if text.at(at + 8) == b'T' && matches!(text.digits(at + 9, 7), 4 | 6) {
        let end = at + 9 + text.digits(at + 9, 7);
        return Some(if text.at(end) == b'Z' { end + 1 } else { end });
    }
    Some(at + 8)
}

/// `22 Nov 2026`, `22. November 2026`, `22/11/2026`, `22.11.2026`, `22/Nov/2026:10:11:12 +0000`.
fn day_first(text: Text<'_>, at: usize) -> Option<usize> {
    let day = text.digits(at, 3);
    if !(1..=31).contains(&text.value(at, day)) {
        return None;
    }
    let after = at + day;
    let sign = text.at(after);
    if matches!(sign, b'/' | b'.' | b'-') {
        let month = text.digits(after + 1, 3);
        let year_at = after + 1 + month + 1;
        if (1..=2).contains(&month) && text.before(year_at) == sign {
            let year = text.digits(year_at, 5);
            let (one, other) = (text.value(at, day), text.value(after + 1, month));
            let fits = (1..=31).contains(&other) && (one <= 12 || other <= 12);
            let long = year == 4 && (1000..3000).contains(&text.value(year_at, 4));
            // `1.2.26` may be a version as well.
            let short = year == 2 && sign != b'-' && (sign == b'/' || day == 2 && month == 2);
            return (fits && (long || short)).then(|| with_clock(text, year_at + year));
        }
    }
    let ordinal = match sign {
        b's' | b'n' | b'r' | b't' if ordinal(text, after) => after + 2,
        b'.' => after + 1,
        _ => after,
    };
    let gap = match text.at(ordinal) {
        b' ' | b'-' | b'/' => ordinal + 1,
        _ if sign == b'.' => ordinal,
        _ => return None,
    };
    let of = if text.says(gap, b"de ") || text.says(gap, b"of ") { gap + 3 } else { gap };
    let named = month_end(text, of)?;
    let full = if text.at(named) == b'.' { named + 1 } else { named };
    Some(with_year(text, full))
}

fn ordinal(text: Text<'_>, at: usize) -> bool {
    [&b"st"[..], b"nd", b"rd", b"th"].iter().any(|end| text.says(at, end))
}

/// The date that begins with a month's or a weekday's name: `Nov 22, 2026`, `Sun, 22 Nov 2026`, `Nov 22 10:11:12`.
pub(super) fn month(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    if !(3..=20).contains(&(end - at)) || !text.at(at).is_ascii_uppercase() {
        return None;
    }
    if weekday(text, at, end) {
        let next = text.run(end, |byte| matches!(byte, b',' | b' '));
        if !(1..=2).contains(&(next - end)) {
            return None;
        }
        let word = text.run(next, |byte| byte.is_ascii_alphabetic());
        return if word > next { month(text, next, word) } else { day_first(text, next) };
    }
    let gap = text.run(end, |byte| matches!(byte, b' ' | b'.'));
    let day = text.digits(gap, 3);
    if day == 0 || !(1..=3).contains(&(gap - end)) || month_end(text, at) != Some(end) {
        return None;
    }
    match day {
        1 | 2 if (1..=31).contains(&text.value(gap, day)) => {}
        _ if text.digits(gap, 5) == 4 && (1000..3000).contains(&text.value(gap, 4)) => return Some(gap + 4),
        _ => return None,
    }
    let after = gap + day;
    let after = if ordinal(text, after) { after + 2 } else { after };
    if text.at(after).is_ascii_alphanumeric() || text.at(after) == b'.' && text.at(after + 1).is_ascii_digit() {
        return None;
    }
    Some(with_year(text, after))
}

/// A year, a time of day, or both, after day and month.
fn with_year(text: Text<'_>, at: usize) -> usize {
    let gap = text.run(at, |byte| matches!(byte, b',' | b' ' | b'-' | b'/'));
    let de = if text.says(gap, b"de ") { gap + 3 } else { gap };
    let year = (1..=4).contains(&(gap - at)) && text.digits(de, 5) == 4 && !text.at(de + 4).is_ascii_alphanumeric();
    let dated = if year { de + 4 } else { at };
    let timed = with_clock(text, dated);
    // `Sun Nov 22 10:11:12 2026`.
    if timed > dated
        && !year
        && text.at(timed) == b' '
        && text.digits(timed + 1, 5) == 4
        && with_clock(text, timed + 5) == timed + 5
    {
        return timed + 5;
    }
    timed
}

/// The time of day after a date, if there is one.
fn with_clock(text: Text<'_>, at: usize) -> usize {
    let gap = match text.at(at) {
        b'T' | b't' | b' ' | b':' | b'_' => 1,
        b',' if text.at(at + 1) == b' ' => 2,
        _ => return at,
    };
    if !(1..=2).contains(&text.digits(at + gap, 3)) {
        return at;
    }
    clock(text, at + gap).unwrap_or(at)
}

/// `10:11`, `10:11:12.345678+01:00`, `9:30 PM`.
fn clock(text: Text<'_>, at: usize) -> Option<usize> {
    let hour = text.digits(at, 3);
    if !(1..=2).contains(&hour) || text.value(at, hour) > 24 || text.at(at + hour) != b':' {
        return None;
    }
    let sixty = |at| text.digits(at, 3) == 2 && text.value(at, 2) <= 60;
    if !sixty(at + hour + 1) {
        return None;
    }
    let mut end = at + hour + 3;
    if text.at(end) == b':' {
        if !sixty(end + 1) {
            return None;
        }
        end += 3;
        if matches!(text.at(end), b'.' | b',') && text.at(end + 1).is_ascii_digit() {
            end += 1 + text.digits(end + 1, 9);
        }
    }
    Some(zone(text, end))
}

/// `Z`, `+01:00`, ` +0000`, ` UTC`, ` PM`.
fn zone(text: Text<'_>, at: usize) -> usize {
    if matches!(text.at(at), b'Z' | b'z') {
        return at + 1;
    }
    let gap = at + usize::from(text.at(at) == b' ');
    if matches!(text.at(gap), b'+' | b'-') {
        let first = text.digits(gap + 1, 5);
        if first == 4 {
            return gap + 5;
        }
        if first == 2 && text.at(gap + 3) == b':' && text.digits(gap + 4, 3) == 2 {
            return gap + 6;
        }
    }
    let word = text.run(gap, |byte| byte.is_ascii_alphabetic());
    let known = matches!(
        text.slice(gap, word),
        b"UTC"
            | b"GMT"
            | b"CET"
            | b"CEST"
            | b"EST"
            | b"EDT"
            | b"PST"
            | b"PDT"
            | b"MSK"
            | b"JST"
            | b"AM"
            | b"PM"
            | b"am"
            | b"pm"
    );
    if known { word } else { at }
}

fn weekday(text: Text<'_>, at: usize, end: usize) -> bool {
    let shape = end == at + 3 || end == at + 4 && text.at(at + 3) == b's' || text.says(end - 3, b"day");
    shape && [&b"mon"[..], b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"].iter().any(|day| text.says(at, day))
}

/// Names of months in five languages, each with the least number of bytes by which it is known.
static MONTHS: &[(&str, usize)] = &[
    ("january", 3),
    ("february", 3),
    ("march", 3),
    ("april", 3),
    ("may", 3),
    ("june", 3),
    ("july", 3),
    ("august", 3),
    ("september", 3),
    ("sept", 4),
    ("october", 3),
    ("november", 3),
    ("december", 3),
    ("januar", 6),
    ("februar", 7),
    ("märz", 5),
    ("mai", 3),
    ("juni", 4),
    ("juli", 4),
    ("oktober", 3),
    ("dezember", 3),
    ("janvier", 7),
    ("février", 8),
    ("mars", 4),
    ("avril", 5),
    ("juin", 4),
    ("juillet", 7),
    ("août", 5),
    ("septembre", 9),
    ("octobre", 7),
    ("novembre", 8),
    ("décembre", 9),
    ("enero", 5),
    ("febrero", 7),
    ("marzo", 5),
    ("abril", 5),
    ("mayo", 4),
    ("junio", 5),
    ("julio", 5),
    ("agosto", 6),
    ("septiembre", 10),
    ("octubre", 7),
    ("noviembre", 9),
    ("diciembre", 9),
    ("января", 12),
    ("февраля", 14),
    ("марта", 10),
    ("апреля", 12),
    ("мая", 6),
    ("июня", 8),
    ("июля", 8),
    ("августа", 14),
    ("сентября", 16),
    ("октября", 14),
    ("ноября", 12),
    ("декабря", 14),
];

/// Where the month's name that begins at `at` ends.
fn month_end(text: Text<'_>, at: usize) -> Option<usize> {
    let end = text.run(at, |byte| class(byte) & LETTER != 0);
    let word = text.slice(at, end.min(at + 24));
    let known = MONTHS.iter().any(|(name, least)| {
        (word.len() == name.len() || word.len() == *least)
            && name.as_bytes().get(..word.len()).is_some_and(|name| same(name, word))
    });
    known.then_some(end)
}

fn same(name: &[u8], word: &[u8]) -> bool {
    if word.iter().any(|byte| class(*byte) & HIGH != 0) {
        name == word || capital(name, word)
    } else {
        name.eq_ignore_ascii_case(word)
    }
}

/// `März` is `märz`: only what is ASCII is folded.
fn capital(name: &[u8], word: &[u8]) -> bool {
    name.eq_ignore_ascii_case(word)
}
