//! What the forms cost, in tokens: `cargo test -p omnimind-compress --test tables sizes -- --nocapture`.

use omnimind_compress::{
    Kind,
    forms::{decode, outline},
    outline::Aim,
    tokens::count,
};

use crate::{
    documents::{events, json, pretty, tables},
    oracle::canonical,
    values::Dice,
};

fn share(part: usize, of: usize) -> usize {
    part * 100 / of
}

#[test]
fn sizes_of_json_documents_stay_under_their_bars() {
    let (mut printed, mut minified, mut indented) = (0, 0, 0);
    for (name, text) in json(7) {
        let outline = outline(Kind::Json, &text, Aim::Whole).unwrap().whole();
        let back = decode(Kind::Json, &outline).unwrap();
        assert_eq!(canonical(&back), canonical(&text), "{name}");
        let sizes = [&outline, &text, &pretty(&text)].map(|text| count(text));
        println!(
            "{name:10} {:5} tokens, {:3} % of minified ({}), {:3} % of pretty",
            sizes[0],
            share(sizes[0], sizes[1]),
            sizes[1],
            share(sizes[0], sizes[2])
        );
        if let Ok(directory) = std::env::var("OMNIMIND_PRINTED") {
            std::fs::write(format!("{directory}/{name}.txt"), &outline).unwrap();
            std::fs::write(format!("{directory}/{name}.json"), &text).unwrap();
        }
        printed += sizes[0];
        minified += sizes[1];
        indented += sizes[2];
    }
    println!(
        "all        {printed:5} tokens, {:3} % of minified, {:3} % of pretty",
        share(printed, minified),
        share(printed, indented)
    );
    assert!(share(printed, minified) <= 70 && share(printed, indented) <= 50);
}

#[test]
fn sizes_of_json_lines_stay_under_their_bar() {
    let text = events(&mut Dice::new(3), 300).join("\n");
    let printed = outline(Kind::JsonLines, &text, Aim::Whole).unwrap().whole();
    let back = decode(Kind::JsonLines, &printed).unwrap();
    for (one, other) in back.split('\n').zip(text.split('\n')) {
        assert_eq!(canonical(one), canonical(other));
    }
    assert_eq!(back.split('\n').count(), 300);
    println!("jsonl      {:3} %", share(count(&printed), count(&text)));
    assert!(share(count(&printed), count(&text)) <= 68);
}

#[test]
fn sizes_of_tables_stay_under_their_bar() {
    let (mut printed, mut given) = (0, 0);
    for (name, text) in tables(5) {
        let outline = outline(Kind::Table, &text, Aim::Whole).unwrap_or_else(|| panic!("{name}\n{text}")).whole();
        assert_eq!(decode(Kind::Table, &outline).as_deref(), Some(text.as_str()), "{name}");
        let sizes = [count(&outline), count(&text)];
        println!("{name:10} {:5} tokens, {:3} % of {}", sizes[0], share(sizes[0], sizes[1]), sizes[1]);
        if let Ok(directory) = std::env::var("OMNIMIND_PRINTED") {
            std::fs::write(format!("{directory}/{name}.txt"), &outline).unwrap();
        }
        printed += sizes[0];
        given += sizes[1];
    }
    println!("all        {:3} %", share(printed, given));
    assert!(share(printed, given) <= 80);
}
