//! Products of matrices whose rows are the places of maps: the gradient of a convolution's weights, one place of the kernel at
//! a time. oneDNN's kernels reach two thirds of what these do on AVX2, four fifths on AVX-512.

use std::ops::Range;

use super::affine::Affine;
use super::channels::add_row;
use super::element::Element;
use super::sums::{Columns, PANEL, Steps, VECTORS, columns_of_group, tallest, tile};
use super::vector::{Vector, for_vectors};
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::context::Column;

/// Places that are summed up at a time: a panel of them stays in the nearest cache.
const DEPTH: usize = 128;
/// Numbers from one panel to the next: a cache line more than it takes, as panels a power of two apart would meet in the same
/// lines of a cache.
const PANEL_LENGTH: usize = (DEPTH + 1) * PANEL;

/// Numbers of the panels that hold so many columns of so many places.
const fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL) * PANEL_LENGTH
}

/// Two maps and what comes of them.
pub struct Operands<'a, E> {
    /// [places, out]
    pub gradient: Column<E>,
    pub out: usize,
    pub input: Column<E>,
    /// Columns of the input.
    pub from: usize,
    /// What is done to the input, and a `ReLU` behind.
    pub before: Option<&'a Affine>,
    /// Where the input's row for a place of the gradient begins; `None` where that lies in the padding.
    pub place: &'a (dyn Fn(usize) -> Option<usize> + Sync),
    pub places: usize,
    /// [out, from]
    pub result: Column,
}

/// What the threads share among them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Axis {
    /// Rows of the result, so that each reads its columns of the gradient.
    Rows,
    /// Columns, so that each reads its columns of the input.
    Columns,
    /// Places: each sums up a result of its own, and these are added up.
    Places,
}

/// How the work is cut into a part for each thread.
#[derive(Clone, Copy)]
struct Cut {
    axis: Axis,
    parts: usize,
    /// Of the parts, as multiples of a panel's columns, a group's columns, a panel's places.
    unit: usize,
    lengths: [usize; 3],
}

impl Cut {
    /// So that little is read twice: small results are summed up by places, else the larger map is read in parts.
    fn new(team: Team, out: usize, from: usize, places: usize) -> Self {
        let (axis, unit, length) = if out * from <= 16 * places {
            (Axis::Places, DEPTH, places)
        } else if out >= from {
            (Axis::Rows, PANEL, out)
        } else {
            (Axis::Columns, columns_of_group(), from)
        };
        Self { axis, parts: team.threads().clamp(1, length.div_ceil(unit)), unit, lengths: [out, from, places] }
    }

    /// Rows, columns and places of a part.
    fn part(&self, index: usize) -> [Range<usize>; 3] {
        let mut ranges = self.lengths.map(|length| 0..length);
        let range = &mut ranges[self.axis as usize];
        let units = range.end.div_ceil(self.unit);
        let bound = |index: usize| (units * index / self.parts * self.unit).min(range.end);
        *range = bound(index)..bound(index + 1);
        ranges
    }

    /// Numbers of the panels of a part, and of its own result.
    fn room(&self) -> [usize; 2] {
        let [out, from, _] = self.lengths;
        let largest = |axis: Axis, length: usize| {
            if axis == self.axis { length.div_ceil(self.unit).div_ceil(self.parts) * self.unit } else { length }
        };
        let packed = panels(largest(Axis::Rows, out))
            + panels(largest(Axis::Columns, from).next_multiple_of(columns_of_group()));
        [packed, if self.axis == Axis::Places && self.parts > 1 { out * from } else { 0 }]
    }
}

/// Numbers of working memory for a product.
pub fn room_for(team: Team, out: usize, from: usize, places: usize) -> usize {
    let cut = Cut::new(team, out, from, places);
    cut.parts * cut.room().iter().sum::<usize>()
}

/// `result[o][i] = sum over places p of gradient[p][o] * input[place(p)][i]`, added to what is there unless it is `reset`.
///
/// # Safety
/// The processor must have AVX2 and FMA; all must have the lengths given, the room that of [`room_for`], and the result be no
/// one else's.
pub unsafe fn sum_of_products<E: Element>(
    team: Team,
    operands: &Operands<E>,
    reset: bool,
    room: &mut [f32],
) -> Result<()> {
    let &Operands { out, from, places, ref result, .. } = operands;
    let cut = Cut::new(team, out, from, places);
    let [packed, own] = cut.room();
    let room = Column::new(room.as_mut_ptr(), room.len());
    let partial = |index: usize| Column::new(room.data().wrapping_add(index * (packed + own) + packed), own);
    team.share(cut.parts, 1, |_, parts| {
        for index in parts {
            let start = index * (packed + own);
            let (result, reset) = if own > 0 { (partial(index), true) } else { (*result, reset) };
            // SAFETY: each part has its own room, and its own part of the result.
            unsafe { compute(operands, cut.part(index), (result, reset), room.part(&(start..start + packed))) };
        }
    })?;
    if own == 0 {
        return Ok(());
    }
    team.share(own, PANEL, |_, range| {
        // SAFETY: each thread has its own part of the result; the partial ones are only read.
        let target = unsafe { result.part(&range) };
        if reset {
            target.fill(0.0);
        }
        for index in 0..cut.parts {
            // SAFETY: as above.
            add_row(unsafe { &*partial(index).part(&range) }, target);
        }
    })
}

