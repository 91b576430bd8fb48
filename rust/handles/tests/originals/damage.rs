//! Files that are not as they were written.

use std::fs;

use omnimind_handles::{Bounds, Store, Trouble, hex};
use rusqlite::Connection;

use crate::{Folder, NOW, noise, text};

impl Folder {
    fn sql(&self, statement: &str) {
        Connection::open(self.handles().join("originals.sqlite")).unwrap().execute_batch(statement).unwrap();
    }
}

#[test]
fn a_damaged_body_is_an_error_and_not_other_bytes_and_another_put_mends_it() {
    let folder = Folder::new();
    let store = folder.store();
    let bytes = b"all is well\n".repeat(300);
    let name = hex(&store.put("ann", &text(&bytes), NOW).unwrap());
    let other = zstd::bulk::compress(&b"all is lost\n".repeat(300), 3).unwrap();
    let longer = zstd::bulk::compress(&vec![b'x'; 1 << 30], 3).unwrap();
    let connection = Connection::open(folder.handles().join("originals.sqlite")).unwrap();
    connection
        .execute("CREATE TABLE others AS SELECT 1 AS id, ?1 AS body UNION SELECT 2, ?2", (other, longer))
        .unwrap();
    for damage in [
        "UPDATE bodies SET body = x'0102'",
        "UPDATE bodies SET body = (SELECT body FROM others WHERE id = 1)",
        "UPDATE bodies SET body = (SELECT body FROM others WHERE id = 2)",
        "UPDATE bodies SET body = x''",
        "DELETE FROM bodies",
        "UPDATE originals SET length = 5",
        "UPDATE originals SET length = -1",
        "UPDATE originals SET put_ms = -9223372036854775808",
    ] {
        folder.sql(damage);
        let refused = store.get("ann", &name, NOW);
        assert!(matches!(refused, Err(Trouble::Damaged)), "{damage:.60}: {refused:?}");
        store.put("ann", &text(&bytes), NOW).unwrap();
        assert_eq!(store.get("ann", &name, NOW).unwrap().unwrap().bytes, bytes, "{damage:.60}");
    }
    assert_eq!(store.notices(), Vec::<String>::new());
}

#[test]
fn names_that_begin_alike_are_said_to_be_ambiguous() {
    let folder = Folder::new();
    let store = folder.store();
    let name = hex(&store.put("ann", &text(b"one"), NOW).unwrap());
    store.put("ann", &text(b"two"), NOW).unwrap();
    // Nobody finds two such texts; the table can be told that there are.
    folder.sql(&format!("UPDATE originals SET name = x'{}00' WHERE name <> x'{name}'", &name[..62]));
    assert!(matches!(store.get("ann", &name[..16], NOW), Err(Trouble::Ambiguous)));
    assert!(store.get("ann", &name, NOW).unwrap().is_some());
    assert!(store.get("bob", &name[..16], NOW).unwrap().is_none());
}

#[test]
fn a_file_that_is_none_of_ours_is_set_aside_with_a_word_and_a_new_one_begun() {
    let folder = Folder::new();
    let path = folder.handles().join("originals.sqlite");
    fs::create_dir(folder.handles()).unwrap();
    let foreign = "CREATE TABLE tables (chairs)";
    for found in
        [&noise(1, 50_000)[..], &[b"SQLite format 3\0" as &[u8], &noise(3, 9_000)].concat(), foreign.as_bytes()]
    {
        let _ = fs::remove_file(&path);
        if found == foreign.as_bytes() {
            folder.sql(foreign);
        } else {
            fs::write(&path, found).unwrap();
        }
        fs::write(folder.handles().join("originals.sqlite-wal"), noise(2, 40_000)).unwrap();
        let store = folder.store();
        let notices = store.notices();
        assert!(notices.len() == 1 && notices[0].contains("originals.damaged.sqlite"), "{notices:?}");
        assert!(store.notices().is_empty(), "said once");
        let name = hex(&store.put("ann", &text(b"anew"), NOW).unwrap());
        assert_eq!(folder.store().get("ann", &name, NOW).unwrap().unwrap().bytes, b"anew");
        if found != foreign.as_bytes() {
            assert_eq!(fs::read(folder.handles().join("originals.damaged.sqlite")).unwrap(), found);
        }
    }
}

#[test]
fn a_file_that_is_damaged_while_it_is_open_is_begun_anew_with_the_same_key_by_all_who_have_it() {
    let folder = Folder::new();
    let (one, other) = (folder.store(), folder.store());
    for seed in 0..40 {
        one.put("ann", &text(&noise(seed, 20_000)), NOW).unwrap();
    }
    // What is in the log is not asked of the file.
    folder.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let path = folder.handles().join("originals.sqlite");
    let pages = fs::metadata(&path).unwrap().len() / 4_096;
    // Every page but the first, by another process: this one must not open the file but by SQLite.
    let status = std::process::Command::new("dd")
        .args(["if=/dev/urandom", "bs=4096", "seek=1", "conv=notrunc", "status=none"])
        .args([format!("of={}", path.display()), format!("count={}", pages - 1)])
        .status();
    assert!(status.unwrap().success());
    let name = hex(&one.put("ann", &text(b"after the damage"), NOW).unwrap());
    assert_eq!(one.notices().len(), 1);
    assert_eq!(other.get("ann", &name, NOW).unwrap().unwrap().bytes, b"after the damage");
    assert_eq!((one.key(), other.key(), folder.store().key()), ([7; 32], [7; 32], [7; 32]));
}

#[test]
fn a_folder_that_is_deleted_meanwhile_is_made_again() {
    let folder = Folder::new();
    let (one, other) = (folder.store(), folder.store());
    let before = hex(&one.put("ann", &text(b"before"), NOW).unwrap());
    fs::remove_dir_all(folder.handles()).unwrap();
    let after = hex(&one.put("ann", &text(b"after"), NOW).unwrap());
    for store in [&one, &other, &folder.store()] {
        assert!(store.get("ann", &before, NOW).unwrap().is_none());
        assert!(store.get("ann", &after, NOW).unwrap().is_some());
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let name = hex(&folder.store().put("ann", &text(b"of today"), NOW).unwrap());
    folder.sql("PRAGMA user_version = 2");
    let refused = Store::open(&folder.handles(), Bounds::default(), || Ok([7; 32])).err().unwrap();
    assert!(matches!(refused, Trouble::Newer(2, 1)), "{refused}");
    folder.sql("PRAGMA user_version = 1");
    assert!(folder.store().get("ann", &name, NOW).unwrap().is_some());
}

#[test]
fn a_name_that_is_a_link_is_not_followed() {
    let folder = Folder::new();
    fs::create_dir(folder.handles()).unwrap();
    fs::write(folder.0.join("elsewhere"), b"").unwrap();
    std::os::unix::fs::symlink(folder.0.join("elsewhere"), folder.handles().join("originals.sqlite")).unwrap();
    let refused = Store::open(&folder.handles(), Bounds::default(), || Ok([7; 32])).err().unwrap();
    assert!(matches!(refused, Trouble::Unusable(_)), "{refused}");
    assert!(fs::read(folder.0.join("elsewhere")).unwrap().is_empty());
}
