//! Loops over a channels-last map, whose rows hold all channels of a place. They run over tiles of whole rows, so that few
//! channels make no short loops; what belongs to a channel is repeated for each row of a tile.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::element::Element;
use super::vector::Width;
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::context::Column;

/// Tiles whose sums are kept in float32, before they go into float64.
const BLOCK: usize = 16;
/// Elements of a tile, at least.
const TILE: usize = 512;
/// Elements that a thread is given at a time.
const UNIT: usize = 4096;

/// Rows of a tile.
const fn rows_of_tile(channels: usize) -> usize {
    if channels == 0 { 1 } else { TILE.div_ceil(channels) }
}

/// Values of the channels, for each row of a tile.
pub fn tiled(values: &[f32]) -> Vec<f32> {
    values.repeat(rows_of_tile(values.len()))
}

/// Compiles a loop for any processor and for wide vectors. The operations are the same, and so are the results. What a loop may
/// leave out it reads before: there are no vectors of bfloat16 that are read in part.
macro_rules! vectorised {
    ($(#[$doc:meta])* fn $name:ident<$($element:ident),+>($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        pub fn $name<$($element: Element),+>($($argument: $type),*) {
            #[inline(always)]
            fn plain<$($element: Element),+>($($argument: $type),*) $body
            #[target_feature(enable = "avx2")]
            fn eight<$($element: Element),+>($($argument: $type),*) {
                plain::<$($element),+>($($argument),*);
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn sixteen<$($element: Element),+>($($argument: $type),*) {
                plain::<$($element),+>($($argument),*);
            }
            // SAFETY: the processor has been asked.
            unsafe {
                match Width::widest() {
                    Width::Sixteen => sixteen::<$($element),+>($($argument),*),
                    Width::Eight => eight::<$($element),+>($($argument),*),
                    Width::Any => plain::<$($element),+>($($argument),*),
                }
            }
        }
    };
}

vectorised! {
    /// For each channel the sum of what lies above `shift`, and of its squares.
    fn sum_squares<E>(rows: &[E], shift: &[f32], sum: &mut [f32], squares: &mut [f32]) {
        for row in rows.chunks(shift.len()) {
            for (((value, shift), sum), squares) in row.iter().zip(shift).zip(&mut *sum).zip(&mut *squares) {
                let above = value.wide() - shift;
                *sum += above;
                *squares += above * above;
            }
        }
    }
}

vectorised! {
    /// For each channel the sum of the gradient, and of its products with what lies above the mean.
    fn sum_products<E>(gradient: &[E], rows: &[E], mean: &[f32], sum: &mut [f32], products: &mut [f32]) {
        for (slope, row) in gradient.chunks(mean.len()).zip(rows.chunks(mean.len())) {
            let columns = slope.iter().zip(row).zip(mean).zip(&mut *sum).zip(&mut *products);
            for ((((slope, value), mean), sum), products) in columns {
                let slope = slope.wide();
                *sum += slope;
                *products += slope * (value.wide() - mean);
            }
        }
    }
}

vectorised! {
    /// As [`sum_products`], of the gradient where `factor * x + offset` is positive.
    fn sum_masked_products<E>(
        gradient: &[E],
        rows: &[E],
        factor: &[f32],
        offset: &[f32],
        mean: &[f32],
        sum: &mut [f32],
        products: &mut [f32],
    ) {
        for (slope, row) in gradient.chunks(mean.len()).zip(rows.chunks(mean.len())) {
            let columns =
                slope.iter().zip(row).zip(factor).zip(offset).zip(mean).zip(&mut *sum).zip(&mut *products);
            for ((((((slope, value), factor), offset), mean), sum), products) in columns {
                let (slope, value) = (slope.wide(), value.wide());
                let slope = if factor * value + offset > 0.0 { slope } else { 0.0 };
                *sum += slope;
                *products += slope * (value - mean);
            }
        }
    }
}

vectorised! {
    /// What of a gradient passes a `ReLU` with this output.
    fn pass_relu<E>(gradient: &[E], output: &[E], masked: &mut [E]) {
        for ((masked, slope), output) in masked.iter_mut().zip(gradient).zip(output) {
            let slope = *slope;
            *masked = if output.wide() > 0.0 { slope } else { E::nearest(0.0) };
        }
    }
}

vectorised! {
    /// `factor * x + offset` of each channel.
    fn scale<E>(rows: &[E], factor: &[f32], offset: &[f32], output: &mut [E]) {
        for (output, row) in output.chunks_mut(factor.len()).zip(rows.chunks(factor.len())) {
            for (((output, value), factor), offset) in output.iter_mut().zip(row).zip(factor).zip(offset) {
                *output = E::nearest(factor * value.wide() + offset);
            }
        }
    }
}

vectorised! {
    /// As [`scale`], plus the residual.
    fn scale_add<E>(rows: &[E], factor: &[f32], offset: &[f32], residual: &[E], output: &mut [E]) {
        let channels = factor.len();
        let lines = output.chunks_mut(channels).zip(rows.chunks(channels)).zip(residual.chunks(channels));
        for ((output, row), residual) in lines {
            let columns = output.iter_mut().zip(row).zip(residual).zip(factor).zip(offset);
            for ((((output, value), residual), factor), offset) in columns {
                *output = E::nearest(factor * value.wide() + offset + residual.wide());
            }
        }
    }
}

vectorised! {
    /// `ReLU` of `factor * x + offset`, as [`scale`] and [`relu`] give it, in place.
    fn activate<E>(rows: &mut [E], factor: &[f32], offset: &[f32]) {
        for row in rows.chunks_mut(factor.len()) {
            for ((value, factor), offset) in row.iter_mut().zip(factor).zip(offset) {
                let scaled = factor * value.wide() + offset;
                *value = E::nearest(if scaled <= 0.0 { 0.0 } else { scaled });
            }
        }
    }
}

vectorised! {
    /// What is no number stays none, so that it is seen.
    fn relu<E>(values: &mut [E]) {
        for value in values {
            *value = if value.wide() <= 0.0 { E::nearest(0.0) } else { *value };
        }
    }
}

vectorised! {
    /// `slope_factor * gradient + factor * x + offset` of each channel.
    fn scale_gradient<E>(
        gradient: &[E],
        rows: &[E],
        slope_factor: &[f32],
        factor: &[f32],
        offset: &[f32],
        output: &mut [E],
    ) {
        let channels = factor.len();
        let lines = output.chunks_mut(channels).zip(gradient.chunks(channels)).zip(rows.chunks(channels));
        for ((output, slope), row) in lines {
            let columns = output.iter_mut().zip(slope).zip(row).zip(slope_factor).zip(factor).zip(offset);
            for (((((output, slope), value), slope_factor), factor), offset) in columns {
                *output = E::nearest(slope_factor * slope.wide() + (factor * value.wide() + offset));
            }
        }
    }
}

vectorised! {
    /// As [`scale_gradient`], of the gradient where the forward pass, `slope_factor * x + forward_offset`, is positive.
    fn scale_masked_gradient<E>(
        gradient: &[E],
        rows: &[E],
        slope_factor: &[f32],
        forward_offset: &[f32],
        factor: &[f32],
        offset: &[f32],
        output: &mut [E],
    ) {
        let channels = factor.len();
        let lines = output.chunks_mut(channels).zip(gradient.chunks(channels)).zip(rows.chunks(channels));
        for ((output, slope), row) in lines {
            let forward = slope_factor.iter().zip(forward_offset);
            let columns = output.iter_mut().zip(slope).zip(row).zip(forward).zip(factor).zip(offset);
            for (((((output, slope), value), (slope_factor, forward_offset)), factor), offset) in columns {
                let (slope, value) = (slope.wide(), value.wide());
                let slope = if slope_factor * value + forward_offset > 0.0 { slope } else { 0.0 };
                *output = E::nearest(slope_factor * slope + (factor * value + offset));
            }
        }
    }
}

vectorised! {
    /// Takes over the values that are larger or no numbers, and from where they come.
    fn take_larger<E>(values: &[E], place: u8, maxima: &mut [E], places: &mut [u8]) {
        for ((value, maximum), taken) in values.iter().zip(maxima).zip(places) {
            let wide = value.wide();
            let larger = wide > maximum.wide() || wide.is_nan();
            *maximum = if larger { *value } else { *maximum };
            *taken = if larger { place } else { *taken };
        }
    }
}

vectorised! {
    /// Adds the gradient to where it was taken from.
    fn add_taken<E>(slope: &[E], taken: &[u8], place: u8, target: &mut [f32]) {
        for ((slope, taken), target) in slope.iter().zip(taken).zip(target) {
            let slope = slope.wide();
            *target += if *taken == place { slope } else { 0.0 };
        }
    }
}

vectorised! {
    fn add_to<E, T>(values: &[T], others: &[E], sum: &mut [E]) {
        for ((sum, value), other) in sum.iter_mut().zip(values).zip(others) {
            *sum = E::nearest(value.wide() + other.wide());
        }
    }
}

vectorised! {
    /// The nearest numbers of another kind.
    fn convert<E, T>(values: &[E], target: &mut [T]) {
        for (target, value) in target.iter_mut().zip(values) {
            *target = T::nearest(value.wide());
        }
    }
}

vectorised! {
    /// The nearest values that elements of the first kind can hold.
    fn round<E, T>(values: &mut [T]) {
        for value in values {
            *value = T::nearest(E::nearest(value.wide()).wide());
        }
    }
}

vectorised! {
    fn add_row<E, T>(row: &[E], sum: &mut [T]) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum = T::nearest(sum.wide() + value.wide());
        }
    }
}

