//! Any history, beside a map that does the same.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put { number: u64, len: usize, fresh_ms: u64, stale_ms: u64 },
    Get { number: u64 },
    Remove { number: u64 },
    Clear { group: Option<u32> },
    Flush,
    Reopen,
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..20_u64;
    let len = prop_oneof![0..300_usize, 1_900..2_200_usize];
    prop_oneof![
        8 => (number.clone(), len, 0..3_000_u64, 0..3_000_u64)
            .prop_map(|(number, len, fresh_ms, stale_ms)| Step::Put { number, len, fresh_ms, stale_ms }),
        8 => number.clone().prop_map(|number| Step::Get { number }),
        2 => number.prop_map(|number| Step::Remove { number }),
        1 => prop_oneof![4 => (0..7_u32).prop_map(Some), 1 => Just(None)].prop_map(|group| Step::Clear { group }),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        2 => (0..1_000_u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// Runs a history. Where nothing is evicted, what was flushed must be there; else it may be missing, never other.
fn run(steps: &[Step], limits: DiskLimits, evicts: bool) -> Result<(), TestCaseError> {
    let folder = Folder::fast();
    let mut disk = Disk::open(&folder.0, limits, NOW).unwrap();
    let mut model: HashMap<u64, (Record, bool)> = HashMap::new();
    let mut now = NOW;
    for (version, step) in steps.iter().enumerate() {
        match step {
            Step::Put { number, len, fresh_ms, stale_ms } => {
                let mut record = record(*number, version as u64, *len);
                let fresh_until_ms = now + fresh_ms;
                record.entry.life = Life { created_ms: now, fresh_until_ms, stale_until_ms: fresh_until_ms + stale_ms };
                match disk.put(&key(*number), record.clone()) {
                    Admitted::Queued => _ = model.insert(*number, (record, false)),
                    Admitted::TooLarge => _ = model.remove(number),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            Step::Get { number } => {
                let found = disk.get_blocking(&key(*number), now);
                let alive =
                    model.get(number).filter(|(kept, _)| kept.entry.life.state(now) != crate::Freshness::Expired);
                match (&found, alive) {
                    (Some(found), kept) => prop_assert_eq!(Some(found), kept.map(|(kept, _)| kept)),
                    (None, Some((_, flushed))) => prop_assert!(!flushed || evicts, "{number} is missing"),
                    (None, None) => {}
                }
            }
            Step::Remove { number } => {
                prop_assert!(disk.remove(&key(*number)) == model.remove(number).is_some() || evicts);
            }
            Step::Clear { group } => {
                disk.clear(*group);
                model.retain(|_, (record, _)| group.is_some_and(|group| record.group != group));
            }
            Step::Flush => prop_assert!(disk.flush()),
            Step::Reopen => {
                drop(disk);
                disk = Disk::open(&folder.0, limits, now).unwrap();
            }
            Step::Pass { ms } => now += ms,
        }
        if matches!(step, Step::Flush | Step::Reopen) {
            for (_, flushed) in model.values_mut() {
                *flushed = true;
            }
        }
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: rounds(60, 5_000) as u32, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_disk_is_a_map(steps in prop::collection::vec(step(), 1..200)) {
        let limits = DiskLimits { max_bytes: 8 << 20, segment_bytes: 8 << 10, item_bytes: 2_100, queue_bytes: 1 << 20 };
        run(&steps, limits, false)?;
    }

    #[test]
    fn a_full_disk_is_a_map_that_forgets(steps in prop::collection::vec(step(), 1..400)) {
        let limits = DiskLimits { max_bytes: 64 << 10, segment_bytes: 4 << 10, item_bytes: 1_000, queue_bytes: 1 << 20 };
        run(&steps, limits, true)?;
    }
}
