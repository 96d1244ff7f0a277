//! What a map's numbers are: float32, or bfloat16, the upper half of one. All arithmetic is in float32.

use super::vector::Vector;
use crate::onednn::Number;
use crate::operators::{BFLOAT16, FLOAT, Slot};

/// A number of a map.
pub trait Element: Copy + Send + Sync + 'static {
    const SLOT: Slot;
    const NUMBER: Number;
    /// Whether it holds every float32.
    const EXACT: bool;

    fn wide(self) -> f32;
    /// The nearest one, of two equally near the even one; infinite where that is nearest, and what is no number stays none.
    fn nearest(value: f32) -> Self;

    /// Has `work` make float32 sums, from zeros on, of which `target` gets the nearest.
    fn summed(target: &mut [Self], work: impl FnOnce(&mut [f32]));

    /// A vector of them.
    ///
    /// # Safety
    /// The processor must have the vector's instructions, and so many numbers lie there.
    unsafe fn load<V: Vector>(from: *const Self) -> V;

    /// The nearest to each of a vector.
    ///
    /// # Safety
    /// The processor must have the vector's instructions, and so many numbers have room there.
    unsafe fn store<V: Vector>(to: *mut Self, values: V);

    /// The values that would be stored.
    ///
    /// # Safety
    /// The processor must have the vector's instructions.
    unsafe fn rounded<V: Vector>(values: V) -> V;
}

impl Element for f32 {
    const SLOT: Slot = FLOAT;
    const NUMBER: Number = Number::Float32;
    const EXACT: bool = true;

    #[inline]
    fn wide(self) -> f32 {
        self
    }

    #[inline]
    fn nearest(value: f32) -> Self {
        value
    }

    fn summed(target: &mut [Self], work: impl FnOnce(&mut [f32])) {
        target.fill(0.0);
        work(target);
    }

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: as promised by the caller.
        unsafe { V::load(from) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(to: *mut Self, values: V) {
        // SAFETY: as promised by the caller.
        unsafe { values.store(to) }
    }

    #[inline(always)]
    unsafe fn rounded<V: Vector>(values: V) -> V {
        values
    }
}

/// Sign, exponent and the first 7 bits of the mantissa of a float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// Below half of the last place: with the last bit added, ties go to even.
pub const BELOW_HALF: i32 = 0x7fff;
/// Keeps what is no number from becoming infinite where its upper half is all zeros.
pub const QUIET: i32 = 0x40;

impl Element for Bf16 {
    const SLOT: Slot = BFLOAT16;
    const NUMBER: Number = Number::Bfloat16;
    const EXACT: bool = false;

    #[inline]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // After the shift 16 bits are left.
    fn nearest(value: f32) -> Self {
        let bits = value.to_bits();
        let raised = bits.wrapping_add(BELOW_HALF as u32 + (bits >> 16 & 1)) >> 16;
        let quiet = bits >> 16 | QUIET as u32;
        Self(if value.is_nan() { quiet } else { raised } as u16)
    }

    fn summed(target: &mut [Self], work: impl FnOnce(&mut [f32])) {
        let mut sums = vec![0.0; target.len()];
        work(&mut sums);
        super::channels::convert(&sums, target);
    }

    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const Self) -> V {
        // SAFETY: as promised by the caller; the type is nothing but its bits.
        unsafe { V::load_upper(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store<V: Vector>(to: *mut Self, values: V) {
        // SAFETY: as above.
        unsafe { values.store_upper(to.cast()) }
    }

    #[inline(always)]
    unsafe fn rounded<V: Vector>(values: V) -> V {
        // SAFETY: as promised by the caller.
        unsafe { values.rounded() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bf16, Element, Vector};

    /// Where rounding turns over, in either direction, and what has no number.
    const CASES: [(u32, u16); 14] = [
        (0x0000_0000, 0x0000),
        (0x8000_0000, 0x8000),
        (0x3f80_0000, 0x3f80),
        (0x3f80_7fff, 0x3f80),
        (0x3f80_8000, 0x3f80),
        (0x3f80_8001, 0x3f81),
        (0x3f81_8000, 0x3f82),
        (0xbf81_8000, 0xbf82),
        (0x0000_8001, 0x0001),
        (0x7f7f_7fff, 0x7f7f),
        (0x7f7f_8000, 0x7f80),
        (0xff80_0000, 0xff80),
        (0x7f80_0001, 0x7fc0),
        (0xffff_ffff, 0xffff),
    ];

    #[test]
    fn rounds_to_the_nearest_even() {
        for (from, to) in CASES {
            assert_eq!(Bf16::nearest(f32::from_bits(from)), Bf16(to), "{from:#010x}");
        }
        for bits in 0..=u16::MAX {
            let value = Bf16(bits).wide();
            assert_eq!(Bf16::nearest(value).0, if value.is_nan() { bits | 0x40 } else { bits });
        }
    }

    /// Of as many numbers as a vector has.
    unsafe fn check<V: Vector>(numbers: &[f32]) {
        let (mut stored, mut loaded, mut rounded) = ([Bf16(0); 16], [0.0; 16], [0.0; 16]);
        // SAFETY: the processor has been asked; there is room for sixteen.
        unsafe {
            let values: V = f32::load(numbers.as_ptr());
            Bf16::store(stored.as_mut_ptr(), values);
            f32::store(loaded.as_mut_ptr(), Bf16::load::<V>(stored.as_ptr()));
            f32::store(rounded.as_mut_ptr(), Bf16::rounded(values));
        }
        for (lane, number) in numbers.iter().enumerate().take(V::LANES) {
            assert_eq!(stored[lane], Bf16::nearest(*number));
            assert_eq!(loaded[lane].to_bits(), stored[lane].wide().to_bits());
            assert_eq!(rounded[lane].to_bits(), stored[lane].wide().to_bits());
        }
    }

    #[test]
    fn rounds_vectors_as_one_number() {
        let mut all: Vec<f32> = CASES.iter().map(|(from, _)| f32::from_bits(*from)).collect();
        all.extend((0..4098_u32).map(|number| f32::from_bits(number.wrapping_mul(2_654_435_761))));
        for numbers in all.chunks_exact(16) {
            // SAFETY: the processor is asked; sixteen numbers.
            unsafe {
                if is_x86_feature_detected!("avx2") {
                    check::<std::arch::x86_64::__m256>(numbers);
                    check::<std::arch::x86_64::__m256>(&numbers[8..]);
                }
                if is_x86_feature_detected!("avx512f") {
                    check::<std::arch::x86_64::__m512>(numbers);
                }
            }
        }
    }
}
