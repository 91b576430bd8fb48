//! The levels in one table: `levels [--json] [ENTRIES]`. What a lookup takes that each answers, as the whole sees it:
//! a hit below memory pays for its way up, and for what has to go down for it.
//!
//! Warm is with everything in memory (the kernel's, for the disk), cold with the page cache dropped. Times are of the
//! wall clock, each lookup on its own, less what it takes to read the clock.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::cast_precision_loss)]

#[allow(dead_code, unreachable_pub)]
#[path = "../../src/compressed/samples.rs"]
mod samples;

mod packing;
mod rows;
mod spread;
mod words;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, process};

use rows::{ROWS, Row, Setup};
use spread::Spread;

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, numbers): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|word| word.starts_with("--"));
    let entries = numbers.first().map_or(Ok(10_000), |number| number.parse())?;
    let folder: PathBuf = env::temp_dir().join(format!("omnimind-levels-figures-{}", process::id()));
    let setup = Setup { entries, folder: folder.clone() };
    let rows = ROWS.iter().map(|row| row(&setup)).collect::<Result<Vec<Row>, _>>();
    let packing = packing::measure(entries);
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let (rows, packing) = (rows?, packing?);
    if flags.iter().any(|flag| flag == "--json") {
        println!("{}", serde_json::json!({ "entries": entries, "levels": rows, "packing": packing }));
    } else {
        println!("{}", head());
        for row in &rows {
            println!("{}", line(row));
        }
        println!("\n{packing}");
    }
    Ok(())
}

fn head() -> String {
    let [warm, cold, disk] = ["warm p50 / p99", "cold p50 / p99", "the disk alone"];
    format!("{:<12} {:>12}  {warm:>22} {cold:>22} {disk:>22}", "level", "once named")
}

fn line(row: &Row) -> String {
    let show = |spread: Option<Spread>| spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string());
    let name = format!("{:<12} {:>12}", row.level, row.once_named);
    match &row.off {
        Some(why) => format!("{name}  off: {why}"),
        None => format!("{name}  {:>22} {:>22} {:>22}", show(row.warm), show(row.cold), show(row.device)),
    }
}
