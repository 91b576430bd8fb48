//! One function a level.

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use omnimind_cache::disk::{Disk, DiskLimits};
use omnimind_cache::levels::{Found, Hit, Level, LevelLimits, Levels};
use omnimind_cache::predict::{Caller, Observed, PredictLimits, Predictor};
use omnimind_cache::{Entry, Key, Life};
use rustix::fs::{Advice, fadvise};
use serde::Serialize;

use crate::samples::{Chance, result};
use crate::spread::Spread;
use crate::words;

pub(crate) type Measured = Result<Row, Box<dyn Error>>;

/// In the order of the table.
pub(crate) const ROWS: [fn(&Setup) -> Measured; 5] = [ram, disk, compressed, words::row, predictive];

pub(crate) const NOW: u64 = 1;
const SERVER: u32 = 1;
pub(crate) const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };
const MEMORY: u64 = 1 << 30;
/// Entries in L1 where another level is to answer.
const FEW: usize = 16;
/// Lookups that go to the disk itself. The page cache is dropped before each: reading one brings in its neighbours.
const COLD: usize = 500;

/// What all rows are measured with.
pub(crate) struct Setup {
    /// Results that are kept.
    pub(crate) entries: usize,
    /// Made by the row that needs it.
    pub(crate) folder: PathBuf,
}

/// One level.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) level: &'static str,
    /// The figure the project began with.
    pub(crate) once_named: &'static str,
    pub(crate) warm: Option<Spread>,
    pub(crate) cold: Option<Spread>,
    /// Reads of as many bytes from the same files, page cache dropped, with nothing around them.
    pub(crate) device: Option<Spread>,
    pub(crate) off: Option<&'static str>,
}

fn ram(setup: &Setup) -> Measured {
    let levels = Levels::new(&LevelLimits::of(MEMORY, setup.entries * 2, 0), None, NOW);
    fill(&levels, setup.entries, false);
    let warm = lookups(&levels, setup.entries, setup.entries * 10, Level::Ram, &[])?;
    Ok(Row { level: "RAM", once_named: "1-10 µs", warm, ..Row::default() })
}

fn compressed(setup: &Setup) -> Measured {
    let levels = Levels::new(&LevelLimits::of(MEMORY, FEW, MEMORY), None, NOW);
    fill(&levels, setup.entries, false);
    let warm = lookups(&levels, setup.entries, setup.entries, Level::Compressed, &[])?;
    Ok(Row { level: "compressed", once_named: "1 ms", warm, ..Row::default() })
}

fn disk(setup: &Setup) -> Measured {
    let open = || -> Result<Levels, Box<dyn Error>> {
        let disk = Disk::open(&setup.folder, DiskLimits::of(MEMORY), NOW)?;
        let limits = LevelLimits { written_per_hour: MEMORY * 8, ..LevelLimits::of(MEMORY, FEW, 0) };
        Ok(Levels::new(&limits, Some(disk), NOW))
    };
    let levels = open()?;
    fill(&levels, setup.entries, true);
    drop(levels);
    let levels = open()?;
    let warm = lookups(&levels, setup.entries, setup.entries, Level::Disk, &[])?;
    let bytes =
        (0..100).filter_map(|number| find(&levels, &key(number))).map(|hit| hit.entry.body.len()).sum::<usize>();
    let files = files(&setup.folder)?;
    let cold = lookups(&levels, setup.entries, COLD, Level::Disk, &files)?;
    let device = device(&files, bytes / 100)?;
    Ok(Row { level: "SSD", once_named: "100 µs", warm, cold, device, off: None })
}

