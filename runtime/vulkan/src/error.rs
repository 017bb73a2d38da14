//! What can go wrong, told so that a person knows what to do.

use std::fmt;

use ash::vk;
use bayplan_text::{Bytes, escape};

use crate::require::Missing;

/// An error of this crate. Its text says what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The Vulkan loader library is not installed.
    NoLoader {
        /// What the system said.
        detail: String,
    },
    /// The loader found no driver.
    NoDriver,
    /// The loader is older than Vulkan 1.1.
    OldLoader,
    /// A layer that was asked for is not installed.
    MissingLayer {
        /// Name of the layer.
        layer: &'static str,
    },
    /// The device lacks something that is needed.
    Missing {
        /// Name of the device.
        device: String,
        /// What it lacks.
        missing: Vec<Missing>,
    },
    /// The device that was described is not there any more.
    DeviceGone {
        /// Name of the device.
        device: String,
    },
    /// The device has no memory for an allocation.
    OutOfDeviceMemory {
        /// What the memory was for.
        name: String,
        /// Bytes asked for.
        bytes: u64,
        /// Bytes of the heap that are free as far as the driver tells, where it does.
        available: Option<u64>,
        /// Size of the heap.
        heap: u64,
    },
    /// The host has no memory for an object.
    OutOfHostMemory {
        /// What was being made.
        name: String,
    },
    /// Something exceeds a limit of the device.
    ExceedsLimit {
        /// What exceeds it.
        name: String,
        /// The limit's name in Vulkan.
        limit: &'static str,
        /// The value asked for.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// No memory type can hold the buffer.
    NoMemoryType {
        /// The buffer.
        name: String,
    },
    /// A file does not become memory of the device.
    NoImport {
        /// The buffer.
        name: String,
        /// Why.
        why: String,
    },
    /// The host accessed a buffer that it cannot see.
    NotMapped {
        /// The buffer.
        name: String,
    },
    /// The host accessed a buffer that a submission in progress uses.
    BufferInUse {
        /// The buffer.
        name: String,
    },
    /// An access reaches past its buffer or pool.
    OutOfBounds {
        /// The buffer or pool.
        name: String,
        /// First byte or element.
        offset: u64,
        /// Bytes or elements.
        len: u64,
        /// Size of the buffer or pool.
        size: u64,
    },
    /// An offset or length is not a multiple of what Vulkan demands.
    Misaligned {
        /// The buffer.
        name: String,
        /// The offset or length.
        value: u64,
        /// What it must be a multiple of.
        alignment: u64,
    },
    /// A window or a copy of no bytes, or a copy onto itself.
    InvalidRange {
        /// The buffer.
        name: String,
        /// What is wrong with the range.
        why: &'static str,
    },
    /// A dispatch binds more or fewer windows, or pushes more or fewer bytes, than its pipeline takes.
    Bindings {
        /// The pipeline.
        pipeline: String,
        /// What is counted.
        what: &'static str,
        /// The number that the pipeline takes.
        expected: usize,
        /// The number given.
        given: usize,
    },
    /// A pipeline's code cannot be SPIR-V, or its description is wrong.
    InvalidPipeline {
        /// The pipeline.
        pipeline: String,
        /// What is wrong.
        why: String,
    },
    /// The device's compute queue writes no timestamps.
    NoTimestamps {
        /// Name of the device.
        device: String,
    },
    /// An object of one device was given to another.
    ForeignObject {
        /// The object.
        name: String,
    },
    /// The device stopped answering: what it held is lost.
    DeviceLost,
    /// Any other failure of a Vulkan call.
    Vulkan {
        /// The call.
        call: &'static str,
        /// Vulkan's result.
        result: String,
    },
}

