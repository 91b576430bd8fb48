//! Figures of the disk level, for this example and for tables that show all levels.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // Figures are for showing.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use omnimind_cache::disk::{Admitted, Disk, DiskLimits, Found, Record};
use omnimind_cache::{Entry, Key, Life};
use rustix::fs::{Advice, fadvise};
use rustix::time::{ClockId, clock_gettime};

const BODY: usize = 1_024;
const NOW: u64 = 1;
const FOREVER: Life = Life { created_ms: 0, fresh_until_ms: u64::MAX, stale_until_ms: u64::MAX };
const WARM: usize = 100_000;
const COLD: usize = 500;

/// The middle and the hundredth slowest of many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Half were faster.
    pub(crate) p50: Duration,
    /// Of a hundred, one was slower.
    pub(crate) p99: Duration,
}

/// What the level takes.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Entries that were put.
    pub(crate) entries: u64,
    /// Until all were in the file, by entry.
    pub(crate) put: Duration,
    /// CPU of all threads, by entry.
    pub(crate) put_cpu: Duration,
    /// A lookup that the page cache answers.
    pub(crate) get: Spread,
    /// CPU of the asking thread, on average.
    pub(crate) get_cpu: Duration,
    /// A lookup that the disk answers.
    pub(crate) cold: Spread,
    /// The same number of bytes read from the same files with nothing around it, page cache dropped.
    pub(crate) raw: Spread,
    /// Start, by GB of files, from the page cache.
    pub(crate) start: Duration,
    /// The same with the page cache dropped.
    pub(crate) start_cold: Duration,
    /// CPU of the start, by GB.
    pub(crate) start_cpu: Duration,
    /// Of files, by byte of heads and bodies.
    pub(crate) space: f64,
    /// Memory that a start takes, by entry.
    pub(crate) ram_bytes: f64,
}

/// Puts so many bytes into a new level in the folder, and measures.
pub(crate) fn measure(folder: &Path, bytes: u64) -> Result<Figures, Box<dyn Error>> {
    let (entries, limits) = (bytes / BODY as u64, DiskLimits::of(bytes * 2));
    let disk = Disk::open(folder, limits, NOW)?;
    let (put, put_cpu) = timed(ClockId::ProcessCPUTime, || fill(&disk, entries));
    drop(disk);

    let files = files(folder)?;
    let on_disk: u64 = files.iter().map(|(_, len)| len).sum();
    drop_caches(&files)?;
    let (before, begun) = (resident_kib()?, Instant::now());
    let disk = Disk::open(folder, limits, NOW)?;
    let start_cold = begun.elapsed();
    let ram_bytes = resident_kib()?.saturating_sub(before) as f64 * 1024.0 / entries as f64;
    drop_caches(&files)?;
    let cold = spread(COLD, |call| lookup(&disk, key(spot(call, entries))))?;
    drop(disk);
    drop_caches(&files)?;
    let raw = spread(COLD, |call| read_raw(&files, call))?;

    let (start, start_cpu) =
        (0..5).map(|_| start(folder, limits)).collect::<Result<Vec<_>, _>>()?.into_iter().min().ok_or("no start")?;
    let disk = Disk::open(folder, limits, NOW)?;
    (0..entries).try_for_each(|number| lookup(&disk, key(number)).map(|_| ()))?;
    let mut get = None;
    let (_, get_cpu) = timed(ClockId::ThreadCPUTime, || {
        get = Some(spread(WARM, |call| Ok(!lookup(&disk, key(spot(call, entries)))?)));
    });
    let gb = |time: Duration| time.mul_f64(1e9 / on_disk as f64);
    Ok(Figures {
        entries,
        put: put / u32::try_from(entries)?,
        put_cpu: put_cpu / u32::try_from(entries)?,
        get: get.ok_or("not measured")??,
        get_cpu: get_cpu / u32::try_from(WARM)?,
        cold,
        raw,
        start: gb(start),
        start_cold: gb(start_cold),
        start_cpu: gb(start_cpu),
        space: on_disk as f64 / bytes as f64,
        ram_bytes,
    })
}

fn fill(disk: &Disk, entries: u64) {
    let body = Bytes::from(vec![b'x'; BODY]);
    for number in 0..entries {
        let entry = Entry { life: FOREVER, head: Bytes::new(), body: body.clone() };
        while disk.put(&key(number), Record { entry: entry.clone(), codec: 0, group: 0 }) == Admitted::Full {
            // The writer is behind: wait for it, as no cache would.
            disk.flush();
        }
    }
    disk.flush();
}