/// What it takes to learn from a call and to say what comes next: folders are listed, their files read in order.
fn predictive(setup: &Setup) -> Measured {
    const FILES: usize = 8;
    let predictor = Predictor::new(PredictLimits::default());
    let caller = Caller { principal: 1, session: 1 };
    let listing = (0..FILES).map(|file| format!("\"file-{file}.rs\"")).collect::<Vec<_>>().join(",");
    let listing = format!(r#"{{"structuredContent":{{"files":[{listing}],"more":false}}}}"#);
    let mut times = Vec::with_capacity(setup.entries);
    let mut expected = 0;
    for call in 0..setup.entries {
        let (folder, file) = (call / (FILES + 1), call % (FILES + 1));
        let (tool, arguments, result) = match file.checked_sub(1) {
            None => ("list", format!(r#"{{"path":"/{folder}"}}"#), listing.as_str()),
            Some(file) => ("read", format!(r#"{{"path":"/{folder}/file-{file}.rs"}}"#), r#"{"content":[]}"#),
        };
        let (arguments, result) = (arguments.as_bytes(), Some(result.as_bytes()));
        let call = Observed {
            server: SERVER,
            tool,
            arguments,
            read_only: true,
            ok: true,
            result,
            took_ms: 10.0,
            cached: false,
        };
        let start = Instant::now();
        expected += predictor.observe(caller, &call, NOW).len();
        times.push(start.elapsed());
    }
    if expected < setup.entries / 2 {
        return Err("the predictive level expects nothing".into());
    }
    Ok(Row { level: "predictive", once_named: "100 ms", warm: Spread::of(times), ..Row::default() })
}

/// Puts results, and asks for each once.
fn fill(levels: &Levels, entries: usize, through: bool) {
    let mut chance = Chance::new(1);
    for number in 0..entries {
        let body = Bytes::from(result(&mut chance, 2_048));
        let entry = Entry { life: FOREVER, head: Bytes::new(), body };
        if through {
            levels.put_through(&key(number), SERVER, entry, NOW);
        } else {
            levels.put(&key(number), SERVER, entry, NOW);
        }
        find(levels, &key(number));
    }
    levels.flush();
}

/// Times lookups of entries by chance; those that another level answered are left out. Before each, the page cache is
/// dropped of what is in `cold`.
fn lookups(
    levels: &Levels,
    entries: usize,
    count: usize,
    by: Level,
    cold: &[(File, u64)],
) -> Result<Option<Spread>, Box<dyn Error>> {
    let mut chance = Chance::new(2);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let key = key(usize::try_from(chance.below(entries as u64))?);
        drop_caches(cold)?;
        let begun = Instant::now();
        let found = find(levels, &key);
        let took = begun.elapsed();
        if found.is_some_and(|hit| hit.level == by) {
            times.push(took);
        }
    }
    if times.len() < count / 2 {
        return Err(format!("{by:?} answered {} of {count} lookups only", times.len()).into());
    }
    Ok(Spread::of(times))
}

fn find(levels: &Levels, key: &Key) -> Option<Hit> {
    match levels.get(key, NOW) {
        Found::Hit(hit) => Some(hit),
        Found::Cold(cold) => levels.read_cold(cold, NOW),
        Found::Miss => None,
    }
}

pub(crate) fn key(number: usize) -> Key {
    let mut chance = Chance::new(number as u64 + 1_000);
    std::array::from_fn(|_| u8::try_from(chance.below(256)).unwrap_or_default())
}

fn files(folder: &Path) -> Result<Vec<(File, u64)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder)? {
        let (path, about) = file.map(|file| (file.path(), file.metadata()))?;
        let length = about?.len();
        if path.is_file() && length > 4_096 {
            files.push((File::open(path)?, length));
        }
    }
    Ok(files)
}

fn drop_caches(files: &[(File, u64)]) -> Result<(), Box<dyn Error>> {
    for (file, _) in files {
        file.sync_all()?;
        fadvise(file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn device(files: &[(File, u64)], bytes: usize) -> Result<Option<Spread>, Box<dyn Error>> {
    let mut chance = Chance::new(3);
    let (mut times, mut buffer) = (Vec::with_capacity(COLD), vec![0; bytes]);
    for _ in 0..COLD {
        let (file, length) = &files[usize::try_from(chance.below(files.len() as u64))?];
        let at = chance.below(length.saturating_sub(bytes as u64).max(1));
        drop_caches(files)?;
        let begun = Instant::now();
        file.read_exact_at(&mut buffer, at)?;
        times.push(begun.elapsed());
    }
    Ok(Spread::of(times))
}
