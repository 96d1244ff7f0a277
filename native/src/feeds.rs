//! Checks what is fed to a step against what the model declares: names, element types, ranks, dimensions.

use std::collections::HashMap;

use crate::error::{Failure, Result};
use crate::model_io::{DeclaredTensor, Dimension};
use crate::tensor::{ElementType, OwnedTensor, TensorIn, shape, unsupported};

/// The fed tensors in the order of `inputs`. `step` names the call in errors.
pub fn check_feeds(
    step: &str,
    inputs: &[DeclaredTensor],
    mut feeds: HashMap<String, TensorIn>,
) -> Result<Vec<OwnedTensor>> {
    let names = || inputs.iter().map(|input| format!("'{}'", input.name)).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = feeds.keys().find(|name| inputs.iter().all(|input| input.name != **name)) {
        let message = format!("{step} has no input '{unknown}'; its inputs are {}", names());
        return Err(Failure::new("UNKNOWN_INPUT", message));
    }
    let mut sizes = HashMap::new();
    inputs
        .iter()
        .map(|input| {
            let tensor = feeds.remove(&input.name).ok_or_else(|| {
                let message = format!("{step} lacks the input '{}'; its inputs are {}", input.name, names());
                Failure::new("MISSING_INPUT", message)
            })?;
            let what = format!("{step} input '{}'", input.name);
            let owned = OwnedTensor::from_js(&what, tensor)?;
            check_type(&what, input, owned.element)?;
            check_shape(&what, input, &owned.dims, &mut sizes)?;
            Ok(owned)
        })
        .collect()
}

fn check_type(what: &str, input: &DeclaredTensor, given: ElementType) -> Result<()> {
    let expected = ElementType::from_onnx(input.element).ok_or_else(|| unsupported(what, input.element))?;
    if expected == given {
        return Ok(());
    }
    let message = format!("{what} must have type {}, but has {}", expected.name(), given.name());
    Err(Failure::new("INPUT_TYPE", message))
}

/// `sizes` holds what the named dimensions stand for in this call, and which input said so.
fn check_shape<'a>(
    what: &str,
    input: &'a DeclaredTensor,
    given: &[i64],
    sizes: &mut HashMap<&'a str, (i64, &'a str)>,
) -> Result<()> {
    let Some(expected) = &input.dims else { return Ok(()) };
    let mismatch = |detail: &str| {
        let message = format!("{what} must have dimensions {}, but has {}{detail}", declared(expected), shape(given));
        Err(Failure::new("INPUT_SHAPE", message))
    };
    if expected.len() != given.len() {
        return mismatch("");
    }
    for (dimension, &size) in expected.iter().zip(given) {
        match dimension {
            Dimension::Fixed(fixed) if *fixed != size => return mismatch(""),
            Dimension::Named(name) => {
                let (known, place) = *sizes.entry(name).or_insert((size, &input.name));
                if known != size {
                    return mismatch(&format!(": '{name}' is {known} in input '{place}' and {size} here"));
                }
                if size == 0 {
                    return mismatch(&format!(": '{name}' must be at least 1"));
                }
            }
            Dimension::Fixed(_) | Dimension::Any => {}
        }
    }
    Ok(())
}

/// `[batch,224,224,3]`
fn declared(dims: &[Dimension]) -> String {
    let texts: Vec<String> = dims
        .iter()
        .map(|dim| match dim {
            Dimension::Fixed(size) => size.to_string(),
            Dimension::Named(name) => name.clone(),
            Dimension::Any => "?".into(),
        })
        .collect();
    format!("[{}]", texts.join(","))
}
