//! Compute pipelines.

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ash::vk;

use crate::decide::{SubgroupSize, subgroup_size};
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::info::DeviceInfo;
use crate::require::Missing;

/// What a binding of a pipeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindingKind {
    /// A storage buffer.
    Storage,
    /// A uniform buffer.
    Uniform,
}

impl BindingKind {
    pub(crate) fn descriptor_type(self) -> vk::DescriptorType {
        match self {
            BindingKind::Storage => vk::DescriptorType::STORAGE_BUFFER,
            BindingKind::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
        }
    }
}

/// Describes a pipeline. The bindings are those of descriptor set 0, binding `i` at place `i`.
///
/// The code is trusted: it must be valid SPIR-V for the device's features, as a checked compiler makes it. Drivers do not
/// check it.
#[derive(Clone, Copy, Debug)]
pub struct PipelineDesc<'a> {
    /// Name for people and tools.
    pub name: &'a str,
    /// SPIR-V words.
    pub spirv: &'a [u32],
    /// Name of the entry point.
    pub entry: &'a str,
    /// What each binding is.
    pub bindings: &'a [BindingKind],
    /// Bytes of push constants; a multiple of 4.
    pub push_constants: u32,
    /// Lanes per subgroup that the code was written for.
    pub required_subgroup_size: Option<u32>,
}

/// A compute pipeline. Recorded commands keep what they use alive, so it may be dropped any time. A clone is the same
/// pipeline.
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) shared: Arc<PipelineShared>,
}

pub(crate) struct PipelineShared {
    pub(crate) device: Arc<DeviceShared>,
    pub(crate) raw: vk::Pipeline,
    pub(crate) layout: vk::PipelineLayout,
    pub(crate) set_layout: vk::DescriptorSetLayout,
    pub(crate) bindings: Vec<BindingKind>,
    pub(crate) push_constants: u32,
    pub(crate) name: String,
    pub(crate) id: u64,
}

impl Device {
    /// Makes a pipeline. Some drivers compile here, some at the first dispatch.
    ///
    /// # Errors
    /// [`Error::InvalidPipeline`], [`Error::ExceedsLimit`], [`Error::Missing`] where the device cannot run subgroups of
    /// the required size, or a failed call.
    pub fn create_pipeline(&self, desc: &PipelineDesc<'_>) -> Result<Pipeline, Error> {
        check(&self.shared.info, desc)?;
        let mut shared = PipelineShared {
            device: Arc::clone(&self.shared),
            raw: vk::Pipeline::null(),
            layout: vk::PipelineLayout::null(),
            set_layout: vk::DescriptorSetLayout::null(),
            bindings: desc.bindings.to_vec(),
            push_constants: desc.push_constants,
            name: desc.name.to_owned(),
            id: self.shared.add_object("pipeline", desc.name),
        };
        // From here an error drops `shared`, which destroys what was made.
        shared.set_layout = shared.create_set_layout()?;
        shared.layout = shared.create_layout()?;
        shared.raw = shared.create_pipeline(desc)?;
        self.shared.set_name(shared.raw, desc.name);
        Ok(Pipeline { shared: Arc::new(shared) })
    }
}

impl Pipeline {
    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }
}

impl PipelineShared {
    fn create_set_layout(&self) -> Result<vk::DescriptorSetLayout, Error> {
        let bindings: Vec<_> = (0..)
            .zip(&self.bindings)
            .map(|(i, kind)| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(i)
                    .descriptor_type(kind.descriptor_type())
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: bindings have distinct numbers (VUID-VkDescriptorSetLayoutCreateInfo-binding-00279).
        unsafe { self.device.raw.create_descriptor_set_layout(&info, None) }
            .map_err(|e| Error::call("vkCreateDescriptorSetLayout", e))
    }

    fn create_layout(&self) -> Result<vk::PipelineLayout, Error> {
        let sets = [self.set_layout];
        let push = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(self.push_constants)];
        let mut info = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        if self.push_constants > 0 {
            info = info.push_constant_ranges(&push);
        }
        // SAFETY: the set layout is of this device; binding counts and push constants are within limits
        // (VUID-VkPipelineLayoutCreateInfo-descriptorType-03018, VUID-VkPushConstantRange-size-00298).
        unsafe { self.device.raw.create_pipeline_layout(&info, None) }
            .map_err(|e| Error::call("vkCreatePipelineLayout", e))
    }

    fn create_pipeline(&self, desc: &PipelineDesc<'_>) -> Result<vk::Pipeline, Error> {
        let device = &self.device;
        let invalid = |why: &str| Error::InvalidPipeline { pipeline: self.name.clone(), why: why.into() };
        let entry = CString::new(desc.entry).map_err(|_| invalid("its entry point has a NUL in its name"))?;
        let info = vk::ShaderModuleCreateInfo::default().code(desc.spirv);
        // SAFETY: the code has a SPIR-V header, and its maker answers for the rest
        // (VUID-VkShaderModuleCreateInfo-pCode-08737).
        let module = unsafe { device.raw.create_shader_module(&info, None) }
            .map_err(|e| Error::call("vkCreateShaderModule", e))?;
        let mut size = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default();
        let mut stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&entry);
        let required = desc
            .required_subgroup_size
            .filter(|&lanes| subgroup_size(&device.info, lanes) == Some(SubgroupSize::Required));
        if let Some(lanes) = required {
            size = size.required_subgroup_size(lanes);
            stage = stage.push_next(&mut size);
        }
        let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(self.layout);
        // SAFETY: module, layout and cache are of this device; a required subgroup size is one that it offers to
        // compute (VUID-VkPipelineShaderStageCreateInfo-pNext-02754, -pNext-02755).
        let made = unsafe { device.raw.create_compute_pipelines(device.cache, &[info], None) };
        // SAFETY: pipelines do not need their modules once made (VUID-vkDestroyShaderModule-shaderModule-01092).
        unsafe { device.raw.destroy_shader_module(module, None) };
        match made {
            Ok(pipelines) => {
                device.pipelines.fetch_add(pipelines.len() as u64, Ordering::Relaxed);
                pipelines.first().copied().ok_or_else(|| invalid("the driver made none"))
            }
            Err((_, vk::Result::ERROR_INVALID_SHADER_NV)) => Err(invalid("the driver refused its code")),
            Err((_, e)) => Err(Error::call("vkCreateComputePipelines", e)),
        }
    }
}

