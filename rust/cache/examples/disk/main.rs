//! What the disk level takes: `disk [MIB] [FOLDER]`, so much of 1 KiB answers (256) in a folder that is made and
//! removed (the system's for temporary files). Beside it the disk itself: the same bytes, read with nothing around.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, process};

mod measure;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mib: u64 = arguments.next().map_or(Ok(256), |mib| mib.parse())?;
    let parent = arguments.next().map_or_else(env::temp_dir, PathBuf::from);
    let folder = parent.join(format!("omnimind-disk-figures-{}", process::id()));
    let figures = measure::measure(&folder, mib << 20);
    fs::remove_dir_all(&folder)?;
    print!("{}", figures?);
    Ok(())
}
