//! A kept frame inside a longer answer, without inflating it.
//!
//! A zstd frame is a head and blocks. Blocks may hold plain bytes, and a block refers only backwards within its frame,
//! by distance. So a frame can be given plain bytes before and after its own: one plain block, its blocks, one plain
//! block, under a new head. The result is *one* frame. Frames one after the other would be as valid (RFC 8878, 3.1),
//! but many HTTP clients stop after the first, without an error or with one; none has trouble with this.
//!
//! Only for frames made without dictionary, which [`super::Packed::frame`] says.

use bytes::Bytes;

/// Every frame begins so.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// A block holds at most so much, in every frame.
const BLOCK_BYTES: usize = 128 * 1024;
const BLOCK_HEAD_BYTES: usize = 3;

const SINGLE_SEGMENT: u8 = 0b0010_0000;
const CHECKSUM: u8 = 0b0000_0100;
const RESERVED_OR_DICTIONARY: u8 = 0b0000_1011;
/// The length of the content in eight bytes.
const LENGTH_OF_EIGHT: u8 = 0b1100_0000;

const RAW: u32 = 0;
const REPEATED: u32 = 1;
const COMPRESSED: u32 = 2;

/// The answer `before + content of the frame + after` as one zstd frame; nothing if `frame` is not a whole frame that
/// was made without dictionary. Window and with it the client's memory stay as they were, or that of the answer.
pub fn enclose(before: &[u8], frame: &[u8], after: &[u8]) -> Option<Bytes> {
    let head = Head::read(frame)?;
    let blocks = frame.get(head.bytes..)?;
    let last_at = last_block(blocks)?;
    let blocks_end = last_at + block_bytes(blocks.get(last_at..)?)?;
    let content = head.content.checked_add((before.len() + after.len()) as u64)?;
    let mut whole = Vec::with_capacity(frame.len() + before.len() + after.len() + 64);
    whole.extend_from_slice(&MAGIC);
    match head.window {
        Some(window) => whole.extend_from_slice(&[LENGTH_OF_EIGHT, window]),
        None => whole.push(LENGTH_OF_EIGHT | SINGLE_SEGMENT),
    }
    whole.extend_from_slice(&content.to_le_bytes());
    let most = head.block_most(content);
    plain_blocks(&mut whole, before, most);
    let blocks_at = whole.len();
    whole.extend_from_slice(blocks.get(..blocks_end)?);
    *whole.get_mut(blocks_at + last_at)? &= !1;
    plain_blocks(&mut whole, after, most);
    // An empty plain block that says it is the last one.
    whole.extend_from_slice(&[1, 0, 0]);
    Some(whole.into())
}

struct Head {
    bytes: usize,
    content: u64,
    /// The window as the format writes it; none if it is the whole content.
    window: Option<u8>,
}

impl Head {
    fn read(frame: &[u8]) -> Option<Self> {
        let rest = frame.strip_prefix(&MAGIC)?;
        let (&flags, rest) = rest.split_first()?;
        if flags & RESERVED_OR_DICTIONARY != 0 {
            return None;
        }
        let single = flags & SINGLE_SEGMENT != 0;
        let (window, rest) =
            if single { (None, rest) } else { rest.split_first().map(|(w, rest)| (Some(*w), rest))? };
        let length_bytes = match (flags >> 6, single) {
            (0, true) => 1,
            (0, false) => return None,
            (bits, _) => 1 << bits,
        };
        let mut length = [0; 8];
        length.get_mut(..length_bytes)?.copy_from_slice(rest.get(..length_bytes)?);
        // Two bytes count from 256.
        let content = u64::from_le_bytes(length) + if length_bytes == 2 { 256 } else { 0 };
        let rest = rest.get(length_bytes..)?;
        let checksum_bytes = if flags & CHECKSUM == 0 { 0 } else { 4 };
        (rest.len() > checksum_bytes).then_some(Self { bytes: frame.len() - rest.len(), content, window })
    }

    /// The most that a block of the new frame may hold.
    fn block_most(&self, content: u64) -> usize {
        let window = self.window.map_or(content, |window| {
            let base = 1_u64 << (10 + u32::from(window >> 3));
            base + base / 8 * u64::from(window & 7)
        });
        usize::try_from(window).unwrap_or(BLOCK_BYTES).clamp(1, BLOCK_BYTES)
    }
}

/// Where the last block begins.
fn last_block(blocks: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = blocks.get(at..)?;
        let bytes = block_bytes(rest)?;
        if rest.first()? & 1 == 1 {
            return Some(at);
        }
        at += bytes;
    }
}

/// Bytes of the block that `blocks` begins with, its head among them.
fn block_bytes(blocks: &[u8]) -> Option<usize> {
    let &[a, b, c] = blocks.first_chunk()?;
    let head = u32::from_le_bytes([a, b, c, 0]);
    let size = usize::try_from(head >> 3).ok()?;
    let bytes = BLOCK_HEAD_BYTES
        + match head >> 1 & 3 {
            RAW | COMPRESSED => size,
            REPEATED => 1,
            _ => return None,
        };
    (bytes <= blocks.len()).then_some(bytes)
}

fn plain_blocks(whole: &mut Vec<u8>, bytes: &[u8], most: usize) {
    for piece in bytes.chunks(most) {
        let [a, b, c, _] = u32::try_from(piece.len() << 3).unwrap_or_default().to_le_bytes();
        whole.extend_from_slice(&[a, b, c]);
        whole.extend_from_slice(piece);
    }
}
