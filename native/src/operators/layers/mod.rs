//! Layers on oneDNN. Their maps lie channels-last, [N, H, W, C], and are all float32 or all bfloat16; all else is float32.

mod affine;
mod batch_norm;
mod batch_norm_gradient;
mod channels;
mod convolution;
mod element;
mod geometry;
mod input_gradient;
#[cfg(test)]
mod noise;
mod pictures;
mod pool;
mod products;
mod sums;
mod vector;
mod weight_gradient;
mod winograd;

use ort_sys::OrtCustomOp;

use super::table;
use element::Bf16;

/// Sessions refer to these for as long as they live.
pub static LAYERS: [OrtCustomOp; 18] = [
    table::<convolution::Convolution<f32>>(),
    table::<convolution::Convolution<Bf16>>(),
    table::<input_gradient::ConvolutionInputGradient<f32>>(),
    table::<input_gradient::ConvolutionInputGradient<Bf16>>(),
    table::<weight_gradient::ConvolutionWeightGradient<f32>>(),
    table::<weight_gradient::ConvolutionWeightGradient<Bf16>>(),
    table::<batch_norm::BatchNorm<f32>>(),
    table::<batch_norm::BatchNorm<Bf16>>(),
    table::<batch_norm_gradient::BatchNormGradient<f32>>(),
    table::<batch_norm_gradient::BatchNormGradient<Bf16>>(),
    table::<pool::MaxPool<f32>>(),
    table::<pool::MaxPool<Bf16>>(),
    table::<pool::MaxPoolGradient<f32>>(),
    table::<pool::MaxPoolGradient<Bf16>>(),
    table::<pool::GlobalAveragePool<f32>>(),
    table::<pool::GlobalAveragePool<Bf16>>(),
    table::<pool::GlobalAveragePoolGradient<f32>>(),
    table::<pool::GlobalAveragePoolGradient<Bf16>>(),
];
