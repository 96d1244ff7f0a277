//! The transforms of F(4x4, 3x3), on eight channels at a time. Transformed tiles lie as 36 matrices [tile, channel], weights as
//! 36 matrices [from, to].

use std::arch::x86_64::{
    _mm256_add_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::lines::{
    FIELD, KERNEL, TILE, Vector, gradient_line, input_line, output_line, weights_gradient_line, weights_line,
};
use super::tiles::Tiles;
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::layers::affine::Affine;
use crate::operators::layers::element::Element;

/// Channels of a vector.
pub const LANES: usize = 8;
/// Columns of a panel: a cache line.
pub const PANEL: usize = 16;

/// Numbers from one place's matrix to the next, in panels: a cache line more than it takes where that is a power of two, for
/// which all 36 would meet in the same few lines of a cache.
pub const fn matrix(rows: usize, columns: usize) -> usize {
    ((columns.div_ceil(PANEL) * rows) | 1) * PANEL
}

/// Where a vector of columns lies in a matrix.
const fn at(rows: usize, row: usize, column: usize) -> usize {
    (column / PANEL * rows + row) * PANEL + column % PANEL
}

/// Whether the processor has the instructions.
pub fn supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whose weights: as they are, from inputs to outputs, or turned by 180 degrees, from outputs to inputs.
#[derive(Clone, Copy)]
pub enum WeightsOf {
    Forward,
    InputGradient,
}

/// Memory that threads share, each writing to places of its own.
#[derive(Clone, Copy)]
pub struct Shared<E = f32>(pub *mut E);

// SAFETY: the loops below keep the threads' places apart.
unsafe impl<E: Send> Send for Shared<E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Shared<E> {}

impl<E: Copy> Shared<E> {
    pub const fn of(values: &[E]) -> Self {
        Self(values.as_ptr().cast_mut())
    }

    pub const fn at(self, offset: usize) -> *mut E {
        self.0.wrapping_add(offset)
    }
}

/// Applies a line's transform to the columns of a square, then to the rows of what that gives.
macro_rules! both_ways {
    ($line:ident, $square:expr, $from:ident, $to:ident) => {{
        let square: [[Vector; $from]; $from] = $square;
        let mut columns = [[_mm256_setzero_ps(); $from]; $to];
        for x in 0..$from {
            let mut column = [_mm256_setzero_ps(); $from];
            for y in 0..$from {
                column[y] = square[y][x];
            }
            let column = $line(column);
            for y in 0..$to {
                columns[y][x] = column[y];
            }
        }
        let mut result = [[_mm256_setzero_ps(); $to]; $to];
        for y in 0..$to {
            result[y] = $line(columns[y]);
        }
        result
    }};
}

/// Runs `work` on tiles of a range, each with the number of rows of its matrices and its own row.
fn each_tile(team: Team, range: Range<usize>, work: impl Fn(usize, [usize; 2]) + Sync) -> Result<()> {
    let length = range.len();
    team.share(length, 1, |_, part| part.for_each(|row| work(range.start + row, [length, row])))
}

/// Puts a vector into each of the 36 matrices, which are `stride` apart, at the same offset.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn store(vectors: &[[Vector; FIELD]; FIELD], matrices: Shared, stride: usize, offset: usize) {
    for (place, vector) in vectors.as_flattened().iter().enumerate() {
        // SAFETY: as promised by the caller.
        unsafe { _mm256_storeu_ps(matrices.at(place * stride + offset), *vector) };
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
    out: &mut [f32],
) -> Result<()> {
    let (map, out) = (Shared(map.cast_mut()), Shared(out.as_mut_ptr()));
    // SAFETY: `supported` has been asked; each tile is one thread's.
    each_tile(team, range, |tile, row| unsafe { input_tile(tiles, tile, (map, before), channels, out, row) })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn input_tile<E: Element>(
    tiles: Tiles,
    tile: usize,
    (map, before): (Shared<E>, Option<&Affine>),
    channels: usize,
    out: Shared,
    [rows, row]: [usize; 2],
) {
    let places = matrix(rows, channels);
    let (picture, top, left) = tiles.place(tile);
    for channel in (0..channels).step_by(LANES) {
        let lanes = channel..channel + LANES;
        // SAFETY: of so many lanes.
        let before = before.map(|Affine { factors, offsets }| unsafe {
            (_mm256_loadu_ps(factors[lanes.clone()].as_ptr()), _mm256_loadu_ps(offsets[lanes.clone()].as_ptr()))
        });
        let mut square = [[_mm256_setzero_ps(); FIELD]; FIELD];
        for (y, line) in square.iter_mut().enumerate() {
            // The field begins one place before the tile, which may be outside.
            let Some(row) = (top + y).checked_sub(1).filter(|&row| row < tiles.height) else { continue };
            for (x, place) in line.iter_mut().enumerate() {
                let Some(column) = (left + x).checked_sub(1).filter(|&column| column < tiles.width) else { continue };
                let index = ((picture * tiles.height + row) * tiles.width + column) * channels + channel;
                // SAFETY: within the map.
                *place = unsafe { E::load(map.at(index)) };
                if let Some((factor, offset)) = before {
                    let scaled = _mm256_add_ps(_mm256_mul_ps(factor, *place), offset);
                    // SAFETY: the processor has the instructions.
                    *place = unsafe { E::rounded(_mm256_max_ps(scaled, _mm256_setzero_ps())) };
                }
            }
        }
        let transformed = both_ways!(input_line, square, FIELD, FIELD);
        // SAFETY: the tile's own row of each matrix.
        unsafe { store(&transformed, out, places, at(rows, row, channel)) };
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
    out: &mut [f32],
) -> Result<()> {
    let (map, out) = (Shared(map.cast_mut()), Shared(out.as_mut_ptr()));
    // SAFETY: as for the input.
    each_tile(team, range, |tile, row| unsafe { gradient_tile(tiles, tile, map, channels, out, row) })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn gradient_tile<E: Element>(
    tiles: Tiles,
    tile: usize,
    map: Shared<E>,
    channels: usize,
    out: Shared,
    [rows, row]: [usize; 2],
) {
    let places = matrix(rows, channels);
    let (picture, top, left) = tiles.place(tile);
    for channel in (0..channels).step_by(LANES) {
        let mut square = [[_mm256_setzero_ps(); TILE]; TILE];
        for (y, line) in square.iter_mut().enumerate().take(tiles.height - top) {
            for (x, place) in line.iter_mut().enumerate().take(tiles.width - left) {
                let index = ((picture * tiles.height + top + y) * tiles.width + left + x) * channels + channel;
                // SAFETY: within the map.
                *place = unsafe { E::load(map.at(index)) };
            }
        }
        let transformed = both_ways!(gradient_line, square, TILE, FIELD);
        // SAFETY: the tile's own row of each matrix.
        unsafe { store(&transformed, out, places, at(rows, row, channel)) };
    }
}

/// Transforms products, 36 matrices [tile, channel], back into tiles of a map [N, H, W, channels], adding the addend.
///
/// # Safety
/// The map and the addend must have the tiles' shape; these tiles of the map must be no one else's.
pub unsafe fn output<E: Element>(
    team: Team,
    tiles: Tiles,
    products: &[f32],
    channels: usize,
    range: Range<usize>,
    map: *mut E,
    addend: Option<*const E>,
) -> Result<()> {
    let (products, map) = (Shared::of(products), Shared(map));
    let addend = addend.map(|addend| Shared(addend.cast_mut()));
    // SAFETY: as for the input.
    each_tile(team, range, |tile, row| unsafe { output_tile(tiles, tile, products, row, channels, map, addend) })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn output_tile<E: Element>(
    tiles: Tiles,
    tile: usize,
    products: Shared,
    [rows, row]: [usize; 2],
    channels: usize,
    map: Shared<E>,
    addend: Option<Shared<E>>,
) {
    let places = matrix(rows, channels);
    let (picture, top, left) = tiles.place(tile);
    for channel in (0..channels).step_by(LANES) {
        let mut square = [[_mm256_setzero_ps(); FIELD]; FIELD];
        for (place, vector) in square.as_flattened_mut().iter_mut().enumerate() {
            // SAFETY: within the tile's row of each matrix.
            *vector = unsafe { _mm256_loadu_ps(products.at(place * places + at(rows, row, channel))) };
        }
        let result = both_ways!(output_line, square, FIELD, TILE);
        for (y, line) in result.iter().enumerate().take(tiles.height - top) {
            for (x, vector) in line.iter().enumerate().take(tiles.width - left) {
                let index = ((picture * tiles.height + top + y) * tiles.width + left + x) * channels + channel;
                // SAFETY: within the map; the addend is read before it may be written over.
                unsafe {
                    let sum = match addend {
                        Some(addend) => _mm256_add_ps(*vector, E::load(addend.at(index))),
                        None => *vector,
                    };
                    E::store(map.at(index), sum);
                }
            }
        }
    }
}

/// Transforms weights [out, in, 3, 3], as elements can hold them, into `out`, 36 matrices [from, to].
///
/// # Safety
/// The weights must have the shape that `of`, `from` and `to` say.
pub unsafe fn weights<E: Element>(
    team: Team,
    of: WeightsOf,
    weights: *const f32,
    [from, to]: [usize; 2],
    out: &mut [f32],
) -> Result<()> {
    let (weights, out) = (Shared(weights.cast_mut()), Shared(out.as_mut_ptr()));
    // In the order in which the weights lie, and a whole line of the result at a time.
    match of {
        // SAFETY: `supported` has been asked; each line of each matrix is one thread's.
        WeightsOf::Forward => each_line(team, [from, to], |source, target| unsafe {
            weights_vector::<E>(of, weights, [from, to], [source, target], out);
        }),
        WeightsOf::InputGradient => team.share(from, 1, |_, part| {
            for source in part {
                for target in (0..to).step_by(LANES) {
                    // SAFETY: `supported` has been asked; each row of each matrix is one thread's.
                    unsafe { weights_vector::<E>(of, weights, [from, to], [source, target], out) };
                }
            }
        }),
    }
}

/// Runs `work` on all sources and every eighth target, for a line of targets one source after another.
fn each_line(team: Team, [from, to]: [usize; 2], work: impl Fn(usize, usize) + Sync) -> Result<()> {
    team.share(to, PANEL, |_, part| {
        for line in part.clone().step_by(PANEL) {
            for source in 0..from {
                for target in (line..part.end.min(line + PANEL)).step_by(LANES) {
                    work(source, target);
                }
            }
        }
    })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn weights_vector<E: Element>(
    of: WeightsOf,
    weights: Shared,
    [from, to]: [usize; 2],
    [source, target]: [usize; 2],
    out: Shared,
) {
    const AREA: usize = KERNEL * KERNEL;
    let mut lanes = [[0.0_f32; LANES]; AREA];
    for lane in 0..LANES {
        let kernel = match of {
            WeightsOf::Forward => (target + lane) * from + source,
            WeightsOf::InputGradient => source * to + target + lane,
        };
        for (place, values) in lanes.iter_mut().enumerate() {
            let from = match of {
                WeightsOf::Forward => place,
                WeightsOf::InputGradient => AREA - 1 - place,
            };
            // SAFETY: within the weights.
            values[lane] = unsafe { *weights.at(kernel * AREA + from) };
        }
    }
    let mut square = [[_mm256_setzero_ps(); KERNEL]; KERNEL];
    for (vector, values) in square.as_flattened_mut().iter_mut().zip(&lanes) {
        // SAFETY: eight numbers.
        *vector = unsafe { E::rounded(_mm256_loadu_ps(values.as_ptr())) };
    }
    let transformed = both_ways!(weights_line, square, KERNEL, FIELD);
    // SAFETY: the row's part of each matrix.
    unsafe { store(&transformed, out, matrix(from, to), at(from, source, target)) };
}

/// Transforms the gradient of transformed weights, 36 matrices [from, to], into that of the weights [to, from, 3, 3], which is added
/// to the buffer, or with `reset` written over it.
///
/// # Safety
/// The buffer must have the shape that `from` and `to` say, and be no one else's.
pub unsafe fn weights_gradient(
    team: Team,
    gradient: &[f32],
    [from, to]: [usize; 2],
    buffer: *mut f32,
    reset: bool,
) -> Result<()> {
    let (gradient, buffer) = (Shared(gradient.as_ptr().cast_mut()), Shared(buffer));
    // SAFETY: `supported` has been asked; each target's kernels are one thread's.
    each_line(team, [from, to], |source, target| unsafe {
        weights_gradient_vector(gradient, [from, to], [source, target], buffer, reset);
    })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn weights_gradient_vector(
    gradient: Shared,
    [from, to]: [usize; 2],
    [source, target]: [usize; 2],
    buffer: Shared,
    reset: bool,
) {
    let mut square = [[_mm256_setzero_ps(); FIELD]; FIELD];
    for (place, vector) in square.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: within the row's part of each matrix.
        *vector = unsafe { _mm256_loadu_ps(gradient.at(place * matrix(from, to) + at(from, source, target))) };
    }
    let result = both_ways!(weights_gradient_line, square, FIELD, KERNEL);
    for (place, vector) in result.as_flattened().iter().enumerate() {
        let mut values = [0.0_f32; LANES];
        // SAFETY: eight numbers.
        unsafe { _mm256_storeu_ps(values.as_mut_ptr(), *vector) };
        for (lane, value) in values.iter().enumerate() {
            let at = buffer.at(((target + lane) * from + source) * KERNEL * KERNEL + place);
            // SAFETY: within the buffer.
            unsafe { *at = if reset { *value } else { *at + value } };
        }
    }
}
