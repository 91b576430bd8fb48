//! What a text is compared by: its direction, in one byte a dimension.
//!
//! Rule: only directions count, so a vector is stored at the scale that uses the whole byte, with its own length
//! beside it. What rounding costs is below 0.005 of a cosine, a tenth of a band of [`verify`](super::verify).

/// A text's direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    values: Box<[i8]>,
    length: f32,
}

impl Vector {
    /// From numbers of any scale; `None` where they have no direction (none at all, all zero, not finite).
    #[allow(clippy::cast_possible_truncation)] // at most 127 by construction
    pub fn new(values: &[f32]) -> Option<Self> {
        let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let finite = values.iter().all(|value| value.is_finite());
        if !finite || largest <= f32::MIN_POSITIVE {
            return None;
        }
        let scale = 127.0 / largest;
        let values: Box<[i8]> = values.iter().map(|value| (value * scale).round() as i8).collect();
        let length = length(&values);
        Some(Self { values, length })
    }

    /// Its numbers, of which only the direction means something.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// Its length, in the units of [`Vector::values`].
    pub(super) fn length(&self) -> f32 {
        self.length
    }

    /// The cosine to another of as many dimensions, between -1 and 1.
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        (self.values.len() == other.values.len()).then(|| cosine(self, &other.values, other.length))
    }
}

/// The cosine to a stored row of as many dimensions.
#[allow(clippy::cast_precision_loss)] // 2^24 is more than a million dimensions' worth of rounding
pub(super) fn cosine(vector: &Vector, row: &[i8], length: f32) -> f32 {
    dot(&vector.values, row) as f32 / (vector.length * length)
}

/// Products of bytes fit in 16 bits, sums of 100,000 of them in 32: nothing here can overflow.
fn dot(left: &[i8], right: &[i8]) -> i32 {
    left.iter()
        .zip(right)
        .fold(0_i32, |sum, (left, right)| sum.wrapping_add(i32::from(i16::from(*left).wrapping_mul(i16::from(*right)))))
}

#[allow(clippy::cast_precision_loss)] // as above
fn length(values: &[i8]) -> f32 {
    (dot(values, values) as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_does_not_depend_on_scale_and_survives_rounding() {
        let left: Vec<f32> = (0..256_u16).map(|at| (f32::from(at) * 0.37).sin()).collect();
        let right: Vec<f32> = (0..256_u16).map(|at| (f32::from(at) * 0.37 + 0.4).sin()).collect();
        let far: Vec<f32> = right.iter().map(|value| value * 1e6).collect();
        let [left_v, right_v, far_v] = [&left, &right, &far].map(|values| Vector::new(values).unwrap());
        let dot: f32 = left.iter().zip(&right).map(|(left, right)| left * right).sum();
        let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
        let exact = dot / (norm(&left) * norm(&right));
        assert!((left_v.cosine(&right_v).unwrap() - exact).abs() < 0.005);
        assert_eq!(left_v.cosine(&right_v), left_v.cosine(&far_v));
        assert!((left_v.cosine(&left_v).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        assert_eq!(Vector::new(&[]), None);
        assert_eq!(Vector::new(&[0.0, 0.0]), None);
        assert_eq!(Vector::new(&[1.0, f32::NAN]), None);
        assert_eq!(Vector::new(&[1.0, f32::INFINITY]), None);
    }

    #[test]
    fn vectors_of_different_encoders_are_not_compared() {
        let [two, three] = [&[1.0, 2.0][..], &[1.0, 2.0, 3.0][..]].map(|values| Vector::new(values).unwrap());
        assert_eq!(two.cosine(&three), None);
    }
}
