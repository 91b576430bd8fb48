//! The table: one tensor of 16-bit floats, kept as one byte a number and a scale a row.
//!
//! Half the memory of the file, and a row is added in one pass. Rounding costs less than a thousandth of a cosine.

use std::collections::HashMap;

use serde::Deserialize;

const NAME: &str = "embedding.weight";
const LONGEST_HEADER: usize = 64 << 10;
const MOST_DIMENSIONS: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

pub(super) struct Table {
    dimensions: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Table {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or("shorter than its own head")?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST_HEADER {
            return Err(format!("a head of {length} bytes"));
        }
        let (head, data) = rest.split_at_checked(length).ok_or("cut off within its head")?;
        let mut tensors: HashMap<String, serde_json::Value> =
            serde_json::from_slice(head).map_err(|error| format!("its head: {error}"))?;
        tensors.remove("__metadata__");
        let tensor = tensors.remove(NAME).filter(|_| tensors.is_empty());
        let tensor = tensor.ok_or_else(|| format!("it should hold the tensor {NAME} and no other"))?;
        let tensor: Tensor = serde_json::from_value(tensor).map_err(|error| format!("its tensor: {error}"))?;
        let (rows, dimensions) = match (tensor.dtype.as_str(), tensor.shape.as_slice()) {
            ("F16", [rows, dimensions]) if *rows > 0 && (1..=MOST_DIMENSIONS).contains(dimensions) => {
                (*rows, *dimensions)
            }
            (dtype, shape) => return Err(format!("a tensor of {dtype} and shape {shape:?}, not a table of F16")),
        };
        let size = rows.checked_mul(dimensions).and_then(|count| count.checked_mul(2));
        if size != Some(data.len()) || tensor.data_offsets != [0, data.len()] {
            return Err(format!("{} bytes of data do not make {rows} rows of {dimensions}", data.len()));
        }
        let mut table = Self { dimensions, values: Vec::with_capacity(rows * dimensions), scales: Vec::new() };
        for row in data.chunks_exact(dimensions * 2) {
            table.push(row)?;
        }
        Ok(table)
    }

    #[allow(clippy::cast_possible_truncation)] // at most 127 by construction
    fn push(&mut self, row: &[u8]) -> Result<(), String> {
        let values = row.as_chunks::<2>().0.iter().map(|bytes| half(u16::from_le_bytes(*bytes)));
        let largest = values.clone().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        if !values.clone().all(f32::is_finite) {
            return Err(format!("row {} holds what is no number", self.scales.len()));
        }
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        self.values.extend(values.map(|value| (value / scale).round() as i8));
        self.scales.push(scale);
        Ok(())
    }

    pub(super) fn rows(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds a token's row to a sum.
    pub(super) fn add(&self, token: u32, sum: &mut [f32]) -> Option<()> {
        let token = usize::try_from(token).ok()?;
        let scale = self.scales.get(token)?;
        let row = self.values.get(token * self.dimensions..(token + 1) * self.dimensions)?;
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += f32::from(*value) * scale;
        }
        Some(())
    }
}

/// A 16-bit float.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (bits >> 10 & 0x1f, bits & 0x3ff);
    sign * match exponent {
        0 => f32::from(fraction) / 16_777_216.0, // 2^24
        0x1f => f32::NAN,
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    #[allow(clippy::float_cmp)] // these are exact
    fn halves_are_read_exactly() {
        let values = [0x0000, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x03ff, 0x0400].map(half);
        let expected = [0.0, 1.0, -2.0, 0.333_251_95, 65_504.0, 5.960_464_5e-8, 6.097_555e-5, 6.103_515_6e-5];
        assert_eq!(values, expected);
        assert!(half(0x7c00).is_nan() && half(0xfe01).is_nan());
    }
}
