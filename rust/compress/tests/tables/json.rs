use omnimind_compress::{
    Kind,
    forms::{decode, outline},
    outline::Aim,
};

use crate::{
    oracle::canonical,
    values::{Dice, value},
};

const ROUNDS: u64 = 200;

fn comes_back(text: &str) {
    let Some(outline) = outline(Kind::Json, text, Aim::Whole) else { panic!("not read: {text}") };
    let printed = outline.whole();
    let back = decode(Kind::Json, &printed);
    let back = back.unwrap_or_else(|| panic!("not read back:\n{text}\n{printed}"));
    assert_eq!(canonical(&back), canonical(text), "\n{text}\n{printed}\n{back}");
}

#[test]
fn any_value_comes_back_with_its_members_in_order() {
    let mut read = 0;
    for seed in 0..ROUNDS {
        let text = value(&mut Dice::new(seed), 4);
        if text.starts_with(['{', '[']) {
            comes_back(&text);
            read += 1;
        }
    }
    assert!(read > 60, "{read}");
}
