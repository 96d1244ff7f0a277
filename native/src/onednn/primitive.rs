//! oneDNN's primitives: made for fixed shapes, then run on whatever memory has these.

use std::cell::OnceCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use super::api::{self, Api, Argument, Dims, MAX_DIMS};
use super::desc::{Desc, Number, dims};
use super::{OneDnn, check};
use crate::error::{Failure, Result};

/// A convolution's shapes: maps as [N, H, W, C], `pads` top, left, bottom, right.
#[derive(Clone, Copy)]
pub struct Convolution {
    pub input: [usize; 4],
    pub output: [usize; 4],
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub pads: [usize; 4],
}

impl Convolution {
    /// Shape of the weights, [out, in, height, width].
    pub const fn weights(&self) -> [usize; 4] {
        [self.output[3], self.input[3], self.kernel[0], self.kernel[1]]
    }

    fn geometry(&self) -> Result<[Dims; 4]> {
        let [top, left, ..] = self.pads;
        // Exactly what the output needs: a pad that no window reaches is none.
        let end = |axis: usize, before: usize| {
            ((self.output[axis + 1] - 1) * self.strides[axis] + self.kernel[axis])
                .checked_signed_diff(self.input[axis + 1] + before)
        };
        let mut after = [0; MAX_DIMS];
        for (axis, before) in [(0, top), (1, left)] {
            let pad =
                end(axis, before).ok_or_else(|| Failure::new("INTERNAL", "a convolution's pads are too large"))?;
            after[axis] = i64::try_from(pad).map_err(|error| Failure::new("INTERNAL", error.to_string()))?;
        }
        Ok([dims(&self.strides)?, [0; MAX_DIMS], dims(&[top, left])?, after])
    }
}

/// What a convolution's plans are made from.
struct Pieces {
    input: Desc,
    output: Desc,
    /// Weights in any layout.
    any: Desc,
    /// Strides, dilations, pads before and after.
    geometry: [Dims; 4],
}

impl Pieces {
    fn new(onednn: &'static OneDnn, number: Number, shapes: &Convolution) -> Result<Self> {
        Ok(Self {
            input: Desc::map(onednn, number, shapes.input)?,
            output: Desc::map(onednn, number, shapes.output)?,
            any: Desc::any(onednn, number, &shapes.weights())?,
            geometry: shapes.geometry()?,
        })
    }
}

/// What a memory is to a primitive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Source,
    Destination,
    Weights,
    SourceGradient,
    DestinationGradient,
    WeightsGradient,
}

impl Role {
    const fn code(self) -> c_int {
        match self {
            Self::Source => api::SRC,
            Self::Destination => api::DST,
            Self::Weights => api::WEIGHTS,
            Self::SourceGradient => api::DIFF_SRC,
            Self::DestinationGradient => api::DIFF_DST,
            Self::WeightsGradient => api::DIFF_WEIGHTS,
        }
    }
}

/// What a primitive is made from.
struct Plan {
    onednn: &'static OneDnn,
    raw: api::PrimitiveDesc,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { (self.onednn.api.primitive_desc_destroy)(self.raw) };
    }
}

impl Plan {
    fn new(
        onednn: &'static OneDnn,
        doing: &str,
        create: impl FnOnce(&Api, *mut api::PrimitiveDesc) -> api::Status,
    ) -> Result<Self> {
        let mut raw = ptr::null_mut();
        check(doing, create(&onednn.api, &raw mut raw)).map(|()| Self { onednn, raw })
    }

    fn forward(onednn: &'static OneDnn, number: Number, shapes: &Convolution, adding: bool) -> Result<Self> {
        let Pieces { input, output, any, geometry: [strides, dilates, before, after] } =
            Pieces::new(onednn, number, shapes)?;
        let attributes = Attributes::new(onednn, adding)?;
        // SAFETY: valid descriptions; a null bias is none.
        Self::new(onednn, "plan a convolution", |api, out| unsafe {
            (api.convolution_forward)(
                out,
                onednn.engine,
                api::FORWARD_TRAINING,
                api::CONVOLUTION_DIRECT,
                input.raw,
                any.raw,
                ptr::null_mut(),
                output.raw,
                &raw const strides,
                &raw const dilates,
                &raw const before,
                &raw const after,
                attributes.raw,
            )
        })
    }

