//! `ConvolutionWeightGradient`: adds the gradient of a convolution's weights to their buffer.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;

use super::affine::Affine;
use super::channels::{activate, convert, copy, each_rows, round};
use super::element::Element;
use super::geometry::{Geometry, Made};
use super::pictures::{as_they_are, numbers, portion};
use super::products::{Operands, in_pairs, room_for, sum_of_products};
use super::vector::Width;
use super::winograd::{applies, weight_gradient};
use crate::error::Result;
use crate::onednn::{self, Desc, Number, OneDnn, Primitive, Role, Team, with_workspace};
use crate::operators::context::{Attributes, Column, Context, Map};
use crate::operators::{BOOL, FLOAT, Operator, Slot, invalid};

/// Inputs: the convolution's input [N, H, W, in], its output's gradient [N, H', W', out], the buffer
/// [out, in, height, width], and whether to write over it. Optional: a `BatchNorm`'s scale, offset, saved mean and inverse
/// deviation, [in] each, where the convolution's input is what that and a `ReLU` make of the input given here.
pub struct ConvolutionWeightGradient<E> {
    onednn: &'static OneDnn,
    geometry: Geometry,
    made: Made<Way>,
    element: PhantomData<E>,
}

/// A gradient to be computed.
struct Task<E> {
    team: Team,
    shapes: onednn::Convolution,
    input: Map<E>,
    gradient: Map<E>,
    buffer: Map,
    reset: bool,
    before: Option<Affine>,
}

enum Way {
    Direct(Box<Direct>),
    /// For each place of the kernel a product of matrices.
    Products,
    Winograd,
}

struct Direct {
    primitive: Primitive,
    number: Number,
    /// As many pictures as it takes at a time.
    portion: onednn::Convolution,
    /// Whether it is a 1x1 convolution that skips places: the others are gathered first.
    skips: bool,
    /// Numbers of the layout that the primitive has chosen for the gradient.
    length: usize,
    /// From that layout into the buffer, written over or added to.
    over: Primitive,
    adding: Primitive,
}

impl Way {
    fn new<E: Element>(onednn: &'static OneDnn, shapes: &onednn::Convolution, exact: bool) -> Result<Self> {
        if !exact && applies(onednn.team(), shapes) {
            return Ok(Self::Winograd);
        }
        let [out, from, tall, wide] = shapes.weights();
        // Of larger kernels oneDNN's are the faster ones on AVX-512.
        let largest = if Width::widest() == Width::Sixteen { 1 } else { 9 };
        let by_products = Width::widest() != Width::Any && tall * wide <= largest && out.min(from) >= 16;
        let are_pairs = by_products && in_pairs::<E>();
        if !are_pairs
            && let Some(direct) = as_they_are::<E, _>(shapes, |shapes| Direct::new(onednn, E::NUMBER, shapes))?
        {
            return Ok(Self::Direct(direct));
        }
        if by_products {
            return Ok(Self::Products);
        }
        Direct::new(onednn, Number::Float32, portion::<E>(shapes)).map(Self::Direct)
    }
}

impl Direct {
    fn new(onednn: &'static OneDnn, number: Number, portion: onednn::Convolution) -> Result<Box<Self>> {
        // oneDNN 3.11 gathers the places itself, but writes past its scratch memory where channels are few.
        let skips = portion.kernel == [1, 1] && portion.pads == [0; 4] && portion.strides != [1, 1];
        let [batch, down, across, _] = portion.output;
        let dense = [batch, down, across, portion.input[3]];
        let (primitive, chosen) = if skips {
            let shapes = onednn::Convolution { input: dense, strides: [1, 1], ..portion };
            Primitive::weight_gradient(onednn, number, &shapes)?
        } else {
            Primitive::weight_gradient(onednn, number, &portion)?
        };
        let kept = Desc::plain(onednn, &portion.weights())?;
        Ok(Box::new(Self {
            primitive,
            number,
            portion,
            skips,
            length: chosen.length(),
            over: Primitive::reorder(&chosen, &kept, false)?,
            adding: Primitive::reorder(&chosen, &kept, true)?,
        }))
    }

