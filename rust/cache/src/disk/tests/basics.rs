//! One process, nothing breaks.

use super::*;

#[test]
fn what_was_put_is_read_before_and_after_a_restart() {
    let folder = Folder::new();
    let disk = open(&folder);
    for number in 0..200 {
        assert_eq!(disk.put(&key(number), record(number, 1, 700)), Admitted::Queued);
    }
    assert!(disk.flush());
    let all = |disk: &Disk| (0..200).all(|number| disk.get_blocking(&key(number), NOW) == Some(record(number, 1, 700)));
    assert!(all(&disk));
    assert_eq!(disk.stats().hits, 200);
    drop(disk);
    let disk = open(&folder);
    assert!(all(&disk));
    assert_eq!(disk.get_blocking(&key(200), NOW), None);
}
