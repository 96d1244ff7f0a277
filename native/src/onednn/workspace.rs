//! Memory that an operator needs while it runs. Operators of a lane run one after another, so each lane has one piece of
//! it, as large as the largest that was ever asked for.

use std::cell::RefCell;

use crate::error::{Failure, Result};

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; LINE / 4]);

thread_local! {
    static WORKSPACE: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with pieces of memory of these lengths, each beginning at a cache line, holding anything.
pub fn with_workspace<const N: usize, T>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> Result<T>,
) -> Result<T> {
    WORKSPACE.with(|cell| {
        let mut lines = cell.try_borrow_mut().map_err(|_| Failure::new("INTERNAL", "the workspace is in use"))?;
        let per_line = LINE / 4;
        let needed: usize = lengths.iter().map(|length| length.div_ceil(per_line)).sum();
        if lines.len() < needed {
            // What was there need not be kept: freed first, the peak is lower.
            *lines = Vec::new();
            lines.try_reserve_exact(needed).map_err(|_| {
                Failure::new("OUT_OF_MEMORY", format!("cannot get {} bytes for an operator", needed * LINE))
            })?;
            lines.resize(needed, Line([0.0; LINE / 4]));
        }
        let mut rest = lines.as_mut_slice();
        let pieces = lengths.map(|length| {
            let (piece, others) = std::mem::take(&mut rest).split_at_mut(length.div_ceil(per_line));
            rest = others;
            &mut piece.as_flattened_floats()[..length]
        });
        work(pieces)
    })
}

trait AsFloats {
    fn as_flattened_floats(&mut self) -> &mut [f32];
}

impl AsFloats for [Line] {
    fn as_flattened_floats(&mut self) -> &mut [f32] {
        // SAFETY: a line is nothing but its numbers.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * (LINE / 4)) }
    }
}