impl Error {
    /// The error for a failed `call` that made, or worked on, nothing with a name.
    pub(crate) fn call(call: &'static str, result: vk::Result) -> Error {
        match result {
            vk::Result::ERROR_DEVICE_LOST => Error::DeviceLost,
            vk::Result::ERROR_OUT_OF_HOST_MEMORY => Error::OutOfHostMemory { name: call.to_owned() },
            other => Error::Vulkan { call, result: format!("{other:?}") },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoLoader { detail } => write!(
                f,
                "the Vulkan loader was not found ({}); install it (on Debian: apt-get install libvulkan1 \
                 mesa-vulkan-drivers)",
                escape(detail)
            ),
            Error::NoDriver => f.write_str(
                "no Vulkan driver; install one (on Debian: apt-get install mesa-vulkan-drivers), or correct \
                 VK_DRIVER_FILES or VK_ICD_FILENAMES where one is set",
            ),
            Error::OldLoader => f.write_str("the Vulkan loader is older than 1.1; install a newer libvulkan"),
            Error::MissingLayer { layer } => write!(
                f,
                "the layer {layer} is not installed; install it (on Debian: apt-get install \
                 vulkan-validationlayers) or run without validation"
            ),
            Error::Missing { device, missing } => {
                write!(f, "the device {} lacks ", escape(device))?;
                for (i, missing) in missing.iter().enumerate() {
                    write!(f, "{}{missing}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("; choose another device or update its driver")
            }
            Error::DeviceGone { device } => {
                write!(f, "the device {} is not there any more; list the devices again", escape(device))
            }
            Error::OutOfDeviceMemory { name, bytes, available, heap } => {
                write!(f, "no device memory for {}: {} asked for, ", escape(name), Bytes(*bytes))?;
                let heap = Bytes(*heap);
                match available {
                    Some(available) => write!(f, "{} of {heap} available", Bytes(*available))?,
                    None => write!(f, "the heap has {heap}")?,
                }
                f.write_str("; free memory on the device or use smaller shapes")
            }
            Error::OutOfHostMemory { name } => {
                write!(f, "no host memory for {}; free memory and try again", escape(name))
            }
            Error::ExceedsLimit { name, limit, value, max } => {
                write!(f, "{} exceeds the device's {limit}: {value} of at most {max}", escape(name))
            }
            Error::NoMemoryType { name } => {
                write!(f, "the device has no memory type for {}; choose another device", escape(name))
            }
            Error::NoImport { name, why } => {
                write!(f, "{} is not imported: {}; read it into the device's memory", escape(name), escape(why))
            }
            Error::NotMapped { name } => {
                write!(f, "the host cannot see {}; copy through an upload or readback buffer", escape(name))
            }
            Error::BufferInUse { name } => {
                write!(f, "{} is used by a submission in progress; wait for it first", escape(name))
            }
            Error::OutOfBounds { name, offset, len, size } => {
                write!(f, "{len} at {offset} reach past {}, which ends at {size}", escape(name))
            }
            Error::Misaligned { name, value, alignment } => {
                write!(f, "{value} in {} is not a multiple of {alignment}", escape(name))
            }
            Error::InvalidRange { name, why } => write!(f, "{}: {why}", escape(name)),
            Error::Bindings { pipeline, what, expected, given } => {
                write!(f, "the pipeline {} takes {expected} {what}, not {given}", escape(pipeline))
            }
            Error::InvalidPipeline { pipeline, why } => {
                write!(f, "the pipeline {} is wrong: {}", escape(pipeline), escape(why))
            }
            Error::NoTimestamps { device } => {
                write!(f, "the device {} writes no timestamps; run without op times", escape(device))
            }
            Error::ForeignObject { name } => {
                write!(f, "{} belongs to another device; make it again on this one", escape(name))
            }
            Error::DeviceLost => f.write_str(
                "the device was lost: it reset or its driver failed; what it held is gone, so make a new session",
            ),
            Error::Vulkan { call, result } => write!(
                f,
                "{call} failed with {result}; this is a fault of the driver or of this program: update the driver, or \
                 run with validation to see which"
            ),
        }
    }
}

impl std::error::Error for Error {}
