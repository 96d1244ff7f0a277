//! Tiles of a map, of 4x4 places each.

use super::lines::TILE;

/// How a map is cut into tiles.
#[derive(Clone, Copy)]
pub struct Tiles {
    batch: usize,
    pub height: usize,
    pub width: usize,
}

impl Tiles {
    pub const fn of([batch, height, width, _]: [usize; 4]) -> Self {
        Self { batch, height, width }
    }

    const fn across(self) -> usize {
        self.width.div_ceil(TILE)
    }

    const fn down(self) -> usize {
        self.height.div_ceil(TILE)
    }

    pub const fn count(self) -> usize {
        self.batch * self.down() * self.across()
    }

    /// Picture, top and left of a tile.
    pub const fn place(self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.across(), tile % self.across());
        (row / self.down(), row % self.down() * TILE, column * TILE)
    }
}
