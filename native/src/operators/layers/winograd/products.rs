//! The products of transformed tiles and weights. All matrices lie in panels of 16 columns, [panel][row][16], so that whatever
//! is read together lies together, and the last panel is filled up with zeros.

use std::arch::x86_64::{
    _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::transforms::{PANEL, Shared, matrix};
use crate::error::Result;
use crate::onednn::Team;

/// Products, one for each place of a transformed tile.
pub const PLACES: usize = 36;
/// Rows that are summed up in registers, with two vectors each.
const TALL: usize = 6;
const LANES: usize = 8;

/// Runs `work` for each place and each panel of the result: on the place's left matrix, and on the panels of the right one
/// and of the result. With the left go the numbers from one place's matrix to the next.
fn each_panel(
    team: Team,
    [rows, depth, columns]: [usize; 3],
    (left, stride): (&[f32], usize),
    right: &[f32],
    result: &mut [f32],
    work: impl Fn(*const f32, *const f32, *mut f32) + Sync,
) -> Result<()> {
    let (left, right, result) = (Shared::of(left), Shared::of(right), Shared(result.as_mut_ptr()));
    let panels = columns.div_ceil(PANEL);
    team.share(PLACES * panels, 1, |_, part| {
        for index in part {
            let (place, panel) = (index / panels, index % panels);
            work(
                left.at(place * stride),
                right.at(place * matrix(depth, columns) + panel * depth * PANEL),
                result.at(place * matrix(rows, columns) + panel * rows * PANEL),
            );
        }
    })
}

/// `result[t][o] = sum over c of left[t][c] * right[c][o]` for each place.
///
/// # Safety
/// The processor must have AVX2 and FMA; left must be [rows, depth] of each place, right [depth, columns] and the result
/// [rows, columns], all in panels, and the result no one else's.
pub unsafe fn multiply(
    team: Team,
    [rows, depth, columns]: [usize; 3],
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
) -> Result<()> {
    let left = (left, matrix(rows, depth));
    each_panel(team, [rows, depth, columns], left, right, result, |left, right, result| {
        // Columns of the left are the steps: 16 in each panel, whose lines are rows.
        let steps = Steps { outer: depth.div_ceil(PANEL), inner: PANEL, stride: rows * PANEL, last: depth % PANEL };
        for row in (0..rows).step_by(TALL) {
            let (left, result) = (left.wrapping_add(row * PANEL), result.wrapping_add(row * PANEL));
            // SAFETY: within the panels; this panel of the result is one thread's.
            unsafe { tile::<PANEL, 1>(TALL.min(rows - row), steps, left, right, result, false) };
        }
    })
}

/// `result[i][o] += sum over t of left[t][i] * right[t][o]` for each place, or without what was there.
///
/// # Safety
/// As for [`multiply`], with left [depth, rows], right [depth, columns] and the result [rows, columns].
pub unsafe fn multiply_transposed(
    team: Team,
    [rows, depth, columns]: [usize; 3],
    left: &[f32],
    right: &[f32],
    result: &mut [f32],
    adding: bool,
) -> Result<()> {
    let left = (left, matrix(depth, rows));
    each_panel(team, [rows, depth, columns], left, right, result, |left, right, result| {
        // Rows of the left are the steps, all of a panel one after another.
        let steps = Steps { outer: 1, inner: depth, stride: 0, last: 0 };
        for from in (0..rows).step_by(PANEL) {
            let left = left.wrapping_add(from * depth);
            // 16 rows in three parts of almost the same height.
            for (row, tall) in [(0, 6), (6, 5), (11, 5)] {
                let Some(tall) = (rows - from).checked_sub(row).map(|rest| tall.min(rest)).filter(|&tall| tall > 0)
                else {
                    continue;
                };
                let (left, result) = (left.wrapping_add(row), result.wrapping_add((from + row) * PANEL));
                // SAFETY: within the panels; this panel of the result is one thread's.
                unsafe { tile::<1, PANEL>(tall, steps, left, right, result, adding) };
            }
        }
    })
}

/// Where the steps of a sum lie in the left matrix: so many panels apart by `stride`, with `inner` in each, `last` in the
/// last one unless that is full.
#[derive(Clone, Copy)]
struct Steps {
    outer: usize,
    inner: usize,
    stride: usize,
    last: usize,
}

/// Sums up some rows of a panel. `ROW` and `STEP` are the distances in the left matrix from row to row, and from step to step.
///
/// # Safety
/// As for [`multiply`]; `tall` is at most six.
unsafe fn tile<const ROW: usize, const STEP: usize>(
    tall: usize,
    steps: Steps,
    left: *const f32,
    right: *const f32,
    result: *mut f32,
    adding: bool,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        match tall {
            1 => rows::<1, ROW, STEP>(steps, left, right, result, adding),
            2 => rows::<2, ROW, STEP>(steps, left, right, result, adding),
            3 => rows::<3, ROW, STEP>(steps, left, right, result, adding),
            4 => rows::<4, ROW, STEP>(steps, left, right, result, adding),
            5 => rows::<5, ROW, STEP>(steps, left, right, result, adding),
            _ => rows::<TALL, ROW, STEP>(steps, left, right, result, adding),
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn rows<const ROWS: usize, const ROW: usize, const STEP: usize>(
    steps: Steps,
    left: *const f32,
    mut right: *const f32,
    result: *mut f32,
    adding: bool,
) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for outer in 0..steps.outer {
        let mut left = left.wrapping_add(outer * steps.stride);
        let count = if outer + 1 == steps.outer && steps.last > 0 { steps.last } else { steps.inner };
        for _ in 0..count {
            // SAFETY: within the panels.
            unsafe {
                let (first, second) = (_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(LANES)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = _mm256_broadcast_ss(&*left.add(row * ROW));
                    sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
                    sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
                }
                left = left.wrapping_add(STEP);
                right = right.wrapping_add(PANEL);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (half, sum) in sums.iter().enumerate() {
            // SAFETY: a line of the result's panel.
            unsafe {
                let at = result.add(row * PANEL + half * LANES);
                _mm256_storeu_ps(at, if adding { _mm256_add_ps(_mm256_loadu_ps(at), *sum) } else { *sum });
            }
        }
    }
}
