//! The 36 matrices of transformed tiles or weights. They lie in panels of 16 columns, [panel][row][16], so that whatever is read
//! together lies together. Columns that the last panel has too many hold anything: no sum takes them in.

use crate::operators::layers::sums::PANEL;

/// Matrices, one for each place of a transformed tile.
pub const PLACES: usize = 36;

/// Memory that threads share, each writing to places of its own.
#[derive(Clone, Copy)]
pub struct Shared<E = f32>(pub *mut E);

// SAFETY: the loops keep the threads' places apart.
unsafe impl<E: Send> Send for Shared<E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Shared<E> {}

impl<E: Copy> Shared<E> {
    pub const fn at(self, offset: usize) -> *mut E {
        self.0.wrapping_add(offset)
    }
}

#[derive(Clone, Copy)]
pub struct Matrices {
    first: Shared,
    pub rows: usize,
    pub columns: usize,
}

impl Matrices {
    /// In memory of [`Self::length`] numbers.
    pub const fn new(memory: *mut f32, [rows, columns]: [usize; 2]) -> Self {
        Self { first: Shared(memory), rows, columns }
    }

    /// Numbers of all.
    pub const fn length(shape: [usize; 2]) -> usize {
        PLACES * Self::stride(shape)
    }

    /// Numbers from one to the next: a cache line more than it takes where that is a power of two, for which all would meet in
    /// the same few lines of a cache.
    const fn stride([rows, columns]: [usize; 2]) -> usize {
        ((columns.div_ceil(PANEL) * rows) | 1) * PANEL
    }

    /// Where a place's matrix has a column's numbers from a row on.
    pub const fn at(self, place: usize, row: usize, column: usize) -> *mut f32 {
        let within = (column / PANEL * self.rows + row) * PANEL + column % PANEL;
        self.first.at(place * Self::stride([self.rows, self.columns]) + within)
    }
}
