//! Vectors of float32 numbers: eight with AVX2, sixteen with AVX-512. Loops are written once, for any of them.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _CMP_UNORD_Q, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps,
    _mm256_and_si256, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_castsi256_si128,
    _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_max_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_or_si256, _mm256_packus_epi32, _mm256_permute4x64_epi64,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_loadu_ps, _mm512_mask_or_epi32, _mm512_max_ps, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};
use std::sync::OnceLock;

use super::element::{BELOW_HALF, QUIET};
use crate::onednn::OneDnn;

/// Vectors that the loops are to use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// No vectors of a known kind.
    Any,
    /// `__m256`: AVX2 and FMA.
    Eight,
    /// `__m512`: AVX-512, as far as processors of 2017 have it.
    Sixteen,
}

impl Width {
    /// The widest that the processor has, and oneDNN is not told to leave out.
    pub fn widest() -> Self {
        static WIDEST: OnceLock<Width> = OnceLock::new();
        *WIDEST.get_or_init(|| {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if wide && OneDnn::loaded().is_none_or(OneDnn::uses_avx512) {
                Self::Sixteen
            } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                Self::Eight
            } else {
                Self::Any
            }
        })
    }
}

/// Whether the processor multiplies pairs of bfloat16 numbers sixteen at a time, and oneDNN is not told to leave that out.
pub fn multiplies_pairs() -> bool {
    static MULTIPLIES: OnceLock<bool> = OnceLock::new();
    *MULTIPLIES.get_or_init(|| {
        Width::widest() == Width::Sixteen
            && is_x86_feature_detected!("avx512bf16")
            && OneDnn::loaded().is_none_or(OneDnn::uses_avx512_bfloat16)
    })
}

/// Compiles a loop over a generic vector `V` for eight and for sixteen numbers at a time, and takes the widest that there is.
/// `$default` is what is done without vectors. Closures within are not compiled for the processor: loops only.
macro_rules! for_vectors {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident<$vector:ident $(, $generic:ident: $bound:path)*>
        ($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $visibility unsafe fn $name<$($generic: $bound),*>($($argument: $type),*) {
            #[inline(always)]
            unsafe fn any<$vector: Vector $(, $generic: $bound)*>($($argument: $type),*) {
                // SAFETY: as promised by the caller.
                unsafe { $body }
            }
            #[target_feature(enable = "avx2,fma")]
            unsafe fn eight<$($generic: $bound),*>($($argument: $type),*) {
                // SAFETY: as promised by the caller.
                unsafe { any::<std::arch::x86_64::__m256 $(, $generic)*>($($argument),*) }
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn sixteen<$($generic: $bound),*>($($argument: $type),*) {
                // SAFETY: as promised by the caller.
                unsafe { any::<std::arch::x86_64::__m512 $(, $generic)*>($($argument),*) }
            }
            // SAFETY: the processor has been asked; as promised by the caller.
            unsafe {
                match $crate::operators::layers::vector::Width::widest() {
                    $crate::operators::layers::vector::Width::Sixteen => sixteen::<$($generic),*>($($argument),*),
                    _ => eight::<$($generic),*>($($argument),*),
                }
            }
        }
    };
}
pub(super) use for_vectors;

/// The same operation on each of several numbers.
///
/// # Safety
/// Of all functions: the processor must have the instructions, and memory that is read or written hold so many numbers.
pub trait Vector: Copy {
    /// Numbers of a vector.
    const LANES: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Of bfloat16 numbers.
    unsafe fn load_upper(from: *const u16) -> Self;
    /// The nearest bfloat16 numbers.
    unsafe fn store_upper(self, to: *mut u16);
    /// What would be stored as bfloat16.
    unsafe fn rounded(self) -> Self;
    /// Pairs of bfloat16 numbers, which both must be: its own in the lower half of each lane, the other's in the upper.
    unsafe fn paired(self, other: Self) -> Self;
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn minus(self, other: Self) -> Self;
    unsafe fn times(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once.
    unsafe fn times_plus(self, factor: Self, addend: Self) -> Self;
    /// `addend - self * factor`, rounded once.
    unsafe fn minus_times(self, factor: Self, addend: Self) -> Self;
    /// The other where one is no number.
    unsafe fn larger(self, other: Self) -> Self;
}

/// Bits of the nearest bfloat16 numbers, each in the lower half of 32.
#[inline]
#[target_feature(enable = "avx2")]
fn upper_of_eight(values: __m256) -> __m256i {
    let bits = _mm256_castps_si256(values);
    let upper = _mm256_srli_epi32::<16>(bits);
    let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    let raised = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(BELOW_HALF)), odd);
    let quiet = _mm256_or_si256(upper, _mm256_set1_epi32(QUIET));
    let none = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(values, values));
    _mm256_blendv_epi8(_mm256_srli_epi32::<16>(raised), quiet, none)
}

/// As [`upper_of_eight`].
#[inline]
#[target_feature(enable = "avx512f")]
fn upper_of_sixteen(values: __m512) -> __m512i {
    let bits = _mm512_castps_si512(values);
    let upper = _mm512_srli_epi32::<16>(bits);
    let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    let raised = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(BELOW_HALF)), odd);
    let none = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
    _mm512_mask_or_epi32(_mm512_srli_epi32::<16>(raised), none, upper, _mm512_set1_epi32(QUIET))
}

#[allow(clippy::undocumented_unsafe_blocks)] // All as promised by the caller.
impl Vector for __m256 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_upper(from: *const u16) -> Self {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn store_upper(self, to: *mut u16) {
        unsafe {
            let bits = upper_of_eight(self);
            // The packed halves of both lanes, brought together.
            let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(bits, bits));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
        }
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Self {
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(upper_of_eight(self))) }
    }

    #[inline(always)]
    unsafe fn paired(self, other: Self) -> Self {
        unsafe { _mm256_or_ps(_mm256_castsi256_ps(_mm256_srli_epi32::<16>(_mm256_castps_si256(self))), other) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn minus_times(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm256_fnmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        unsafe { _mm256_max_ps(self, other) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)] // As above.
impl Vector for __m512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn load_upper(from: *const u16) -> Self {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn store_upper(self, to: *mut u16) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(upper_of_sixteen(self))) }
    }

    #[inline(always)]
    unsafe fn rounded(self) -> Self {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper_of_sixteen(self))) }
    }

    #[inline(always)]
    unsafe fn paired(self, other: Self) -> Self {
        unsafe {
            let first = _mm512_srli_epi32::<16>(_mm512_castps_si512(self));
            _mm512_castsi512_ps(_mm512_or_si512(first, _mm512_castps_si512(other)))
        }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn minus_times(self, factor: Self, addend: Self) -> Self {
        unsafe { _mm512_fnmadd_ps(self, factor, addend) }
    }

    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }
}
