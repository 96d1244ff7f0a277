//! Convolutions of 3x3, stride 1, padded by 1, with a quarter of the multiplications: F(4x4, 3x3) of Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", CVPR 2016. A map is cut into tiles of 4x4 places; transforms of tiles and
//! weights make 36 products of matrices out of a convolution. The same scheme gives both gradients.

mod lines;
mod matrices;
mod products;
mod tiles;
mod transforms;

use std::ops::Range;

use super::affine::Affine;
use super::element::Element;
use super::sums::{PANEL, columns_of_group};
use super::vector::Width;
use crate::error::Result;
use crate::onednn::{Convolution, Team, with_workspace};
use matrices::{Matrices, PLACES, Shared};
use products::{each_group, multiply, multiply_transposed};
use tiles::Tiles;
use transforms::WeightsOf;

/// Transformed tiles that are held at a time, in numbers: they stay in a cache, near if they can.
const CHUNK: usize = 1 << 19;
/// With fewer tiles, moving the transformed weights costs more than the multiplications that are saved: where they go through
/// memory, and where they stay in a cache.
const FEWEST_TILES: [usize; 2] = [48, 12];

/// Whether this way of computing is open for a convolution, and worth it.
pub fn applies(team: Team, shapes: &Convolution) -> bool {
    let [_, height, width, channels] = shapes.input;
    let lanes = match Width::widest() {
        Width::Any => return false,
        Width::Eight => 8,
        Width::Sixteen => 16,
    };
    let fits = shapes.kernel == [3, 3]
        && shapes.strides == [1, 1]
        && shapes.pads == [1; 4]
        && channels.is_multiple_of(lanes)
        && shapes.output[3].is_multiple_of(lanes);
    let tiles = Tiles::of(shapes.input);
    let cut = Cut::of(team, tiles, [channels, shapes.output[3]]);
    fits && height >= 4 && width >= 4 && tiles.count() >= FEWEST_TILES[usize::from(cut.columns.is_some())]
}

/// Ranges of tiles of almost the same length, start and length.
fn chunks(count: usize, longest: usize) -> impl Iterator<Item = (usize, usize)> {
    let length = count.div_ceil(count.div_ceil(longest));
    (0..count).step_by(length).map(move |start| (start, length.min(count - start)))
}

/// How the work is cut into parts that caches hold.
struct Cut {
    /// Most tiles that are transformed at a time. All weights are read for each such chunk: many of them want larger ones.
    longest: usize,
    /// Where there are more weights than tiles: the columns of weights that a thread transforms at a time, for all tiles. These
    /// weights never leave its cache.
    columns: Option<usize>,
}

impl Cut {
    fn of(team: Team, tiles: Tiles, [from, to]: [usize; 2]) -> Self {
        let columns = columns_of_group();
        if 4 * tiles.count() <= from.min(to) && to >= 2 * columns * team.threads() {
            return Self { longest: tiles.count(), columns: Some(columns) };
        }
        let longest = (CHUNK.max(PLACES * from * to / 4) / (PLACES * (from + to))).clamp(1, tiles.count());
        Self { longest, columns: None }
    }

    /// Numbers of working memory: transformed weights, and tiles before and behind the products.
    fn lengths(&self, team: Team, [from, to]: [usize; 2]) -> [usize; 3] {
        let weights = match self.columns {
            Some(columns) => team.threads() * Matrices::length([from, columns]),
            None => Matrices::length([from, to]),
        };
        [weights, Matrices::length([self.longest, from]), Matrices::length([self.longest, to])]
    }
}

/// # Safety
/// [`applies`] must have said yes to `shapes`; the input, `weights` [out, in, 3, 3] and the output must have them, and the
/// output be no one else's.
pub unsafe fn convolve<E: Element>(
    team: Team,
    shapes: &Convolution,
    input: *const E,
    weights: *const f32,
    output: *mut E,
) -> Result<()> {
    let channels = [shapes.input[3], shapes.output[3]];
    // SAFETY: as promised by the caller.
    unsafe { run(team, Tiles::of(shapes.input), WeightsOf::Forward, channels, input, weights, output, None) }
}

/// The gradient of the input: the convolution of the output's gradient with the weights turned round. `addend` is added to it:
/// memory of its shape, or the result itself.
///
/// # Safety
/// As for [`convolve`].
pub unsafe fn input_gradient<E: Element>(
    team: Team,
    shapes: &Convolution,
    gradient: *const E,
    weights: *const f32,
    result: *mut E,
    addend: Option<*const E>,
) -> Result<()> {
    let channels = [shapes.output[3], shapes.input[3]];
    // SAFETY: as promised by the caller.
    unsafe { run(team, Tiles::of(shapes.input), WeightsOf::InputGradient, channels, gradient, weights, result, addend) }
}

