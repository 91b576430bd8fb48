//! The sentences that a text is read for: those with a value (a date, an amount, a version, an address, an id) in a
//! text in which few have one.
//!
//! Where values are everywhere none of them stands out, and it is left to the query which are wanted. What is kept so
//! is bounded, so that it never crowds out the rest: the sentences with the kinds that are rarest here come first.

use crate::{
    critical::{self, Found, Kind},
    outline::{Reserve, Unit},
};

/// In a text of fewer sentences nothing stands out.
const FEWEST: usize = 8;
/// Of the text, sentences with values may be one part in so many; if they are more, values are everywhere.
const COMMON: usize = 3;
/// Of the text, at most one part in so many is kept for its values.
const MOST: usize = 6;
const KINDS: usize = Kind::ALL.len();

/// Has the sentences kept that stand out by their values.
pub(super) fn reserve(units: &mut [Unit<'_>]) {
    if units.len() < FEWEST {
        return;
    }
    let mut counts = [0_usize; KINDS];
    let mut all = 0;
    let mut held = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        all += unit.text.len();
        let mut kinds = 0_u16;
        for found in critical::scan(&unit.text).iter().filter(|found| says_something(&unit.text, found)) {
            kinds |= 1 << found.kind as u8;
        }
        if kinds != 0 {
            held.push((kinds, at));
            for (kind, count) in counts.iter_mut().enumerate() {
                *count += usize::from(kinds >> kind & 1);
            }
        }
    }
    let length = |at: usize| units.get(at).map_or(0, |unit| unit.text.len());
    if held.iter().map(|(_, at)| length(*at)).sum::<usize>() * COMMON > all {
        return;
    }
    let rarest = |kinds: u16| {
        counts.iter().enumerate().filter(|(kind, _)| kinds >> kind & 1 == 1).map(|(_, count)| *count).min()
    };
    held.sort_by_key(|(kinds, at)| (rarest(*kinds), *at));
    let mut room = all / MOST;
    for (_, at) in held {
        let Some(unit) = units.get_mut(at) else { continue };
        if let Some(left) = room.checked_sub(unit.text.len()) {
            room = left;
            unit.reserve = unit.reserve.or(Some(Reserve::Outlier));
        }
    }
}

/// Negations, limits, quoted words and talk of errors are what sentences are made of; where a link leads is no fact.
fn says_something(text: &str, found: &Found) -> bool {
    match found.kind {
        Kind::Limit | Kind::Quoted | Kind::Error => false,
        Kind::Path | Kind::Url => !text.get(..found.range.start).is_some_and(|before| before.ends_with('(')),
        _ => true,
    }
}
