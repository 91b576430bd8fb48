//! What nobody hopes for: any text, deep nesting, many members, long lines. No panic, no loss, no more than linear time.

use std::time::{Duration, Instant};

use omnimind_compress::{
    Kind,
    forms::{decode, outline, tools},
    outline::Aim,
};

use crate::{oracle::canonical, values::Dice};

const KINDS: [Kind; 4] = [Kind::Json, Kind::JsonLines, Kind::Table, Kind::Tools];

/// Reads a text in all forms, as a whole and to be cut.
fn read(text: &str) {
    for kind in KINDS {
        let _ = outline(kind, text, Aim::Cut);
        let Some(whole) = outline(kind, text, Aim::Whole) else { continue };
        let back = decode(kind, &whole.whole());
        match kind {
            Kind::Table => assert_eq!(back.as_deref(), Some(text)),
            Kind::JsonLines => assert!(back.is_some(), "{text}"),
            _ => assert_eq!(back.as_deref().map(canonical), Some(canonical(text)), "{text}"),
        }
    }
    let _ = (tools::prune(text), tools::signatures(text));
}

#[test]
fn texts_that_are_nearly_something_come_back_or_are_refused() {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"a\"",
        "\"\"",
        ":",
        ",",
        "|",
        "\n",
        "\r\n",
        "\t",
        "  ",
        " ",
        "-",
        "|---|---|\n",
        "~",
        "=",
        "\"",
        "a",
        "1",
        "1.5",
        "null",
        "id,name\n1,a\n",
        "{\"a\":1}\n",
        "| a | b |\n",
        "x  y\n",
        "é",
        "漢",
        "\\",
        "\\|",
        "\u{feff}",
        "(",
        "#",
    ];
    for seed in 0..800 {
        let dice = &mut Dice::new(seed);
        let count = dice.roll(60);
        let text: String = (0..count).map(|_| dice.pick(&pieces)).collect();
        read(&text);
    }
}

#[test]
fn tables_of_any_cells_come_back_to_the_byte() {
    let cells = [
        "",
        "a",
        "web-1",
        "~",
        "-",
        "=x",
        "(a=b)",
        "1",
        "1.50",
        "a b",
        "a  b",
        "x|y",
        "x,y",
        "x;y",
        "say \"no\"",
        "\"",
        "[1]",
        "{a}",
        "null",
        "漢字",
        "имя",
        "é",
        "a\tb",
        " a",
        "a ",
        "\\",
        "2026-01-01T00:00:00Z",
        "sha256:9f3b2a1c0d4e5f67",
    ];
    let mut read_as_table = 0;
    for seed in 0..500 {
        let dice = &mut Dice::new(seed);
        let (width, height) = (1 + dice.roll(5), 1 + dice.roll(14));
        let split = dice.pick(&[",", "\t", ";", "|", " | ", "  "]);
        let end = dice.pick(&["\n", "\n", "\r\n"]);
        let quote = dice.pick(&[0, 1, 2]);
        let same: Vec<&str> = (0..width).map(|_| dice.pick(&cells)).collect();
        let rows: Vec<String> = (0..height)
            .map(|_| {
                let count = if dice.roll(30) == 0 { dice.roll(6) } else { width };
                let row: Vec<String> = (0..count)
                    .map(|at| {
                        let said =
                            if dice.roll(3) == 0 { dice.pick(&cells) } else { same.get(at).copied().unwrap_or("") };
                        let quoted = quote == 1 || (quote == 2 && said.contains(['"', ',', ';', '|', '\t']));
                        if quoted { format!("\"{}\"", said.replace('"', "\"\"")) } else { said.to_owned() }
                    })
                    .collect();
                if split == " | " { format!("| {} |", row.join(split)) } else { row.join(split) }
            })
            .collect();
        let mut rows = rows;
        if split == " | " {
            rows.insert(1.min(rows.len()), format!("|{}", "---|".repeat(width)));
        }
        let text = rows.join(end) + dice.pick(&["", end]);
        if let Some(outline) = outline(Kind::Table, &text, Aim::Whole) {
            read_as_table += 1;
            assert_eq!(decode(Kind::Table, &outline.whole()).as_deref(), Some(text.as_str()), "{}", outline.whole());
        }
        read(&text);
    }
    assert!(read_as_table > 100, "{read_as_table}");
}

#[test]
fn what_is_printed_by_nobody_is_no_panic_to_read_back() {
    let lines = [
        "3 rows; columns: a|b",
        "2 items",
        "- 1",
        "a: 2 lines of text",
        "1 entries; columns: name",
        "CSV by comma; CRLF",
        "Columns 2 apart, at 0 99999",
        "Markdown padded |-|",
        "x|y",
        "=",
        "{a:[",
        "\"",
        "9999999999 rows; columns: a",
        "a.b.c: 1",
        " b:",
    ];
    for seed in 0..800 {
        let dice = &mut Dice::new(seed);
        let count = 1 + dice.roll(6);
        let text: Vec<&str> = (0..count).map(|_| dice.pick(&lines)).collect();
        for kind in KINDS {
            let _ = decode(kind, &text.join("\n"));
        }
    }
}

#[test]
fn size_costs_time_in_proportion() {
    let wide = |size: usize| {
        format!("{{{}}}", (0..size / 12).map(|at| format!("\"k{at}\":{at}")).collect::<Vec<_>>().join(","))
    };
    let odd = |size: usize| {
        format!("[{}]", (0..size / 12).map(|at| format!("{{\"k{at}\":{at}}}")).collect::<Vec<_>>().join(","))
    };
    let makers: [&dyn Fn(usize) -> String; 11] = [
        &|size| "[".repeat(size),
        &|size| format!("{}1{}", "[".repeat(size / 2), "]".repeat(size / 2)),
        &|size| "{\"a\":".repeat(size / 5),
        &wide,
        &odd,
        &|size| format!("[{}]", "1,".repeat(size / 2) + "1"),
        &|size| format!("\"{}\"", "a".repeat(size)),
        &|size| format!("[{{\"t\":\"{}\"}}]", "line\\n".repeat(size / 6)),
        &|size| "a,".repeat(size / 2),
        &|size| "a,b\n".repeat(size / 4),
        &|size| "a  b  c\n".repeat(size / 8),
    ];
    for (index, make) in makers.iter().enumerate() {
        let timed = |size: usize| {
            let text = make(size);
            let rounds = (0..4).map(|_| {
                let begun = Instant::now();
                for kind in KINDS {
                    let _ = (outline(kind, &text, Aim::Whole), outline(kind, &text, Aim::Cut));
                }
                begun.elapsed()
            });
            rounds.min().unwrap_or_default()
        };
        let (short, long) = (timed(6_000), timed(96_000));
        assert!(long < short * 16 * 8 + Duration::from_millis(60), "{index}: {short:?} {long:?}");
    }
}