    /// The layout that the plan has chosen for the weights or their gradient.
    fn chosen(&self, what: c_int) -> Result<Desc> {
        let (api, mut raw) = (&self.onednn.api, ptr::null_mut());
        // SAFETY: a valid plan; its description is copied, as it goes with the plan.
        let status = unsafe { (api.desc_clone)(&raw mut raw, (api.desc_query_md)(self.raw, what, 0)) };
        check("tell a layout", status).map(|()| Desc { onednn: self.onednn, raw })
    }
}

/// Adds to what lies in the output, or nothing special.
struct Attributes {
    onednn: &'static OneDnn,
    raw: api::Attributes,
}

impl Drop for Attributes {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: owned, destroyed once.
            unsafe { (self.onednn.api.attributes_destroy)(self.raw) };
        }
    }
}

impl Attributes {
    fn new(onednn: &'static OneDnn, adding: bool) -> Result<Self> {
        let mut this = Self { onednn, raw: ptr::null_mut() };
        if !adding {
            return Ok(this);
        }
        let (api, mut post) = (&onednn.api, ptr::null_mut());
        // SAFETY: out-pointers; the attributes copy the list, which is destroyed here.
        unsafe {
            check("make attributes", (api.attributes_create)(&raw mut this.raw))?;
            check("make attributes", (api.post_ops_create)(&raw mut post))?;
            let added = check("make attributes", (api.post_ops_append_sum)(post, 1.0, 0, 0))
                .and_then(|()| check("make attributes", (api.attributes_set_post_ops)(this.raw, post)));
            (api.post_ops_destroy)(post);
            added?;
        }
        Ok(this)
    }
}

/// A computation ready to run. It may be run by one thread at a time.
pub struct Primitive {
    onednn: &'static OneDnn,
    raw: api::PrimitiveHandle,
    memories: Vec<(Role, api::Memory)>,
}

// SAFETY: handles that any thread may use, one at a time.
unsafe impl Send for Primitive {}

impl Drop for Primitive {
    fn drop(&mut self) {
        // SAFETY: owned, each destroyed once.
        unsafe {
            (self.onednn.api.primitive_destroy)(self.raw);
            for &(_, memory) in &self.memories {
                (self.onednn.api.memory_destroy)(memory);
            }
        }
    }
}

impl Primitive {
    fn new(plan: &Plan, memories: &[(Role, &Desc)]) -> Result<Self> {
        let onednn = plan.onednn;
        let mut this = Self { onednn, raw: ptr::null_mut(), memories: Vec::with_capacity(memories.len()) };
        // SAFETY: a valid plan and an out-pointer.
        check("make a primitive", unsafe { (onednn.api.primitive_create)(&raw mut this.raw, plan.raw) })?;
        for &(role, desc) in memories {
            let mut memory = ptr::null_mut();
            // SAFETY: a valid description; the memory has no data yet.
            let status =
                unsafe { (onednn.api.memory_create)(&raw mut memory, desc.raw, onednn.engine, ptr::null_mut()) };
            check("make a memory", status)?;
            this.memories.push((role, memory));
        }
        Ok(this)
    }

    /// Source, Weights, Destination; and the weights' layout. `adding`: to what lies in the destination.
    pub fn convolution(
        onednn: &'static OneDnn,
        number: Number,
        shapes: &Convolution,
        adding: bool,
    ) -> Result<(Self, Desc)> {
        let plan = Plan::forward(onednn, number, shapes, adding)?;
        let weights = plan.chosen(api::WEIGHTS_MD)?;
        let (input, output) = (Desc::map(onednn, number, shapes.input)?, Desc::map(onednn, number, shapes.output)?);
        let roles = [(Role::Source, &input), (Role::Weights, &weights), (Role::Destination, &output)];
        Ok((Self::new(&plan, &roles)?, weights))
    }

    /// `DestinationGradient`, `Weights`, `SourceGradient`, which may be of another kind; and the weights' layout.
    pub fn input_gradient(
        onednn: &'static OneDnn,
        [number, result]: [Number; 2],
        shapes: &Convolution,
    ) -> Result<(Self, Desc)> {
        let Pieces { output, any, geometry: [strides, dilates, before, after], .. } =
            Pieces::new(onednn, number, shapes)?;
        let input = Desc::map(onednn, result, shapes.input)?;
        let hint = Plan::forward(onednn, number, shapes, false)?;
        // SAFETY: valid descriptions, and the plan of the forward convolution; null attributes are none.
        let plan = Plan::new(onednn, "plan a convolution's gradient", |api, out| unsafe {
            (api.convolution_backward_data)(
                out,
                onednn.engine,
                api::CONVOLUTION_DIRECT,
                input.raw,
                any.raw,
                output.raw,
                &raw const strides,
                &raw const dilates,
                &raw const before,
                &raw const after,
                hint.raw,
                ptr::null_mut(),
            )
        })?;
        let weights = plan.chosen(api::WEIGHTS_MD)?;
        let roles = [(Role::DestinationGradient, &output), (Role::Weights, &weights), (Role::SourceGradient, &input)];
        Ok((Self::new(&plan, &roles)?, weights))
    }