    /// `T` is what the primitive takes.
    ///
    /// # Safety
    /// The maps and the buffer must have the shapes that this was made for.
    unsafe fn run<E: Element, T: Element>(&mut self, task: &Task<E>) -> Result<()> {
        let &Task { team, ref shapes, input, gradient, buffer, reset, ref before } = task;
        let Self { primitive, portion, skips, length, over, adding, .. } = self;
        let (places, strides) = if *skips { (portion.output, shapes.strides) } else { (portion.input, [1, 1]) };
        let [of_input, of_output] = numbers(portion);
        let other = T::NUMBER != E::NUMBER;
        let dense: usize = places[..3].iter().product::<usize>() * input.dims[3];
        let lengths = [if *skips || before.is_some() || other { dense } else { 0 }, if other { of_output } else { 0 }];
        with_workspace([*length, lengths[0], lengths[1]], |[own, taken, slope]| {
            for index in 0..input.dims[0] / portion.input[0] {
                // SAFETY: as promised by the caller; the workspace has the lengths asked for, and none asks for more than float32.
                unsafe {
                    let some = Map { data: input.data.add(index * of_input), dims: portion.input };
                    let mut source: *mut c_void = some.data.cast();
                    if !taken.is_empty() {
                        let taken = Column::new(taken.as_mut_ptr().cast::<T>(), dense);
                        gather(team, some, places, strides, taken)?;
                        if let Some(before) = before {
                            apply::<E, T>(team, before, taken, dense)?;
                        }
                        source = taken.data().cast();
                    }
                    let some = gradient.data.add(index * of_output);
                    let mut of_destination: *mut c_void = some.cast();
                    if other {
                        copy(team, of_output, some, slope.as_mut_ptr())?;
                        of_destination = slope.as_mut_ptr().cast();
                    }
                    let own: *mut c_void = own.as_mut_ptr().cast();
                    primitive.run(&[
                        (Role::Source, source),
                        (Role::DestinationGradient, of_destination),
                        (Role::WeightsGradient, own),
                    ])?;
                    let into = if reset && index == 0 { &mut *over } else { &mut *adding };
                    into.run(&[(Role::Source, own), (Role::Destination, buffer.data.cast())])?;
                }
            }
            Ok(())
        })
    }
}

/// # Safety
/// The maps and the buffer must have these shapes, and the processor AVX2.
unsafe fn by_products<E: Element>(task: &Task<E>) -> Result<()> {
    let &Task { team, ref shapes, input, gradient, buffer, reset, ref before } = task;
    let [out, from, tall, wide] = shapes.weights();
    let [_, height, width, _] = shapes.input;
    let [_, down, across, _] = shapes.output;
    let area = tall * wide;
    let single = area == 1;
    let (room, length) = (room_for(team, out, from, gradient.rows()), out * from);
    with_workspace([room, if single { 0 } else { area * length }], |[room, own]| {
        for tap in 0..area {
            let place = |place: usize| {
                let (picture, y, x) = (place / across / down, place / across % down, place % across);
                let row = (y * shapes.strides[0] + tap / wide).checked_sub(shapes.pads[0])?;
                let column = (x * shapes.strides[1] + tap % wide).checked_sub(shapes.pads[1])?;
                let inside = row < height && column < width;
                inside.then_some(((picture * height + row) * width + column) * from)
            };
            let result = if single { buffer.data } else { own[tap * length..].as_mut_ptr() };
            let operands = Operands {
                gradient: gradient.column(),
                out,
                input: input.column(),
                from,
                before: before.as_ref(),
                place: &place,
                places: gradient.rows(),
                result: Column::new(result, length),
            };
            // SAFETY: as promised by the caller.
            unsafe { sum_of_products(team, &operands, reset || !single, room)? };
        }
        if single {
            return Ok(());
        }
        // From [place of the kernel, out, in] to [out, in, place].
        let buffer = buffer.column();
        team.share(length, 1, |_, range| {
            // SAFETY: each thread has a part of its own.
            let target = unsafe { buffer.part(&(range.start * area..range.end * area)) };
            for (kernel, at) in target.chunks_exact_mut(area).zip(range) {
                for (tap, value) in kernel.iter_mut().enumerate() {
                    let sum = own[tap * length + at];
                    *value = if reset { sum } else { *value + sum };
                }
            }
        })
    })
}

