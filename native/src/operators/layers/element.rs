//! What a map's numbers are: float32, or bfloat16, the upper half of one. All arithmetic is in float32.

use std::arch::x86_64::{
    __m256, _CMP_UNORD_Q, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_blendv_epi8,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepu16_epi32,
    _mm256_loadu_ps, _mm256_or_si256, _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps,
};

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

    /// Eight of them.
    ///
    /// # Safety
    /// The processor must have AVX2, and eight numbers lie there.
    unsafe fn load(from: *const Self) -> __m256;

    /// The nearest to each of eight.
    ///
    /// # Safety
    /// The processor must have AVX2, and eight numbers have room there.
    unsafe fn store(to: *mut Self, values: __m256);

    /// The values that would be stored.
    ///
    /// # Safety
    /// The processor must have AVX2.
    unsafe fn rounded(values: __m256) -> __m256;
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

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(to: *mut Self, values: __m256) {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_storeu_ps(to, values) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn rounded(values: __m256) -> __m256 {
        values
    }
}

/// Sign, exponent and the first 7 bits of the mantissa of a float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// Below half of the last place: with the last bit added, ties go to even.
const BELOW_HALF: i32 = 0x7fff;
/// Keeps what is no number from becoming infinite where its upper half is all zeros.
const QUIET: i32 = 0x40;

/// Bits of the nearest bfloat16 numbers, each in the lower half of 32.
#[inline]
#[target_feature(enable = "avx2")]
fn nearest_bits(values: __m256) -> std::arch::x86_64::__m256i {
    let bits = _mm256_castps_si256(values);
    let upper = _mm256_srli_epi32::<16>(bits);
    let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    let raised = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(BELOW_HALF)), odd);
    let quiet = _mm256_or_si256(upper, _mm256_set1_epi32(QUIET));
    let none = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(values, values));
    _mm256_blendv_epi8(_mm256_srli_epi32::<16>(raised), quiet, none)
}

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

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: as promised by the caller.
        let halves = unsafe { _mm_loadu_si128(from.cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(to: *mut Self, values: __m256) {
        let bits = nearest_bits(values);
        // The packed halves of both lanes, brought together.
        let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(bits, bits));
        // SAFETY: as promised by the caller.
        unsafe { _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed)) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn rounded(values: __m256) -> __m256 {
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(nearest_bits(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bf16, Element};

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

    #[test]
    fn rounds_eight_at_a_time_as_one() {
        if !is_x86_feature_detected!("avx2") {
            return;
        }
        let mut all: Vec<f32> = CASES.iter().map(|(from, _)| f32::from_bits(*from)).collect();
        all.extend((0..4096_u32).map(|number| f32::from_bits(number.wrapping_mul(2_654_435_761))));
        for eight in all.chunks_exact(8) {
            let (mut stored, mut loaded, mut rounded) = ([Bf16(0); 8], [0.0; 8], [0.0; 8]);
            // SAFETY: the processor has been asked; eight numbers everywhere.
            unsafe {
                let values = f32::load(eight.as_ptr());
                Bf16::store(stored.as_mut_ptr(), values);
                f32::store(loaded.as_mut_ptr(), Bf16::load(stored.as_ptr()));
                f32::store(rounded.as_mut_ptr(), Bf16::rounded(values));
            }
            for lane in 0..8 {
                assert_eq!(stored[lane], Bf16::nearest(eight[lane]));
                assert_eq!(loaded[lane].to_bits(), stored[lane].wide().to_bits());
                assert_eq!(rounded[lane].to_bits(), stored[lane].wide().to_bits());
            }
        }
    }
}
