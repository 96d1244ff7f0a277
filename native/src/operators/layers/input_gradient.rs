//! `ConvolutionInputGradient`: the gradient of a convolution's input.

use std::ffi::CStr;

use super::channels::add;
use super::geometry::{Geometry, Made, Prepared, transposed};
use super::winograd::{applies, input_gradient};
use crate::error::Result;
use crate::onednn::{self, Desc, OneDnn, Primitive, Role, with_workspace};
use crate::operators::context::{Attributes, Context};
use crate::operators::{BOOL, FLOAT, InPlace, Operator, Slot, invalid};

/// Inputs: the output's gradient [N, H', W', out], weights [out, in, height, width]; optional: the gradient that the input
/// has from others already; what must be done before, which orders operators and is not read. Output: the input's gradient
/// [N, H, W, in].
pub struct ConvolutionInputGradient {
    onednn: &'static OneDnn,
    geometry: Geometry,
    size: [usize; 2],
    made: Made<Way>,
}

enum Way {
    Direct {
        primitive: Primitive,
        weights: Prepared,
    },
    /// Of a 1x1 convolution that skips nothing: the convolution of the gradient with the weights' transpose, which can add.
    Pointwise {
        primitive: Primitive,
        adding: Primitive,
        weights: Prepared,
    },
    Winograd,
}

impl Way {
    fn new(onednn: &'static OneDnn, shapes: &onednn::Convolution, exact: bool) -> Result<Self> {
        if !exact && applies(shapes) {
            return Ok(Self::Winograd);
        }
        if shapes.kernel == [1, 1] && shapes.strides == [1, 1] && shapes.pads == [0; 4] {
            let turned = onednn::Convolution { input: shapes.output, output: shapes.input, ..*shapes };
            let (primitive, chosen) = Primitive::convolution(onednn, &turned, false)?;
            let (adding, same) = Primitive::convolution(onednn, &turned, true)?;
            if chosen.equals(&same) {
                let weights = Prepared::new(&transposed(onednn, shapes)?, &chosen)?;
                return Ok(Self::Pointwise { primitive, adding, weights });
            }
        }
        let (primitive, chosen) = Primitive::input_gradient(onednn, shapes)?;
        let weights = Prepared::new(&Desc::plain(onednn, &shapes.weights())?, &chosen)?;
        Ok(Self::Direct { primitive, weights })
    }
}

impl Operator for ConvolutionInputGradient {
    const NAME: &'static CStr = c"ConvolutionInputGradient";
    const INPUTS: &'static [Slot] = &[FLOAT, FLOAT, FLOAT.optional(), BOOL.optional()];
    const OUTPUTS: &'static [Slot] = &[FLOAT];
    const IN_PLACE: Option<&'static InPlace> = Some(&InPlace { input: 2, output: 0 });

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            onednn: OneDnn::get()?,
            geometry: Geometry::read(attributes)?,
            size: attributes.lengths(c"size")?,
            made: Made::new(),
        })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (gradient, weights) = (context.map(0)?, context.map(1)?);
        let [height, width] = self.size;
        let input = [gradient.dims[0], height, width, weights.dims[1]];
        let shapes = self.geometry.shapes(input, weights.dims)?;
        if shapes.output != gradient.dims {
            return Err(invalid(format!(
                "the gradient must have the shape {:?}, but has {:?}",
                shapes.output, gradient.dims
            )));
        }
        let addend = context.map_like(2, input)?.map(|map| map.data);
        let output = context.needed::<f32>(0, &input)?;
        let length = input.iter().product();
        let team = self.onednn.team();
        let make = || Way::new(self.onednn, &shapes, self.geometry.exact);
        self.made.with(input, make, |way| match way {
            // SAFETY: here and below: inputs and output have the shapes that all were made for; the addend may be the output.
            Way::Winograd => unsafe {
                let addend = addend.map(<*mut f32>::cast_const);
                input_gradient(team, &shapes, gradient.data, weights.data, output, addend)
            },
            Way::Pointwise { primitive, adding, weights: prepared } => {
                // SAFETY: as above.
                with_workspace([prepared.length], |[room]| unsafe {
                    let weights = prepared.run(weights.data, room)?;
                    let primitive = match addend {
                        Some(addend) => {
                            if addend != output {
                                output.copy_from_nonoverlapping(addend, length);
                            }
                            adding
                        }
                        None => primitive,
                    };
                    primitive.run(&[
                        (Role::Source, gradient.data),
                        (Role::Weights, weights),
                        (Role::Destination, output),
                    ])
                })
            }
            Way::Direct { primitive, weights: prepared } => {
                let lengths = [prepared.length, if addend.is_some() { length } else { 0 }];
                // SAFETY: as above.
                with_workspace(lengths, |[room, own]| unsafe {
                    let weights = prepared.run(weights.data, room)?;
                    let target = if addend.is_some() { own.as_mut_ptr() } else { output };
                    primitive.run(&[
                        (Role::DestinationGradient, gradient.data),
                        (Role::Weights, weights),
                        (Role::SourceGradient, target),
                    ])?;
                    addend.map_or(Ok(()), |addend| add(team, own, addend, output))
                })
            }
        })
    }
}
