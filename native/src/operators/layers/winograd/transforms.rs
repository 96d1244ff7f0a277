//! The transforms of F(4x4, 3x3), on the channels of a vector at a time. Transformed tiles lie as 36 matrices [tile, channel],
//! weights as 36 matrices [from, to].

use std::ops::Range;

use super::lines::{FIELD, KERNEL, TILE, gradient_line, input_line, output_line, weights_gradient_line, weights_line};
use super::matrices::{Matrices, Shared};
use super::tiles::Tiles;
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::layers::affine::Affine;
use crate::operators::layers::element::Element;
use crate::operators::layers::sums::PANEL;
use crate::operators::layers::vector::{Vector, for_vectors};

/// Whose weights: as they are, from inputs to outputs, or turned by 180 degrees, from outputs to inputs.
#[derive(Clone, Copy)]
pub enum WeightsOf {
    Forward,
    InputGradient,
}

/// Applies a line's transform to the columns of a square, then to the rows of what that gives.
macro_rules! both_ways {
    ($line:ident, $square:expr, $from:ident, $to:ident) => {{
        let square: [[V; $from]; $from] = $square;
        let mut columns = [[V::splat(0.0); $from]; $to];
        for x in 0..$from {
            let mut column = [V::splat(0.0); $from];
            for y in 0..$from {
                column[y] = square[y][x];
            }
            let column = $line(column);
            for y in 0..$to {
                columns[y][x] = column[y];
            }
        }
        let mut result = [[V::splat(0.0); $to]; $to];
        for y in 0..$to {
            result[y] = $line(columns[y]);
        }
        result
    }};
}

/// Puts a vector into each of the 36 matrices, in the same place.
#[inline(always)]
unsafe fn store<V: Vector>(vectors: &[[V; FIELD]; FIELD], matrices: Matrices, row: usize, column: usize) {
    for (place, vector) in vectors.as_flattened().iter().enumerate() {
        // SAFETY: as promised by the caller.
        unsafe { vector.store(matrices.at(place, row, column)) };
    }
}

/// Takes a vector out of each.
#[inline(always)]
unsafe fn load<V: Vector>(matrices: Matrices, row: usize, column: usize) -> [[V; FIELD]; FIELD] {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut vectors = [[V::splat(0.0); FIELD]; FIELD];
        for (place, vector) in vectors.as_flattened_mut().iter_mut().enumerate() {
            *vector = V::load(matrices.at(place, row, column));
        }
        vectors
    }
}

/// Transforms tiles of a map [N, H, W, channels], padded by 1, into `out`, 36 matrices [tile, channel]. The affine map, if
/// there is one, and a `ReLU` are applied before.
///
/// # Safety
/// The map must have the tiles' shape, and `out` room for the range.
pub unsafe fn input<E: Element>(
    team: Team,
    tiles: Tiles,
    (map, before): (*const E, Option<&Affine>),
    channels: usize,
    range: Range<usize>,
    out: Matrices,
) -> Result<()> {
    let map = Shared(map.cast_mut());
    // SAFETY: each tile is one thread's.
    team.share(range.len(), 1, |_, part| unsafe { input_tiles(tiles, &range, part, (map, before), channels, out) })
}

for_vectors! {
    fn input_tiles<V, E: Element>(
        tiles: Tiles,
        range: &Range<usize>,
        part: Range<usize>,
        source: (Shared<E>, Option<&Affine>),
        channels: usize,
        out: Matrices,
    ) {
        let (map, before) = source;
        for row in part {
            let (picture, top, left) = tiles.place(range.start + row);
            for channel in (0..channels).step_by(V::LANES) {
                let mut square = [[V::splat(0.0); FIELD]; FIELD];
                for (y, line) in square.iter_mut().enumerate() {
                    // The field begins one place before the tile, which may be outside.
                    let y = top + y;
                    if y == 0 || y > tiles.height {
                        continue;
                    }
                    for (x, place) in line.iter_mut().enumerate() {
                        let x = left + x;
                        if x == 0 || x > tiles.width {
                            continue;
                        }
                        let index = ((picture * tiles.height + y - 1) * tiles.width + x - 1) * channels + channel;
                        *place = E::load(map.at(index));
                        if let Some(Affine { factors, offsets }) = before {
                            let factor: V = V::load(factors.as_ptr().add(channel));
                            let scaled = factor.times(*place).plus(V::load(offsets.as_ptr().add(channel)));
                            *place = E::rounded(V::splat(0.0).larger(scaled));
                        }
                    }
                }
                let transformed = both_ways!(input_line, square, FIELD, FIELD);
                store(&transformed, out, row, channel);
            }
        }
    }
}

/// Transforms tiles of the output's gradient [N, H, W, channels] into `out`, 36 matrices [tile, channel].
///
/// # Safety
/// As for [`input`].
pub unsafe fn gradient<E: Element>(
    team: Team,
    tiles: Tiles,
    map: *const E,
    channels: usize,
    range: Range<usize>,
    out: Matrices,
) -> Result<()> {
    let map = Shared(map.cast_mut());
    // SAFETY: as for the input.
    team.share(range.len(), 1, |_, part| unsafe { gradient_tiles(tiles, &range, part, map, channels, out) })
}

