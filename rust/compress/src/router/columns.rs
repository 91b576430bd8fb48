//! Whether lines agree on columns: fields between delimiters, or gutters of blanks at the same place in all of them.

/// Lines that are looked at for gutters, and characters of each.
const SAMPLE: usize = 200;
const WIDTH: usize = 240;

/// Whether the lines, none of them blank, are the rows of a table.
pub(super) fn are_table(lines: &[&str]) -> bool {
    is_delimited(lines) || has_gutters(lines)
}

/// Whether this line and the next are the head of a Markdown table.
pub(super) fn is_markdown_head(line: &str, next: &str) -> bool {
    let rule = next.trim();
    line.contains('|')
        && rule.contains('|')
        && rule.contains("--")
        && rule.bytes().all(|byte| matches!(byte, b'|' | b'-' | b':' | b' ' | b'+'))
}

fn is_delimited(lines: &[&str]) -> bool {
    let Some(first) = lines.first() else { return false };
    [(b'\t', 1, 2), (b',', 2, 3), (b';', 2, 3), (b'|', 2, 3)].iter().any(|(sign, least, rows)| {
        let fields = delimiters(first, *sign);
        lines.len() >= *rows && fields >= *least && {
            let agree = lines.iter().filter(|line| delimiters(line, *sign) == fields).count();
            agree * 10 >= lines.len() * 9
        }
    })
}

/// The delimiters outside double quotes.
fn delimiters(line: &str, sign: u8) -> usize {
    let mut quoted = false;
    line.bytes()
        .filter(|byte| {
            quoted ^= *byte == b'"';
            *byte == sign && !quoted
        })
        .count()
}

/// At least three columns with a blank before each in nearly all of the lines.
fn has_gutters(lines: &[&str]) -> bool {
    if lines.len() < 4 {
        return false;
    }
    let sample = lines.iter().take(SAMPLE);
    let mut blanks = [0_usize; WIDTH];
    let (mut rows, mut reach) = (0_usize, 0_usize);
    for line in sample {
        rows += 1;
        reach += line.chars().count().min(WIDTH);
        let mut signs = line.chars();
        for count in &mut blanks {
            *count += usize::from(signs.next().is_none_or(|sign| sign == ' '));
        }
    }
    // Behind the usual length of a line all is blank, which says nothing.
    let reach = reach / rows.max(1);
    let mut columns = 0;
    let mut was_blank = true;
    for count in blanks.iter().take(reach) {
        let blank = *count * 20 >= rows * 19;
        columns += usize::from(was_blank && !blank);
        was_blank = blank;
    }
    let gaps = lines.iter().take(SAMPLE).filter(|line| line.trim().contains("  ") || line.contains('\t')).count();
    columns >= 3 && gaps * 2 >= rows
}
