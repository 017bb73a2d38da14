//! Asks a device what it is: the one place that turns Vulkan's structures into [`DeviceInfo`].

use std::ffi::CStr;

use ash::{ext, khr, vk};

use crate::error::Error;
use crate::import::{IMPORT_HANDLE, IMPORT_USAGE};
use crate::info::{
    ApiVersion, DeviceInfo, DeviceKind, Features, Heap, Limits, MemoryType, QueueFamily, Subgroup,
    SubgroupOperations, Uuid,
};
use crate::instance::InstanceShared;

/// The version from which something is core, for things that are in no version yet.
const NEVER: ApiVersion = ApiVersion::new(u32::MAX, 0);

/// The device extensions this crate knows, and the version that made each core: from there it is not enabled by name.
const EXTENSIONS: [(&CStr, ApiVersion); 10] = [
    (khr::timeline_semaphore::NAME, ApiVersion::new(1, 2)),
    (khr::shader_float16_int8::NAME, ApiVersion::new(1, 2)),
    (khr::_8bit_storage::NAME, ApiVersion::new(1, 2)),
    (khr::driver_properties::NAME, ApiVersion::new(1, 2)),
    (khr::maintenance4::NAME, ApiVersion::new(1, 3)),
    (khr::shader_integer_dot_product::NAME, ApiVersion::new(1, 3)),
    (ext::subgroup_size_control::NAME, ApiVersion::new(1, 3)),
    (ext::memory_budget::NAME, NEVER),
    (ext::external_memory_host::NAME, NEVER),
    // Where a driver has it, it must be enabled (VUID-VkDeviceCreateInfo-pProperties-04451).
    (khr::portability_subset::NAME, NEVER),
];

/// A packed version as a value.
pub(crate) fn version(packed: u32) -> ApiVersion {
    ApiVersion {
        major: vk::api_version_major(packed),
        minor: vk::api_version_minor(packed),
        patch: vk::api_version_patch(packed),
    }
}

/// A version as Vulkan packs it.
pub(crate) fn packed(version: ApiVersion) -> u32 {
    vk::make_api_version(0, version.major, version.minor, version.patch)
}

/// What the device offers of the things behind [`EXTENSIONS`], in core or by extension.
#[derive(Clone, Copy)]
pub(crate) struct Offered {
    timeline: bool,
    float16_int8: bool,
    storage8: bool,
    driver: bool,
    maintenance4: bool,
    dot_product: bool,
    size_control: bool,
    host_memory: bool,
}

impl Offered {
    pub(crate) fn new(api: ApiVersion, has: impl Fn(&str) -> bool) -> Offered {
        let offers = |name: &CStr| {
            let (_, core) = EXTENSIONS.iter().find(|(n, _)| *n == name).copied().unwrap_or((name, NEVER));
            api >= core || name.to_str().is_ok_and(&has)
        };
        Offered {
            timeline: offers(khr::timeline_semaphore::NAME),
            float16_int8: offers(khr::shader_float16_int8::NAME),
            storage8: offers(khr::_8bit_storage::NAME),
            driver: offers(khr::driver_properties::NAME),
            maintenance4: offers(khr::maintenance4::NAME),
            dot_product: offers(khr::shader_integer_dot_product::NAME),
            size_control: offers(ext::subgroup_size_control::NAME),
            host_memory: offers(ext::external_memory_host::NAME),
        }
    }
}

/// The structures of the features this crate uses: filled by a query, or filled from [`Features`] to enable them.
#[derive(Default)]
pub(crate) struct FeatureChain {
    core: vk::PhysicalDeviceFeatures,
    storage16: vk::PhysicalDevice16BitStorageFeatures<'static>,
    storage8: vk::PhysicalDevice8BitStorageFeatures<'static>,
    float16_int8: vk::PhysicalDeviceShaderFloat16Int8Features<'static>,
    timeline: vk::PhysicalDeviceTimelineSemaphoreFeatures<'static>,
    dot_product: vk::PhysicalDeviceShaderIntegerDotProductFeatures<'static>,
    size_control: vk::PhysicalDeviceSubgroupSizeControlFeatures<'static>,
}

