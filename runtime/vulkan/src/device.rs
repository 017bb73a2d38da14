//! An opened device with its one queue.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ash::{ext, vk};
use gpu_allocator::vulkan::{Allocator, AllocatorCreateDesc};

use crate::decide::{TimestampScale, compute_family, timestamps};
use crate::error::Error;
use crate::info::DeviceInfo;
use crate::instance::{Instance, InstanceShared};
use crate::lock;
use crate::messages::Severity;
use crate::pipeline::usable_cache;
use crate::probe::{self, FeatureChain, Offered};
use crate::require::{Requirements, missing};
use crate::shim::{self, AllocationCounts, AllocationEvents, AllocationLog};
use crate::submit::Queue;

/// How to open a [`Device`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Have the device check every access of a shader against its window. For kernels that are not trusted.
    pub robust_buffer_access: bool,
    /// Treat device and host memory as apart even where they are one, so that buffers of the device are reached by
    /// staging copies: shows on any machine what a discrete GPU does.
    pub separate_memory: bool,
    /// What [`Device::pipeline_cache_data`] gave in an earlier run. Data of another device or driver is ignored; keep
    /// a checksum with it, since drivers may trust what follows the header.
    pub pipeline_cache: Vec<u8>,
}

/// An opened device with its one compute queue. A clone is the same device; it closes when the last clone and the last
/// object made from it are gone.
#[derive(Clone)]
pub struct Device {
    pub(crate) shared: Arc<DeviceShared>,
}

pub(crate) struct DeviceShared {
    /// Tells devices of this process apart.
    pub(crate) serial: u64,
    pub(crate) raw: ash::Device,
    pub(crate) physical: vk::PhysicalDevice,
    pub(crate) info: DeviceInfo,
    pub(crate) family: u32,
    pub(crate) timestamps: Option<TimestampScale>,
    pub(crate) queue: Mutex<Queue>,
    /// Counts submissions: its value is the number of the last one that completed.
    pub(crate) timeline: vk::Semaphore,
    /// The highest value of `timeline` seen so far.
    pub(crate) completed: AtomicU64,
    pub(crate) cache: vk::PipelineCache,
    pub(crate) allocator: Mutex<Option<Allocator>>,
    pub(crate) allocations: Arc<AllocationLog>,
    /// Calls of `vkCreateComputePipelines` that succeeded; each makes one.
    pub(crate) pipelines: AtomicU64,
    debug: Option<ext::debug_utils::Device>,
    objects: Mutex<BTreeMap<u64, Object>>,
    next_object: AtomicU64,
    pub(crate) instance: Arc<InstanceShared>,
}

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);

struct Object {
    kind: &'static str,
    name: String,
}

impl Device {
    /// Opens the device with default options.
    ///
    /// # Errors
    /// As [`Device::with_options`].
    pub fn new(instance: &Instance, info: &DeviceInfo) -> Result<Device, Error> {
        Device::with_options(instance, info, &DeviceOptions::default())
    }

    /// Opens the device that `info` describes, with one compute queue and exactly the features listed there.
    ///
    /// # Errors
    /// [`Error::Missing`] where it lacks what every program needs, [`Error::DeviceGone`] where it is not there any
    /// more, or a failed call.
    pub fn with_options(
        instance: &Instance,
        info: &DeviceInfo,
        options: &DeviceOptions,
    ) -> Result<Device, Error> {
        let lacks = missing(info, &Requirements::default());
        let Some(family) = compute_family(info).filter(|_| lacks.is_empty()) else {
            return Err(Error::Missing { device: info.name.clone(), missing: lacks });
        };
        let physical = find(instance, info)?;
        let (raw, allocations) = create(instance, info, physical, family, options)?;
        // SAFETY: the device was created with one queue of this family (VUID-vkGetDeviceQueue-queueFamilyIndex-00384).
        let queue = unsafe { raw.get_device_queue(family, 0) };
        let debug =
            instance.shared.debug_utils.then(|| ext::debug_utils::Device::new(&instance.shared.raw, &raw));
        let mut shared = DeviceShared {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            raw,
            physical,
            info: DeviceInfo {
                unified_memory: info.unified_memory && !options.separate_memory,
                ..info.clone()
            },
            family,
            timestamps: timestamps(info),
            queue: Mutex::new(Queue::new(queue)),
            timeline: vk::Semaphore::null(),
            completed: AtomicU64::new(0),
            cache: vk::PipelineCache::null(),
            allocator: Mutex::new(None),
            allocations,
            pipelines: AtomicU64::new(0),
            debug,
            objects: Mutex::default(),
            next_object: AtomicU64::new(0),
            instance: Arc::clone(&instance.shared),
        };
        // From here an error drops `shared`, which closes the device.
        shared.timeline = shared.create_timeline()?;
        shared.cache = shared.create_cache(&options.pipeline_cache)?;
        shared.allocator = Mutex::new(Some(shared.create_allocator()?));
        Ok(Device { shared: Arc::new(shared) })
    }

