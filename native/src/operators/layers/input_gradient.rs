//! `ConvolutionInputGradient`: the gradient of a convolution's input.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::channels::add;
use super::element::Element;
use super::geometry::{Geometry, Made, Prepared, transposed};
use super::pictures::{as_they_are, each_portion, numbers, portion};
use super::winograd::{applies, input_gradient};
use crate::error::Result;
use crate::onednn::{self, Desc, Number, OneDnn, Primitive, Role, with_workspace};
use crate::operators::context::{Attributes, Context, Map};
use crate::operators::{BOOL, FLOAT, InPlace, Operator, Slot, invalid};

/// Inputs: the output's gradient [N, H', W', out], weights [out, in, height, width]; optional: the gradient that the input
/// has from others already; what must be done before, which orders operators and is not read. Output: the input's gradient
/// [N, H, W, in].
pub struct ConvolutionInputGradient<E> {
    onednn: &'static OneDnn,
    geometry: Geometry,
    size: [usize; 2],
    made: Made<Way>,
    element: PhantomData<E>,
}

enum Way {
    Direct(Box<Direct>),
    Winograd,
}

struct Direct {
    primitive: Primitive,
    /// What the gradients of the output and of the input are to it.
    roles: [Role; 2],
    /// The same that adds to what lies in the result.
    adding: Option<Primitive>,
    weights: Prepared,
    number: Number,
    /// As many pictures as it takes at a time.
    portion: onednn::Convolution,
}

impl Direct {
    /// With `added` the result is float32, unless the primitive itself adds it to what is there.
    fn new<E: Element>(
        onednn: &'static OneDnn,
        number: Number,
        portion: onednn::Convolution,
        added: bool,
    ) -> Result<Box<Self>> {
        // Of a 1x1 convolution that skips nothing: the convolution of the gradient with the weights' transpose, which can add.
        if portion.kernel == [1, 1] && portion.strides == [1, 1] && portion.pads == [0; 4] {
            let turned = onednn::Convolution { input: portion.output, output: portion.input, ..portion };
            let (primitive, chosen) = Primitive::convolution(onednn, number, &turned, false)?;
            let (adding, same) = Primitive::convolution(onednn, number, &turned, true)?;
            if chosen.equals(&same) {
                let weights = Prepared::new::<E>(&transposed(onednn, &portion)?, &chosen, number)?;
                let roles = [Role::Source, Role::Destination];
                return Ok(Box::new(Self { primitive, roles, adding: Some(adding), weights, number, portion }));
            }
        }
        let result = if added { Number::Float32 } else { number };
        let (primitive, chosen) = Primitive::input_gradient(onednn, [number, result], &portion)?;
        let weights = Prepared::new::<E>(&Desc::plain(onednn, &portion.weights())?, &chosen, number)?;
        let roles = [Role::DestinationGradient, Role::SourceGradient];
        Ok(Box::new(Self { primitive, roles, adding: None, weights, number, portion }))
    }
}

impl Way {
    fn new<E: Element>(
        onednn: &'static OneDnn,
        shapes: &onednn::Convolution,
        exact: bool,
        added: bool,
    ) -> Result<Self> {
        if !exact && applies(onednn.team(), shapes) {
            return Ok(Self::Winograd);
        }
        if let Some(direct) = as_they_are::<E, _>(shapes, |shapes| Direct::new::<E>(onednn, E::NUMBER, shapes, added))?
        {
            return Ok(Self::Direct(direct));
        }
        Direct::new::<E>(onednn, Number::Float32, portion::<E>(shapes), added).map(Self::Direct)
    }
}

impl<E: Element> Operator for ConvolutionInputGradient<E> {
    const NAME: &'static CStr = c"ConvolutionInputGradient";
    const INPUTS: &'static [Slot] = &[E::SLOT, FLOAT, E::SLOT.optional(), BOOL.optional()];
    const OUTPUTS: &'static [Slot] = &[E::SLOT];
    const IN_PLACE: Option<&'static InPlace> = Some(&InPlace { input: 2, output: 0 });

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self {
            onednn: OneDnn::get()?,
            geometry: Geometry::read(attributes)?,
            size: attributes.lengths(c"size")?,
            made: Made::new(),
            element: PhantomData,
        })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (gradient, weights): (Map<E>, Map) = (context.map(0)?, context.map(1)?);
        let [height, width] = self.size;
        let input = [gradient.dims[0], height, width, weights.dims[1]];
        let shapes = self.geometry.shapes(input, weights.dims)?;
        if shapes.output != gradient.dims {
            return Err(invalid(format!(
                "the gradient must have the shape {:?}, but has {:?}",
                shapes.output, gradient.dims
            )));
        }
        let addend = context.map_like::<E>(2, input)?.map(|map| map.data);
        let output = context.needed::<E>(0, &input)?;
        let length: usize = input.iter().product();
        let team = self.onednn.team();
        let make = || Way::new::<E>(self.onednn, &shapes, self.geometry.exact, addend.is_some());
        self.made.with(input, make, |way| match way {
            // SAFETY: here and below: inputs and output have the shapes that all were made for; the addend may be the output.
            Way::Winograd => unsafe {
                let addend = addend.map(<*mut E>::cast_const);
                input_gradient(team, &shapes, gradient.data, weights.data, output, addend)
            },
            Way::Direct(direct) => {
                let Direct { primitive, roles, adding, weights: prepared, number, portion } = &mut **direct;
                let as_is = *number == E::NUMBER;
                let apart = addend.is_some() && adding.is_none();
                let [to, from] = match (as_is, apart) {
                    (false, _) => numbers(portion),
                    (true, true) => [length, 0],
                    (true, false) => [0, 0],
                };
                // SAFETY: as above.
                with_workspace([prepared.length, from, to], |[room, from, to]| unsafe {
                    let weights = prepared.run::<E>(team, weights.data, room)?;
                    let [of_output, of_input] = *roles;
                    let run = |primitive: &mut Primitive, source, target| {
                        primitive.run(&[(of_output, source), (Role::Weights, weights), (of_input, target)])
                    };
                    if !as_is {
                        let portions = input[0] / portion.input[0];
                        let (source, target) = ((gradient.data, from), (output, to));
                        return each_portion(team, portions, source, target, addend, |source, target| {
                            run(primitive, source.cast(), target.cast())
                        });
                    }
                    let source = gradient.data.cast();
                    match (addend, adding) {
                        (None, _) => run(primitive, source, output.cast()),
                        (Some(addend), Some(adding)) => {
                            if addend != output {
                                output.copy_from_nonoverlapping(addend, length);
                            }
                            run(adding, source, output.cast())
                        }
                        (Some(addend), None) => {
                            run(primitive, source, to.as_mut_ptr().cast())?;
                            add(team, length, to.as_mut_ptr(), addend, output)
                        }
                    }
                })
            }
        })
    }
}