impl FeatureChain {
    /// The structures that enable exactly what is true in `features` and `subgroup`.
    pub(crate) fn enabling(features: &Features, subgroup: &Subgroup, robust: bool) -> FeatureChain {
        let f = features;
        let mut chain = FeatureChain::default();
        chain.core = chain
            .core
            .shader_int64(f.shader_int64)
            .shader_int16(f.shader_int16)
            .shader_float64(f.shader_float64)
            .robust_buffer_access(robust && f.robust_buffer_access);
        chain.storage16 = chain.storage16.storage_buffer16_bit_access(f.storage_16bit);
        chain.storage8 = chain.storage8.storage_buffer8_bit_access(f.storage_8bit);
        chain.float16_int8 = chain.float16_int8.shader_float16(f.shader_float16).shader_int8(f.shader_int8);
        chain.timeline = chain.timeline.timeline_semaphore(f.timeline_semaphore);
        chain.dot_product = chain.dot_product.shader_integer_dot_product(f.integer_dot_product);
        chain.size_control =
            chain.size_control.subgroup_size_control(subgroup.size_control).compute_full_subgroups(false);
        chain
    }

    /// Links the structures that the device knows.
    pub(crate) fn link(&mut self, offered: Offered) -> vk::PhysicalDeviceFeatures2<'_> {
        let mut all =
            vk::PhysicalDeviceFeatures2::default().features(self.core).push_next(&mut self.storage16);
        if offered.storage8 {
            all = all.push_next(&mut self.storage8);
        }
        if offered.float16_int8 {
            all = all.push_next(&mut self.float16_int8);
        }
        if offered.timeline {
            all = all.push_next(&mut self.timeline);
        }
        if offered.dot_product {
            all = all.push_next(&mut self.dot_product);
        }
        if offered.size_control {
            all = all.push_next(&mut self.size_control);
        }
        all
    }

    fn features(&self) -> Features {
        let on = |b: vk::Bool32| b == vk::TRUE;
        Features {
            shader_int64: on(self.core.shader_int64),
            shader_int16: on(self.core.shader_int16),
            shader_int8: on(self.float16_int8.shader_int8),
            shader_float64: on(self.core.shader_float64),
            shader_float16: on(self.float16_int8.shader_float16),
            storage_16bit: on(self.storage16.storage_buffer16_bit_access),
            storage_8bit: on(self.storage8.storage_buffer8_bit_access),
            integer_dot_product: on(self.dot_product.shader_integer_dot_product),
            timeline_semaphore: on(self.timeline.timeline_semaphore),
            robust_buffer_access: on(self.core.robust_buffer_access),
        }
    }
}

/// The properties beyond Vulkan 1.0.
#[derive(Default)]
struct Properties {
    id: vk::PhysicalDeviceIDProperties<'static>,
    subgroup: vk::PhysicalDeviceSubgroupProperties<'static>,
    maintenance3: vk::PhysicalDeviceMaintenance3Properties<'static>,
    driver: vk::PhysicalDeviceDriverProperties<'static>,
    maintenance4: vk::PhysicalDeviceMaintenance4Properties<'static>,
    size_control: vk::PhysicalDeviceSubgroupSizeControlProperties<'static>,
    host_memory: vk::PhysicalDeviceExternalMemoryHostPropertiesEXT<'static>,
    /// Whether storage buffers can lie in memory of the host's.
    host_buffers: bool,
}

impl Properties {
    fn query(&mut self, raw: &ash::Instance, device: vk::PhysicalDevice, offered: Offered) {
        let mut all = vk::PhysicalDeviceProperties2::default()
            .push_next(&mut self.id)
            .push_next(&mut self.subgroup)
            .push_next(&mut self.maintenance3);
        if offered.driver {
            all = all.push_next(&mut self.driver);
        }
        if offered.maintenance4 {
            all = all.push_next(&mut self.maintenance4);
        }
        if offered.size_control {
            all = all.push_next(&mut self.size_control);
        }
        if offered.host_memory {
            all = all.push_next(&mut self.host_memory);
        }
        // SAFETY: the device is of this instance and at least 1.1, and knows every structure in the chain
        // (VUID-vkGetPhysicalDeviceProperties2-physicalDevice-parameter).
        unsafe { raw.get_physical_device_properties2(device, &mut all) };
        self.host_buffers = offered.host_memory && host_buffers(raw, device);
    }