/// Two sums of each channel, in float64.
pub type Sums = Vec<[f64; 2]>;

/// Two sums of each channel over the rows of a map: `block` adds those of some rows, given as a range of elements, to two
/// tiles of float32. Each thread sums up its own part, and the parts are added up in their order.
pub fn sum_rows(
    team: Team,
    rows: usize,
    channels: usize,
    block: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
) -> Result<Sums> {
    let parts: Vec<Mutex<Sums>> = (0..team.threads().max(1)).map(|_| Mutex::default()).collect();
    let step = BLOCK * rows_of_tile(channels);
    team.share(rows, step, |thread, range| {
        let mut totals = vec![[0.0; 2]; channels];
        let tile = rows_of_tile(channels) * channels;
        let (mut first, mut second) = (vec![0.0; tile], vec![0.0; tile]);
        for start in range.clone().step_by(step) {
            let end = range.end.min(start + step);
            first.fill(0.0);
            second.fill(0.0);
            block(start * channels..end * channels, &mut first, &mut second);
            for (first, second) in first.chunks(channels).zip(second.chunks(channels)) {
                for ((total, first), second) in totals.iter_mut().zip(first).zip(second) {
                    total[0] += f64::from(*first);
                    total[1] += f64::from(*second);
                }
            }
        }
        *parts[thread].lock().unwrap_or_else(PoisonError::into_inner) = totals;
    })?;
    let mut sums = vec![[0.0; 2]; channels];
    for part in parts {
        let part = part.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (sum, part) in sums.iter_mut().zip(part) {
            sum[0] += part[0];
            sum[1] += part[1];
        }
    }
    Ok(sums)
}

