//! Maps for primitives that do not take their elements: float32 copies, of a few pictures at a time, which stay in a cache.

use super::channels::{add, copy};
use super::element::Element;
use crate::error::Result;
use crate::onednn::{Convolution, Team, offered};

/// Numbers of the copies of a convolution's input and output, together.
const HELD: usize = 1 << 21;

/// What oneDNN has to take bfloat16 maps as they are, on processors with instructions for it. `None` elsewhere, and for
/// float32.
pub fn as_they_are<E: Element, T>(
    shapes: &Convolution,
    make: impl FnOnce(Convolution) -> Result<T>,
) -> Result<Option<T>> {
    if E::EXACT { Ok(None) } else { offered(make(*shapes)) }
}

/// The same convolution of so many pictures that their copies are not too large, and that all come in equal parts; of all,
/// where no copies are needed.
pub fn portion<E: Element>(shapes: &Convolution) -> Convolution {
    let [batch, ..] = shapes.input;
    if E::EXACT {
        return *shapes;
    }
    let all: usize = numbers(shapes).iter().sum();
    let fits = |pictures: usize| batch.is_multiple_of(pictures) && all / batch * pictures <= HELD;
    let pictures = (1..=batch).rev().find(|&pictures| fits(pictures)).unwrap_or(1);
    let with = |[_, height, width, channels]: [usize; 4]| [pictures, height, width, channels];
    Convolution { input: with(shapes.input), output: with(shapes.output), ..*shapes }
}

/// Numbers of the input and of the output.
pub fn numbers(shapes: &Convolution) -> [usize; 2] {
    [shapes.input, shapes.output].map(|dims| dims.iter().product())
}

/// Runs `work`, from one copy to the other, on so many portions; the addend is added to what it gives.
///
/// # Safety
/// `source` and `target` must have so many times the numbers of their copies, the addend those of the target, which it may be;
/// the target must be no one else's.
pub unsafe fn each_portion<E: Element>(
    team: Team,
    portions: usize,
    (source, from): (*mut E, &mut [f32]),
    (target, to): (*mut E, &mut [f32]),
    addend: Option<*mut E>,
    mut work: impl FnMut(*mut f32, *mut f32) -> Result<()>,
) -> Result<()> {
    for portion in 0..portions {
        // SAFETY: as promised by the caller.
        unsafe {
            copy(team, from.len(), source.add(portion * from.len()), from.as_mut_ptr())?;
            work(from.as_mut_ptr(), to.as_mut_ptr())?;
            let start = portion * to.len();
            match addend {
                Some(addend) => add(team, to.len(), to.as_mut_ptr(), addend.add(start), target.add(start))?,
                None => copy(team, to.len(), to.as_mut_ptr(), target.add(start))?,
            }
        }
    }
    Ok(())
}