    /// Source, `DestinationGradient`, `WeightsGradient`, which is float32; and the layout of that.
    pub fn weight_gradient(onednn: &'static OneDnn, number: Number, shapes: &Convolution) -> Result<(Self, Desc)> {
        let Pieces { input, output, geometry: [strides, dilates, before, after], .. } =
            Pieces::new(onednn, number, shapes)?;
        let any = Desc::any(onednn, Number::Float32, &shapes.weights())?;
        let hint = Plan::forward(onednn, number, shapes, false)?;
        // SAFETY: as for the input's gradient; a null bias is none.
        let plan = Plan::new(onednn, "plan a convolution's gradient", |api, out| unsafe {
            (api.convolution_backward_weights)(
                out,
                onednn.engine,
                api::CONVOLUTION_DIRECT,
                input.raw,
                any.raw,
                ptr::null_mut(),
                output.raw,
                &raw const strides,
                &raw const dilates,
                &raw const before,
                &raw const after,
                hint.raw,
                ptr::null_mut(),
            )
        })?;
        let weights = plan.chosen(api::DIFF_WEIGHTS_MD)?;
        let roles = [(Role::Source, &input), (Role::DestinationGradient, &output), (Role::WeightsGradient, &weights)];
        Ok((Self::new(&plan, &roles)?, weights))
    }

    /// Source, Destination: the same numbers in another layout. `adding`: to what lies in the destination.
    pub fn reorder(from: &Desc, to: &Desc, adding: bool) -> Result<Self> {
        let onednn = from.onednn;
        let attributes = Attributes::new(onednn, adding)?;
        // SAFETY: valid descriptions.
        let plan = Plan::new(onednn, "plan a reorder", |api, out| unsafe {
            (api.reorder)(out, from.raw, onednn.engine, to.raw, onednn.engine, attributes.raw)
        })?;
        Self::new(&plan, &[(Role::Source, from), (Role::Destination, to)])
    }

    /// Runs it on the calling lane's threads.
    ///
    /// # Safety
    /// Each memory must have the shape and layout that the primitive was made for, and those written to be no one else's.
    pub unsafe fn run(&mut self, data: &[(Role, *mut c_void)]) -> Result<()> {
        let api = &self.onednn.api;
        let mut arguments = Vec::with_capacity(data.len());
        for &(role, data) in data {
            let found = self.memories.iter().find(|(of, _)| *of == role);
            let &(_, memory) = found.ok_or_else(|| Failure::new("INTERNAL", "a primitive has no such memory"))?;
            // SAFETY: a memory of this primitive's.
            check("set a memory", unsafe { (api.memory_set_data)(memory, data) })?;
            arguments.push(Argument { what: role.code(), memory });
        }
        let count = c_int::try_from(arguments.len()).map_err(|error| Failure::new("INTERNAL", error.to_string()))?;
        let stream = self.onednn.stream()?;
        // SAFETY: as promised by the caller.
        unsafe {
            check("run a primitive", (api.primitive_execute)(self.raw, stream, count, arguments.as_ptr()))?;
            check("run a primitive", (api.stream_wait)(stream))
        }
    }
}

/// The calling thread's queue of work.
pub struct Stream {
    onednn: &'static OneDnn,
    raw: api::Stream,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: owned, destroyed once.
        unsafe { (self.onednn.api.stream_destroy)(self.raw) };
    }
}

thread_local! {
    static STREAM: OnceCell<Stream> = const { OnceCell::new() };
}

impl OneDnn {
    fn stream(&'static self) -> Result<api::Stream> {
        STREAM.with(|cell| {
            if let Some(stream) = cell.get() {
                return Ok(stream.raw);
            }
            let mut raw = ptr::null_mut();
            // SAFETY: an out-pointer.
            check("make a stream", unsafe { (self.api.stream_create)(&raw mut raw, self.engine, api::IN_ORDER) })?;
            Ok(cell.get_or_init(|| Stream { onednn: self, raw }).raw)
        })
    }
}
