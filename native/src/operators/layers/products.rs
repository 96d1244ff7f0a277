//! Products of matrices whose rows are the places of maps: the gradient of a convolution's weights, one place of the kernel at
//! a time. For processors with AVX2 alone, on whose 16 registers oneDNN's kernels reach two thirds of what this one does.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};
use std::ops::Range;

use super::affine::Affine;
use super::channels::{activate, round};
use super::element::Element;
use crate::error::Result;
use crate::onednn::Team;
use crate::operators::context::Column;

/// Rows and columns of the result that are summed up in registers.
const TALL: usize = 6;
const WIDE: usize = 16;
const LANES: usize = 8;
/// Places that are summed up at a time: a panel of them stays in the nearest cache.
const DEPTH: usize = 256;

/// Numbers of a panel of `width` columns, for each of `columns`.
const fn panels(columns: usize, width: usize) -> usize {
    columns.div_ceil(width) * width * DEPTH
}

/// Two maps and what comes of them.
pub struct Operands<'a, E> {
    /// [places, out]
    pub gradient: Column<E>,
    pub out: usize,
    pub input: Column<E>,
    /// Columns of the input.
    pub from: usize,
    /// What is done to the input, and a `ReLU` behind.
    pub before: Option<&'a Affine>,
    /// Where the input's row for a place of the gradient begins; `None` where that lies in the padding.
    pub place: &'a (dyn Fn(usize) -> Option<usize> + Sync),
    pub places: usize,
    /// [out, from]
    pub result: Column,
}

/// Numbers of working memory for a product.
pub fn room_for(team: Team, out: usize, from: usize) -> usize {
    // Each thread has rows of the result of its own, and a copy of the other panels.
    let threads = team.threads().max(1);
    threads * (panels(out.div_ceil(threads) + TALL, TALL) + panels(from, WIDE))
}

/// `result[o][i] = sum over places p of gradient[p][o] * input[place(p)][i]`, added to what is there unless it is `reset`.
///
/// # Safety
/// The processor must have AVX2 and FMA; all must have the lengths given, the room that of [`room_for`], and the result be no
/// one else's.
pub unsafe fn sum_of_products<E: Element>(
    team: Team,
    operands: &Operands<E>,
    reset: bool,
    room: &mut [f32],
) -> Result<()> {
    let own = room.len() / team.threads().max(1);
    let room = Column::new(room.as_mut_ptr(), room.len());
    team.share(operands.out, TALL, |thread, rows| {
        // SAFETY: each thread has its own part of the room and of the result.
        unsafe { part(operands, rows, reset, room.part(&(thread * own..(thread + 1) * own))) };
    })
}

#[target_feature(enable = "avx2,fma")]
unsafe fn part<E: Element>(operands: &Operands<E>, rows: Range<usize>, reset: bool, room: &mut [f32]) {
    let Operands { gradient, out, input, from, before, place, places, result } = operands;
    let (tall, wide) = room.split_at_mut(panels(rows.len(), TALL));
    for start in (0..*places).step_by(DEPTH) {
        let depth = DEPTH.min(places - start);
        for step in 0..depth {
            let at = (start + step) * out;
            // SAFETY: within the gradient, which is only read.
            let row = unsafe { &*gradient.part(&(at + rows.start..at + rows.end)) };
            for (panel, values) in row.chunks(TALL).enumerate() {
                let target = &mut tall[(panel * DEPTH + step) * TALL..][..TALL];
                widen(values, &mut target[..values.len()]);
                target[values.len()..].fill(0.0);
            }
            // SAFETY: within the input, which is only read.
            let row = place(start + step).map(|at| unsafe { &*input.part(&(at..at + from)) });
            for panel in 0..from.div_ceil(WIDE) {
                let target = &mut wide[(panel * DEPTH + step) * WIDE..][..WIDE];
                match row {
                    Some(row) => {
                        let columns = panel * WIDE..(*from).min(panel * WIDE + WIDE);
                        let (taken, others) = target.split_at_mut(columns.len());
                        widen(&row[columns.clone()], taken);
                        others.fill(0.0);
                        if let Some(Affine { factors, offsets }) = before {
                            activate(taken, &factors[columns.clone()], &offsets[columns]);
                            if !E::EXACT {
                                round::<E, f32>(taken);
                            }
                        }
                    }
                    None => target.fill(0.0),
                }
            }
        }
        let over = reset && start == 0;
        for (right, column) in (0..*from).step_by(WIDE).enumerate() {
            for (left, row) in (0..rows.len()).step_by(TALL).enumerate() {
                // SAFETY: whole panels.
                let sums =
                    unsafe { tile(depth, tall[left * DEPTH * TALL..].as_ptr(), wide[right * DEPTH * WIDE..].as_ptr()) };
                let columns = WIDE.min(from - column);
                for (line, sums) in sums.iter().enumerate().take(rows.len() - row) {
                    let at = (rows.start + row + line) * from + column;
                    // SAFETY: this thread's part of the result.
                    unsafe { store(sums, result.part(&(at..at + columns)), over) };
                }
            }
        }
    }
}

#[inline]
fn widen<E: Element>(values: &[E], target: &mut [f32]) {
    for (target, value) in target.iter_mut().zip(values) {
        *target = value.wide();
    }
}

/// `depth` steps of the product of a panel of six columns with one of sixteen.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile(depth: usize, mut left: *const f32, mut right: *const f32) -> [[__m256; 2]; TALL] {
    let mut sums = [[_mm256_setzero_ps(); 2]; TALL];
    for _ in 0..depth {
        // SAFETY: within the panels, which have `depth` lines.
        unsafe {
            let (first, second) = (_mm256_loadu_ps(right), _mm256_loadu_ps(right.add(LANES)));
            for (line, sums) in sums.iter_mut().enumerate() {
                let factor = _mm256_broadcast_ss(&*left.add(line));
                sums[0] = _mm256_fmadd_ps(factor, first, sums[0]);
                sums[1] = _mm256_fmadd_ps(factor, second, sums[1]);
            }
            left = left.add(TALL);
            right = right.add(WIDE);
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn store(sums: &[__m256; 2], target: &mut [f32], over: bool) {
    if target.len() == WIDE {
        for (half, sums) in sums.iter().enumerate() {
            // SAFETY: sixteen numbers.
            unsafe {
                let at = target.as_mut_ptr().add(half * LANES);
                _mm256_storeu_ps(at, if over { *sums } else { _mm256_add_ps(_mm256_loadu_ps(at), *sums) });
            }
        }
        return;
    }
    let mut values = [0.0; WIDE];
    for (half, sums) in sums.iter().enumerate() {
        // SAFETY: sixteen numbers.
        unsafe { _mm256_storeu_ps(values.as_mut_ptr().add(half * LANES), *sums) };
    }
    for (target, value) in target.iter_mut().zip(values) {
        *target = if over { value } else { *target + value };
    }
}
