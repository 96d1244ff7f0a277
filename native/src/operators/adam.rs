//! `AdamUpdate`: moves a parameter, its moments and, where there is one, its running average.

use std::ffi::CStr;

use super::context::{Attributes, Context};
use super::update::{Adam, average};
use super::{FLOAT, Operator, Slot, invalid};
use crate::error::Result;

/// Inputs: parameter, gradient, first moment, second moment (all of one shape); rate over the first correction, root of
/// the second correction; optional: what decay leaves of the parameter, the clip factor, the average, its share.
pub struct AdamUpdate {
    first_share: f32,
    second_kept: f32,
    second_share: f32,
    epsilon: f32,
}

impl Operator for AdamUpdate {
    const NAME: &'static CStr = c"AdamUpdate";
    const INPUTS: &'static [Slot] = &[
        FLOAT,
        FLOAT,
        FLOAT,
        FLOAT,
        FLOAT,
        FLOAT,
        FLOAT.optional(),
        FLOAT.optional(),
        FLOAT.optional(),
        FLOAT.optional(),
    ];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            first_share: attributes.float(c"first_share")?,
            second_kept: attributes.float(c"second_kept")?,
            second_share: attributes.float(c"second_share")?,
            epsilon: attributes.float(c"epsilon")?,
        })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let [Some(parameter), Some(gradient), Some(first), Some(second), averages] =
            context.columns([0, 1, 2, 3, 8])?
        else {
            return Err(invalid("a parameter, its gradient and its moments are needed".into()));
        };
        let (Some(rate), Some(second_root)) = (context.number(4)?, context.number(5)?) else {
            return Err(invalid("a rate and a correction are needed".into()));
        };
        let averages = context.with_share(averages, 9)?;
        let adam = Adam {
            first_share: self.first_share,
            second_kept: self.second_kept,
            second_share: self.second_share,
            epsilon: self.epsilon,
            rate,
            second_root,
            kept: context.number(6)?.unwrap_or(1.0),
            clip: context.number(7)?.unwrap_or(1.0),
        };
        context.blocks(parameter, |range| {
            // SAFETY: blocks are apart, and so are the columns, which have one length.
            unsafe {
                let moved = parameter.part(&range);
                adam.update(moved, gradient.part(&range), first.part(&range), second.part(&range));
                if let Some((column, share)) = averages {
                    average(column.part(&range), moved, share);
                }
            }
        })?;
        context.finish()
    }
}