#[allow(clippy::too_many_arguments)] // All of a convolution.
unsafe fn run<E: Element>(
    team: Team,
    tiles: Tiles,
    of: WeightsOf,
    [from, to]: [usize; 2],
    source: *const E,
    weights: *const f32,
    destination: *mut E,
    addend: Option<*const E>,
) -> Result<()> {
    let cut = Cut::of(team, tiles, [from, to]);
    let weights = Shared(weights.cast_mut());
    with_workspace(cut.lengths(team, [from, to]), |[kernels, inputs, outputs]| {
        let [kernels, inputs, outputs] = [kernels, inputs, outputs].map(<[f32]>::as_mut_ptr);
        // SAFETY: as promised by the caller; the workspace's pieces have the lengths that the transforms fill.
        unsafe {
            let all = Matrices::new(kernels, [from, to]);
            if cut.columns.is_none() {
                team.share(to, PANEL, |_, part| {
                    transforms::weights::<E>(of, weights.at(0), [from, to], (part.clone(), part.start), all);
                })?;
            }
            for (start, length) in chunks(tiles.count(), cut.longest) {
                let (inputs, outputs) = (Matrices::new(inputs, [length, from]), Matrices::new(outputs, [length, to]));
                transforms::input(team, tiles, (source, None), from, start..start + length, inputs)?;
                match cut.columns {
                    None => each_group(team, outputs, |place, group| {
                        multiply(place, inputs, (all, group), (outputs, group));
                    })?,
                    Some(columns) => each_targets(team, [from, to], columns, kernels, |group, targets, kernels| {
                        transforms::weights::<E>(of, weights.at(0), [from, to], (targets, 0), kernels);
                        for place in 0..PLACES {
                            multiply(place, inputs, (kernels, 0), (outputs, group));
                        }
                    })?,
                }
                transforms::output(team, tiles, outputs, to, start..start + length, destination, addend)?;
            }
        }
        Ok(())
    })
}

/// Runs `work` on each group of columns, with its number and matrices [from, columns] of the thread's own.
fn each_targets(
    team: Team,
    [from, to]: [usize; 2],
    columns: usize,
    kernels: *mut f32,
    work: impl Fn(usize, Range<usize>, Matrices) + Sync,
) -> Result<()> {
    let kernels = Shared(kernels);
    team.share(to.div_ceil(columns), 1, |thread, groups| {
        let own = Matrices::new(kernels.at(thread * Matrices::length([from, columns])), [from, columns]);
        for group in groups {
            work(group, group * columns..to.min((group + 1) * columns), own);
        }
    })
}

