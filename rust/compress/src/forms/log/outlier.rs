//! Values far from the others of their place: the one call that took minutes, the one file of gigabytes.

use super::shape::{Line, Log, Template};

/// Fewer values than this have no middle to be far from.
const ENOUGH: usize = 12;
/// How many deviations (the median of them) make a value far, beside being three times as large or as small.
const FAR: f64 = 8.0;
/// At most so many of one place, the farthest first.
const MOST: usize = 3;

/// Which of the `lines` of this template hold such a value.
pub(super) fn find(log: &Log<'_>, template: &Template, lines: &[usize]) -> Vec<usize> {
    let mut found = Vec::new();
    if lines.len() < ENOUGH {
        return found;
    }
    let mut values: Vec<(f64, usize)> = Vec::new();
    for place in &template.values {
        values.clear();
        let each = lines.iter().filter_map(|at| log.lines.get(*at).map(|line| (*at, line)));
        values.extend(each.map_while(|(at, line)| value(log, line, *place).map(|value| (value, at))));
        if values.len() == lines.len() {
            far(&mut values, &mut found);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Adds the lines of the farthest values.
fn far(values: &mut [(f64, usize)], found: &mut Vec<usize>) {
    let Some(middle) = median(values, |(value, _)| *value) else { return };
    let Some(deviation) = median(values, |(value, _)| (value - middle).abs()) else { return };
    let limit = FAR * deviation.max(middle.abs() * 0.02);
    let mut beyond: Vec<(f64, usize)> = values
        .iter()
        .filter(|(value, _)| (value - middle).abs() > limit && (*value > 3.0 * middle || *value * 3.0 < middle))
        .map(|(value, at)| ((value - middle).abs(), *at))
        .collect();
    // Where many are far there are two kinds of values, not one and a few odd ones.
    if beyond.len().saturating_mul(ENOUGH) > values.len() {
        return;
    }
    beyond.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    found.extend(beyond.iter().take(MOST).map(|(_, at)| *at));
}

fn median(values: &mut [(f64, usize)], of: impl Fn(&(f64, usize)) -> f64) -> Option<f64> {
    let middle = values.len() / 2;
    (middle < values.len()).then(|| {
        let (_, value, _) = values.select_nth_unstable_by(middle, |one, other| of(one).total_cmp(&of(other)));
        of(value)
    })
}

/// The number at this place; durations and sizes in one unit.
fn value(log: &Log<'_>, line: &Line, place: usize) -> Option<f64> {
    number(log.value(line, place))
}

/// A number with at most a unit behind it.
pub(super) fn number(value: &str) -> Option<f64> {
    let digits = value.find(|sign: char| !sign.is_ascii_digit() && !matches!(sign, '.' | '-')).unwrap_or(value.len());
    // Longer ones are ids.
    if digits == 0 || digits > 15 {
        return None;
    }
    let (number, unit) = value.split_at_checked(digits)?;
    let scale = match unit {
        "" | "s" | "B" | "%" | "b" => 1.0,
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "K" | "KB" | "kB" | "KiB" | "k" => 1024.0,
        "M" | "MB" | "MiB" => 1_048_576.0,
        "G" | "GB" | "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    number.parse().ok().map(|number: f64| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_far(values: &[&str]) -> Vec<usize> {
        let block: Vec<String> = values.iter().map(|value| format!("call took {value} in all")).collect();
        let block = block.join("\n");
        let log = Log::read(&block);
        let lines: Vec<usize> = (0..log.lines.len()).collect();
        find(&log, &log.templates[0], &lines)
    }

    #[test]
    fn the_one_value_far_from_the_others_is_found_whatever_its_unit() {
        let mut values =
            vec!["12ms", "14ms", "9ms", "11ms", "13ms", "12ms", "10ms", "15ms", "12ms", "11ms", "13ms", "12ms"];
        assert!(lines_far(&values).is_empty());
        values[4] = "8.5s";
        assert_eq!(lines_far(&values), [4]);
    }

    #[test]
    fn ids_and_words_have_no_outliers() {
        let ids: Vec<String> = (0..40).map(|at| format!("req-{}", at * at * 7919)).collect();
        assert!(lines_far(&ids.iter().map(String::as_str).collect::<Vec<_>>()).is_empty());
        let even: Vec<String> = (0..40).map(|at| (at * 1000).to_string()).collect();
        assert!(lines_far(&even.iter().map(String::as_str).collect::<Vec<_>>()).is_empty());
    }
}
