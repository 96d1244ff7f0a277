//! What a `BatchNorm` does once its statistics are known: `factor * x + offset` of each channel.

use super::channels::tiled;
use crate::error::Result;
use crate::operators::context::Context;

pub struct Affine {
    pub factors: Vec<f32>,
    pub offsets: Vec<f32>,
}

impl Affine {
    /// Of vectors of the same length: scale, offset, mean and inverse deviation. The forward pass and those that repeat it
    /// come to the same bits.
    pub fn new(scale: &[f32], offset: &[f32], mean: &[f32], deviation: &[f32]) -> Self {
        let factors: Vec<f32> = scale.iter().zip(deviation).map(|(scale, deviation)| scale * deviation).collect();
        let offsets = offset.iter().zip(mean).zip(&factors).map(|((offset, mean), factor)| offset - mean * factor);
        Self { offsets: offsets.collect(), factors }
    }

    /// Of four inputs, from `first` on, of so many channels.
    pub fn read(context: &Context, first: usize, channels: usize) -> Result<Self> {
        let vector = |index: usize| context.vector(first + index, channels);
        let all = 0..channels;
        // SAFETY: vectors of so many channels, which are only read.
        let [scale, offset, mean, deviation] = unsafe {
            [&*vector(0)?.part(&all), &*vector(1)?.part(&all), &*vector(2)?.part(&all), &*vector(3)?.part(&all)]
        };
        Ok(Self::new(scale, offset, mean, deviation))
    }

    /// For each row of a tile.
    pub fn tiled(&self) -> Self {
        Self { factors: tiled(&self.factors), offsets: tiled(&self.offsets) }
    }
}
