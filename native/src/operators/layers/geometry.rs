//! What the layers share: a convolution's geometry, and what is made once for each shape of the input.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use super::channels::{copy, round};
use super::element::Element;
use crate::error::Result;
use crate::onednn::{Convolution, Desc, Number, OneDnn, Primitive, Role, Team};
use crate::operators::context::Attributes;
use crate::operators::invalid;

/// A convolution's attributes.
pub struct Geometry {
    strides: [usize; 2],
    pads: [usize; 4],
    /// By the definition, without fewer multiplications at the price of a little rounding.
    pub exact: bool,
}

impl Geometry {
    pub fn read(attributes: &Attributes) -> Result<Self> {
        let strides = attributes.lengths(c"strides")?;
        if strides.contains(&0) {
            return Err(invalid("strides must be 1 at least".into()));
        }
        Ok(Self { strides, pads: attributes.lengths(c"pads")?, exact: attributes.integer(c"exact")? != 0 })
    }

    /// Shapes of the convolution of an input [N, H, W, in] with weights [out, in, height, width].
    pub fn shapes(&self, input: [usize; 4], weights: [usize; 4]) -> Result<Convolution> {
        let [batch, height, width, channels] = input;
        let [out, from, tall, wide] = weights;
        if from != channels {
            return Err(invalid(format!("the weights {weights:?} do not fit the input {input:?}")));
        }
        let [top, left, bottom, right] = self.pads;
        let length = |length: usize, pads: usize, kernel: usize, stride: usize| {
            (length + pads).checked_sub(kernel).map(|room| room / stride + 1)
        };
        let (Some(down), Some(across)) =
            (length(height, top + bottom, tall, self.strides[0]), length(width, left + right, wide, self.strides[1]))
        else {
            return Err(invalid(format!("the weights {weights:?} are larger than the padded input {input:?}")));
        };
        let output = [batch, down, across, out];
        Ok(Convolution { input, output, kernel: [tall, wide], strides: self.strides, pads: self.pads })
    }
}

/// Things made for a shape of the input, of which there are two or three: whole batches, the last one, those of tests.
pub struct Made<T>(Mutex<HashMap<[usize; 4], T>>);

impl<T> Made<T> {
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// Runs `work` on what has been made for a shape, making it first where need be.
    pub fn with<R>(
        &self,
        key: [usize; 4],
        make: impl FnOnce() -> Result<T>,
        work: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<R> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.entry(key) {
            std::collections::hash_map::Entry::Occupied(mut entry) => work(entry.get_mut()),
            std::collections::hash_map::Entry::Vacant(entry) => work(entry.insert(make()?)),
        }
    }
}

/// Brings weights, float32, from the layout they are kept in to the one that a primitive has chosen, and to the values that a
/// map of these elements can hold.
pub struct Prepared {
    reorder: Option<Primitive>,
    /// A primitive that takes the elements themselves gets them from the reorder.
    rounds: bool,
    /// Numbers that the chosen layout takes; none if the weights can be used where they are.
    pub length: usize,
}

impl Prepared {
    pub fn new<E: Element>(kept: &Desc, chosen: &Desc, number: Number) -> Result<Self> {
        let rounds = number != E::NUMBER;
        let same = chosen.equals(kept);
        let reorder = if same { None } else { Some(Primitive::reorder(kept, chosen, false)?) };
        Ok(Self { reorder, rounds, length: if same && !rounds { 0 } else { chosen.length() } })
    }

    /// The weights as the primitive takes them: in `room`, or where they are.
    ///
    /// # Safety
    /// The weights must have the shape that this was made for, and `room` the length.
    pub unsafe fn run<E: Element>(&mut self, team: Team, weights: *mut f32, room: &mut [f32]) -> Result<*mut c_void> {
        if room.is_empty() {
            return Ok(weights.cast());
        }
        let target = room.as_mut_ptr();
        // SAFETY: as promised by the caller.
        unsafe {
            match &mut self.reorder {
                Some(reorder) => reorder.run(&[(Role::Source, weights.cast()), (Role::Destination, target.cast())])?,
                None => copy(team, room.len(), weights, target)?,
            }
        }
        if self.rounds {
            round::<E, f32>(room);
        }
        Ok(target.cast())
    }
}

/// Plain weights [out, in, height, width] as those of the convolution from outputs to inputs: [in, out, 1, 1].
pub fn transposed(onednn: &'static OneDnn, shapes: &Convolution) -> Result<Desc> {
    let [out, from, ..] = shapes.weights();
    Desc::strided(onednn, Number::Float32, &[from, out, 1, 1], &[1, from, 1, 1])
}