/// Copies so many places of each picture, some rows and columns apart.
fn gather<E: Element, T: Element>(
    team: Team,
    input: Map<E>,
    [batch, down, across, _]: [usize; 4],
    [tall, wide]: [usize; 2],
    to: Column<T>,
) -> Result<()> {
    let [_, height, width, channels] = input.dims;
    let from = input.column();
    team.share(batch * down, 1, |_, rows| {
        for row in rows {
            let start = (row / down * height + row % down * tall) * width;
            for place in 0..across {
                let (source, target) = ((start + place * wide) * channels, (row * across + place) * channels);
                // SAFETY: each row is one thread's; the input is only read.
                unsafe {
                    convert(&*from.part(&(source..source + channels)), to.part(&(target..target + channels)));
                }
            }
        }
    })
}

/// What a `BatchNorm` and a `ReLU` make of a map, in its place, as it was when its elements were `E`.
fn apply<E: Element, T: Element>(team: Team, before: &Affine, map: Column<T>, length: usize) -> Result<()> {
    let channels = before.factors.len();
    let tiled = before.tiled();
    each_rows(team, length / channels, channels, |range| {
        // SAFETY: parts of different threads are apart.
        let part = unsafe { map.part(&range) };
        activate(part, &tiled.factors, &tiled.offsets);
        if T::NUMBER != E::NUMBER {
            round::<E, T>(part);
        }
    })
}

impl<E: Element> Operator for ConvolutionWeightGradient<E> {
    const NAME: &'static CStr = c"ConvolutionWeightGradient";
    const INPUTS: &'static [Slot] =
        &[E::SLOT, E::SLOT, FLOAT, BOOL, FLOAT.optional(), FLOAT.optional(), FLOAT.optional(), FLOAT.optional()];

    fn create(attributes: &Attributes) -> Result<Self> {
        let geometry = Geometry::read(attributes)?;
        Ok(Self { onednn: OneDnn::get()?, geometry, made: Made::new(), element: PhantomData })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (input, gradient): (Map<E>, Map<E>) = (context.map(0)?, context.map(1)?);
        let buffer: Map = context.map(2)?;
        let shapes = self.geometry.shapes(input.dims, buffer.dims)?;
        if shapes.output != gradient.dims {
            let (expected, received) = (shapes.output, gradient.dims);
            return Err(invalid(format!("the gradient must have the shape {expected:?}, but has {received:?}")));
        }
        let before = if context.has(4)? { Some(Affine::read(context, 4, input.dims[3])?) } else { None };
        let task = Task { team: self.onednn.team(), shapes, input, gradient, buffer, reset: context.flag(3)?, before };
        let Task { team, shapes, reset, before, .. } = &task;
        let make = || Way::new::<E>(self.onednn, shapes, self.geometry.exact);
        // SAFETY: the maps and the buffer have the shapes that both were made for.
        self.made.with(input.dims, make, |way| unsafe {
            match way {
                Way::Winograd => {
                    let source = (input.data.cast_const(), before.as_ref());
                    weight_gradient(*team, shapes, source, gradient.data, buffer.data, *reset)
                }
                Way::Products => by_products(&task),
                Way::Direct(direct) if direct.number == E::NUMBER => direct.run::<E, E>(&task),
                Way::Direct(direct) => direct.run::<E, f32>(&task),
            }
        })?;
        context.finish()
    }
}
