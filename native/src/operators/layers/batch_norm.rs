//! `BatchNorm`: with the residual that is added to it and the `ReLU` behind.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::affine::Affine;
use super::channels::{convert, each_rows, relu, scale, scale_add, sum_rows, sum_squares, tiled};
use super::element::Element;
use crate::error::Result;
use crate::onednn::{OneDnn, Team};
use crate::operators::context::{Attributes, Column, Context, Map};
use crate::operators::{FLOAT, Operator, Slot};

/// Inputs: a map [N, H, W, C]; scale, offset, running mean and variance, [C] each; optional: a map to add. Outputs: the
/// map; the mean and the inverse deviation that it was normalised by, [C] each. Live, these are the batch's own, and the
/// running ones are moved in place.
pub struct BatchNorm<E> {
    onednn: &'static OneDnn,
    live: bool,
    relu: bool,
    epsilon: f32,
    momentum: f32,
    element: PhantomData<E>,
}

impl<E: Element> Operator for BatchNorm<E> {
    const NAME: &'static CStr = c"BatchNorm";
    const INPUTS: &'static [Slot] = &[E::SLOT, FLOAT, FLOAT, FLOAT, FLOAT, E::SLOT.optional()];
    const OUTPUTS: &'static [Slot] = &[E::SLOT, FLOAT, FLOAT];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            onednn: OneDnn::get()?,
            live: attributes.integer(c"live")? != 0,
            relu: attributes.integer(c"relu")? != 0,
            epsilon: attributes.float(c"epsilon")?,
            momentum: attributes.float(c"momentum")?,
            element: PhantomData,
        })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let map: Map<E> = context.map(0)?;
        let channels = map.dims[3];
        let vector = |index: usize| context.vector(index, channels);
        let (factor, offset, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let residual = context.map_like::<E>(5, map.dims)?;
        let output = context.needed::<E>(0, &map.dims)?;
        let (saved_mean, saved_deviation) = (context.needed(1, &[channels])?, context.needed(2, &[channels])?);
        let all = 0..channels;
        // SAFETY: vectors of so many channels, apart from each other; nobody else uses them while the operator runs.
        let (factor, offset, mean, variance, saved_mean, saved_deviation) = unsafe {
            (
                &*factor.part(&all),
                &*offset.part(&all),
                mean.part(&all),
                variance.part(&all),
                Column::new(saved_mean, channels).part(&all),
                Column::new(saved_deviation, channels).part(&all),
            )
        };
        let team = self.onednn.team();
        if self.live {
            let batch = statistics(team, map)?;
            for (channel, [of_mean, of_variance]) in batch.into_iter().enumerate() {
                saved_mean[channel] = of_mean;
                saved_deviation[channel] = 1.0 / (of_variance + self.epsilon).sqrt();
                mean[channel] = mean[channel] * self.momentum + of_mean * (1.0 - self.momentum);
                variance[channel] = variance[channel] * self.momentum + of_variance * (1.0 - self.momentum);
            }
        } else {
            saved_mean.copy_from_slice(mean);
            for (deviation, variance) in saved_deviation.iter_mut().zip(&*variance) {
                *deviation = 1.0 / (variance + self.epsilon).sqrt();
            }
        }
        let Affine { factors, offsets } = Affine::new(factor, offset, saved_mean, saved_deviation).tiled();
        let (rows, length) = (map.rows(), map.length());
        let (input, output) = (map.column(), Column::new(output, length));
        let residual = residual.map(Map::column);
        each_rows(team, rows, channels, |range| {
            // SAFETY: ranges are apart; inputs are only read.
            unsafe {
                let (rows, output) = (&*input.part(&range), output.part(&range));
                match residual {
                    Some(residual) => scale_add(rows, &factors, &offsets, residual.part(&range), output),
                    None => scale(rows, &factors, &offsets, output),
                }
                if self.relu {
                    relu(output);
                }
            }
        })
    }
}

/// Mean and variance of each channel, the mean of the squared distances from it.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn statistics<E: Element>(team: Team, map: Map<E>) -> Result<Vec<[f32; 2]>> {
    let (rows, channels) = (map.rows(), map.dims[3]);
    let input = map.column();
    // Near the mean, so that little is lost where that is far from zero.
    let mut shift = vec![0.0; channels];
    if rows > 0 {
        // SAFETY: the first row; the input is only read.
        convert(unsafe { &*input.part(&(0..channels)) }, &mut shift);
    }
    let around = tiled(&shift);
    let sums = sum_rows(team, rows, channels, |range, sum, squares| {
        // SAFETY: the input is only read.
        sum_squares(unsafe { input.part(&range) }, &around, sum, squares);
    })?;
    let count = rows as f64;
    Ok(sums
        .into_iter()
        .zip(shift)
        .map(|([sum, squares], shift)| {
            let above = sum / count;
            let variance = (squares / count - above * above).max(0.0);
            [(f64::from(shift) + above) as f32, variance as f32]
        })
        .collect())
}
