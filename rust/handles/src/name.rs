//! How a handle is written: 64 hexadecimal digits, or as many of the first ones as tell it from the others.

use crate::{Handle, Trouble};

/// Digits that a name must have. A legend that is short of room prints so many, and so few cannot be guessed.
const FEWEST: usize = 16;

/// The handle as it is written.
pub fn hex(handle: &Handle) -> String {
    blake3::Hash::from_bytes(*handle).to_hex().to_string()
}

/// The handles that a name can mean: from the first to the last, both in.
pub(crate) fn range(name: &str) -> Result<(Handle, Handle), Trouble> {
    let digits = FEWEST..=2 * size_of::<Handle>();
    if !digits.contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Trouble::NoName);
    }
    let filled = |with: &str| {
        let digits = format!("{name}{}", with.repeat(digits.end() - name.len()));
        blake3::Hash::from_hex(digits).map(|hash| *hash.as_bytes()).map_err(|_| Trouble::NoName)
    };
    Ok((filled("0")?, filled("f")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_means_one_handle_and_a_shorter_one_all_that_begin_so() {
        let handle = *blake3::hash(b"some text").as_bytes();
        let name = hex(&handle);
        assert_eq!(range(&name).unwrap(), (handle, handle));
        assert_eq!(range(&name.to_uppercase()).unwrap(), (handle, handle));
        for digits in FEWEST..64 {
            let (first, last) = range(&name[..digits]).unwrap();
            assert!(first <= handle && handle <= last && first < last, "{digits} digits");
            let (mut below, mut above) = (handle, handle);
            (below[0], above[0]) = (below[0].wrapping_sub(1), above[0].wrapping_add(1));
            assert!(!(first..=last).contains(&below) && !(first..=last).contains(&above));
        }
    }

    #[test]
    fn what_is_no_name_is_said_to_be_none() {
        let zeros = "0".repeat(65);
        for name in ["", "0123456789abcde", "0123456789abcdeg", &zeros, "0123456789abcdé", "../../../etc/passwd"] {
            assert!(matches!(range(name), Err(Trouble::NoName)), "{name:?}");
        }
    }
}
