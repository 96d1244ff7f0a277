//! Pooling: `MaxPool`, `GlobalAveragePool` and their gradients.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::channels::{add_row, add_taken, each_rows, take_larger};
use super::element::Element;
use crate::error::Result;
use crate::onednn::OneDnn;
use crate::operators::context::{Attributes, Column, Context, Map};
use crate::operators::{FLOAT, Operator, Slot, UINT8, invalid};

/// A window that wanders over a padded map.
struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
}

impl Window {
    fn read(attributes: &Attributes) -> Result<Self> {
        let window = Self {
            kernel: attributes.lengths(c"kernel_shape")?,
            strides: attributes.lengths(c"strides")?,
            pads: attributes.lengths(c"pads")?,
        };
        let [height, width] = window.kernel;
        // Places within a window are told as bytes; a window that lies in the padding alone would have no maximum.
        let [top, left, bottom, right] = window.pads;
        if window.strides.contains(&0) || !(1..=256).contains(&(height * width)) {
            return Err(invalid("a window must have 1 to 256 places, and strides of 1 at least".into()));
        }
        if top.max(bottom) >= height || left.max(right) >= width {
            return Err(invalid("pads must be smaller than the window".into()));
        }
        Ok(window)
    }

    fn output(&self, [batch, height, width, channels]: [usize; 4]) -> Result<[usize; 4]> {
        let [top, left, bottom, right] = self.pads;
        let length = |length: usize, pads: usize, axis: usize| {
            (length + pads).checked_sub(self.kernel[axis]).map(|room| room / self.strides[axis] + 1)
        };
        let (Some(down), Some(across)) = (length(height, top + bottom, 0), length(width, left + right, 1)) else {
            return Err(invalid("the window is larger than the padded map".into()));
        };
        Ok([batch, down, across, channels])
    }

    /// Places of a map of this size that the window at an output's place covers: number within the window, row, column.
    fn places(
        &self,
        [down, across]: [usize; 2],
        [height, width]: [usize; 2],
    ) -> impl Iterator<Item = (u8, usize, usize)> {
        let [tall, wide] = self.kernel;
        let (top, left) = (down * self.strides[0], across * self.strides[1]);
        let pads = [self.pads[0], self.pads[1]];
        (0..tall * wide).filter_map(move |place| {
            let row = (top + place / wide).checked_sub(pads[0]).filter(|&row| row < height)?;
            let column = (left + place % wide).checked_sub(pads[1]).filter(|&column| column < width)?;
            Some((u8::try_from(place).unwrap_or(u8::MAX), row, column))
        })
    }
}

/// Input: a map [N, H, W, C]. Outputs: the map of maxima; for each, its place within the window, uint8.
pub struct MaxPool<E> {
    onednn: &'static OneDnn,
    window: Window,
    element: PhantomData<E>,
}

impl<E: Element> Operator for MaxPool<E> {
    const NAME: &'static CStr = c"MaxPool";
    const INPUTS: &'static [Slot] = &[E::SLOT];
    const OUTPUTS: &'static [Slot] = &[E::SLOT, UINT8];

    fn create(attributes: &Attributes) -> Result<Self> {
        Ok(Self { onednn: OneDnn::get()?, window: Window::read(attributes)?, element: PhantomData })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let map: Map<E> = context.map(0)?;
        let dims = self.window.output(map.dims)?;
        let [_, height, width, channels] = map.dims;
        let (rows, length) = (dims[0] * dims[1] * dims[2], dims.iter().product());
        let maxima = Column::new(context.needed::<E>(0, &dims)?, length);
        let places = Bytes(context.needed(1, &dims)?);
        let input = map.column();
        each_rows(self.onednn.team(), rows, channels, |range| {
            for start in range.step_by(channels) {
                let row = start / channels;
                let (picture, down, across) = (row / dims[2] / dims[1], row / dims[2] % dims[1], row % dims[2]);
                // SAFETY: each row of the outputs is one thread's; the input is only read.
                let (maxima, places) =
                    unsafe { (maxima.part(&(start..start + channels)), places.part(start, channels)) };
                maxima.fill(E::nearest(f32::NEG_INFINITY));
                let mut first = true;
                for (place, y, x) in self.window.places([down, across], [height, width]) {
                    let at = ((picture * height + y) * width + x) * channels;
                    // SAFETY: as above.
                    let values = unsafe { &*input.part(&(at..at + channels)) };
                    if first {
                        places.fill(place);
                        first = false;
                    }
                    take_larger(values, place, maxima, places);
                }
            }
        })
    }
}

/// Inputs: the gradient of the maxima, and their places. Output: the gradient of the map.
pub struct MaxPoolGradient<E> {
    onednn: &'static OneDnn,
    window: Window,
    size: [usize; 2],
    element: PhantomData<E>,
}

impl<E: Element> Operator for MaxPoolGradient<E> {
    const NAME: &'static CStr = c"MaxPoolGradient";
    const INPUTS: &'static [Slot] = &[E::SLOT, UINT8];
    const OUTPUTS: &'static [Slot] = &[E::SLOT];

    fn create(attributes: &Attributes) -> Result<Self> {
        let (window, size) = (Window::read(attributes)?, attributes.lengths(c"size")?);
        Ok(Self { onednn: OneDnn::get()?, window, size, element: PhantomData })
    }

