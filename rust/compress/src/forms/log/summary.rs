//! What a template's lines have in common, as one line: `412 × 10:00:01…10:44:59 INFO wrote {412 different} in {3ms…2s}`.
//!
//! Values stand where they stand in the lines, beside the words that name them: all of them if they are few, the least
//! and the greatest of numbers, else how many there are; those are listed below, as far as there is room. Of lines
//! that say that something went wrong every value stands there, as long as that is no book. Where all has to be short
//! only `{}` stands for values.

use std::fmt::Write as _;

use super::{
    front::{Front, apart},
    outlier,
    pieces::What,
    shape::{Log, Sums, Template, sum_of},
};

/// So many values, of so many bytes in all, are few.
const FEW: usize = 4;
const FEW_BYTES: usize = 28;
/// The same where something went wrong.
pub(super) const LOUD: usize = 32;
const LOUD_BYTES: usize = 1200;

/// How a template is summed up.
pub(super) struct Summary<'a> {
    pub(super) text: String,
    /// Values that the text only counts, by their places.
    pub(super) lists: Vec<List<'a>>,
}

/// The different values of one place, in the order in which they came.
pub(super) struct List<'a> {
    /// The word before the place, if one stands there.
    pub(super) label: &'a str,
    pub(super) values: Vec<&'a str>,
}

/// What all summaries are made with.
pub(super) struct Maker<'m, 'a> {
    pub(super) log: &'m Log<'a>,
    pub(super) front: Option<&'m Front<'a>>,
    /// There is room to say more than has to be: the first and the last time, words of a few kinds.
    pub(super) roomy: bool,
    /// Room to work in.
    pub(super) seen: Sums,
}

impl<'a> Maker<'_, 'a> {
    /// The `lines` of a template in one.
    pub(super) fn sum_up(&mut self, template: &Template, lines: &[usize], loud: bool) -> Summary<'a> {
        let mut summary = Summary { text: format!("{} × ", lines.len()), lists: Vec::new() };
        let log = self.log;
        let Some(model) = log.model(template) else { return summary };
        let text = log.text(model);
        let common = self.front.and_then(|front| front.range(log, model));
        let time = common.clone().or_else(|| model.stamp.as_ref().map(|stamp| stamp.whole.clone()));
        let mut at = 0;
        let mut label = "";
        for (place, piece) in log.pieces(model).iter().enumerate() {
            let (start, end) = (piece.start as usize, piece.end as usize);
            if let Some(time) = time.as_ref().filter(|time| time.start <= start && end <= time.end) {
                if at <= time.start {
                    summary.text.push_str(text.get(at..time.start).unwrap_or_default());
                    if common.is_some() {
                        apart(&mut summary.text);
                    }
                    self.time(lines, common.is_some(), &mut summary.text);
                    at = time.end + usize::from(summary.text.ends_with(' '));
                }
            } else if template.values.binary_search(&place).is_ok() {
                summary.text.push_str(text.get(at..start).unwrap_or_default());
                at = end;
                let values = self.different(lines, place);
                let few = if loud { (LOUD, LOUD_BYTES) } else { (FEW, FEW_BYTES) };
                let short = !self.roomy && !loud && values.len() > 1;
                if short {
                    summary.text.push_str("{}");
                }
                if short && range(&values).is_none() || !short && !print(&values, few, &mut summary.text) {
                    summary.lists.push(List { label, values });
                }
            } else if piece.what == What::Word {
                label = piece.of(text);
            }
        }
        summary.text.push_str(text.get(at..).unwrap_or_default());
        summary
    }

    fn different(&mut self, lines: &[usize], place: usize) -> Vec<&'a str> {
        self.seen.clear();
        let lines = lines.iter().filter_map(|at| self.log.lines.get(*at));
        let values = lines.map(|line| self.log.value(line, place));
        values.filter(|value| self.seen.insert(sum_of(value.as_bytes()))).collect()
    }

    /// The first and the last time.
    fn time(&self, lines: &[usize], common: bool, out: &mut String) {
        if !self.roomy {
            if !common {
                out.push_str("<time>");
            }
            return;
        }
        let mut stamps = lines.iter().filter_map(|at| self.log.lines.get(*at)).filter_map(|line| {
            let stamp = line.stamp.as_ref()?;
            let short = self.front.is_some_and(|front| front.range(self.log, line).is_some());
            self.log.text(line).get(if short { stamp.clock.clone() } else { stamp.whole.clone() })
        });
        if let (Some(first), last) = (stamps.next(), stamps.next_back()) {
            out.push_str(first);
            if let Some(last) = last {
                let _ = write!(out, "…{last}");
            }
        }
    }
}

/// Prints the values, all of them if they are few; false if it only counts them.
fn print(values: &[&str], (most, most_bytes): (usize, usize), out: &mut String) -> bool {
    if let [one] = values {
        out.push_str(one);
        return true;
    }
    if values.len() <= most && values.iter().map(|value| value.len()).sum::<usize>() <= most_bytes {
        let _ = write!(out, "{{{}}}", values.join("|"));
        return true;
    }
    if let Some((least, greatest)) = range(values) {
        let _ = write!(out, "{{{least}…{greatest}}}");
        return true;
    }
    let _ = write!(out, "{{{} different}}", values.len());
    false
}

/// The least and the greatest, if all are numbers.
fn range<'a>(values: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let mut bounds: Option<[(f64, &str); 2]> = None;
    for value in values {
        let number = outlier::number(value)?;
        let [mut least, mut greatest] = bounds.unwrap_or([(number, value); 2]);
        if number < least.0 {
            least = (number, value);
        }
        if number > greatest.0 {
            greatest = (number, value);
        }
        bounds = Some([least, greatest]);
    }
    bounds.map(|[least, greatest]| (least.1, greatest.1))
}
