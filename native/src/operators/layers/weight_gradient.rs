//! `ConvolutionWeightGradient`: adds the gradient of a convolution's weights to their buffer.

use std::ffi::CStr;

use super::affine::Affine;
use super::channels::{activate, each_rows};
use super::geometry::{Geometry, Made};
use super::products::{Operands, room_for, sum_of_products};
use super::winograd::{applies, weight_gradient};
use crate::error::Result;
use crate::onednn::{self, Desc, OneDnn, Primitive, Role, Team, with_workspace};
use crate::operators::context::{Attributes, Column, Context, Map};
use crate::operators::{BOOL, FLOAT, Operator, Slot, invalid};

/// Inputs: the convolution's input [N, H, W, in], its output's gradient [N, H', W', out], the buffer
/// [out, in, height, width], and whether to write over it. Optional: a `BatchNorm`'s scale, offset, saved mean and inverse
/// deviation, [in] each, where the convolution's input is what that and a `ReLU` make of the input given here.
pub struct ConvolutionWeightGradient {
    onednn: &'static OneDnn,
    geometry: Geometry,
    made: Made<Way>,
}

/// A gradient to be computed.
struct Task {
    team: Team,
    shapes: onednn::Convolution,
    input: Map,
    gradient: Map,
    buffer: Map,
    reset: bool,
    before: Option<Affine>,
}

enum Way {
    Direct(Direct),
    /// For each place of the kernel a product of matrices.
    Products,
    Winograd,
}

struct Direct {
    primitive: Primitive,
    /// Whether it is a 1x1 convolution that skips places: the others are gathered first.
    skips: bool,
    /// Numbers of the layout that the primitive has chosen for the gradient.
    length: usize,
    /// From that layout into the buffer, written over or added to.
    over: Primitive,
    adding: Primitive,
}

impl Way {
    fn new(onednn: &'static OneDnn, shapes: &onednn::Convolution, exact: bool) -> Result<Self> {
        if !exact && applies(shapes) {
            return Ok(Self::Winograd);
        }
        let [out, from, tall, wide] = shapes.weights();
        if onednn.instruction_set() == "AVX2" && tall * wide <= 9 && out.min(from) >= 16 {
            return Ok(Self::Products);
        }
        // oneDNN 3.11 gathers the places itself, but writes past its scratch memory where channels are few.
        let skips = shapes.kernel == [1, 1] && shapes.pads == [0; 4] && shapes.strides != [1, 1];
        let [batch, down, across, _] = shapes.output;
        let dense = [batch, down, across, shapes.input[3]];
        let (primitive, chosen) = if skips {
            Primitive::weight_gradient(onednn, &onednn::Convolution { input: dense, strides: [1, 1], ..*shapes })?
        } else {
            Primitive::weight_gradient(onednn, shapes)?
        };
        let kept = Desc::plain(onednn, &shapes.weights())?;
        Ok(Self::Direct(Direct {
            primitive,
            skips,
            length: chosen.length(),
            over: Primitive::reorder(&chosen, &kept, false)?,
            adding: Primitive::reorder(&chosen, &kept, true)?,
        }))
    }
}

impl Direct {
    /// # Safety
    /// The maps and the buffer must have the shapes that this was made for.
    unsafe fn run(&mut self, task: &Task) -> Result<()> {
        let &Task { team, ref shapes, input, gradient, buffer, reset, ref before } = task;
        let Self { primitive, skips, length, over, adding } = self;
        let (map, strides) = if *skips { (gradient, shapes.strides) } else { (input, [1, 1]) };
        let copied = if *skips || before.is_some() { map.rows() * input.dims[3] } else { 0 };
        with_workspace([*length, copied], |[own, copy]| {
            let mut source = input.data;
            if !copy.is_empty() {
                gather(team, input, map.dims, strides, copy)?;
                if let Some(before) = before {
                    apply(team, before, copy)?;
                }
                source = copy.as_mut_ptr();
            }
            let own = own.as_mut_ptr();
            // SAFETY: as promised by the caller; the workspace has the lengths asked for.
            unsafe {
                primitive.run(&[
                    (Role::Source, source),
                    (Role::DestinationGradient, gradient.data),
                    (Role::WeightsGradient, own),
                ])?;
                let into = if reset { over } else { adding };
                into.run(&[(Role::Source, own), (Role::Destination, buffer.data)])
            }
        })
    }
}