    fn compute(&self, context: &Context) -> Result<()> {
        let gradient: Map<E> = context.map(0)?;
        let [height, width] = self.size;
        let [batch, down, across, channels] = gradient.dims;
        let dims = [batch, height, width, channels];
        if self.window.output(dims)? != gradient.dims {
            return Err(invalid(format!("the gradient {:?} does not fit a map {dims:?}", gradient.dims)));
        }
        let places = Bytes(context.bytes(1, gradient.dims)?);
        let length = dims.iter().product();
        let target = Column::new(context.needed::<E>(0, &dims)?, length);
        let input = gradient.column();
        let picture = height * width * channels;
        self.onednn.team().share(batch, 1, |_, pictures| {
            for index in pictures {
                // SAFETY: each picture is one thread's; the inputs are only read.
                let target = unsafe { target.part(&(index * picture..(index + 1) * picture)) };
                E::summed(target, |sums| {
                    for row in 0..down * across {
                        let start = (index * down * across + row) * channels;
                        // SAFETY: as above.
                        let (slope, taken) =
                            unsafe { (&*input.part(&(start..start + channels)), &*places.part(start, channels)) };
                        for (place, y, x) in self.window.places([row / across, row % across], self.size) {
                            let at = (y * width + x) * channels;
                            add_taken(slope, taken, place, &mut sums[at..at + channels]);
                        }
                    }
                });
            }
        })
    }
}

/// Bytes that threads share, each writing to places of its own.
#[derive(Clone, Copy)]
struct Bytes(*mut u8);

// SAFETY: the loops keep the threads' places apart.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// # Safety
    /// The part must lie within, and no other that overlaps it may be in use.
    unsafe fn part<'a>(self, start: usize, length: usize) -> &'a mut [u8] {
        // SAFETY: as promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), length) }
    }
}

/// Input: a map [N, H, W, C]. Output: the mean over its places, float32 [N, C, 1, 1].
pub struct GlobalAveragePool<E> {
    onednn: &'static OneDnn,
    element: PhantomData<E>,
}

impl<E: Element> Operator for GlobalAveragePool<E> {
    const NAME: &'static CStr = c"GlobalAveragePool";
    const INPUTS: &'static [Slot] = &[E::SLOT];
    const OUTPUTS: &'static [Slot] = &[FLOAT];

    fn create(_: &Attributes) -> Result<Self> {
        Ok(Self { onednn: OneDnn::get()?, element: PhantomData })
    }

    #[allow(clippy::cast_precision_loss)]
    fn compute(&self, context: &Context) -> Result<()> {
        let map: Map<E> = context.map(0)?;
        let [batch, height, width, channels] = map.dims;
        let means = Column::new(context.needed(0, &[batch, channels, 1, 1])?, batch * channels);
        let input = map.column();
        self.onednn.team().share(batch, 1, |_, pictures| {
            for picture in pictures {
                // SAFETY: each picture is one thread's; the input is only read.
                let mean = unsafe { means.part(&(picture * channels..(picture + 1) * channels)) };
                mean.fill(0.0);
                for place in picture * height * width..(picture + 1) * height * width {
                    // SAFETY: as above.
                    add_row(unsafe { &*input.part(&(place * channels..(place + 1) * channels)) }, mean);
                }
                for value in mean {
                    *value /= (height * width) as f32;
                }
            }
        })
    }
}

/// Inputs: the gradient of the means, float32 [N, C, 1, 1]; the map, which is not read: its shape and elements are those of its
/// gradient. Output: that.
pub struct GlobalAveragePoolGradient<E> {
    onednn: &'static OneDnn,
    element: PhantomData<E>,
}

impl<E: Element> Operator for GlobalAveragePoolGradient<E> {
    const NAME: &'static CStr = c"GlobalAveragePoolGradient";
    const INPUTS: &'static [Slot] = &[FLOAT, E::SLOT];
    const OUTPUTS: &'static [Slot] = &[E::SLOT];

    fn create(_: &Attributes) -> Result<Self> {
        Ok(Self { onednn: OneDnn::get()?, element: PhantomData })
    }

    #[allow(clippy::cast_precision_loss)]
    fn compute(&self, context: &Context) -> Result<()> {
        let (gradient, map): (Map, Map<E>) = (context.map(0)?, context.map(1)?);
        let [batch, height, width, channels] = map.dims;
        if gradient.dims != [batch, channels, 1, 1] {
            return Err(invalid(format!("the gradient {:?} does not fit a map {:?}", gradient.dims, map.dims)));
        }
        let target = Column::new(context.needed::<E>(0, &map.dims)?, map.length());
        let input = gradient.column();
        let places = height * width;
        self.onednn.team().share(batch, 1, |_, pictures| {
            for picture in pictures {
                // SAFETY: each picture is one thread's; the input is only read.
                let slope = unsafe { &*input.part(&(picture * channels..(picture + 1) * channels)) };
                let share: Vec<E> = slope.iter().map(|slope| E::nearest(slope / places as f32)).collect();
                for place in picture * places..(picture + 1) * places {
                    // SAFETY: as above.
                    unsafe { target.part(&(place * channels..(place + 1) * channels)) }.copy_from_slice(&share);
                }
            }
        })
    }
}
