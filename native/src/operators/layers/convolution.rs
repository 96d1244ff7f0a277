//! `Convolution`: of a map with weights.

use std::ffi::CStr;

use super::geometry::{Geometry, Made, Prepared};
use super::winograd::{applies, convolve};
use crate::error::Result;
use crate::onednn::{self, Desc, OneDnn, Primitive, Role, with_workspace};
use crate::operators::context::{Attributes, Context};
use crate::operators::{FLOAT, Operator, Slot};

/// Inputs: the map [N, H, W, in], weights [out, in, height, width]. Output: the map [N, H', W', out].
pub struct Convolution {
    onednn: &'static OneDnn,
    geometry: Geometry,
    made: Made<Way>,
}

enum Way {
    Direct { primitive: Primitive, weights: Prepared },
    Winograd,
}

impl Way {
    fn new(onednn: &'static OneDnn, shapes: &onednn::Convolution, exact: bool) -> Result<Self> {
        if !exact && applies(shapes) {
            return Ok(Self::Winograd);
        }
        let (primitive, chosen) = Primitive::convolution(onednn, shapes, false)?;
        let weights = Prepared::new(&Desc::plain(onednn, &shapes.weights())?, &chosen)?;
        Ok(Self::Direct { primitive, weights })
    }
}

impl Operator for Convolution {
    const NAME: &'static CStr = c"Convolution";
    const INPUTS: &'static [Slot] = &[FLOAT, FLOAT];
    const OUTPUTS: &'static [Slot] = &[FLOAT];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self { onednn: OneDnn::get()?, geometry: Geometry::read(attributes)?, made: Made::new() })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (map, weights) = (context.map(0)?, context.map(1)?);
        let shapes = self.geometry.shapes(map.dims, weights.dims)?;
        let output = context.needed::<f32>(0, &shapes.output)?;
        let make = || Way::new(self.onednn, &shapes, self.geometry.exact);
        self.made.with(map.dims, make, |way| match way {
            // SAFETY: inputs and output have the shapes that both were made for.
            Way::Winograd => unsafe { convolve(self.onednn.team(), &shapes, map.data, weights.data, output) },
            // SAFETY: as above.
            Way::Direct { primitive, weights: prepared } => with_workspace([prepared.length], |[room]| unsafe {
                let weights = prepared.run(weights.data, room)?;
                primitive.run(&[(Role::Source, map.data), (Role::Weights, weights), (Role::Destination, output)])
            }),
        })
    }
}