    fn subgroup(&self, size_control: bool) -> Subgroup {
        let p = &self.subgroup;
        let has = |flag| p.supported_operations.contains(flag);
        let control = &self.size_control;
        let ranged = size_control && control.min_subgroup_size > 0;
        Subgroup {
            size: p.subgroup_size,
            min_size: if ranged { control.min_subgroup_size } else { p.subgroup_size },
            max_size: if ranged { control.max_subgroup_size } else { p.subgroup_size },
            compute: p.supported_stages.contains(vk::ShaderStageFlags::COMPUTE),
            size_control: ranged
                && control.required_subgroup_size_stages.contains(vk::ShaderStageFlags::COMPUTE),
            operations: SubgroupOperations {
                basic: has(vk::SubgroupFeatureFlags::BASIC),
                vote: has(vk::SubgroupFeatureFlags::VOTE),
                arithmetic: has(vk::SubgroupFeatureFlags::ARITHMETIC),
                ballot: has(vk::SubgroupFeatureFlags::BALLOT),
                shuffle: has(vk::SubgroupFeatureFlags::SHUFFLE),
                shuffle_relative: has(vk::SubgroupFeatureFlags::SHUFFLE_RELATIVE),
                clustered: has(vk::SubgroupFeatureFlags::CLUSTERED),
                quad: has(vk::SubgroupFeatureFlags::QUAD),
            },
        }
    }
}

/// Describes the device at `index` of the driver's list.
pub(crate) fn describe(
    instance: &InstanceShared,
    index: usize,
    device: vk::PhysicalDevice,
) -> Result<DeviceInfo, Error> {
    let raw = &instance.raw;
    // SAFETY: the device was enumerated from this instance, which is alive; so for every query below
    // (VUID-vkGetPhysicalDeviceProperties-physicalDevice-parameter).
    let core = unsafe { raw.get_physical_device_properties(device) };
    // SAFETY: as above.
    let families = unsafe { raw.get_physical_device_queue_family_properties(device) };
    // SAFETY: as above.
    let memory = unsafe { raw.get_physical_device_memory_properties(device) };
    let offered_version = version(core.api_version);
    let api_version = if (offered_version.major, offered_version.minor)
        > (instance.api_version.major, instance.api_version.minor)
    {
        instance.api_version
    } else {
        offered_version
    };
    let extensions = known_extensions(raw, device, api_version)?;
    let mut properties = Properties::default();
    let mut chain = FeatureChain::default();
    let offered = Offered::new(api_version, |name| extensions.iter().any(|e| e == name));
    // A device of Vulkan 1.0 has none of these queries; it is described so far, and refused later.
    if api_version >= ApiVersion::new(1, 1) {
        properties.query(raw, device, offered);
        let mut all = chain.link(offered);
        // SAFETY: as above, and the device knows every structure in the chain
        // (VUID-vkGetPhysicalDeviceFeatures2-physicalDevice-parameter).
        unsafe { raw.get_physical_device_features2(device, &mut all) };
        chain.core = all.features;
    }
    let mut features = chain.features();
    features.timeline_semaphore &= offered.timeline;
    Ok(DeviceInfo {
        index,
        name: core.device_name_as_c_str().map_or_else(|_| "unnamed".into(), text),
        uuid: Uuid(properties.id.device_uuid),
        kind: kind(core.device_type),
        unified_memory: kind(core.device_type).is_unified(),
        vendor_id: core.vendor_id,
        device_id: core.device_id,
        driver: driver(&core, &properties.driver),
        api_version,
        pipeline_cache_uuid: Uuid(core.pipeline_cache_uuid),
        limits: limits(&core.limits, &properties, offered),
        features,
        subgroup: properties
            .subgroup(offered.size_control && chain.size_control.subgroup_size_control == vk::TRUE),
        queue_families: families.iter().map(queue_family).collect(),
        heaps: memory.memory_heaps_as_slice().iter().map(heap).collect(),
        memory_types: memory.memory_types_as_slice().iter().map(memory_type).collect(),
        extensions,
    })
}