    /// What the device is, as it was opened.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.shared.info
    }

    /// Device allocations so far, counted in the device's function table: also those that a library makes.
    #[must_use]
    pub fn allocations(&self) -> AllocationCounts {
        self.shared.allocations.counts()
    }

    /// The allocations and frees since the last call.
    #[must_use]
    pub fn drain_allocation_events(&self) -> AllocationEvents {
        self.shared.allocations.drain()
    }

    /// Compute pipelines made so far, counted where the driver makes them.
    #[must_use]
    pub fn pipelines_created(&self) -> u64 {
        self.shared.pipelines.load(Ordering::Relaxed)
    }

    /// Names of the objects alive on the device, each with its kind before it.
    #[must_use]
    pub fn live_objects(&self) -> Vec<String> {
        self.shared.live_objects()
    }

    /// How this device's timestamps become nanoseconds; `None` where it writes none.
    #[must_use]
    pub fn timestamp_scale(&self) -> Option<TimestampScale> {
        self.shared.timestamps
    }

    /// What the driver wants to keep of the pipelines made so far, for [`DeviceOptions::pipeline_cache`].
    ///
    /// # Errors
    /// A failed call.
    pub fn pipeline_cache_data(&self) -> Result<Vec<u8>, Error> {
        // SAFETY: the cache is of this device (VUID-vkGetPipelineCacheData-pipelineCache-parent).
        unsafe { self.shared.raw.get_pipeline_cache_data(self.shared.cache) }
            .map_err(|e| Error::call("vkGetPipelineCacheData", e))
    }
}

impl DeviceShared {
    /// Notes a new object and gives its number.
    pub(crate) fn add_object(&self, kind: &'static str, name: &str) -> u64 {
        let id = self.next_object.fetch_add(1, Ordering::Relaxed);
        lock(&self.objects).insert(id, Object { kind, name: name.to_owned() });
        id
    }

    pub(crate) fn remove_object(&self, id: u64) {
        lock(&self.objects).remove(&id);
    }

    fn live_objects(&self) -> Vec<String> {
        lock(&self.objects).values().map(|o| format!("{} {}", o.kind, o.name)).collect()
    }

    /// Gives `handle` a name that layers and profilers show. A name is a help, so a failure is not an error.
    pub(crate) fn set_name<H: vk::Handle>(&self, handle: H, name: &str) {
        let Some(debug) = &self.debug else { return };
        let bytes: Vec<u8> = name.bytes().filter(|&b| b != 0).collect();
        let Ok(name) = CString::new(bytes) else { return };
        let info = vk::DebugUtilsObjectNameInfoEXT::default().object_handle(handle).object_name(&name);
        // SAFETY: the extension is enabled, the handle is alive and of this device
        // (VUID-VkDebugUtilsObjectNameInfoEXT-objectType-02590).
        let _ = unsafe { debug.set_debug_utils_object_name(&info) };
    }

    fn create_timeline(&self) -> Result<vk::Semaphore, Error> {
        let mut kind = vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: timelineSemaphore is enabled (VUID-VkSemaphoreTypeCreateInfo-timelineSemaphore-03252).
        let timeline = unsafe { self.raw.create_semaphore(&info, None) }
            .map_err(|e| Error::call("vkCreateSemaphore", e))?;
        self.set_name(timeline, "submissions");
        Ok(timeline)
    }

    fn create_cache(&self, data: &[u8]) -> Result<vk::PipelineCache, Error> {
        let data = if usable_cache(&self.info, data) { data } else { &[] };
        let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
        // SAFETY: the data is empty or begins with a header of this device and driver
        // (VUID-VkPipelineCacheCreateInfo-initialDataSize-00769).
        unsafe { self.raw.create_pipeline_cache(&info, None) }
            .map_err(|e| Error::call("vkCreatePipelineCache", e))
    }

    fn create_allocator(&self) -> Result<Allocator, Error> {
        Allocator::new(&AllocatorCreateDesc {
            instance: self.instance.raw.clone(),
            device: self.raw.clone(),
            physical_device: self.physical,
            debug_settings: gpu_allocator::AllocatorDebugSettings::default(),
            buffer_device_address: false,
            allocation_sizes: gpu_allocator::AllocationSizes::default(),
        })
        .map_err(|e| Error::Vulkan { call: "making the allocator", result: e.to_string() })
    }
}

