//! The products of transformed tiles and weights, a group of panels of the result at a time.

use super::matrices::{Matrices, PLACES};
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::layers::sums::{Columns, PANEL, Rows, Steps, VECTORS, Work, columns_of_group, tallest, tile};

/// Where the vectors of a group's first row lie. Of an odd number of panels the last is computed twice.
fn vectors(matrices: Matrices, place: usize, group: usize) -> [*mut f32; VECTORS] {
    let columns = columns_of_group();
    let first = group * columns;
    let second = first + columns / VECTORS;
    [first, if second < matrices.columns { second } else { first }].map(|column| matrices.at(place, 0, column))
}

/// Runs `work` for each place and each group of the result's.
pub fn each_group(team: Team, result: Matrices, work: impl Fn(usize, usize) + Sync) -> Result<()> {
    let groups = result.columns.div_ceil(columns_of_group());
    team.share(PLACES * groups, 1, |_, part| part.for_each(|index| work(index / groups, index % groups)))
}

/// `result[t][o] = sum over c of left[t][c] * right[c][o]` for a place and a group of columns, which is another one in the right
/// matrix and in the result.
///
/// # Safety
/// The processor must have AVX2 and FMA; left must be [rows, depth], right [depth, columns] and the result [rows, columns], and
/// the result's group be no one else's.
pub unsafe fn multiply(place: usize, left: Matrices, right: (Matrices, usize), result: (Matrices, usize)) {
    let (rows, depth) = (left.rows, left.columns);
    // Columns of the left are the steps: 16 in each panel, whose lines are rows.
    let steps = Steps { outer: depth.div_ceil(PANEL), inner: PANEL, stride: rows * PANEL, last: depth % PANEL };
    let right = vectors(right.0, place, right.1).map(<*mut f32>::cast_const);
    let result = vectors(result.0, place, result.1);
    let parts = rows.div_ceil(tallest());
    for part in 0..parts {
        let (row, end) = (rows * part / parts, rows * (part + 1) / parts);
        let result = result.map(|at| at.wrapping_add(row * PANEL));
        let work = Work { steps, left: left.at(place, row, 0), right, result, distance: PANEL, adding: false };
        // SAFETY: within the panels; this group of the result is one thread's.
        unsafe { tile::<Rows>(end - row, work) };
    }
}

/// `result[i][o] += sum over t of left[t][i] * right[t][o]`, or without what was there; otherwise as [`multiply`].
///
/// # Safety
/// As for [`multiply`], with left [depth, rows], right [depth, columns] and the result [rows, columns].
pub unsafe fn multiply_transposed(
    place: usize,
    left: Matrices,
    right: (Matrices, usize),
    result: (Matrices, usize),
    adding: bool,
) {
    let (depth, rows) = (left.rows, left.columns);
    // Rows of the left are the steps, all of a panel one after another.
    let steps = Steps { outer: 1, inner: depth, stride: 0, last: 0 };
    let right = vectors(right.0, place, right.1).map(<*mut f32>::cast_const);
    let result = vectors(result.0, place, result.1);
    for from in (0..rows).step_by(PANEL) {
        let tall = PANEL.min(rows - from);
        let parts = tall.div_ceil(tallest());
        for part in 0..parts {
            let (row, end) = (from + tall * part / parts, from + tall * (part + 1) / parts);
            let result = result.map(|at| at.wrapping_add(row * PANEL));
            let work = Work { steps, left: left.at(place, 0, row), right, result, distance: PANEL, adding };
            // SAFETY: within the panels; this group of the result is one thread's.
            unsafe { tile::<Columns>(end - row, work) };
        }
    }
}
