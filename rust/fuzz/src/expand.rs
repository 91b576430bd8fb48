//! What reading parts of an original promises, for any original and whatever is asked of it.

use omnimind_compress::{
    expand::{Expanded, Part, Place, expand},
    tokens,
};

/// What is asked for, two numbers of two bytes, the tokens, the length of what is asked in words, these words, the
/// original. The tokens are kept to and counted truly, the same comes out twice, what is given stands in the original,
/// and lines and bytes, read piece by piece, join to what was asked for.
pub fn expanding(raw: &[u8]) {
    let [what, one, two, three, four, most, length, rest @ ..] = raw else { return };
    let (words, original) = rest.split_at(usize::from(*length).min(rest.len()));
    let (words, original) = (String::from_utf8_lossy(words), String::from_utf8_lossy(original));
    let first = usize::from(u16::from_le_bytes([*one, *two]));
    let last = usize::from(u16::from_le_bytes([*three, *four]));
    let most = (*most < 255).then(|| usize::from(*most));
    let part = match what % 6 {
        0 => Part::All,
        1 => Part::Lines(first, last),
        2 => Part::Bytes(first..last),
        3 => Part::Grep { pattern: &words, context: usize::from(*three), within: (first, usize::MAX) },
        4 => Part::JsonPath(&words),
        _ => Part::Query(&words),
    };
    let found = expand(&original, &part, most);
    assert_eq!(found, expand(&original, &part, most));
    let Ok(found) = found else { return };
    assert_eq!(found.tokens, tokens::count(&found.text));
    assert!(most.is_none_or(|most| found.tokens <= most), "{} tokens of {most:?}", found.tokens);
    assert!(found.shown <= found.found, "{found:?}");
    match part {
        Part::All | Part::Lines(..) | Part::Bytes(_) => pieces(&original, &part, found, most),
        Part::Grep { .. } => matches(&original, &found),
        _ => {}
    }
}

/// The pieces join to what is given at once.
fn pieces(original: &str, part: &Part<'_>, mut found: Expanded, most: Option<usize>) {
    let whole = expand(original, part, None).expect("what was given in part");
    assert_eq!(whole.next, None);
    assert!(original.contains(&whole.text));
    let mut read = std::mem::take(&mut found.text);
    while let Some(next) = found.next {
        let next = match next {
            Place::Lines(first, last) => Part::Lines(first, last),
            Place::Bytes(range) => Part::Bytes(range),
        };
        // Where not even a character fits, the rest is read at once.
        let most = most.filter(|_| found.tokens > 0);
        found = expand(original, &next, most).expect("a place that was named");
        assert_eq!(found.widened, None, "pieces end where characters do");
        read.push_str(&found.text);
    }
    assert_eq!(read, whole.text);
}

/// Every line that is shown is that line of the original; only the last one may be cut.
fn matches(original: &str, found: &Expanded) {
    let lines: Vec<&str> = original.split_inclusive('\n').collect();
    let bare = |line: &str| {
        line.strip_suffix('\n').map_or(line.to_owned(), |line| line.strip_suffix('\r').unwrap_or(line).to_owned())
    };
    let shown: Vec<&str> = found.text.split_inclusive('\n').collect();
    for (at, line) in shown.iter().enumerate().filter(|(_, line)| **line != "--\n") {
        let cut = at + 1 == shown.len() && matches!(found.next, Some(Place::Bytes(_)));
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let (number, text) = line.split_at(digits);
        let Some(text) = text.strip_prefix([':', '-']) else {
            assert!(cut, "{line:?} has no number");
            continue;
        };
        let said = number.parse::<usize>().ok().and_then(|number| lines.get(number.checked_sub(1)?));
        let said = bare(said.expect("a line of the original"));
        assert!(
            if cut { said.starts_with(text.trim_end_matches('\n')) } else { text == format!("{said}\n") },
            "{line:?}"
        );
    }
}
