//! What an answer of a first-party server depends on: files, as they were before it read them.
//!
//! The worker says it in `_meta["omnimind/depends"]`, which no client ever sees. A hit looks at each file again:
//! one that is another, or was written since, makes the answer a miss. A time stamp has the resolution of the kernel's tick,
//! so a worker says nothing of a file that was written a moment before; such an answer is not kept.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

use omnimind_wire::{
    Object,
    json::{as_bool, as_i64, as_u64, elements},
};

/// More files than this are not looked at for a hit.
pub(crate) const MOST: usize = 16;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: String,
    was: Was,
}

/// What was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    /// Nothing.
    Missing,
    /// Nothing, or a file without a byte: the journal of a database, which readers lay out and writers remove.
    Empty,
    /// A file or a folder.
    There(Stamp),
}

/// What tells that a file is the same and unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
}

/// All that an answer depends on besides its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Depends(Vec<File>);

impl Depends {
    /// Reads what a worker says; none if it cannot be followed, so that the answer is not kept.
    pub(crate) fn read(raw: &[u8]) -> Option<Self> {
        let files = elements(raw).ok()?;
        if files.len() > MOST {
            return None;
        }
        files.into_iter().map(file).collect::<Option<Vec<_>>>().map(Self)
    }

    /// True while all of it is as it was. Asks the file system.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(|file| file.was.still(&file.path))
    }

    /// Appends it, to be read by [`Self::unpack`].
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for file in &self.0 {
            out.extend_from_slice(&u32::try_from(file.path.len()).unwrap_or(0).to_le_bytes());
            out.extend_from_slice(file.path.as_bytes());
            out.push(match file.was {
                Was::Missing => 0,
                Was::There(_) => 1,
                Was::Empty => 2,
            });
            if let Was::There(was) = file.was {
                out.extend_from_slice(&was.inode.to_le_bytes());
                out.extend_from_slice(&was.size.to_le_bytes());
                out.extend_from_slice(&was.mtime_ns.to_le_bytes());
                out.extend_from_slice(&was.ctime_ns.to_le_bytes());
            }
        }
    }

    /// Reads what [`Self::pack`] wrote; none if it was something else.
    pub(crate) fn unpack(mut raw: &[u8]) -> Option<Self> {
        let count = take::<1>(&mut raw)?[0];
        let files = (0..count).map(|_| unpacked(&mut raw)).collect::<Option<Vec<_>>>()?;
        raw.is_empty().then_some(Self(files))
    }
}

impl Was {
    /// True while it is so; false also where that cannot be told.
    fn still(self, path: &str) -> bool {
        match (self, std::fs::metadata(path)) {
            (Self::There(was), Ok(found)) => was == Stamp::of(&found),
            (Self::Empty, Ok(found)) => found.is_file() && found.len() == 0,
            (Self::Missing | Self::Empty, Err(error)) => error.kind() == std::io::ErrorKind::NotFound,
            (Self::Missing, Ok(_)) | (Self::There(_), Err(_)) => false,
        }
    }
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            mtime_ns: nanoseconds(found.mtime(), found.mtime_nsec()),
            ctime_ns: nanoseconds(found.ctime(), found.ctime_nsec()),
        }
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn file(raw: &[u8]) -> Option<File> {
    let said = Object::parse(raw).ok()?;
    let path = said.get_str("path").filter(|path| path.starts_with('/'))?.into_owned();
    let is = |word| said.get(word).and_then(as_bool) == Some(true);
    if is("missing") {
        return Some(File { path, was: Was::Missing });
    }
    if is("empty") {
        return Some(File { path, was: Was::Empty });
    }
    let was = Stamp {
        inode: said.get("inode").and_then(as_u64)?,
        size: said.get("size").and_then(as_u64)?,
        mtime_ns: said.get("mtime_ns").and_then(as_i64)?,
        ctime_ns: said.get("ctime_ns").and_then(as_i64)?,
    };
    Some(File { path, was: Was::There(was) })
}