fn start(folder: &Path, limits: DiskLimits) -> Result<(Duration, Duration), Box<dyn Error>> {
    let mut disk = None;
    let times = timed(ClockId::ThreadCPUTime, || disk = Some(Disk::open(folder, limits, NOW)));
    disk.ok_or("not opened")??;
    Ok(times)
}

/// One lookup; whether it came from the disk.
fn lookup(disk: &Disk, key: Key) -> Result<bool, Box<dyn Error>> {
    let (found, cold) = match disk.get(&key, NOW) {
        Found::Cold(read) => (read.read(), true),
        Found::Here(record) => (Some(record), false),
        Found::Miss => (None, false),
    };
    match found {
        Some(record) if record.entry.body.len() == BODY => Ok(cold),
        _ => Err("an answer is missing".into()),
    }
}

fn read_raw(files: &[(File, u64)], call: u64) -> Result<bool, Box<dyn Error>> {
    let (file, len) = &files[(mix(call) % files.len() as u64) as usize];
    let mut bytes = [0; BODY];
    file.read_exact_at(&mut bytes, mix(call + 7) % (len - BODY as u64))?;
    Ok(true)
}

/// The segments; those that hold next to nothing are left out.
fn files(folder: &Path) -> Result<Vec<(File, u64)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = File::open(file?.path())?;
        let len = file.metadata()?.len();
        if len > 2 * BODY as u64 {
            files.push((file, len));
        }
    }
    Ok(files)
}

/// The kernel forgets the files; only what is written to the disk already can be forgotten.
fn drop_caches(files: &[(File, u64)]) -> Result<(), Box<dyn Error>> {
    for (file, _) in files {
        file.sync_all()?;
        fadvise(file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Of the calls that say that they are what is to be measured: most of them, or the page cache is not what it should be.
fn spread(calls: usize, mut call: impl FnMut(u64) -> Result<bool, Box<dyn Error>>) -> Result<Spread, Box<dyn Error>> {
    let mut times = Vec::with_capacity(calls);
    for number in 0..calls as u64 {
        let begun = Instant::now();
        if call(number)? {
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    if times.len() < calls * 3 / 4 {
        return Err(format!("the page cache is not as it should be: {} calls of {calls} count", times.len()).into());
    }
    Ok(Spread { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] })
}

/// Wall time and CPU time.
fn timed(clock: ClockId, work: impl FnOnce()) -> (Duration, Duration) {
    let cpu = || Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let (begun, begun_cpu) = (Instant::now(), cpu());
    work();
    (begun.elapsed(), cpu().saturating_sub(begun_cpu))
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no size")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D) >> 20
}

fn spot(call: u64, entries: u64) -> u64 {
    mix(call) % entries
}

fn key(number: u64) -> Key {
    let mut key = Key::default();
    for (part, salt) in key.chunks_exact_mut(8).zip(1..) {
        part.copy_from_slice(&mix(number * 4 + salt).to_le_bytes());
    }
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        writeln!(f, "{} entries of 1 KiB", self.entries)?;
        writeln!(
            f,
            "put, until all is in the file   {:8.2} us an entry ({:.2} us CPU of all threads)",
            us(self.put),
            us(self.put_cpu)
        )?;
        writeln!(
            f,
            "get from the page cache     p50 {:8.2} us, p99 {:8.2} us ({:.2} us CPU)",
            us(self.get.p50),
            us(self.get.p99),
            us(self.get_cpu)
        )?;
        writeln!(f, "get from the disk           p50 {:8.2} us, p99 {:8.2} us", us(self.cold.p50), us(self.cold.p99))?;
        writeln!(f, "the disk itself, 1 KiB      p50 {:8.2} us, p99 {:8.2} us", us(self.raw.p50), us(self.raw.p99))?;
        writeln!(
            f,
            "start, a GB of files            {:8.3} s  ({:.3} s CPU; page cache dropped {:.3} s)",
            self.start.as_secs_f64(),
            self.start_cpu.as_secs_f64(),
            self.start_cold.as_secs_f64()
        )?;
        writeln!(f, "files, by byte of answers       {:8.3}", self.space)?;
        writeln!(f, "memory, by entry                {:8.1} bytes", self.ram_bytes)
    }
}
