//! WGSL to SPIR-V, by `naga`, in process.

use core::fmt;

use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};

use crate::Kernel;

/// How much checking code the compiled kernel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// None: kernels stay inside their windows by construction.
    Production,
    /// Every index is checked and integer divisions are guarded, for tests.
    Checked,
}

/// A kernel that does not compile: a fault of the kernel, never of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The kernel's name.
    pub kernel: String,
    /// Line of the WGSL text, from 1, where known.
    pub line: Option<u32>,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}", self.kernel)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CompileError {}

/// Compiles a kernel to SPIR-V 1.3 (entry point `main`), validated.
///
/// # Errors
/// The text does not parse or does not validate; the error names the kernel and the line.
pub fn compile_wgsl(kernel: &Kernel) -> Result<Vec<u32>, CompileError> {
    compile_wgsl_as(kernel, Mode::Production)
}

/// As [`compile_wgsl`], with a choice of checks.
///
/// # Errors
/// As for [`compile_wgsl`].
pub fn compile_wgsl_as(kernel: &Kernel, mode: Mode) -> Result<Vec<u32>, CompileError> {
    let fail = |line, message: String| CompileError { kernel: kernel.name.clone(), line, message };
    let module = naga::front::wgsl::parse_str(&kernel.wgsl)
        .map_err(|e| fail(e.location(&kernel.wgsl).map(|l| l.line_number), e.message().to_owned()))?;
    let capabilities = Capabilities::SHADER_INT64 | Capabilities::FLOAT64 | Capabilities::SUBGROUP;
    let info = Validator::new(ValidationFlags::all(), capabilities).validate(&module).map_err(|e| {
        let line = e.location(&kernel.wgsl).map(|l| l.line_number);
        fail(line, causes(e.as_inner()))
    })?;
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    spv::write_vec(&module, &info, &options(mode), Some(&pipeline)).map_err(|e| fail(None, causes(&e)))
}

/// An error with everything that led to it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn options(mode: Mode) -> spv::Options<'static> {
    let policy = match mode {
        Mode::Production => BoundsCheckPolicy::Unchecked,
        Mode::Checked => BoundsCheckPolicy::ReadZeroSkipWrite,
    };
    let index = match mode {
        Mode::Production => BoundsCheckPolicy::Unchecked,
        Mode::Checked => BoundsCheckPolicy::Restrict,
    };
    spv::Options {
        lang_version: (1, 3),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index,
            buffer: policy,
            image_load: policy,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: mode == Mode::Checked,
        ..spv::Options::default()
    }
}
