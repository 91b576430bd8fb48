//! Several processes at once, and some that are killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use omnimind_handles::hex;

use crate::{Bounds, Folder, NOW, is_full_run, noise, open, text};

const WRITERS: u64 = 3;

/// What a writer acknowledged with `seed` is this.
fn original(seed: u64) -> Vec<u8> {
    let length = usize::try_from(seed % 97).unwrap() * 400;
    let mut bytes = noise(seed, length);
    bytes.extend(b"the same line again and again\n".repeat(usize::try_from(seed % 13).unwrap() * 20));
    bytes
}

/// Not a test: what the processes of the tests below run.
#[test]
#[ignore = "run by other tests"]
fn puts_until_it_is_killed() {
    let Some(folder) = std::env::var_os("HANDLES_FOLDER") else { return };
    let first: u64 = std::env::var("HANDLES_FIRST").unwrap().parse().unwrap();
    let last = first + std::env::var("HANDLES_COUNT").unwrap().parse::<u64>().unwrap();
    let store = open(folder.as_ref(), Bounds::default());
    let mut out = std::io::stderr();
    for seed in first..last {
        let handle = store.put(["ann", "bob"][usize::from(seed % 2 == 1)], &text(&original(seed)), NOW + seed).unwrap();
        // One write: a line that is read was acknowledged.
        out.write_all(format!("put {seed} {}\n", hex(&handle)).as_bytes()).unwrap();
    }
}

fn writer(folder: &Folder, first: u64, count: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::puts_until_it_is_killed", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("HANDLES_FOLDER", folder.handles());
    command.env("HANDLES_FIRST", first.to_string()).env("HANDLES_COUNT", count.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a process acknowledged until it ended.
fn acknowledged(child: &mut Child) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["put", seed, name] => found.push((seed.parse().unwrap(), name.to_owned())),
            _ => assert!(line.is_empty(), "{line}"),
        }
    }
    child.wait().unwrap();
    found
}

fn check(folder: &Folder, found: &[(u64, String)]) {
    let store = folder.store();
    for (seed, name) in found {
        let principal = ["ann", "bob"][usize::from(seed % 2 == 1)];
        let kept = store.get(principal, name, NOW + seed).unwrap();
        assert!(kept.is_some_and(|kept| kept.bytes == original(*seed)), "{principal} put {seed} as {name}");
    }
    assert_eq!(store.notices(), Vec::<String>::new());
}

#[test]
fn several_processes_put_at_once_and_each_can_read_what_the_others_put() {
    let folder = Folder::new();
    // Each also makes the file, or finds that another is doing so.
    let mut writers: Vec<_> = (0..4).map(|number| writer(&folder, 10_000 * (number + 1), 60)).collect();
    let found: Vec<_> = writers.iter_mut().flat_map(acknowledged).collect();
    assert_eq!(found.len(), 240);
    check(&folder, &found);
    assert_eq!(folder.store().held(None).unwrap().originals, 240);
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_there_in_another_process() {
    let folder = Folder::new();
    let rounds: u64 = if is_full_run() { 200 } else { 6 };
    let mut found = Vec::new();
    for round in 0..rounds {
        let mut writers: Vec<_> =
            (0..WRITERS).map(|number| writer(&folder, (round * WRITERS + number) * 10_000 + 1, 9_999)).collect();
        // A kill may also find them while they begin.
        std::thread::sleep(Duration::from_millis(20 + round * 53 % 240));
        for writer in &mut writers {
            writer.kill().unwrap();
        }
        let new: Vec<_> = writers.iter_mut().flat_map(acknowledged).collect();
        check(&folder, &new);
        found.extend(new);
    }
    assert!(found.len() > 20, "only {} puts in {rounds} rounds", found.len());
    check(&folder, &found);
    eprintln!("{} puts acknowledged in {rounds} rounds of {WRITERS} kills, all there", found.len());
}

#[test]
fn threads_of_one_process_share_a_store() {
    let folder = Folder::new();
    let store = folder.store();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for seed in number * 100..number * 100 + 50 {
                    let name = hex(&store.put("ann", &text(&original(seed)), NOW).unwrap());
                    assert_eq!(store.get("ann", &name, NOW + 2 * 60_000).unwrap().unwrap().bytes, original(seed));
                }
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(store.held(None).unwrap().originals, 200);
}
