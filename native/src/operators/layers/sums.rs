//! Sums of products in registers: what all products of matrices here come to. Matrices lie in panels of 16 columns,
//! [panel][row][16].

use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps};
use std::mem::transmute;

use super::vector::{Vector, Width, for_vectors};

/// Columns of a panel: a cache line.
pub const PANEL: usize = 16;
/// Vectors of a row of the result that are summed up at a time: halves of a panel, or two panels.
pub const VECTORS: usize = 2;

/// Columns of the result that are summed up at a time.
pub fn columns_of_group() -> usize {
    if Width::widest() == Width::Sixteen { VECTORS * PANEL } else { PANEL }
}

/// Rows that are summed up in registers, at most: 28 vectors of AVX-512's 32, 12 of AVX2's 16.
pub fn tallest() -> usize {
    if Width::widest() == Width::Sixteen { 14 } else { 6 }
}

/// How far the left matrix's numbers lie apart, from row to row of the result, and from step to step of the sum.
pub trait Distances {
    const ROW: usize;
    const STEP: usize;
}

/// Its rows are those of the result.
pub struct Rows;

/// Its columns are.
pub struct Columns;

impl Distances for Rows {
    const ROW: usize = PANEL;
    const STEP: usize = 1;
}

impl Distances for Columns {
    const ROW: usize = 1;
    const STEP: usize = PANEL;
}

/// What a lane of the matrices is, and so what its product with another is.
trait Lane<V> {
    /// # Safety
    /// The processor must have the instructions.
    unsafe fn added(left: V, right: V, sum: V) -> V;
}

/// A number.
struct Single;

/// Two bfloat16 numbers, whose products add up.
struct Pair;

impl<V: Vector> Lane<V> for Single {
    #[inline(always)]
    unsafe fn added(left: V, right: V, sum: V) -> V {
        // SAFETY: as promised by the caller.
        unsafe { left.times_plus(right, sum) }
    }
}

impl Lane<__m512> for Pair {
    #[inline(always)]
    unsafe fn added(left: __m512, right: __m512, sum: __m512) -> __m512 {
        // SAFETY: as promised by the caller; both types are 64 bytes.
        unsafe { _mm512_dpbf16_ps(sum, transmute::<__m512, __m512bh>(left), transmute::<__m512, __m512bh>(right)) }
    }
}

/// Where the steps of a sum lie in the left matrix: so many panels apart by `stride`, with `inner` in each, `last` in the
/// last one unless that is full.
#[derive(Clone, Copy)]
pub struct Steps {
    pub outer: usize,
    pub inner: usize,
    pub stride: usize,
    pub last: usize,
}

/// What is summed up at a time.
#[derive(Clone, Copy)]
pub struct Work {
    pub steps: Steps,
    pub left: *const f32,
    pub right: [*const f32; VECTORS],
    /// The first row's vectors.
    pub result: [*mut f32; VECTORS],
    /// From one row of the result to the next.
    pub distance: usize,
    /// Whether to add to what is there.
    pub adding: bool,
}

for_vectors! {
    /// Sums up some rows, [`tallest`] at most.
    ///
    /// # Safety
    /// The left matrix must have the rows and steps, the right vectors the steps, and the result the rows, which must be no one
    /// else's.
    pub fn tile<V, D: Distances>(tall: usize, work: Work) {
        of_height::<V, D, Single>(tall, work);
    }
}

/// As [`tile`], of matrices whose columns hold pairs of bfloat16 numbers: two rows, one behind the other.
///
/// # Safety
/// As for [`tile`]; the processor must [multiply pairs](super::vector::multiplies_pairs).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub unsafe fn tile_of_pairs(tall: usize, work: Work) {
    // SAFETY: as promised by the caller.
    unsafe { of_height::<__m512, Columns, Pair>(tall, work) }
}

#[inline(always)]
unsafe fn of_height<V: Vector, D: Distances, L: Lane<V>>(tall: usize, work: Work) {
    macro_rules! of_heights {
        ($($height:literal)*) => {
            match tall {
                // SAFETY: as promised by the caller.
                $($height => unsafe { rows::<V, D, L, $height>(work) },)*
                _ => {}
            }
        };
    }
    of_heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

#[inline(always)]
unsafe fn rows<V: Vector, D: Distances, L: Lane<V>, const ROWS: usize>(work: Work) {
    let Work { steps, left, mut right, result, distance, adding } = work;
    // SAFETY: as promised by the caller.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        for outer in 0..steps.outer {
            let mut left = left.wrapping_add(outer * steps.stride);
            let count = if outer + 1 == steps.outer && steps.last > 0 { steps.last } else { steps.inner };
            for _ in 0..count {
                let [first, second]: [V; VECTORS] = [V::load(right[0]), V::load(right[1])];
                for (line, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*left.wrapping_add(line * D::ROW));
                    sums[0] = L::added(factor, first, sums[0]);
                    sums[1] = L::added(factor, second, sums[1]);
                }
                left = left.wrapping_add(D::STEP);
                right = [right[0].wrapping_add(PANEL), right[1].wrapping_add(PANEL)];
            }
        }
        for (line, sums) in sums.iter().enumerate() {
            for (result, sum) in result.iter().zip(sums) {
                let at = result.wrapping_add(line * distance);
                if adding { V::load(at).plus(*sum).store(at) } else { sum.store(at) }
            }
        }
    }
}
