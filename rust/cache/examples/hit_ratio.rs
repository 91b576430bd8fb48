//! What the memory level finds of a trace: `hit_ratio TRACE CAPACITY…`, a file with one key a line and numbers of
//! entries. `hit_ratio --write FOLDER` writes the small workloads of the tests as such files.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hash::RandomState;
use std::path::Path;
use std::{env, fs};

use omnimind_cache::Life;
use omnimind_cache::ram::{Limits, Ram};

#[path = "../tests/memory/traces.rs"]
mod traces;

const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [write, folder] if write == "--write" => write_traces(Path::new(folder)),
        [trace, capacities @ ..] if !capacities.is_empty() => {
            let trace = fs::read_to_string(trace)?;
            for capacity in capacities {
                println!("{capacity} {:.4}", hit_ratio(&trace, capacity.parse()?));
            }
            Ok(())
        }
        _ => Err("hit_ratio TRACE CAPACITY… | hit_ratio --write FOLDER".into()),
    }
}

#[allow(clippy::cast_precision_loss)] // for showing
fn hit_ratio(trace: &str, capacity: usize) -> f64 {
    let limits = Limits { max_bytes: capacity as u64, max_items: capacity, item_bytes: 1 };
    let ram: Ram<&str, (), RandomState> = Ram::new(limits, RandomState::new());
    for key in trace.lines() {
        if ram.get(&key, 0).is_none() {
            ram.insert(key, (), 1, FOREVER, &mut |_, (), _| {});
        }
    }
    let stats = ram.stats();
    stats.hits as f64 / (stats.hits + stats.misses).max(1) as f64
}

fn write_traces(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (name, trace) in traces::all() {
        let lines: Vec<String> = trace.iter().map(ToString::to_string).collect();
        fs::write(folder.join(name), lines.join("\n") + "\n")?;
    }
    Ok(())
}