/// # Safety
/// The maps and the buffer must have these shapes, and the processor AVX2.
unsafe fn by_products(task: &Task) -> Result<()> {
    let &Task { team, ref shapes, input, gradient, buffer, reset, ref before } = task;
    let [out, from, tall, wide] = shapes.weights();
    let [_, height, width, _] = shapes.input;
    let [_, down, across, _] = shapes.output;
    let area = tall * wide;
    let single = area == 1;
    let (room, length) = (room_for(team, out, from), out * from);
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
                gradient: Column::new(gradient.data, gradient.length()),
                out,
                input: Column::new(input.data, input.length()),
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
        let buffer = Column::new(buffer.data, buffer.length());
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
fn gather(
    team: Team,
    input: Map,
    [batch, down, across, _]: [usize; 4],
    [tall, wide]: [usize; 2],
    dense: &mut [f32],
) -> Result<()> {
    let [_, height, width, channels] = input.dims;
    let (from, to) = (Column::new(input.data, input.length()), Column::new(dense.as_mut_ptr(), dense.len()));
    team.share(batch * down, 1, |_, rows| {
        for row in rows {
            let start = (row / down * height + row % down * tall) * width;
            for place in 0..across {
                let (source, target) = ((start + place * wide) * channels, (row * across + place) * channels);
                // SAFETY: each row is one thread's; the input is only read.
                unsafe {
                    to.part(&(target..target + channels)).copy_from_slice(from.part(&(source..source + channels)));
                }
            }
        }
    })
}

/// What a `BatchNorm` and a `ReLU` make of a map, in its place.
fn apply(team: Team, before: &Affine, map: &mut [f32]) -> Result<()> {
    let channels = before.factors.len();
    let tiled = before.tiled();
    let (rows, map) = (map.len() / channels, Column::new(map.as_mut_ptr(), map.len()));
    // SAFETY: parts of different threads are apart.
    each_rows(team, rows, channels, |range| unsafe { activate(map.part(&range), &tiled.factors, &tiled.offsets) })
}

impl Operator for ConvolutionWeightGradient {
    const NAME: &'static CStr = c"ConvolutionWeightGradient";
    const INPUTS: &'static [Slot] =
        &[FLOAT, FLOAT, FLOAT, BOOL, FLOAT.optional(), FLOAT.optional(), FLOAT.optional(), FLOAT.optional()];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self { onednn: OneDnn::get()?, geometry: Geometry::read(attributes)?, made: Made::new() })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let (input, gradient, buffer) = (context.map(0)?, context.map(1)?, context.map(2)?);
        let shapes = self.geometry.shapes(input.dims, buffer.dims)?;
        if shapes.output != gradient.dims {
            let (expected, received) = (shapes.output, gradient.dims);
            return Err(invalid(format!("the gradient must have the shape {expected:?}, but has {received:?}")));
        }
        let before = if context.has(4)? { Some(Affine::read(context, 4, input.dims[3])?) } else { None };
        let task = Task { team: self.onednn.team(), shapes, input, gradient, buffer, reset: context.flag(3)?, before };
        let Task { team, shapes, reset, before, .. } = &task;
        let make = || Way::new(self.onednn, shapes, self.geometry.exact);
        // SAFETY: the maps and the buffer have the shapes that both were made for.
        self.made.with(input.dims, make, |way| unsafe {
            match way {
                Way::Winograd => {
                    let source = (input.data.cast_const(), before.as_ref());
                    weight_gradient(*team, shapes, source, gradient.data, buffer.data, *reset)
                }
                Way::Products => by_products(&task),
                Way::Direct(direct) => direct.run(&task),
            }
        })?;
        context.finish()
    }
}
