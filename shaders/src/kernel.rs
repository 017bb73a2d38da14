//! What a launch consists of.

use core::fmt;

use crate::{Target, lanes};

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only reads.
    Read,
    /// Only writes.
    Write,
    /// Reads and writes (an operand overwritten in place).
    ReadWrite,
}

/// Which tensor of the [`crate::Spec`] a binding takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The spec's operand with that number (see the spec's documentation for their order).
    Operand(u32),
    /// The spec's result.
    Output,
}

/// One storage binding: binding `i` of group 0 is the `i`-th of a kernel's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The tensor.
    pub slot: Slot,
    /// How it is used. In place, the output's binding is `ReadWrite` and the operand has none of its own.
    pub access: Access,
}

/// A compute kernel. Kernels that compare equal are one pipeline.
///
/// Storage bindings come first, in order, then one uniform binding with the parameters if `has_params`. Every window is
/// bound with its length rounded up to 16 bytes, so that kernels may read and write whole `vec4`s past the last element;
/// buffers are laid out with that room.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Row of the table and variant, for people: `matmul.cpu.16x4`.
    pub name: String,
    /// The source, with entry point `main`.
    pub wgsl: String,
    /// Invocations per workgroup.
    pub workgroup: [u32; 3],
    /// Storage bindings.
    pub bindings: Vec<Binding>,
    /// Whether a uniform binding with parameters follows.
    pub has_params: bool,
    /// The subgroup size that the text was written for, if it has subgroup operations: its pipeline must have exactly that one.
    pub subgroup: Option<u32>,
}

impl Kernel {
    /// Whether it is none for a device: the host computes it, in a pause ([`crate::Spec::Host`]).
    pub fn is_host(&self) -> bool {
        self.wgsl.is_empty()
    }

    /// Whether the kernel may run on a device, as far as its lanes are concerned: a text with subgroup operations says for how many
    /// lanes it is, the device has exactly as many, and a workgroup is one subgroup.
    ///
    /// # Errors
    /// It is not so: results would differ from device to device. The refusal says which.
    pub fn suits(&self, target: &Target) -> Result<(), Refusal> {
        let invocations = self.workgroup.iter().map(|&n| u64::from(n)).product();
        lanes::check(&self.wgsl, self.subgroup, invocations, target)
            .map_err(|e| Refusal { what: format!("{} {}", e.what, self.name), ..e })
    }
}

/// A kernel with what one dispatch of it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// Contents of the uniform binding, in 32-bit words; a multiple of 4 words.
    pub params: Vec<u32>,
    /// Workgroups in each dimension.
    pub grid: [u32; 3],
    /// Arithmetic operations (a multiply-add is two), for reports.
    pub flops: u64,
}

/// No kernel can do this on that target: what, and which limit or ability is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub what: String,
    /// Why it cannot be had.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

impl std::error::Error for Refusal {}
