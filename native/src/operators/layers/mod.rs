//! Layers on oneDNN. Their maps lie channels-last, [N, H, W, C].

mod affine;
mod batch_norm;
mod batch_norm_gradient;
mod channels;
mod convolution;
mod geometry;
mod input_gradient;
mod pool;
mod products;
mod weight_gradient;
mod winograd;

use ort_sys::OrtCustomOp;

use super::table;

/// Sessions refer to these for as long as they live.
pub static LAYERS: [OrtCustomOp; 9] = [
    table::<convolution::Convolution>(),
    table::<input_gradient::ConvolutionInputGradient>(),
    table::<weight_gradient::ConvolutionWeightGradient>(),
    table::<batch_norm::BatchNorm>(),
    table::<batch_norm_gradient::BatchNormGradient>(),
    table::<pool::MaxPool>(),
    table::<pool::MaxPoolGradient>(),
    table::<pool::GlobalAveragePool>(),
    table::<pool::GlobalAveragePoolGradient>(),
];
