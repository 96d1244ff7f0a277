//! The inputs and outputs that a model declares. The training API tells their names only, so types and shapes are read
//! from the model itself: a walk over `input` and `output` of `ModelProto.graph`, past everything else (weights
//! included), by the field numbers of `onnx.proto`.

use std::io::{BufRead, Read, Seek};

/// One dimension: a number, a name that stands for the same number wherever it occurs, or anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    Fixed(i64),
    Named(String),
    Any,
}

#[derive(Clone, Debug)]
pub struct DeclaredTensor {
    pub name: String,
    /// Number of `TensorProto.DataType`.
    pub element: i64,
    /// `None` where the model leaves even the rank open.
    pub dims: Option<Vec<Dimension>>,
}

/// Parameters and gradients included.
#[derive(Default)]
pub struct Declared {
    pub inputs: Vec<DeclaredTensor>,
    pub outputs: Vec<DeclaredTensor>,
}

/// The only way to fail is a file that is no model; who asks knows which.
type Walk<T> = Result<T, ()>;

/// Wire types of protobuf that ONNX files use.
enum Field {
    Varint(u64),
    /// Length-delimited: the number of bytes that follow.
    Bytes(u64),
    Fixed(u64),
}

fn varint(reader: &mut impl Read) -> Walk<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        reader.read_exact(&mut byte).map_err(drop)?;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(())
}

fn field(reader: &mut impl Read) -> Walk<(u64, Field)> {
    let tag = varint(reader)?;
    let field = match tag & 7 {
        0 => Field::Varint(varint(reader)?),
        1 => Field::Fixed(8),
        2 => Field::Bytes(varint(reader)?),
        5 => Field::Fixed(4),
        _ => return Err(()),
    };
    Ok((tag >> 3, field))
}

fn skip(reader: &mut impl Seek, field: &Field) -> Walk<()> {
    let (Field::Bytes(length) | Field::Fixed(length)) = field else { return Ok(()) };
    reader.seek_relative(i64::try_from(*length).map_err(drop)?).map_err(drop)
}

pub fn read_model<R: BufRead + Seek>(mut reader: R) -> Walk<Declared> {
    let mut declared = Declared::default();
    while !reader.fill_buf().map_err(drop)?.is_empty() {
        match field(&mut reader)? {
            (7, Field::Bytes(length)) => read_graph(&mut reader, length, &mut declared)?,
            (_, other) => skip(&mut reader, &other)?,
        }
    }
    Ok(declared)
}

fn read_graph<R: BufRead + Seek>(reader: &mut R, length: u64, declared: &mut Declared) -> Walk<()> {
    let end = reader.stream_position().map_err(drop)?.saturating_add(length);
    while reader.stream_position().map_err(drop)? < end {
        match field(reader)? {
            (number @ (11 | 12), Field::Bytes(length)) => {
                let mut message = Vec::new();
                reader.by_ref().take(length).read_to_end(&mut message).map_err(drop)?;
                let side = if number == 11 { &mut declared.inputs } else { &mut declared.outputs };
                side.extend(read_value_info(&message)?);
            }
            (_, other) => skip(reader, &other)?,
        }
    }
    Ok(())
}

/// The fields of a message that lies in memory, in order; only varints and byte strings are given out.
fn fields(mut message: &[u8], mut visit: impl FnMut(u64, u64, &[u8]) -> Walk<()>) -> Walk<()> {
    while !message.is_empty() {
        match field(&mut message)? {
            (number, Field::Varint(value)) => visit(number, value, &[])?,
            (number, Field::Bytes(length)) => {
                let (bytes, rest) = message.split_at_checked(usize::try_from(length).map_err(drop)?).ok_or(())?;
                visit(number, 0, bytes)?;
                message = rest;
            }
            (_, Field::Fixed(length)) => {
                message = message.get(usize::try_from(length).map_err(drop)?..).ok_or(())?;
            }
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `ValueInfoProto { name = 1; type = 2 }`, `TypeProto { tensor_type = 1 }`, `Tensor { elem_type = 1; shape = 2 }`.
/// Nothing for what is no tensor.
fn read_value_info(message: &[u8]) -> Walk<Option<DeclaredTensor>> {
    let (mut name, mut tensor) = (String::new(), None);
    fields(message, |number, _, bytes| {
        match number {
            1 => name = text(bytes),
            2 => fields(bytes, |number, _, bytes| {
                if number == 1 {
                    tensor = Some(bytes.to_vec());
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    let Some(tensor) = tensor else { return Ok(None) };
    let (mut element, mut dims) = (0, None);
    fields(&tensor, |number, value, bytes| {
        match number {
            1 => element = i64::try_from(value).map_err(drop)?,
            2 => dims = Some(read_shape(bytes)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Some(DeclaredTensor { name, element, dims }))
}

/// `TensorShapeProto { dim = 1 }`, `Dimension { dim_value = 1; dim_param = 2 }`.
fn read_shape(message: &[u8]) -> Walk<Vec<Dimension>> {
    let mut dims = Vec::new();
    fields(message, |number, _, bytes| {
        if number == 1 {
            let mut dim = Dimension::Any;
            fields(bytes, |number, value, bytes| {
                match number {
                    1 => dim = Dimension::Fixed(i64::try_from(value).map_err(drop)?),
                    2 if !bytes.is_empty() => dim = Dimension::Named(text(bytes)),
                    _ => {}
                }
                Ok(())
            })?;
            dims.push(dim);
        }
        Ok(())
    })?;
    Ok(dims)
}