/// # Safety
/// As for [`sum_of_products`].
unsafe fn compute<E: Element>(
    operands: &Operands<E>,
    part: [Range<usize>; 3],
    (result, reset): (Column, bool),
    room: &mut [f32],
) {
    let &Operands { ref gradient, out, ref input, from, before, place, .. } = operands;
    let [rows, columns, places] = part;
    let (lefts, rights) = room.split_at_mut(panels(rows.len()));
    let lines = tallest();
    let parts = PANEL.div_ceil(lines);
    for start in places.clone().step_by(DEPTH) {
        let depth = DEPTH.min(places.end - start);
        for step in 0..depth {
            let at = (start + step) * out;
            // SAFETY: within both maps, which are only read.
            unsafe {
                pack::<E>(&*gradient.part(&(at + rows.start..at + rows.end)), None, (&mut *lefts, step));
                let target = (&mut *rights, step);
                match place(start + step) {
                    Some(at) => {
                        let before = before.map(|affine| (affine, columns.start));
                        pack::<E>(&*input.part(&(at + columns.start..at + columns.end)), before, target);
                    }
                    None => clear(columns.len(), target),
                }
            }
        }
        let adding = !(reset && start == places.start);
        let steps = Steps { outer: 1, inner: depth, stride: 0, last: 0 };
        for column in (0..columns.len()).step_by(columns_of_group()) {
            let wide = columns_of_group().min(columns.len() - column);
            let right = rights[column / PANEL * PANEL_LENGTH..].as_ptr();
            let second = if columns_of_group() == PANEL { PANEL / VECTORS } else { PANEL_LENGTH };
            let right = [right, right.wrapping_add(second)];
            for row in (0..rows.len()).step_by(PANEL) {
                let tall = PANEL.min(rows.len() - row);
                for part in 0..parts {
                    let (from_line, to_line) = (tall * part / parts, tall * (part + 1) / parts);
                    let left = lefts[row / PANEL * PANEL_LENGTH + from_line..].as_ptr();
                    let line = rows.start + row + from_line;
                    // SAFETY: whole panels, and this thread's part of the result.
                    unsafe {
                        let at = result.data().add(line * from + columns.start + column);
                        let count = to_line - from_line;
                        if wide == columns_of_group() {
                            let pair = [at, at.add(wide / VECTORS)];
                            tile::<Columns>(count, steps, left, right, (pair, from), adding);
                            continue;
                        }
                        let mut sums = [[0.0_f32; VECTORS * PANEL]; PANEL];
                        let first = sums.as_mut_ptr().cast::<f32>();
                        let pair = [first, first.add(columns_of_group() / VECTORS)];
                        tile::<Columns>(count, steps, left, right, (pair, VECTORS * PANEL), false);
                        for (line, sums) in sums.iter().enumerate().take(count) {
                            for (column, sum) in sums.iter().enumerate().take(wide) {
                                let target = at.add(line * from + column);
                                *target = if adding { *target + sum } else { *sum };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Sets a line of panels to zero.
fn clear(columns: usize, (panels, step): (&mut [f32], usize)) {
    for panel in 0..columns.div_ceil(PANEL) {
        panels[panel * PANEL_LENGTH + step * PANEL..][..PANEL].fill(0.0);
    }
}

for_vectors! {
    /// Puts a row into a line of panels: as it is, or what an affine map, from one of its columns on, and a `ReLU` make of it, as
    /// elements can hold it. What lies behind it in the last panel is anything.
    ///
    /// # Safety
    /// The processor must have AVX2.
    fn pack<V, E: Element>(row: &[E], before: Option<(&Affine, usize)>, target: (&mut [f32], usize)) {
        let (panels, step) = target;
        let vectors = row.len() / V::LANES * V::LANES;
        let at = |column: usize| column / PANEL * PANEL_LENGTH + step * PANEL + column % PANEL;
        for column in (0..vectors).step_by(V::LANES) {
            let mut values: V = E::load(row.as_ptr().add(column));
            if let Some((affine, first)) = before {
                let factor: V = V::load(affine.factors.as_ptr().add(first + column));
                let scaled = factor.times(values).plus(V::load(affine.offsets.as_ptr().add(first + column)));
                values = E::rounded(V::splat(0.0).larger(scaled));
            }
            values.store(panels.as_mut_ptr().add(at(column)));
        }
        for column in vectors..row.len() {
            let mut value = row[column].wide();
            if let Some((affine, first)) = before {
                let scaled = affine.factors[first + column] * value + affine.offsets[first + column];
                value = E::nearest(if scaled <= 0.0 { 0.0 } else { scaled }).wide();
            }
            panels[at(column)] = value;
        }
    }
}
