//! The inputs and outputs of a step, bound once: steps of the same shapes use the same memory and the same values.

use std::ptr;

use ort_sys::{OrtMemType, OrtMemoryInfo, OrtValue};

use crate::cuda::{Cuda, DeviceMemory};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::tensor::{ElementType, OwnedTensor, Value};

/// The GPU on which a session's larger inputs lie.
pub struct Gpu {
    cuda: &'static Cuda,
    device: i32,
    runtime: &'static Runtime,
    info: *mut OrtMemoryInfo,
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: made by CreateMemoryInfo and released once; values keep a copy of their own.
        unsafe { (self.runtime.ort.ReleaseMemoryInfo)(self.info) };
    }
}

impl Gpu {
    pub fn new(runtime: &'static Runtime, cuda: &'static Cuda, device: i32) -> Result<Self> {
        let mut info = ptr::null_mut();
        let allocator = ort_sys::OrtAllocatorType::OrtDeviceAllocator;
        // SAFETY: a NUL-terminated name and an out-pointer.
        let status = unsafe {
            let default = OrtMemType::OrtMemTypeDefault;
            (runtime.ort.CreateMemoryInfo)(c"Cuda".as_ptr(), allocator, device, default, &raw mut info)
        };
        runtime.check("describe GPU memory", status)?;
        Ok(Self { cuda, device, runtime, info })
    }
}

/// Memory that a bound input lies in.
enum Memory {
    Host(OwnedTensor),
    Device(DeviceMemory),
}

impl Memory {
    /// Labels, flags and rates are small, and some kernels want them on the CPU: below rank 2 the library moves them
    /// itself. `device` makes memory of so many bytes.
    fn place(feed: OwnedTensor, device: impl FnOnce(usize) -> Option<Result<DeviceMemory>>) -> Result<Self> {
        let bytes = feed.as_bytes().len();
        let large = feed.dims.len() >= 2 && bytes > 0;
        match large.then(|| device(bytes)).flatten() {
            None => Ok(Self::Host(feed)),
            Some(memory) => {
                let memory = memory?;
                memory.upload(feed.as_bytes())?;
                Ok(Self::Device(memory))
            }
        }
    }

    fn fill(&mut self, feed: &OwnedTensor) -> Result<()> {
        match self {
            Self::Host(tensor) => {
                tensor.as_bytes_mut().copy_from_slice(feed.as_bytes());
                Ok(())
            }
            Self::Device(memory) => memory.upload(feed.as_bytes()),
        }
    }
}

struct Input {
    element: ElementType,
    dims: Vec<i64>,
    /// Before the memory that it lies over, so that it is dropped first.
    value: Value<'static>,
    memory: Memory,
}

impl Input {
    fn new(runtime: &'static Runtime, gpu: Option<&Gpu>, feed: OwnedTensor) -> Result<Self> {
        let (element, dims) = (feed.element, feed.dims.clone());
        let allocate = |bytes| gpu.map(|gpu| DeviceMemory::allocate(gpu.cuda, gpu.device, bytes));
        let mut memory = Memory::place(feed, allocate)?;
        let value = match (&mut memory, gpu) {
            // SAFETY: the memory is the input's own, does not move, and goes after the value.
            (Memory::Host(tensor), _) => unsafe { tensor.as_lasting_value(runtime)? },
            (Memory::Device(memory), gpu) => {
                let info = gpu.map_or(runtime.cpu, |gpu| gpu.info);
                // SAFETY: as above; `place` allocated it with `gpu`, which `info` describes.
                unsafe { Value::over(runtime, info, memory.pointer(), memory.bytes(), element, &dims)? }
            }
        };
        Ok(Self { element, dims, value, memory })
    }
}

/// Inputs and outputs of steps whose inputs have the same shapes.
pub struct Binding {
    inputs: Vec<Input>,
    /// From the first step on; `None` where an output's shape may change from step to step.
    outputs: Vec<Option<Value<'static>>>,
}

