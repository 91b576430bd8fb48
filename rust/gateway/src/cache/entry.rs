//! What is kept beside an answer: whose era it is in, when it began, and what must hold for a hit.
//!
//! An answer is good for the generation it began at. A generation is counted by one process; what an earlier process
//! left on disk has none here. It is good only if it names all it depends on, and only until
//! the first change of the server's data in this process.

use bytes::Bytes;
use omnimind_wire::Era;

use super::{depends::Depends, policy::Scope};

const FORMAT: u8 = 2;
const MODERN: u8 = 1;
const DATA: u8 = 2;
const CHECKED: u8 = 4;
const TIMED: u8 = 8;

/// The head of a kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The era the answer is in.
    pub(crate) era: Era,
    /// It says itself how long it is good: a client is told what is left of that.
    pub(crate) timed: bool,
    /// Which generation counts.
    pub(crate) scope: Scope,
    /// The generation when the call began.
    pub(crate) generation: u64,
    /// The process that counted it.
    pub(crate) process: u64,
    /// The server's name and version, raw; may be empty.
    pub(crate) info: Bytes,
    /// What must be unchanged, if the answer says.
    pub(crate) depends: Option<Depends>,
}

impl Head {
    pub(crate) fn pack(&self) -> Bytes {
        let mut out = Vec::with_capacity(32 + self.info.len());
        let flags = [
            (self.era == Era::Modern, MODERN),
            (self.scope == Scope::Data, DATA),
            (self.depends.is_some(), CHECKED),
            (self.timed, TIMED),
        ];
        out.extend([FORMAT, flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum()]);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.process.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.info.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.info);
        if let Some(depends) = &self.depends {
            depends.pack(&mut out);
        }
        out.into()
    }

    /// None for anything that [`Self::pack`] did not write.
    pub(crate) fn unpack(raw: &Bytes) -> Option<Self> {
        let (head, info) = Self::unpack_but_info(raw)?;
        Some(Self { info: raw.slice_ref(info), ..head })
    }

    /// The same with its `info` beside it, so that no bytes need be shared.
    pub(crate) fn unpack_but_info(raw: &[u8]) -> Option<(Self, &[u8])> {
        let (&[format, flags], rest) = raw.split_first_chunk::<2>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (process, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (info, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let depends = if flags & CHECKED != 0 { Some(Depends::unpack(rest)?) } else { None };
        let head = Self {
            era: if flags & MODERN != 0 { Era::Modern } else { Era::Legacy },
            timed: flags & TIMED != 0,
            scope: if flags & DATA != 0 { Scope::Data } else { Scope::Catalogue },
            generation: u64::from_le_bytes(*generation),
            process: u64::from_le_bytes(*process),
            info: Bytes::new(),
            depends,
        };
        (format == FORMAT).then_some((head, info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_being_packed() {
        for (era, scope, depends) in [
            (Era::Modern, Scope::Data, Some(Depends::default())),
            (Era::Legacy, Scope::Catalogue, None),
            (Era::Legacy, Scope::Data, Depends::read(br#"[{"path":"/a","missing":true}]"#)),
        ] {
            let info = Bytes::from_static(b"{}");
            let timed = era == Era::Modern;
            let head = Head { era, timed, scope, generation: 7, process: 9, info, depends };
            let packed = head.pack();
            assert_eq!(Head::unpack(&packed), Some(head));
            for cut in 0..packed.len() {
                let cut = Head::unpack(&packed.slice(..cut));
                assert!(cut.is_none_or(|cut| cut.depends.is_none()));
            }
        }
    }
}