/// Whether buffers as [`Device::import`](crate::Device::import) makes them can lie in memory of the host's, and need no
/// allocation made for them alone.
fn host_buffers(raw: &ash::Instance, device: vk::PhysicalDevice) -> bool {
    let info = vk::PhysicalDeviceExternalBufferInfo::default().usage(IMPORT_USAGE).handle_type(IMPORT_HANDLE);
    let mut properties = vk::ExternalBufferProperties::default();
    // SAFETY: the device is of this instance and at least 1.1, and has the extension of the handle type
    // (VUID-vkGetPhysicalDeviceExternalBufferProperties-physicalDevice-parameter).
    unsafe { raw.get_physical_device_external_buffer_properties(device, &info, &mut properties) };
    let has = |flag| properties.external_memory_properties.external_memory_features.contains(flag);
    has(vk::ExternalMemoryFeatureFlags::IMPORTABLE) && !has(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY)
}

fn known_extensions(
    raw: &ash::Instance,
    device: vk::PhysicalDevice,
    api: ApiVersion,
) -> Result<Vec<String>, Error> {
    // SAFETY: the device was enumerated from this instance, which is alive
    // (VUID-vkEnumerateDeviceExtensionProperties-physicalDevice-parameter).
    let available = unsafe { raw.enumerate_device_extension_properties(device) }
        .map_err(|e| Error::call("vkEnumerateDeviceExtensionProperties", e))?;
    let has = |name: &CStr| available.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
    let wanted = EXTENSIONS.iter().filter(|&&(name, core)| api < core && has(name));
    Ok(wanted.map(|(name, _)| text(name)).collect())
}

fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

fn kind(device: vk::PhysicalDeviceType) -> DeviceKind {
    match device {
        vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
        vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
        vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
        _ => DeviceKind::Other,
    }
}

/// Driver name and version as the driver writes them, or the packed number where it does not.
fn driver(core: &vk::PhysicalDeviceProperties, driver: &vk::PhysicalDeviceDriverProperties<'_>) -> String {
    let part = |s: Result<&CStr, _>| s.map(text).unwrap_or_default();
    let name = part(driver.driver_name_as_c_str());
    let info = part(driver.driver_info_as_c_str());
    match (name.is_empty(), info.is_empty()) {
        (false, false) => format!("{name} {info}"),
        (false, true) => name,
        _ => format!("driver {}", version(core.driver_version)),
    }
}

fn limits(core: &vk::PhysicalDeviceLimits, more: &Properties, offered: Offered) -> Limits {
    Limits {
        max_storage_buffer_range: core.max_storage_buffer_range.into(),
        max_uniform_buffer_range: core.max_uniform_buffer_range.into(),
        max_memory_allocation_size: match more.maintenance3.max_memory_allocation_size {
            0 => 1 << 30, // not told: the least that the specification allows
            size => size,
        },
        max_memory_allocation_count: core.max_memory_allocation_count,
        max_buffer_size: offered.maintenance4.then_some(more.maintenance4.max_buffer_size).filter(|&s| s > 0),
        min_storage_buffer_offset_alignment: core.min_storage_buffer_offset_alignment.max(1),
        min_uniform_buffer_offset_alignment: core.min_uniform_buffer_offset_alignment.max(1),
        max_compute_workgroup_count: core.max_compute_work_group_count,
        max_compute_workgroup_size: core.max_compute_work_group_size,
        max_compute_workgroup_invocations: core.max_compute_work_group_invocations,
        max_compute_shared_memory_size: core.max_compute_shared_memory_size,
        max_push_constants_size: core.max_push_constants_size,
        max_per_stage_storage_buffers: core.max_per_stage_descriptor_storage_buffers,
        max_per_stage_uniform_buffers: core.max_per_stage_descriptor_uniform_buffers,
        timestamp_period_ns: core.timestamp_period,
        non_coherent_atom_size: core.non_coherent_atom_size.max(1),
        min_imported_host_pointer_alignment: more
            .host_buffers
            .then_some(more.host_memory.min_imported_host_pointer_alignment)
            .filter(|&alignment| alignment > 0),
    }
}

