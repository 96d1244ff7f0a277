//! The transforms of a line, of the channels of a vector at a time: products with the matrices of the paper (section 4.2) and
//! with their transposes, which are the gradients' transforms.

use crate::operators::layers::vector::Vector;

/// Sides of a tile, of what it takes of its input, and of a kernel.
pub const TILE: usize = 4;
pub const FIELD: usize = 6;
pub const KERNEL: usize = 3;

#[inline(always)]
pub unsafe fn input_line<V: Vector>(d: [V; FIELD]) -> [V; FIELD] {
    // SAFETY: the caller has the vector's instructions.
    unsafe {
        let (two, four, five) = (V::splat(2.0), V::splat(4.0), V::splat(5.0));
        let even = four.minus_times(d[2], d[4]);
        let odd = four.minus_times(d[1], d[3]);
        let near = d[4].minus(d[2]);
        let far = two.times(d[3].minus(d[1]));
        [
            four.times_plus(d[0], five.minus_times(d[2], d[4])),
            even.plus(odd),
            even.minus(odd),
            near.plus(far),
            near.minus(far),
            four.times_plus(d[1], five.minus_times(d[3], d[5])),
        ]
    }
}

#[inline(always)]
pub unsafe fn output_line<V: Vector>(m: [V; FIELD]) -> [V; TILE] {
    // SAFETY: the caller has the vector's instructions.
    unsafe {
        let (two, four, eight) = (V::splat(2.0), V::splat(4.0), V::splat(8.0));
        let (sum, difference) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (far_sum, far_difference) = (m[3].plus(m[4]), m[3].minus(m[4]));
        [
            m[0].plus(sum).plus(far_sum),
            two.times_plus(far_difference, difference),
            four.times_plus(far_sum, sum),
            eight.times_plus(far_difference, difference).plus(m[5]),
        ]
    }
}

#[inline(always)]
pub unsafe fn gradient_line<V: Vector>(y: [V; TILE]) -> [V; FIELD] {
    // SAFETY: the caller has the vector's instructions.
    unsafe {
        let (two, four, eight) = (V::splat(2.0), V::splat(4.0), V::splat(8.0));
        let (even, odd) = (y[0].plus(y[2]), y[1].plus(y[3]));
        let far_even = four.times_plus(y[2], y[0]);
        let far_odd = eight.times_plus(y[3], two.times(y[1]));
        [y[0], even.plus(odd), even.minus(odd), far_even.plus(far_odd), far_even.minus(far_odd), y[3]]
    }
}

#[inline(always)]
pub unsafe fn weights_line<V: Vector>(g: [V; KERNEL]) -> [V; FIELD] {
    // SAFETY: the caller has the vector's instructions.
    unsafe {
        let sixth = V::splat(-1.0 / 6.0);
        let sum = g[0].plus(g[2]);
        let far = V::splat(1.0 / 24.0).times_plus(g[0], V::splat(1.0 / 6.0).times(g[2]));
        let middle = V::splat(1.0 / 12.0).times(g[1]);
        [
            V::splat(0.25).times(g[0]),
            sixth.times(sum.plus(g[1])),
            sixth.times(sum.minus(g[1])),
            far.plus(middle),
            far.minus(middle),
            g[2],
        ]
    }
}

#[inline(always)]
pub unsafe fn weights_gradient_line<V: Vector>(u: [V; FIELD]) -> [V; KERNEL] {
    // SAFETY: the caller has the vector's instructions.
    unsafe {
        let (quarter, sixth) = (V::splat(0.25), V::splat(1.0 / 6.0));
        let (sum, difference) = (u[1].plus(u[2]), u[2].minus(u[1]));
        let (far_sum, far_difference) = (u[3].plus(u[4]), u[3].minus(u[4]));
        let near = sixth.times(sum);
        [
            quarter.times_plus(u[0], V::splat(1.0 / 24.0).times(far_sum)).minus(near),
            sixth.times_plus(difference, V::splat(1.0 / 12.0).times(far_difference)),
            sixth.times(far_sum).minus(near).plus(u[5]),
        ]
    }
}