/// Runs `work` on ranges of elements that hold whole rows and begin with a tile.
pub fn each_rows(team: Team, rows: usize, channels: usize, work: impl Fn(Range<usize>) + Sync) -> Result<()> {
    let tile = rows_of_tile(channels);
    let unit = tile * UNIT.div_ceil((tile * channels).max(1));
    team.share(rows, unit, |_, range| {
        for start in range.clone().step_by(unit) {
            work(start * channels..range.end.min(start + unit) * channels);
        }
    })
}

/// `sum = values + others`, where the sum may be the others.
///
/// # Safety
/// All must have the length; the sum must be no one else's.
pub unsafe fn add<E: Element, T: Element>(
    team: Team,
    length: usize,
    values: *mut T,
    others: *mut E,
    sum: *mut E,
) -> Result<()> {
    let values = Column::new(values, length);
    let (others, target) = (Column::new(others, length), Column::new(sum, length));
    let in_place = others.data() == target.data();
    team.share(length, UNIT, |_, range| {
        // SAFETY: parts of different threads are apart.
        unsafe {
            let values = &*values.part(&range);
            if in_place {
                add_row(values, target.part(&range));
            } else {
                add_to(values, others.part(&range), target.part(&range));
            }
        }
    })
}

/// Copies numbers as the nearest ones of another kind.
///
/// # Safety
/// Both must have the length; the target must be no one else's.
pub unsafe fn copy<E: Element, T: Element>(team: Team, length: usize, values: *mut E, target: *mut T) -> Result<()> {
    let (values, target) = (Column::new(values, length), Column::new(target, length));
    team.share(length, UNIT, |_, range| {
        // SAFETY: parts of different threads are apart; the values are only read.
        unsafe { convert(&*values.part(&range), target.part(&range)) }
    })
}