impl Drop for DeviceShared {
    fn drop(&mut self) {
        // SAFETY: every object made from the device holds an Arc of this value, so no thread uses the device or its
        // queue now (VUID-vkDeviceWaitIdle-queue). A lost device cannot be waited for, and is destroyed all the same.
        let _ = unsafe { self.raw.device_wait_idle() };
        for object in self.live_objects() {
            self.instance.messages.push(
                Severity::Error,
                "bayplan-leaked-object",
                &format!("{object} was alive when its device was destroyed"),
            );
        }
        // SAFETY: made from this device, not in use, null where never made
        // (VUID-vkDestroySemaphore-semaphore-05149, VUID-vkDestroyPipelineCache-pipelineCache-parent).
        unsafe {
            self.raw.destroy_semaphore(self.timeline, None);
            self.raw.destroy_pipeline_cache(self.cache, None);
        }
        drop(lock(&self.allocator).take()); // frees blocks, so before the device
        let handle = self.raw.handle();
        // The handle may come again as soon as the device is gone.
        shim::unregister(handle);
        // SAFETY: all objects made from the device are destroyed; what the line above listed was leaked on purpose
        // (VUID-vkDestroyDevice-device-05137).
        unsafe { self.raw.destroy_device(None) };
    }
}

/// The physical device that `info` describes.
fn find(instance: &Instance, info: &DeviceInfo) -> Result<vk::PhysicalDevice, Error> {
    let devices = instance.physical_devices()?;
    let gone = || Error::DeviceGone { device: info.name.clone() };
    let &physical = devices.get(info.index).ok_or_else(gone)?;
    let mut now = probe::describe(&instance.shared, info.index, physical)?;
    // Every feature and limit is relied on later, so the description must hold to the letter. Only the size of a heap
    // may follow the memory that is free at the moment.
    now.heaps.clone_from(&info.heaps);
    if now == *info { Ok(physical) } else { Err(gone()) }
}

/// Creates the device and loads its functions, with the allocation shims among them.
fn create(
    instance: &Instance,
    info: &DeviceInfo,
    physical: vk::PhysicalDevice,
    family: u32,
    options: &DeviceOptions,
) -> Result<(ash::Device, Arc<AllocationLog>), Error> {
    let raw = &instance.shared.raw;
    let mut chain = FeatureChain::enabling(&info.features, &info.subgroup, options.robust_buffer_access);
    let mut features = chain.link(Offered::new(info.api_version, |name| info.has_extension(name)));
    let names: Vec<CString> = info.extensions.iter().filter_map(|e| CString::new(e.as_str()).ok()).collect();
    let extensions: Vec<_> = names.iter().map(|n| n.as_ptr()).collect();
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&[1.0])];
    let create_info = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_extension_names(&extensions)
        .push_next(&mut features);
    // SAFETY: the device is of this instance; features, extensions and queue family are those it was just seen to
    // offer (VUID-vkCreateDevice-ppEnabledExtensionNames-01387, VUID-VkDeviceQueueCreateInfo-queueFamilyIndex-00381).
    let plain = unsafe { raw.create_device(physical, &create_info, None) }
        .map_err(|e| Error::call("vkCreateDevice", e))?;
    let handle = plain.handle();
    let get = raw.fp_v1_0().get_device_proc_addr;
    // SAFETY: the device is alive and the name a C string (VUID-vkGetDeviceProcAddr-device-parameter).
    let real = |name: &CStr| unsafe { get(handle, name.as_ptr()) };
    let (Some(allocate), Some(free)) = (real(c"vkAllocateMemory"), real(c"vkFreeMemory")) else {
        // SAFETY: nothing was made from the device (VUID-vkDestroyDevice-device-05137).
        unsafe { plain.destroy_device(None) };
        return Err(Error::Vulkan { call: "vkGetDeviceProcAddr", result: "no memory functions".into() });
    };
    // SAFETY: vkGetDeviceProcAddr gives functions of exactly these types for these names.
    let (allocate, free) = unsafe {
        (
            std::mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkAllocateMemory>(allocate),
            std::mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkFreeMemory>(free),
        )
    };
    let log = Arc::new(AllocationLog::new(allocate, free));
    shim::register(handle, Arc::clone(&log));
    let load = |name: &CStr| -> *const c_void {
        match name.to_bytes() {
            b"vkAllocateMemory" => shim::allocate_memory as vk::PFN_vkAllocateMemory as *const c_void,
            b"vkFreeMemory" => shim::free_memory as vk::PFN_vkFreeMemory as *const c_void,
            // Vulkan 1.1 has the timeline functions under the extension's names only.
            b"vkGetSemaphoreCounterValue" => either(real(name), || real(c"vkGetSemaphoreCounterValueKHR")),
            b"vkWaitSemaphores" => either(real(name), || real(c"vkWaitSemaphoresKHR")),
            _ => either(real(name), || None),
        }
    };
    // SAFETY: `load` gives for each name a function of that name's type, or null.
    Ok((unsafe { ash::Device::load_with(load, handle) }, log))
}

fn either(first: vk::PFN_vkVoidFunction, second: impl FnOnce() -> vk::PFN_vkVoidFunction) -> *const c_void {
    first.or_else(second).map_or(std::ptr::null(), |f| f as *const c_void)
}
