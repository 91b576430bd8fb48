//! Logs: read back to the byte, grouped by their templates, with fewer tokens.

use std::collections::HashMap;

use omnimind_compress::{Kind, forms, outline::Aim, tokens};

use crate::logs::{Made, STYLES, make};

/// The share of lines whose group is exactly that of their template.
fn grouped_right(made: &Made) -> f64 {
    let outline = forms::outline(Kind::Log, &made.text, Aim::Cut).unwrap();
    let starts: HashMap<usize, u64> = outline
        .units
        .iter()
        .filter(|unit| unit.like != 0 && !unit.source.is_empty())
        .map(|unit| (unit.source.start, unit.like))
        .collect();
    let mut at = 0;
    let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut truth: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, (line, template)) in made.text.split('\n').zip(&made.templates).enumerate() {
        groups.entry(starts[&at]).or_default().push(number);
        truth.entry(*template).or_default().push(number);
        at += line.len() + 1;
    }
    let right: usize = groups.values().filter(|lines| truth.values().any(|own| own == *lines)).map(Vec::len).sum();
    right as f64 / made.templates.len() as f64
}

#[test]
fn lines_of_a_template_are_one_group() {
    let mut sum = 0.0;
    for (seed, style) in STYLES.iter().enumerate() {
        let made = make(style, 1000, 7 + seed as u64);
        let right = grouped_right(&made);
        println!("{:10} {right:.3}", made.style);
        sum += right;
    }
    let mean = sum / STYLES.len() as f64;
    println!("mean       {mean:.3}");
    assert!(mean >= 0.9, "{mean}");
}

#[test]
fn a_log_is_read_back_to_the_byte_and_takes_fewer_tokens() {
    let (mut before, mut after) = (0, 0);
    for (seed, style) in STYLES.iter().enumerate() {
        let made = make(style, 1000, 99 + seed as u64);
        let printed = forms::outline(Kind::Log, &made.text, Aim::Whole).unwrap().whole();
        assert_eq!(forms::decode(Kind::Log, &printed).unwrap(), made.text, "{}", made.style);
        let (old, new) = (tokens::count(&made.text), tokens::count(&printed));
        println!("{:10} {old:6} {new:6} {:.1} %", made.style, 100.0 * new as f64 / old as f64);
        before += old;
        after += new;
    }
    println!("all        {before} {after} {:.1} %", 100.0 * after as f64 / before as f64);
    assert!(after * 100 < before * 60, "{after} of {before}");
}
