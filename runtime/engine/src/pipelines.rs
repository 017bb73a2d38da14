//! Compute pipelines, each made once for all sessions of a device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_compile::Program;
use bayplan_shaders::{Kernel, compile_wgsl};
use bayplan_vulkan::{BindingKind, Device, Pipeline, PipelineDesc};

use crate::error::EngineError;

/// Most pipelines that are kept for sessions to come. A model has some tens.
const MOST: usize = 4096;

/// The pipelines of a device, by kernel. A clone is the same collection.
#[derive(Clone, Default)]
pub(crate) struct Pipelines(Arc<Mutex<HashMap<Kernel, Pipeline>>>);

impl Pipelines {
    /// One pipeline for each kernel of a program, in order, none for what the host computes; those that were never made are
    /// compiled.
    pub(crate) fn of(
        &self,
        device: &Device,
        program: &Program,
    ) -> Result<Vec<Option<Pipeline>>, EngineError> {
        let made =
            |kernel: &Arc<Kernel>| (!kernel.is_host()).then(|| self.pipeline(device, kernel)).transpose();
        program.kernels.iter().map(made).collect()
    }

    /// Compiles those of these kernels that were never made.
    pub(crate) fn make(&self, device: &Device, kernels: &[Arc<Kernel>]) -> Result<(), EngineError> {
        let mut own = kernels.iter().filter(|kernel| !kernel.is_host());
        own.try_for_each(|kernel| self.pipeline(device, kernel).map(drop))
    }

    fn pipeline(&self, device: &Device, kernel: &Kernel) -> Result<Pipeline, EngineError> {
        if let Some(made) = self.known().get(kernel) {
            return Ok(made.clone());
        }
        // Not under the lock: another session need not wait for a compiler.
        let made = compile(device, kernel)?;
        let mut known = self.known();
        if known.len() >= MOST {
            // Sessions keep what they use alive.
            known.clear();
        }
        known.insert(kernel.clone(), made.clone());
        Ok(made)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Kernel, Pipeline>> {
        // Every change of the collection is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compiles a kernel.
pub(crate) fn compile(device: &Device, kernel: &Kernel) -> Result<Pipeline, EngineError> {
    let spirv = compile_wgsl(kernel)
        .map_err(|e| EngineError::Kernel { name: kernel.name.clone(), reason: e.to_string() })?;
    let mut bindings = vec![BindingKind::Storage; kernel.bindings.len()];
    bindings.extend(kernel.has_params.then_some(BindingKind::Uniform));
    let desc = PipelineDesc {
        name: &kernel.name,
        spirv: &spirv,
        entry: "main",
        bindings: &bindings,
        push_constants: 0,
        required_subgroup_size: kernel.subgroup,
    };
    Ok(device.create_pipeline(&desc)?)
}