/// The gradient of the weights, added to the buffer [out, in, 3, 3], or with `reset` written over it. The input is what the
/// affine map, if there is one, and a `ReLU` behind it make of what is given.
///
/// # Safety
/// As for [`convolve`].
pub unsafe fn weight_gradient<E: Element>(
    team: Team,
    shapes: &Convolution,
    input: (*const E, Option<&Affine>),
    gradient: *const E,
    buffer: *mut f32,
    reset: bool,
) -> Result<()> {
    let (tiles, from, to) = (Tiles::of(shapes.input), shapes.input[3], shapes.output[3]);
    let cut = Cut::of(team, tiles, [from, to]);
    let buffer = Shared(buffer);
    with_workspace(cut.lengths(team, [from, to]), |[kernels, inputs, outputs]| {
        let [kernels, inputs, outputs] = [kernels, inputs, outputs].map(<[f32]>::as_mut_ptr);
        let all = Matrices::new(kernels, [from, to]);
        // SAFETY: as for the convolution.
        unsafe {
            for (start, length) in chunks(tiles.count(), cut.longest) {
                let (inputs, outputs) = (Matrices::new(inputs, [length, from]), Matrices::new(outputs, [length, to]));
                transforms::input(team, tiles, input, from, start..start + length, inputs)?;
                transforms::gradient(team, tiles, gradient, to, start..start + length, outputs)?;
                match cut.columns {
                    None => each_group(team, all, |place, group| {
                        multiply_transposed(place, inputs, (outputs, group), (all, group), start > 0);
                    })?,
                    Some(columns) => each_targets(team, [from, to], columns, kernels, |group, targets, kernels| {
                        for place in 0..PLACES {
                            multiply_transposed(place, inputs, (outputs, group), (kernels, 0), false);
                        }
                        transforms::weights_gradient(kernels, (targets, 0), buffer, reset);
                    })?,
                }
            }
            if cut.columns.is_none() {
                team.share(to, PANEL, |_, part| {
                    transforms::weights_gradient(all, (part.clone(), part.start), buffer, reset);
                })?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{applies, convolve, input_gradient, weight_gradient};
    use crate::error::Result;
    use crate::onednn::{Convolution, OneDnn};
    use crate::operators::layers::noise::numbers;

    /// All products of a convolution of 3x3 padded by 1: places of the input, the weights and the output, with its index.
    fn products(shapes: &Convolution, mut visit: impl FnMut(usize, usize, usize)) {
        let [batch, height, width, from] = shapes.input;
        let to = shapes.output[3];
        for n in 0..batch {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
                    let (Some(row), Some(column)) = ((y + dy).checked_sub(1), (x + dx).checked_sub(1)) else {
                        continue;
                    };
                    if row >= height || column >= width {
                        continue;
                    }
                    for (i, o) in (0..from).flat_map(|i| (0..to).map(move |o| (i, o))) {
                        visit(
                            ((n * height + row) * width + column) * from + i,
                            (o * from + i) * 9 + dy * 3 + dx,
                            ((n * height + y) * width + x) * to + o,
                        );
                    }
                }
            }
        }
    }

    fn assert_close(left: &[f32], right: &[f64], what: &str) {
        let norm = right.iter().map(|value| value * value).sum::<f64>().sqrt();
        let off = left.iter().zip(right).map(|(left, right)| (f64::from(*left) - right).powi(2)).sum::<f64>().sqrt();
        assert!(off < 3e-6 * norm, "{what} is off by {off} of {norm}");
    }

    #[test]
    fn gives_a_convolution_and_both_its_gradients() -> Result<()> {
        let Some(onednn) = OneDnn::for_tests() else { return Ok(()) };
        for (threads, [batch, height, width, from, to]) in
            [(1, [4, 16, 16, 16, 32]), (2, [9, 7, 10, 48, 16]), (3, [25, 4, 5, 16, 16]), (2, [13, 4, 4, 64, 128])]
        {
            onednn.set_threads(threads);
            let shapes = Convolution {
                input: [batch, height, width, from],
                output: [batch, height, width, to],
                kernel: [3, 3],
                strides: [1, 1],
                pads: [1; 4],
            };
            assert!(applies(onednn.team(), &shapes));
            let (input, weights) = (numbers(shapes.input.iter().product(), 1), numbers(9 * from * to, 2));
            let gradient = numbers(shapes.output.iter().product(), 3);
            let (mut output, mut of_input, mut of_weights) =
                (vec![0.0; gradient.len()], vec![0.0; input.len()], vec![0.0; weights.len()]);
            products(&shapes, |i, w, o| {
                output[o] += f64::from(input[i]) * f64::from(weights[w]);
                of_input[i] += f64::from(gradient[o]) * f64::from(weights[w]);
                of_weights[w] += f64::from(gradient[o]) * f64::from(input[i]);
            });
            let mut result = vec![0.0; output.len()];
            // SAFETY: of the shapes that it was made for.
            unsafe {
                convolve(onednn.team(), &shapes, input.as_ptr(), weights.as_ptr(), result.as_mut_ptr())?;
            }
            assert_close(&result, &output, "the convolution");

            // Added to what the input's gradient has already.
            let mut result = numbers(input.len(), 4);
            let sum: Vec<f64> = result.iter().zip(&of_input).map(|(other, own)| f64::from(*other) + own).collect();
            let addend = Some(result.as_ptr());
            // SAFETY: as above; the addend is the destination.
            unsafe {
                let result = result.as_mut_ptr();
                input_gradient(onednn.team(), &shapes, gradient.as_ptr(), weights.as_ptr(), result, addend)?;
            }
            assert_close(&result, &sum, "the input's gradient");

            let mut result = numbers(weights.len(), 5);
            for reset in [true, false] {
                // SAFETY: as above.
                unsafe {
                    let result = result.as_mut_ptr();
                    weight_gradient(onednn.team(), &shapes, (input.as_ptr(), None), gradient.as_ptr(), result, reset)?;
                }
            }
            let twice: Vec<f64> = of_weights.iter().map(|value| 2.0 * value).collect();
            assert_close(&result, &twice, "the weights' gradient");
        }
        Ok(())
    }
}
