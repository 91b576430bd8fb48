//! A process that is killed while it writes. This binary starts itself again as that process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Run, Stdio};
use std::time::Duration;

use super::*;

const FOLDER: &str = "OMNIMIND_DISK_TEST_FOLDER";
const PLAN: &str = "OMNIMIND_DISK_TEST_PLAN";
const KEYS: u64 = 60;
/// Steps between two flushes.
const STRIDE: u64 = 50;
const ROOMY: DiskLimits =
    DiskLimits { max_bytes: 256 << 20, segment_bytes: 64 << 10, item_bytes: 16 << 10, queue_bytes: 4 << 20 };
const TIGHT: DiskLimits = DiskLimits { max_bytes: 64 << 10, segment_bytes: 8 << 10, ..ROOMY };

/// What step `number` of the history does to which key: a new version, or none.
fn step(number: u64) -> (u64, Option<usize>) {
    let mut dice = Dice(number << 8);
    let of = dice.below(KEYS);
    (of, (dice.below(5) != 0).then(|| dice.below(1_500) as usize))
}

/// The child: does step after step, and says which were flushed.
#[test]
fn child_that_is_killed() {
    let (Ok(folder), Ok(plan)) = (std::env::var(FOLDER), std::env::var(PLAN)) else { return };
    let (tight, first) = plan.split_once(' ').unwrap();
    let limits = if tight == "tight" { TIGHT } else { ROOMY };
    let disk = Disk::open(Path::new(&folder), limits, NOW).unwrap();
    let mut out = std::io::stdout();
    for number in first.parse::<u64>().unwrap().. {
        let (of, len) = step(number);
        match len {
            Some(len) => assert_eq!(disk.put(&key(of), record(of, number, len)), Admitted::Queued),
            None => _ = disk.remove(&key(of)),
        }
        // Hits, so that eviction copies.
        disk.get_blocking(&key(number % 7), NOW);
        if (number + 1) % STRIDE == 0 {
            assert!(disk.flush());
            writeln!(out, "flushed {}", number + 1).unwrap();
            out.flush().unwrap();
        }
    }
}

fn spawn(folder: &Folder, plan: &str) -> Child {
    Run::new(std::env::current_exe().unwrap())
        .args(["disk::tests::kill::child_that_is_killed", "--exact", "--nocapture", "--test-threads", "1"])
        .envs([(FOLDER, folder.0.to_str().unwrap()), (PLAN, plan)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills it a while after its first flush; the number of steps that it said were flushed.
fn kill_later(mut child: Child, after: Duration) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let flushed = |line: String| line.strip_prefix("flushed ").map(|steps| steps.parse::<u64>().unwrap());
    let first = lines.by_ref().find_map(|line| flushed(line.unwrap())).unwrap();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let last = lines.map_while(Result::ok).filter_map(flushed).last().unwrap_or(first);
    killer.join().unwrap();
    last
}

/// What is under a key after `steps` and after each later step up to `end` that concerns it.
fn expected(of: u64, known: Option<u64>, steps: std::ops::Range<u64>, end: u64) -> Vec<Option<u64>> {
    let changes = |range: std::ops::Range<u64>| range.filter(move |number| step(*number).0 == of);
    let value = |number: u64| step(number).1.map(|_| number);
    let acknowledged = changes(steps.clone()).next_back().map_or(known, value);
    [acknowledged].into_iter().chain(changes(steps.end..end).map(value)).collect()
}

fn kills(limits: DiskLimits, name: &str, count: usize, stream: u64) {
    let folder = Folder::new();
    let count = number("OMNIMIND_DISK_KILLS").map_or(count, |kills| kills as usize);
    let mut dice = Dice::seeded(stream);
    let mut known = vec![None; KEYS as usize];
    let (mut first, mut total) = (0, 0);
    for round in 0..count {
        let child = spawn(&folder, &format!("{name} {first}"));
        let acknowledged = kill_later(child, Duration::from_micros(dice.below(30_000)));
        // Between that flush and the next one it said nothing.
        let end = acknowledged + STRIDE;
        let disk = Disk::open(&folder.0, limits, NOW).unwrap_or_else(|error| unreachable!("round {round}: {error}"));
        for of in 0..KEYS {
            let found = disk.get_blocking(&key(of), NOW).map(|found| version(of, &found));
            let expected = expected(of, known[of as usize], first..acknowledged, end);
            let evicted = name == "tight" && found.is_none();
            assert!(
                evicted || expected.contains(&found),
                "round {round}, key {of}: {found:?}, not one of {expected:?}"
            );
            known[of as usize] = found;
        }
        let stats = disk.stats();
        assert_eq!((stats.damaged, stats.off), (0, None), "round {round}");
        total += acknowledged - first;
        // The next child must not use a version again that this one may have used.
        first = end;
    }
    eprintln!("{count} kills of a {name} disk: {total} changes acknowledged, none undone");
}

#[test]
fn nothing_that_was_flushed_is_lost_or_changed_by_a_kill() {
    kills(ROOMY, "roomy", rounds(8, 300), 1);
}

#[test]
fn no_kill_brings_an_old_value_back_where_eviction_runs() {
    kills(TIGHT, "tight", rounds(6, 300), 2);
}

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let folder = Folder::new();
    let mut child = spawn(&folder, "roomy 0");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.by_ref().find(|line| line.as_ref().unwrap().starts_with("flushed")).unwrap().unwrap();
    next();
    assert!(matches!(Disk::open(&folder.0, ROOMY, NOW), Err(DiskRefused::Locked)));
    next();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(Disk::open(&folder.0, ROOMY, NOW).is_ok());
}
