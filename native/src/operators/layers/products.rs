//! Products of matrices whose rows are the places of maps: the gradient of a convolution's weights, one place of the kernel at
//! a time. oneDNN's kernels reach two thirds of what these do on AVX2, four fifths on AVX-512.

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

use super::affine::Affine;
use super::channels::add_row;
use super::element::Element;
use super::sums::{Columns, PANEL, Steps, VECTORS, Work, columns_of_group, tallest, tile, tile_of_pairs};
use super::vector::{Vector, for_vectors, multiplies_pairs};
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::context::Column;

/// Rows of panels that are summed up at a time, each a place or a pair of them: a panel stays in the nearest cache.
const DEPTH: usize = 128;
/// Numbers from one panel to the next: a cache line more than it takes, as panels a power of two apart would meet in the same
/// lines of a cache.
const PANEL_LENGTH: usize = (DEPTH + 1) * PANEL;

/// Bytes.
const CACHE_LINE: usize = 64;

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

/// Whether two places go together, as bfloat16 numbers that the processor multiplies and adds up at once.
pub fn in_pairs<E: Element>() -> bool {
    !E::EXACT && multiplies_pairs()
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
    let each = if in_pairs::<E>() { 2 } else { 1 };
    let tile = if in_pairs::<E>() { tile_of_pairs } else { tile::<Columns> };
    // SAFETY: within both maps, which are only read.
    let slope = |place: usize| unsafe { &*gradient.part(&(place * out + rows.start..place * out + rows.end)) };
    // SAFETY: as above.
    let value = |at: usize| unsafe { &*input.part(&(at + columns.start..at + columns.end)) };
    let before = before.map(|affine| (affine, columns.start));
    for start in places.clone().step_by(DEPTH * each) {
        let end = places.end.min(start + DEPTH * each);
        let depth = (end - start).div_ceil(each);
        for step in 0..depth {
            let first = start + step * each;
            let second = (each > 1 && first + 1 < end).then_some(first + 1);
            let both = [Some(first), second];
            // SAFETY: room for so many steps of so many columns.
            unsafe {
                pack::<E>(rows.len(), both.map(|place| place.map(slope)), None, (&mut *lefts, step));
                let taken = both.map(|at| at.and_then(place).map(value));
                pack::<E>(columns.len(), taken, before, (&mut *rights, step));
            }
        }
        let adding = !(reset && start == places.start);
        let steps = Steps { outer: 1, inner: depth, stride: 0, last: 0 };
        // The next places come into a cache meanwhile.
        let next = end..places.end.min(end + DEPTH * each);
        let turns = columns.len().div_ceil(columns_of_group()) * rows.len().div_ceil(PANEL);
        let share = |turn: usize| next.start + next.len() * turn / turns;
        let mut turn = 0;
        for column in (0..columns.len()).step_by(columns_of_group()) {
            let wide = columns_of_group().min(columns.len() - column);
            let right = rights[column / PANEL * PANEL_LENGTH..].as_ptr();
            let second = if columns_of_group() == PANEL { PANEL / VECTORS } else { PANEL_LENGTH };
            let right = [right, right.wrapping_add(second)];
            for row in (0..rows.len()).step_by(PANEL) {
                let tall = PANEL.min(rows.len() - row);
                for coming in share(turn)..share(turn + 1) {
                    fetch(slope(coming));
                    place(coming).map(value).into_iter().for_each(fetch);
                }
                turn += 1;
                for part in 0..parts {
                    let (from_line, to_line) = (tall * part / parts, tall * (part + 1) / parts);
                    let left = lefts[row / PANEL * PANEL_LENGTH + from_line..].as_ptr();
                    let line = rows.start + row + from_line;
                    // SAFETY: whole panels, and this thread's part of the result.
                    unsafe {
                        let at = result.data().add(line * from + columns.start + column);
                        let count = to_line - from_line;
                        if wide == columns_of_group() {
                            let result = [at, at.add(wide / VECTORS)];
                            tile(count, Work { steps, left, right, result, distance: from, adding });
                            continue;
                        }
                        let mut sums = [[0.0_f32; VECTORS * PANEL]; PANEL];
                        let first = sums.as_mut_ptr().cast::<f32>();
                        let result = [first, first.add(columns_of_group() / VECTORS)];
                        let distance = VECTORS * PANEL;
                        tile(count, Work { steps, left, right, result, distance, adding: false });
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

/// Has a row come into the second cache.
fn fetch<E>(row: &[E]) {
    let first: *const i8 = row.as_ptr().cast();
    for line in (0..size_of_val(row)).step_by(CACHE_LINE) {
        // SAFETY: nothing is read, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(first.wrapping_add(line)) };
    }
}

for_vectors! {
    /// Puts a row, or the pairs of two, into a line of panels: as they are, or what an affine map, from one of its columns on,
    /// and a `ReLU` make of them, as elements can hold it; zeros for a row that is not there. What lies behind in the last panel is
    /// anything.
    ///
    /// # Safety
    /// The processor must have AVX2, and rows and panels so many columns.
    fn pack<V, E: Element>(
        columns: usize,
        rows: [Option<&[E]>; 2],
        before: Option<(&Affine, usize)>,
        target: (&mut [f32], usize),
    ) {
        let (panels, step) = target;
        let in_pairs = in_pairs::<E>();
        let vectors = columns / V::LANES * V::LANES;
        let at = |column: usize| column / PANEL * PANEL_LENGTH + step * PANEL + column % PANEL;
        for column in (0..vectors).step_by(V::LANES) {
            let mut values: V = some::<V, E>(rows[0], column, before);
            if in_pairs {
                values = values.paired(some::<V, E>(rows[1], column, before));
            }
            values.store(panels.as_mut_ptr().add(at(column)));
        }
        for column in vectors..columns {
            let [first, second] = rows.map(|row| one(row, column, before));
            let pair = f32::from_bits(first.to_bits() >> 16 | second.to_bits());
            panels[at(column)] = if in_pairs { pair } else { first };
        }
    }
}

/// Some numbers of a row as [`pack`] puts them.
///
/// # Safety
/// The processor must have the vector's instructions, and the row so many numbers.
#[inline(always)]
unsafe fn some<V: Vector, E: Element>(row: Option<&[E]>, column: usize, before: Option<(&Affine, usize)>) -> V {
    // SAFETY: as promised by the caller.
    unsafe {
        let zeros = V::splat(0.0);
        let Some(row) = row else { return zeros };
        let values: V = E::load(row.as_ptr().add(column));
        let Some((affine, first)) = before else { return values };
        let factors: V = V::load(affine.factors.as_ptr().add(first + column));
        let offsets = V::load(affine.offsets.as_ptr().add(first + column));
        E::rounded(zeros.larger(factors.times(values).plus(offsets)))
    }
}

/// A number of a row as [`pack`] puts it.
fn one<E: Element>(row: Option<&[E]>, column: usize, before: Option<(&Affine, usize)>) -> f32 {
    let Some(row) = row else { return 0.0 };
    let value = row[column].wide();
    let Some((affine, first)) = before else { return value };
    let scaled = affine.factors[first + column] * value + affine.offsets[first + column];
    E::nearest(if scaled <= 0.0 { 0.0 } else { scaled }).wide()
}

#[cfg(test)]
mod tests {
    use super::{Affine, Operands, room_for, sum_of_products};
    use crate::error::Result;
    use crate::onednn::OneDnn;
    use crate::operators::context::Column;
    use crate::operators::layers::element::{Bf16, Element};
    use crate::operators::layers::noise::numbers;
    use crate::operators::layers::vector::Width;

    /// Of every other row of the input, but for each fifth, which is in the padding.
    const fn place(place: usize, from: usize) -> Option<usize> {
        if place % 5 == 3 { None } else { Some(2 * place * from) }
    }

    fn check<E: Element>(onednn: &'static OneDnn, [out, from, places]: [usize; 3], scaled: bool) -> Result<()> {
        let (mut gradient, mut input): (Vec<E>, Vec<E>) = (numbers(places * out, 1), numbers(2 * places * from, 2));
        let affine = Affine { factors: numbers(from, 3), offsets: numbers(from, 4) };
        let mut result = vec![1.0; out * from];
        let team = onednn.team();
        let mut room = vec![f32::NAN; room_for(team, out, from, places)];
        let operands = Operands {
            gradient: Column::new(gradient.as_mut_ptr(), gradient.len()),
            out,
            input: Column::new(input.as_mut_ptr(), input.len()),
            from,
            before: scaled.then_some(&affine),
            place: &|at| place(at, from),
            places,
            result: Column::new(result.as_mut_ptr(), result.len()),
        };
        // SAFETY: the processor has been asked; all have these lengths.
        unsafe { sum_of_products(team, &operands, false, &mut room)? };
        let (mut off, mut norm) = (0.0, 0.0);
        for (index, result) in result.iter().enumerate() {
            let (line, column) = (index / from, index % from);
            let mut expected = 1.0;
            for at in 0..places {
                let Some(row) = place(at, from) else { continue };
                let value = input[row + column].wide();
                let moved = (affine.factors[column] * value + affine.offsets[column]).max(0.0);
                let value = if scaled { E::nearest(moved).wide() } else { value };
                expected += f64::from(value) * f64::from(gradient[at * out + line].wide());
            }
            off += (f64::from(*result) - expected).powi(2);
            norm += expected.powi(2);
        }
        assert!(off.sqrt() < 3e-6 * norm.sqrt(), "{out}x{from} of {places}: {off} of {norm}");
        Ok(())
    }

    #[test]
    fn sums_up_whole_and_partial_panels_and_pairs() -> Result<()> {
        let Some(onednn) = OneDnn::for_tests() else { return Ok(()) };
        if Width::widest() == Width::Any {
            return Ok(());
        }
        for (threads, shape) in [(1, [17, 35, 301]), (2, [64, 16, 1030]), (2, [16, 600, 33]), (3, [300, 32, 257])] {
            onednn.set_threads(threads);
            for scaled in [false, true] {
                check::<f32>(onednn, shape, scaled)?;
                check::<Bf16>(onednn, shape, scaled)?;
            }
        }
        Ok(())
    }
}
