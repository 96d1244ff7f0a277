//! Numbers for tests.

use super::element::Element;

/// Numbers from -0.5 to 0.5, the same each time.
pub fn numbers<E: Element>(length: usize, seed: u32) -> Vec<E> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            #[allow(clippy::cast_precision_loss)]
            let number = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            E::nearest(number)
        })
        .collect()
}