fn unpacked(raw: &mut &[u8]) -> Option<File> {
    let length = usize::try_from(u32::from_le_bytes(take(raw)?)).ok()?;
    let path = raw.get(..length)?;
    *raw = raw.get(length..)?;
    let path = std::str::from_utf8(path).ok()?.to_owned();
    let was = match take::<1>(raw)?[0] {
        0 => Was::Missing,
        2 => Was::Empty,
        _ => Was::There(Stamp {
            inode: u64::from_le_bytes(take(raw)?),
            size: u64::from_le_bytes(take(raw)?),
            mtime_ns: i64::from_le_bytes(take(raw)?),
            ctime_ns: i64::from_le_bytes(take(raw)?),
        }),
    };
    Some(File { path, was })
}

fn take<const N: usize>(raw: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = raw.split_first_chunk::<N>()?;
    *raw = rest;
    Some(*head)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn said(path: &Path) -> Vec<u8> {
        let found = fs::metadata(path).unwrap();
        format!(
            r#"[{{"path":{:?},"inode":{},"size":{},"mtime_ns":{},"ctime_ns":{}}}]"#,
            path.to_str().unwrap(),
            found.ino(),
            found.size(),
            nanoseconds(found.mtime(), found.mtime_nsec()),
            nanoseconds(found.ctime(), found.ctime_nsec()),
        )
        .into_bytes()
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("omnimind-depends-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn it_holds_until_the_file_is_another() {
        let folder = folder("another");
        let path = folder.join("a");
        fs::write(&path, "one").unwrap();
        let depends = Depends::read(&said(&path)).unwrap();
        assert!(depends.holds());
        fs::write(folder.join("b"), "two").unwrap();
        fs::rename(folder.join("b"), &path).unwrap();
        assert!(!depends.holds());
        let depends = Depends::read(&said(&path)).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!depends.holds());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_missing_must_stay_missing() {
        let folder = folder("missing");
        let path = folder.join("a");
        let depends = Depends::read(format!(r#"[{{"path":{path:?},"missing":true}}]"#).as_bytes()).unwrap();
        assert!(depends.holds());
        fs::write(&path, "").unwrap();
        assert!(!depends.holds());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_empty_may_come_and_go_but_not_be_filled() {
        let folder = folder("empty");
        let path = folder.join("a");
        let depends = Depends::read(format!(r#"[{{"path":{path:?},"empty":true}}]"#).as_bytes()).unwrap();
        assert!(depends.holds());
        fs::write(&path, "").unwrap();
        assert!(depends.holds());
        fs::write(&path, "x").unwrap();
        assert!(!depends.holds());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!depends.holds());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn it_survives_being_packed() {
        let raw = br#"[{"path":"/a","inode":1,"size":2,"mtime_ns":-3,"ctime_ns":4},{"path":"/b","missing":true},
            {"path":"/c","empty":true}]"#;
        let depends = Depends::read(raw).unwrap();
        let mut packed = Vec::new();
        depends.pack(&mut packed);
        assert_eq!(Depends::unpack(&packed), Some(depends));
        for cut in 0..packed.len() {
            assert_eq!(Depends::unpack(&packed[..cut]), None);
        }
        packed.push(0);
        assert_eq!(Depends::unpack(&packed), None);
    }

    #[test]
    fn what_cannot_be_followed_is_not_believed() {
        let many = format!("[{}]", vec![r#"{"path":"/a","missing":true}"#; MOST + 1].join(","));
        let odd = [
            "{}",
            "[1]",
            r#"[{"path":"a","missing":true}]"#,
            r#"[{"path":"/a"}]"#,
            r#"[{"path":"/a","inode":-1,"size":0,"mtime_ns":0,"ctime_ns":0}]"#,
            &many,
        ];
        for raw in odd {
            assert_eq!(Depends::read(raw.as_bytes()), None, "{raw}");
        }
        assert_eq!(Depends::read(b"[]"), Some(Depends::default()));
    }
}