impl Binding {
    /// Binds the feeds themselves, or copies of them on the GPU. `outputs` is the number of outputs.
    pub fn new(runtime: &'static Runtime, gpu: Option<&Gpu>, feeds: Vec<OwnedTensor>, outputs: usize) -> Result<Self> {
        let inputs = feeds.into_iter().map(|feed| Input::new(runtime, gpu, feed)).collect::<Result<_>>()?;
        Ok(Self { inputs, outputs: std::iter::repeat_with(|| None).take(outputs).collect() })
    }

    pub fn fits(&self, feeds: &[OwnedTensor]) -> bool {
        let same = |(input, feed): (&Input, &OwnedTensor)| input.element == feed.element && input.dims == feed.dims;
        self.inputs.len() == feeds.len() && self.inputs.iter().zip(feeds).all(same)
    }

    /// Copies feeds that fit into the inputs' memory.
    pub fn feed(&mut self, feeds: &[OwnedTensor]) -> Result<()> {
        self.inputs.iter_mut().zip(feeds).try_for_each(|(input, feed)| input.memory.fill(feed))
    }

    pub fn inputs(&self) -> Vec<*const OrtValue> {
        self.inputs.iter().map(|input| input.value.raw.cast_const()).collect()
    }

    /// Null where ONNX Runtime is to allocate the output.
    pub fn outputs(&self) -> Vec<*mut OrtValue> {
        self.outputs.iter().map(|value| value.as_ref().map_or(ptr::null_mut(), |value| value.raw)).collect()
    }

    /// Owns the outputs of a step that was given `outputs()`, of which it filled in those that were null.
    pub fn keep_outputs(&mut self, runtime: &'static Runtime, filled: Vec<*mut OrtValue>) {
        for (output, raw) in self.outputs.iter_mut().zip(filled) {
            output.get_or_insert_with(|| Value::new(runtime, raw));
        }
    }

    /// Reads the outputs, and lets go of those that are not `lasting`.
    pub fn read_outputs(&mut self, names: &[String], lasting: &[bool]) -> Result<Vec<OwnedTensor>> {
        let read = |((output, name), lasting): ((&mut Option<Value<'static>>, &String), &bool)| {
            let tensor = output.as_ref().map(|value| value.read(&format!("output '{name}'")));
            if !lasting {
                *output = None;
            }
            tensor
        };
        self.outputs.iter_mut().zip(names).zip(lasting).filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::cuda::{DeviceMemory, fake};
    use crate::error::Result;
    use crate::tensor::{ElementType, OwnedTensor};

    #[allow(clippy::unnecessary_wraps)] // As `place` takes it.
    fn on_gpu(bytes: usize) -> Option<Result<DeviceMemory>> {
        Some(DeviceMemory::allocate(&fake::CUDA, 0, bytes))
    }

    fn tensor(dims: &[i64], fill: u8) -> OwnedTensor {
        let Ok(mut tensor) = OwnedTensor::zeros(ElementType::Uint8, dims.to_vec()) else { panic!("refused") };
        tensor.as_bytes_mut().fill(fill);
        tensor
    }

    #[test]
    fn pictures_lie_on_the_gpu_for_as_long_as_they_are_bound() {
        let Ok(mut memory) = Memory::place(tensor(&[2, 3], 1), on_gpu) else { panic!("refused") };
        assert_eq!(fake::blocks(), [(0, vec![1; 6])]);
        assert!(memory.fill(&tensor(&[2, 3], 9)).is_ok());
        assert_eq!(fake::blocks(), [(0, vec![9; 6])]);
        drop(memory);
        assert_eq!(fake::blocks(), []);
    }

    #[test]
    fn labels_and_rates_and_what_is_empty_stay_on_the_host() {
        for dims in [&[][..], &[4], &[0, 3]] {
            assert!(matches!(Memory::place(tensor(dims, 1), on_gpu), Ok(Memory::Host(_))));
        }
        assert!(matches!(Memory::place(tensor(&[2, 3], 1), |_| None), Ok(Memory::Host(_))));
        assert_eq!(fake::blocks(), []);
    }

    #[test]
    fn a_gpu_without_room_is_an_error_and_leaves_nothing() {
        assert!(Memory::place(tensor(&[2, 1 << 20], 1), on_gpu).is_err());
        assert_eq!(fake::blocks(), []);
    }
}