impl Drop for PipelineShared {
    fn drop(&mut self) {
        // SAFETY: recorded commands hold an Arc of this value and wait for their submissions before they let go; null
        // handles are ignored (VUID-vkDestroyPipeline-pipeline-00765).
        unsafe {
            self.device.raw.destroy_pipeline(self.raw, None);
            self.device.raw.destroy_pipeline_layout(self.layout, None);
            self.device.raw.destroy_descriptor_set_layout(self.set_layout, None);
        }
        self.device.remove_object(self.id);
    }
}

/// Checks a description against the device, as far as that can be done without reading the code.
fn check(info: &DeviceInfo, desc: &PipelineDesc<'_>) -> Result<(), Error> {
    const MAGIC: u32 = 0x0723_0203; // SPIR-V specification, 2.3
    let invalid = |why: &str| Err(Error::InvalidPipeline { pipeline: desc.name.to_owned(), why: why.into() });
    if desc.spirv.len() < 5 || desc.spirv[0] != MAGIC {
        return invalid("its code has no SPIR-V header");
    }
    if !desc.push_constants.is_multiple_of(4) {
        return invalid("its push constants are not a multiple of 4 bytes");
    }
    let count = |kind| desc.bindings.iter().filter(|&&b| b == kind).count() as u64;
    let limits = [
        (
            "maxPerStageDescriptorStorageBuffers",
            count(BindingKind::Storage),
            info.limits.max_per_stage_storage_buffers,
        ),
        (
            "maxPerStageDescriptorUniformBuffers",
            count(BindingKind::Uniform),
            info.limits.max_per_stage_uniform_buffers,
        ),
        ("maxPushConstantsSize", desc.push_constants.into(), info.limits.max_push_constants_size),
    ];
    for (limit, value, max) in limits {
        let max = u64::from(max);
        if value > max {
            return Err(Error::ExceedsLimit { name: desc.name.to_owned(), limit, value, max });
        }
    }
    match desc.required_subgroup_size {
        Some(needed) if subgroup_size(info, needed).is_none() => {
            let (min, max) = (info.subgroup.min_size, info.subgroup.max_size);
            let missing = vec![Missing::SubgroupSize { needed, min, max }];
            Err(Error::Missing { device: info.name.clone(), missing })
        }
        _ => Ok(()),
    }
}

/// Whether cached pipeline data was written by this device and driver (`VkPipelineCacheHeaderVersionOne`).
pub(crate) fn usable_cache(info: &DeviceInfo, data: &[u8]) -> bool {
    const HEADER: usize = 32;
    const VERSION_ONE: u32 = 1;
    if data.len() < HEADER {
        return false;
    }
    let word = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    (HEADER..=data.len()).contains(&(word(0) as usize))
        && word(4) == VERSION_ONE
        && word(8) == info.vendor_id
        && word(12) == info.device_id
        && data[16..HEADER] == info.pipeline_cache_uuid.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn descriptions() {
        use BindingKind::{Storage, Uniform};
        let code = [0x0723_0203, 0x0001_0300, 0, 1, 0];
        let good = PipelineDesc {
            name: "add",
            spirv: &code,
            entry: "main",
            bindings: &[Storage, Storage, Uniform],
            push_constants: 16,
            required_subgroup_size: Some(8),
        };
        let device = fake::lavapipe();
        let check = |desc: PipelineDesc<'_>, expect: &str| {
            let text = super::check(&device, &desc).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(if expect.is_empty() { text.is_empty() } else { text.contains(expect) }, "{text}");
        };
        check(good, "");
        check(PipelineDesc { spirv: &[], ..good }, "no SPIR-V header");
        check(PipelineDesc { spirv: &[1, 2, 3, 4, 5], ..good }, "no SPIR-V header");
        check(PipelineDesc { push_constants: 6, ..good }, "multiple of 4");
        check(PipelineDesc { push_constants: 132, ..good }, "maxPushConstantsSize: 132 of at most 128");
        check(PipelineDesc { bindings: &[Storage; 33], ..good }, "StorageBuffers: 33 of at most 32");
        check(PipelineDesc { bindings: &[Uniform; 16], ..good }, "UniformBuffers: 16 of at most 15");
        check(PipelineDesc { required_subgroup_size: Some(4), ..good }, "subgroups of 4 lanes (it has 8)");
    }

    #[test]
    fn cache_headers() {
        let mut device = fake::lavapipe();
        device.pipeline_cache_uuid.0[3] = 9;
        let mut data = vec![32, 0, 0, 0, 1, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0];
        data.extend_from_slice(&device.pipeline_cache_uuid.0);
        assert!(usable_cache(&device, &data));
        for cut in 0..data.len() {
            assert!(!usable_cache(&device, &data[..cut]), "{cut} bytes");
        }
        for at in 0..data.len() {
            let mut other = data.clone();
            other[at] ^= 0x40;
            assert!(!usable_cache(&device, &other), "byte {at}");
        }
    }
}
