//! What packing saves and takes, on results of at most 2 KB: half to learn from, half to measure.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use omnimind_cache::compressed::{Codec, Method, Packed, Packer, SMALL, SMALLEST};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::samples::{Chance, result};

const ROUNDS: usize = 15;

/// CPU times are medians, by result.
#[derive(Debug, Serialize)]
pub(crate) struct Packing {
    results: usize,
    bytes: usize,
    dictionary_ratio: f64,
    alone_ratio: f64,
    lz4_ratio: f64,
    pack_ns: u64,
    unpack_ns: u64,
}

pub(crate) fn measure(results: usize) -> Result<Packing, Box<dyn Error>> {
    let mut chance = Chance::new(4);
    let bodies: Vec<Bytes> = std::iter::repeat_with(|| Bytes::from(result(&mut chance, SMALL)))
        .filter(|body| (SMALLEST..=SMALL).contains(&body.len()))
        .take(results.max(4_000))
        .collect();
    let (seen, unseen) = bodies.split_at(bodies.len() / 2);
    let packer = Packer::new(Method::Zstd, 1 << 20, None, 0);
    let due = seen.iter().any(|body| packer.pack(1, body, 0).1);
    if !due || !packer.train_due(0) {
        return Err("no dictionary was learned".into());
    }
    let pack =
        |packer: &Packer, group| -> Vec<Packed> { unseen.iter().map(|body| packer.pack(group, body, 0).0).collect() };
    let packed = pack(&packer, 1);
    if packed.iter().any(|packed| packed.codec != Codec::Dictionary) {
        return Err("a result was packed without the dictionary".into());
    }
    let bytes: usize = unseen.iter().map(Bytes::len).sum();
    let ratio = |packed: &[Packed]| bytes as f64 / packed.iter().map(|packed| packed.bytes.len()).sum::<usize>() as f64;
    let lz4 = Packer::new(Method::Lz4, 1 << 20, None, 0);
    Ok(Packing {
        results: unseen.len(),
        bytes,
        dictionary_ratio: ratio(&packed),
        alone_ratio: ratio(&pack(&packer, 2)),
        lz4_ratio: ratio(&pack(&lz4, 1)),
        pack_ns: each(unseen.len(), || _ = black_box(pack(&packer, 1))),
        unpack_ns: each(unseen.len(), || {
            for packed in &packed {
                black_box(packer.unpack(packed.codec, &packed.bytes));
            }
        }),
    })
}

/// CPU of this thread for one of so many.
fn each(count: usize, mut work: impl FnMut()) -> u64 {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = cpu();
            work();
            cpu().saturating_sub(begun)
        })
        .collect();
    rounds.sort_unstable();
    u64::try_from(rounds[ROUNDS / 2].as_nanos()).unwrap_or(u64::MAX) / count as u64
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { results, bytes, dictionary_ratio, alone_ratio, lz4_ratio, pack_ns, unpack_ns } = self;
        writeln!(f, "{results} results of {} bytes on average, as many others learned from:", bytes / results)?;
        writeln!(
            f,
            "  {dictionary_ratio:.2} times smaller with a dictionary, {alone_ratio:.2} without, {lz4_ratio:.2} by lz4"
        )?;
        write!(f, "  {:.2} µs of CPU to pack, {:.2} µs to unpack", *pack_ns as f64 / 1e3, *unpack_ns as f64 / 1e3)
    }
}