for_vectors! {
    fn gradient_tiles<V, E: Element>(
        tiles: Tiles,
        range: &Range<usize>,
        part: Range<usize>,
        map: Shared<E>,
        channels: usize,
        out: Matrices,
    ) {
        for row in part {
            let (picture, top, left) = tiles.place(range.start + row);
            for channel in (0..channels).step_by(V::LANES) {
                let mut square = [[V::splat(0.0); TILE]; TILE];
                for (y, line) in square.iter_mut().enumerate().take(tiles.height - top) {
                    for (x, place) in line.iter_mut().enumerate().take(tiles.width - left) {
                        let index = ((picture * tiles.height + top + y) * tiles.width + left + x) * channels + channel;
                        *place = E::load(map.at(index));
                    }
                }
                let transformed = both_ways!(gradient_line, square, TILE, FIELD);
                store(&transformed, out, row, channel);
            }
        }
    }
}

/// Transforms products, 36 matrices [tile, channel], back into tiles of a map [N, H, W, channels], adding the addend.
///
/// # Safety
/// The map and the addend must have the tiles' shape; these tiles of the map must be no one else's.
pub unsafe fn output<E: Element>(
    team: Team,
    tiles: Tiles,
    products: Matrices,
    channels: usize,
    range: Range<usize>,
    map: *mut E,
    addend: Option<*const E>,
) -> Result<()> {
    let map = Shared(map);
    let addend = addend.map(|addend| Shared(addend.cast_mut()));
    // SAFETY: as for the input.
    team.share(range.len(), 1, |_, part| unsafe {
        output_tiles(tiles, &range, part, products, channels, (map, addend));
    })
}

for_vectors! {
    fn output_tiles<V, E: Element>(
        tiles: Tiles,
        range: &Range<usize>,
        part: Range<usize>,
        products: Matrices,
        channels: usize,
        target: (Shared<E>, Option<Shared<E>>),
    ) {
        let (map, addend) = target;
        for row in part {
            let (picture, top, left) = tiles.place(range.start + row);
            for channel in (0..channels).step_by(V::LANES) {
                let square = load(products, row, channel);
                let result = both_ways!(output_line, square, FIELD, TILE);
                for (y, line) in result.iter().enumerate().take(tiles.height - top) {
                    for (x, vector) in line.iter().enumerate().take(tiles.width - left) {
                        let index = ((picture * tiles.height + top + y) * tiles.width + left + x) * channels + channel;
                        // The addend is read before it may be written over.
                        let sum = match addend {
                            Some(addend) => vector.plus(E::load(addend.at(index))),
                            None => *vector,
                        };
                        E::store(map.at(index), sum);
                    }
                }
            }
        }
    }
}

/// A range of the weights' outputs, whole panels, and in which column of the matrices the first of them is.
pub type Targets = (Range<usize>, usize);

for_vectors! {
    /// Transforms weights [out, in, 3, 3], as elements can hold them, into `out`, 36 matrices [from, targets].
    ///
    /// # Safety
    /// The weights must have the shape that `of` and `channels` say, and `out` the targets' columns, which must be no one else's.
    pub fn weights<V, E: Element>(
        of: WeightsOf,
        weights: *const f32,
        channels: [usize; 2],
        targets: Targets,
        out: Matrices,
    ) {
        const AREA: usize = KERNEL * KERNEL;
        let ([from, to], (targets, column)) = (channels, targets);
        let mut lanes = [[0.0_f32; PANEL]; AREA];
        // A whole line of the result at a time.
        for line in targets.clone().step_by(PANEL) {
            for source in 0..from {
                for target in (line..targets.end.min(line + PANEL)).step_by(V::LANES) {
                    for lane in 0..V::LANES {
                        let kernel = match of {
                            WeightsOf::Forward => (target + lane) * from + source,
                            WeightsOf::InputGradient => source * to + target + lane,
                        };
                        for (place, values) in lanes.iter_mut().enumerate() {
                            let from = match of {
                                WeightsOf::Forward => place,
                                WeightsOf::InputGradient => AREA - 1 - place,
                            };
                            values[lane] = *weights.wrapping_add(kernel * AREA + from);
                        }
                    }
                    let mut square = [[V::splat(0.0); KERNEL]; KERNEL];
                    for (vector, values) in square.as_flattened_mut().iter_mut().zip(&lanes) {
                        *vector = E::rounded(V::load(values.as_ptr()));
                    }
                    let transformed = both_ways!(weights_line, square, KERNEL, FIELD);
                    store(&transformed, out, source, column + target - targets.start);
                }
            }
        }
    }
}

for_vectors! {
    /// Transforms the gradient of transformed weights, 36 matrices [from, targets], into that of the weights [to, from, 3, 3], which
    /// is added to the buffer, or with `reset` written over it.
    ///
    /// # Safety
    /// The buffer must have so many sources and all targets, and these be no one else's.
    pub fn weights_gradient<V>(gradient: Matrices, targets: Targets, buffer: Shared, reset: bool) {
        let (from, (targets, column)) = (gradient.rows, targets);
        for line in targets.clone().step_by(PANEL) {
            for source in 0..from {
                for target in (line..targets.end.min(line + PANEL)).step_by(V::LANES) {
                    let square = load(gradient, source, column + target - targets.start);
                    let result = both_ways!(weights_gradient_line, square, FIELD, KERNEL);
                    for (place, vector) in result.as_flattened().iter().enumerate() {
                        let mut values = [0.0_f32; PANEL];
                        vector.store(values.as_mut_ptr());
                        for (lane, value) in values.iter().enumerate().take(V::LANES) {
                            let at = buffer.at(((target + lane) * from + source) * KERNEL * KERNEL + place);
                            *at = if reset { *value } else { *at + value };
                        }
                    }
                }
            }
        }
    }
}