fn queue_family(family: &vk::QueueFamilyProperties) -> QueueFamily {
    QueueFamily {
        count: family.queue_count,
        compute: family.queue_flags.contains(vk::QueueFlags::COMPUTE),
        graphics: family.queue_flags.contains(vk::QueueFlags::GRAPHICS),
        timestamp_valid_bits: family.timestamp_valid_bits,
    }
}

fn heap(heap: &vk::MemoryHeap) -> Heap {
    Heap { size: heap.size, device_local: heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL) }
}

fn memory_type(memory: &vk::MemoryType) -> MemoryType {
    let flags = memory.property_flags;
    let ordinary = vk::MemoryPropertyFlags::DEVICE_LOCAL
        | vk::MemoryPropertyFlags::HOST_VISIBLE
        | vk::MemoryPropertyFlags::HOST_COHERENT
        | vk::MemoryPropertyFlags::HOST_CACHED;
    MemoryType {
        heap: memory.heap_index as usize,
        device_local: flags.contains(vk::MemoryPropertyFlags::DEVICE_LOCAL),
        host_visible: flags.contains(vk::MemoryPropertyFlags::HOST_VISIBLE),
        host_coherent: flags.contains(vk::MemoryPropertyFlags::HOST_COHERENT),
        host_cached: flags.contains(vk::MemoryPropertyFlags::HOST_CACHED),
        special: !(flags & !ordinary).is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_there_and_back() {
        let v = ApiVersion { major: 1, minor: 3, patch: 230 };
        assert_eq!(version(packed(v)), v);
        assert_eq!(packed(ApiVersion::new(1, 1)), vk::API_VERSION_1_1);
    }

    #[test]
    fn what_is_offered_comes_from_the_version_or_an_extension() {
        let check = |minor, extensions: &[&str], expect: [bool; 3]| {
            let o = Offered::new(ApiVersion::new(1, minor), |name| extensions.contains(&name));
            assert_eq!([o.timeline, o.storage8, o.size_control], expect, "1.{minor} {extensions:?}");
        };
        check(1, &[], [false, false, false]);
        check(1, &["VK_KHR_timeline_semaphore"], [true, false, false]);
        check(1, &["VK_KHR_8bit_storage", "VK_EXT_subgroup_size_control"], [false, true, true]);
        check(2, &[], [true, true, false]);
        check(2, &["VK_EXT_subgroup_size_control"], [true, true, true]);
        check(3, &[], [true, true, true]);
    }

    #[test]
    fn features_go_into_the_chain_and_back() {
        let some = Features {
            shader_int64: true,
            storage_8bit: true,
            timeline_semaphore: true,
            ..Features::default()
        };
        let all = crate::fake::lavapipe().features;
        for features in [Features::default(), some, all] {
            let chain = FeatureChain::enabling(&features, &Subgroup::default(), true);
            assert_eq!(chain.features(), features);
        }
        let chain = FeatureChain::enabling(&all, &Subgroup::default(), false);
        assert!(!chain.features().robust_buffer_access, "robust access only on request");
    }

    #[test]
    fn special_memory_is_seen() {
        let check = |flags, expect| {
            let memory = vk::MemoryType { property_flags: flags, heap_index: 1 };
            let memory = memory_type(&memory);
            assert_eq!((memory.special, memory.heap), (expect, 1), "{flags:?}");
        };
        let ordinary = vk::MemoryPropertyFlags::DEVICE_LOCAL | vk::MemoryPropertyFlags::HOST_VISIBLE;
        check(ordinary, false);
        check(ordinary | vk::MemoryPropertyFlags::PROTECTED, true);
        check(ordinary | vk::MemoryPropertyFlags::LAZILY_ALLOCATED, true);
        check(ordinary | vk::MemoryPropertyFlags::DEVICE_COHERENT_AMD, true);
    }
}
