//! `SgdUpdate`: moves a parameter, its momentum and, where there is one, its running average.

use std::ffi::CStr;

use super::context::{Attributes, Context};
use super::update::{Sgd, average};
use super::{FLOAT, Operator, Slot, invalid};
use crate::error::Result;

/// Inputs: parameter, gradient (of one shape), rate; optional: momentum, the clip factor, the average, its share.
pub struct SgdUpdate {
    decay: f32,
    momentum: f32,
    nesterov: bool,
}

impl Operator for SgdUpdate {
    const NAME: &'static CStr = c"SgdUpdate";
    const INPUTS: &'static [Slot] =
        &[FLOAT, FLOAT, FLOAT, FLOAT.optional(), FLOAT.optional(), FLOAT.optional(), FLOAT.optional()];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            decay: attributes.float(c"decay")?,
            momentum: attributes.float(c"momentum")?,
            nesterov: attributes.integer(c"nesterov")? != 0,
        })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let [Some(parameter), Some(gradient), velocity, averages] = context.columns([0, 1, 3, 5])? else {
            return Err(invalid("a parameter and its gradient are needed".into()));
        };
        let Some(rate) = context.number(2)? else { return Err(invalid("a rate is needed".into())) };
        let averages = context.with_share(averages, 6)?;
        let sgd = Sgd {
            rate,
            decay: self.decay,
            momentum: self.momentum,
            nesterov: self.nesterov,
            clip: context.number(4)?.unwrap_or(1.0),
        };
        context.blocks(parameter, |range| {
            // SAFETY: blocks are apart, and so are the columns, which have one length.
            unsafe {
                let moved = parameter.part(&range);
                match velocity {
                    Some(velocity) => sgd.update_with_momentum(moved, gradient.part(&range), velocity.part(&range)),
                    None => sgd.update(moved, gradient.part(&range)),
                }
                if let Some((column, share)) = averages {
                    average(column.part(&range), moved, share);
                }
            }
        })?;
        context.finish()
    }
}
