//! `Convolution`: of a map with weights.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::element::Element;
use super::geometry::{Geometry, Made, Prepared};
use super::pictures::{as_they_are, each_portion, numbers, portion};
use super::winograd::{applies, convolve};
use crate::error::Result;
use crate::onednn::{self, Desc, Number, OneDnn, Primitive, Role, with_workspace};
use crate::operators::context::{Attributes, Context, Map};
use crate::operators::{FLOAT, Operator, Slot};

/// Inputs: the map [N, H, W, in], weights [out, in, height, width]. Output: the map [N, H', W', out].
pub struct Convolution<E> {
    onednn: &'static OneDnn,
    geometry: Geometry,
    made: Made<Way>,
    element: PhantomData<E>,
}

enum Way {
    Direct(Box<Direct>),
    Winograd,
}

struct Direct {
    primitive: Primitive,
    weights: Prepared,
    number: Number,
    /// As many pictures as it takes at a time.
    portion: onednn::Convolution,
}

impl Direct {
    fn new<E: Element>(onednn: &'static OneDnn, number: Number, portion: onednn::Convolution) -> Result<Box<Self>> {
        let (primitive, chosen) = Primitive::convolution(onednn, number, &portion, false)?;
        let weights = Prepared::new::<E>(&Desc::plain(onednn, &portion.weights())?, &chosen, number)?;
        Ok(Box::new(Self { primitive, weights, number, portion }))
    }
}

impl Way {
    fn new<E: Element>(onednn: &'static OneDnn, shapes: &onednn::Convolution, exact: bool) -> Result<Self> {
        if !exact && applies(onednn.team(), shapes) {
            return Ok(Self::Winograd);
        }
        if let Some(direct) = as_they_are::<E, _>(shapes, |shapes| Direct::new::<E>(onednn, E::NUMBER, shapes))? {
            return Ok(Self::Direct(direct));
        }
        Direct::new::<E>(onednn, Number::Float32, portion::<E>(shapes)).map(Self::Direct)
    }
}

impl<E: Element> Operator for Convolution<E> {
    const NAME: &'static CStr = c"Convolution";
    const INPUTS: &'static [Slot] = &[E::SLOT, FLOAT];
    const OUTPUTS: &'static [Slot] = &[E::SLOT];

    fn create(attributes: &Attributes) -> Result<Self> {
        let geometry = Geometry::read(attributes)?;
        Ok(Self { onednn: OneDnn::get()?, geometry, made: Made::new(), element: PhantomData })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (map, weights): (Map<E>, Map) = (context.map(0)?, context.map(1)?);
        let shapes = self.geometry.shapes(map.dims, weights.dims)?;
        let output = context.needed::<E>(0, &shapes.output)?;
        let team = self.onednn.team();
        let make = || Way::new::<E>(self.onednn, &shapes, self.geometry.exact);
        self.made.with(map.dims, make, |way| match way {
            // SAFETY: here and below: inputs and output have the shapes that all were made for.
            Way::Winograd => unsafe { convolve(team, &shapes, map.data, weights.data, output) },
            Way::Direct(direct) => {
                let Direct { primitive, weights: prepared, number, portion } = &mut **direct;
                let copied = if *number == E::NUMBER { [0; 2] } else { numbers(portion) };
                let lengths = [prepared.length, copied[0], copied[1]];
                // SAFETY: as above.
                with_workspace(lengths, |[room, from, to]| unsafe {
                    let weights = prepared.run::<E>(team, weights.data, room)?;
                    let mut run = |source, target| {
                        primitive.run(&[(Role::Source, source), (Role::Weights, weights), (Role::Destination, target)])
                    };
                    if *number == E::NUMBER {
                        return run(map.data.cast(), output.cast());
                    }
                    let portions = map.dims[0] / portion.input[0];
                    each_portion(team, portions, (map.data, from), (output, to), None, |source, target| {
                        run(source.cast(), target.cast())
                    })
                })
            }
        })
    }
}
