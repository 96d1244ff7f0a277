//! `BatchNormGradient`: of a `BatchNorm` with its residual and `ReLU`.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ops::Range;

use super::affine::Affine;
use super::channels::{
    Sums, each_rows, pass_relu, scale_gradient, scale_masked_gradient, sum_masked_products, sum_products, sum_rows,
    tiled,
};
use super::element::Element;
use crate::error::{Failure, Result};
use crate::onednn::OneDnn;
use crate::operators::context::{Attributes, Column, Context, Map};
use crate::operators::{FLOAT, Operator, Slot, invalid};

/// Inputs: the output's gradient and the input, maps [N, H, W, C]; scale, offset, the saved mean and inverse deviation, [C]
/// each; with a `ReLU` behind a residual: the output. Outputs, each optional: the gradients of the input, of scale and offset,
/// and of the residual, which must be there where the output is given. Without a residual, the `ReLU`'s output follows from
/// the input, and need not be kept.
pub struct BatchNormGradient<E> {
    onednn: &'static OneDnn,
    live: bool,
    relu: bool,
    element: PhantomData<E>,
}

impl<E: Element> Operator for BatchNormGradient<E> {
    const NAME: &'static CStr = c"BatchNormGradient";
    const INPUTS: &'static [Slot] = &[E::SLOT, E::SLOT, FLOAT, FLOAT, FLOAT, FLOAT, E::SLOT.optional()];
    const OUTPUTS: &'static [Slot] = &[E::SLOT.optional(), FLOAT.optional(), FLOAT.optional(), E::SLOT.optional()];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            onednn: OneDnn::get()?,
            live: attributes.integer(c"live")? != 0,
            relu: attributes.integer(c"relu")? != 0,
            element: PhantomData,
        })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn compute(&self, context: &Context) -> Result<()> {
        let (gradient, map): (Map<E>, Map<E>) = (context.map(0)?, context.map(1)?);
        let (channels, rows, length) = (map.dims[3], map.rows(), map.length());
        if gradient.dims != map.dims {
            return Err(invalid(format!(
                "the gradient must have the shape {:?}, but has {:?}",
                map.dims, gradient.dims
            )));
        }
        let vector = |index: usize| context.vector(index, channels);
        let all = 0..channels;
        // SAFETY: vectors of so many channels, which are only read.
        let [mean, deviation] = unsafe { [&*vector(4)?.part(&all), &*vector(5)?.part(&all)] };
        let activated = context.map_like::<E>(6, map.dims)?;
        let forward = Affine::read(context, 2, channels)?;
        let Affine { factors, offsets } = forward.tiled();

        let target = context.output::<E>(0, &map.dims)?.map(|data| Column::new(data, length));
        let of_factor = context.output::<f32>(1, &[channels])?.map(|data| Column::new(data, channels));
        let of_offset = context.output::<f32>(2, &[channels])?.map(|data| Column::new(data, channels));
        let residual = context.output::<E>(3, &map.dims)?.map(|data| Column::new(data, length));

        let team = self.onednn.team();
        let (slope, input) = (gradient.column(), map.column());
        // The gradient behind the `ReLU`: made once for the residual, else whenever it is read.
        let residual = match (activated, residual) {
            (Some(activated), Some(residual)) if self.relu => Some((activated.column(), residual)),
            (None, None) => None,
            _ => return Err(mismatched()),
        };
        // SAFETY: here and below, ranges of different threads are apart; what is written to is no input.
        let pass = |range: &Range<usize>, activated: Column<E>, masked: &mut [E]| unsafe {
            pass_relu(slope.part(range), activated.part(range), masked);
        };
        let sums_wanted = of_factor.is_some() || of_offset.is_some() || (self.live && target.is_some());
        let around = tiled(mean);
        let mut sums: Sums = Vec::new();
        if sums_wanted {
            // SAFETY: as above.
            sums = sum_rows(team, rows, channels, |range, sum, products| unsafe {
                let rows = &*input.part(&range);
                match residual {
                    Some((activated, residual)) => {
                        pass(&range, activated, residual.part(&range));
                        sum_products(residual.part(&range), rows, &around, sum, products);
                    }
                    None if self.relu => {
                        sum_masked_products(slope.part(&range), rows, &factors, &offsets, &around, sum, products);
                    }
                    None => sum_products(slope.part(&range), rows, &around, sum, products),
                }
            })?;
        } else if let Some((activated, residual)) = residual {
            // SAFETY: as above.
            each_rows(team, rows, channels, |range| pass(&range, activated, unsafe { residual.part(&range) }))?;
        }

        for (channel, [sum, products]) in sums.iter().enumerate() {
            let at = channel..channel + 1;
            // SAFETY: outputs of so many channels.
            unsafe {
                if let Some(of_factor) = of_factor {
                    of_factor.part(&at)[0] = (products * f64::from(deviation[channel])) as f32;
                }
                if let Some(of_offset) = of_offset {
                    of_offset.part(&at)[0] = *sum as f32;
                }
            }
        }
        let Some(target) = target else { return Ok(()) };

        let count = rows as f64;
        // dx = f r (g - sum(g) / n - (x - m) r^2 sum(g (x - m)) / n), as s g + (a x + b), where s = f r is the forward factor
        let linear = |channel: usize| -> [f32; 2] {
            let (mean, deviation) = (f64::from(mean[channel]), f64::from(deviation[channel]));
            let slope_factor = f64::from(forward.factors[channel]);
            let [sum, products] = sums[channel];
            let of_input = -slope_factor * deviation * deviation * products / count;
            [of_input as f32, (-slope_factor * sum / count - of_input * mean) as f32]
        };
        let terms: Vec<[f32; 2]> =
            if self.live { (0..channels).map(linear).collect() } else { vec![[0.0; 2]; channels] };
        let of_input: Vec<f32> = terms.iter().map(|[of_input, _]| *of_input).collect();
        let constant: Vec<f32> = terms.iter().map(|[_, constant]| *constant).collect();
        let [of_input, constant] = [of_input, constant].map(|values| tiled(&values));
        // SAFETY: as above.
        each_rows(team, rows, channels, |range| unsafe {
            let (rows, output) = (&*input.part(&range), target.part(&range));
            let slope = &*slope.part(&range);
            match residual {
                Some((_, residual)) => {
                    scale_gradient(residual.part(&range), rows, &factors, &of_input, &constant, output);
                }
                None if self.relu => {
                    scale_masked_gradient(slope, rows, &factors, &offsets, &of_input, &constant, output);
                }
                None => scale_gradient(slope, rows, &factors, &of_input, &constant, output),
            }
        })
    }
}

fn mismatched() -> Failure {
    invalid("the output, input 6, and the residual's gradient, output 3, go together, and with a ReLU".into())
}
