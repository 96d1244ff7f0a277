//! The transforms of a line, of eight channels at a time: products with the matrices of the paper (section 4.2) and with
//! their transposes, which are the gradients' transforms.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_sub_ps,
};

/// The same of eight channels.
pub type Vector = __m256;

/// Sides of a tile, of what it takes of its input, and of a kernel.
pub const TILE: usize = 4;
pub const FIELD: usize = 6;
pub const KERNEL: usize = 3;

#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn input_line(d: [Vector; FIELD]) -> [Vector; FIELD] {
    let (two, four, five) = (_mm256_set1_ps(2.0), _mm256_set1_ps(4.0), _mm256_set1_ps(5.0));
    let even = _mm256_fnmadd_ps(four, d[2], d[4]);
    let odd = _mm256_fnmadd_ps(four, d[1], d[3]);
    let near = _mm256_sub_ps(d[4], d[2]);
    let far = _mm256_mul_ps(two, _mm256_sub_ps(d[3], d[1]));
    [
        _mm256_fmadd_ps(four, d[0], _mm256_fnmadd_ps(five, d[2], d[4])),
        _mm256_add_ps(even, odd),
        _mm256_sub_ps(even, odd),
        _mm256_add_ps(near, far),
        _mm256_sub_ps(near, far),
        _mm256_fmadd_ps(four, d[1], _mm256_fnmadd_ps(five, d[3], d[5])),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn output_line(m: [Vector; FIELD]) -> [Vector; TILE] {
    let (two, four, eight) = (_mm256_set1_ps(2.0), _mm256_set1_ps(4.0), _mm256_set1_ps(8.0));
    let (sum, difference) = (_mm256_add_ps(m[1], m[2]), _mm256_sub_ps(m[1], m[2]));
    let (far_sum, far_difference) = (_mm256_add_ps(m[3], m[4]), _mm256_sub_ps(m[3], m[4]));
    [
        _mm256_add_ps(_mm256_add_ps(m[0], sum), far_sum),
        _mm256_fmadd_ps(two, far_difference, difference),
        _mm256_fmadd_ps(four, far_sum, sum),
        _mm256_add_ps(_mm256_fmadd_ps(eight, far_difference, difference), m[5]),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn gradient_line(y: [Vector; TILE]) -> [Vector; FIELD] {
    let (two, four, eight) = (_mm256_set1_ps(2.0), _mm256_set1_ps(4.0), _mm256_set1_ps(8.0));
    let (even, odd) = (_mm256_add_ps(y[0], y[2]), _mm256_add_ps(y[1], y[3]));
    let far_even = _mm256_fmadd_ps(four, y[2], y[0]);
    let far_odd = _mm256_fmadd_ps(eight, y[3], _mm256_mul_ps(two, y[1]));
    [
        y[0],
        _mm256_add_ps(even, odd),
        _mm256_sub_ps(even, odd),
        _mm256_add_ps(far_even, far_odd),
        _mm256_sub_ps(far_even, far_odd),
        y[3],
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn weights_line(g: [Vector; KERNEL]) -> [Vector; FIELD] {
    let sixth = _mm256_set1_ps(-1.0 / 6.0);
    let sum = _mm256_add_ps(g[0], g[2]);
    let far = _mm256_fmadd_ps(_mm256_set1_ps(1.0 / 24.0), g[0], _mm256_mul_ps(_mm256_set1_ps(1.0 / 6.0), g[2]));
    let middle = _mm256_mul_ps(_mm256_set1_ps(1.0 / 12.0), g[1]);
    [
        _mm256_mul_ps(_mm256_set1_ps(0.25), g[0]),
        _mm256_mul_ps(sixth, _mm256_add_ps(sum, g[1])),
        _mm256_mul_ps(sixth, _mm256_sub_ps(sum, g[1])),
        _mm256_add_ps(far, middle),
        _mm256_sub_ps(far, middle),
        g[2],
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub fn weights_gradient_line(u: [Vector; FIELD]) -> [Vector; KERNEL] {
    let (quarter, sixth) = (_mm256_set1_ps(0.25), _mm256_set1_ps(1.0 / 6.0));
    let (sum, difference) = (_mm256_add_ps(u[1], u[2]), _mm256_sub_ps(u[2], u[1]));
    let (far_sum, far_difference) = (_mm256_add_ps(u[3], u[4]), _mm256_sub_ps(u[3], u[4]));
    let near = _mm256_mul_ps(sixth, sum);
    [
        _mm256_sub_ps(_mm256_fmadd_ps(quarter, u[0], _mm256_mul_ps(_mm256_set1_ps(1.0 / 24.0), far_sum)), near),
        _mm256_fmadd_ps(sixth, difference, _mm256_mul_ps(_mm256_set1_ps(1.0 / 12.0), far_difference)),
        _mm256_add_ps(_mm256_sub_ps(_mm256_mul_ps(sixth, far_sum), near), u[5]),
    ]
}
