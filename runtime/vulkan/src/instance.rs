//! The connection to the Vulkan loader.

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::Arc;

use ash::{ext, khr, vk};

use crate::error::Error;
use crate::info::{ApiVersion, DeviceInfo};
use crate::messages::{Message, MessageLog, receive};
use crate::probe;

const VALIDATION_LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";
const VALIDATION_LAYER_NAME: &str = "VK_LAYER_KHRONOS_validation";

/// The newest Vulkan this crate was written for: newer promises are not assumed.
const MAX_API_VERSION: u32 = vk::API_VERSION_1_3;

/// How to open an [`Instance`]. The default: no validation, the system's loader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceOptions {
    /// Run under the Khronos validation layer, with synchronization validation. Costs much time.
    pub validation: bool,
    /// Use nothing newer than this Vulkan, at least 1.1: shows what a program does on older drivers.
    pub max_version: Option<ApiVersion>,
    /// The loader library, where it is not the system's.
    pub loader: Option<PathBuf>,
}

/// The connection to the Vulkan loader. A clone is the same connection; it closes when the last clone and the last
/// object made from it are gone.
#[derive(Clone)]
pub struct Instance {
    pub(crate) shared: Arc<InstanceShared>,
}

pub(crate) struct InstanceShared {
    pub(crate) raw: ash::Instance,
    /// Present where objects can be named and messages received.
    pub(crate) debug_utils: bool,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    pub(crate) messages: Arc<MessageLog>,
    pub(crate) api_version: ApiVersion,
    // Last: the library must outlive what was loaded from it.
    _entry: ash::Entry,
}

impl Instance {
    /// Loads the Vulkan loader and connects to it.
    ///
    /// # Errors
    /// [`Error::NoLoader`], [`Error::OldLoader`], [`Error::NoDriver`], [`Error::MissingLayer`], or a failed call.
    pub fn new(options: &InstanceOptions) -> Result<Instance, Error> {
        let entry = load(options)?;
        // SAFETY: a Vulkan call without preconditions.
        let version = unsafe { entry.try_enumerate_instance_version() }
            .map_err(|e| Error::call("vkEnumerateInstanceVersion", e))?
            .unwrap_or(vk::API_VERSION_1_0);
        if version < vk::API_VERSION_1_1 {
            return Err(Error::OldLoader);
        }
        let max = options.max_version.map_or(MAX_API_VERSION, probe::packed).max(vk::API_VERSION_1_1);
        let wanted = version.min(MAX_API_VERSION).min(max);
        if options.validation && !has_layer(&entry)? {
            return Err(Error::MissingLayer { layer: VALIDATION_LAYER_NAME });
        }
        let available = extensions(&entry, options.validation)?;
        let debug_utils = available.iter().any(|e| e.as_bytes() == ext::debug_utils::NAME.to_bytes());
        let messages = Arc::new(MessageLog::default());
        let raw = create(&entry, options.validation, &available, wanted, &messages)?;
        let messenger = if options.validation && debug_utils {
            let functions = ext::debug_utils::Instance::new(&entry, &raw);
            let info = messenger_info(&messages);
            // SAFETY: the extension is enabled; the log outlives the messenger, which InstanceShared destroys first
            // (VUID-VkDebugUtilsMessengerCreateInfoEXT-pfnUserCallback-01914).
            match unsafe { functions.create_debug_utils_messenger(&info, None) } {
                Ok(messenger) => Some((functions, messenger)),
                Err(e) => {
                    // SAFETY: nothing was made from the instance yet (VUID-vkDestroyInstance-instance-00629).
                    unsafe { raw.destroy_instance(None) };
                    return Err(Error::call("vkCreateDebugUtilsMessengerEXT", e));
                }
            }
        } else {
            None
        };
        let api_version = probe::version(wanted);
        let shared = InstanceShared { raw, debug_utils, messenger, messages, api_version, _entry: entry };
        Ok(Instance { shared: Arc::new(shared) })
    }

    /// Describes every device.
    ///
    /// # Errors
    /// [`Error::NoDriver`] where there is none, or a failed call.
    pub fn devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        let physical = self.physical_devices()?;
        let describe = |(index, &device)| probe::describe(&self.shared, index, device);
        physical.iter().enumerate().map(describe).collect()
    }

    /// The messages so far, oldest first; at most 1,024 are kept. With validation they come from the layer; an object
    /// that outlived its device is told of in any case.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.messages.list()
    }

    /// The number of messages so far, also of those not kept.
    #[must_use]
    pub fn message_count(&self) -> u64 {
        self.shared.messages.count()
    }

    pub(crate) fn physical_devices(&self) -> Result<Vec<vk::PhysicalDevice>, Error> {
        // SAFETY: the instance is alive (VUID-vkEnumeratePhysicalDevices-instance-parameter).
        match unsafe { self.shared.raw.enumerate_physical_devices() } {
            Ok(devices) if devices.is_empty() => Err(Error::NoDriver),
            Ok(devices) => Ok(devices),
            Err(vk::Result::ERROR_INITIALIZATION_FAILED) => Err(Error::NoDriver),
            Err(e) => Err(Error::call("vkEnumeratePhysicalDevices", e)),
        }
    }
}

impl Drop for InstanceShared {
    fn drop(&mut self) {
        if let Some((functions, messenger)) = self.messenger.take() {
            // SAFETY: made from this instance and not destroyed yet; no other thread uses it
            // (VUID-vkDestroyDebugUtilsMessengerEXT-messenger-parameter).
            unsafe { functions.destroy_debug_utils_messenger(messenger, None) };
        }
        // SAFETY: every object made from the instance holds an Arc of this value, so all are gone
        // (VUID-vkDestroyInstance-instance-00629).
        unsafe { self.raw.destroy_instance(None) };
    }
}

fn load(options: &InstanceOptions) -> Result<ash::Entry, Error> {
    let loaded = match &options.loader {
        // SAFETY: the caller names a Vulkan loader; its initialization is that of any shared library it could link.
        Some(path) => unsafe { ash::Entry::load_from(path) },
        // SAFETY: the system's Vulkan loader is made to be loaded so.
        None => unsafe { ash::Entry::load() },
    };
    loaded.map_err(|e| Error::NoLoader { detail: e.to_string() })
}

fn has_layer(entry: &ash::Entry) -> Result<bool, Error> {
    // SAFETY: a Vulkan call without preconditions.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }
        .map_err(|e| Error::call("vkEnumerateInstanceLayerProperties", e))?;
    Ok(layers.iter().any(|l| l.layer_name_as_c_str() == Ok(VALIDATION_LAYER)))
}

/// Instance extensions of the loader and the drivers, and of the validation layer where it is wanted.
fn extensions(entry: &ash::Entry, validation: bool) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let sources: &[Option<&CStr>] = if validation { &[None, Some(VALIDATION_LAYER)] } else { &[None] };
    for &layer in sources {
        // SAFETY: the layer was enumerated (VUID-vkEnumerateInstanceExtensionProperties-pLayerName-parameter).
        let found = match unsafe { entry.enumerate_instance_extension_properties(layer) } {
            Ok(found) => found,
            // Loaders of some ages fail here, not later, where there is no driver.
            Err(vk::Result::ERROR_INITIALIZATION_FAILED | vk::Result::ERROR_INCOMPATIBLE_DRIVER) => {
                return Err(Error::NoDriver);
            }
            Err(e) => return Err(Error::call("vkEnumerateInstanceExtensionProperties", e)),
        };
        let read = found.iter().filter_map(|e| e.extension_name_as_c_str().ok());
        names.extend(read.map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(names)
}

fn create(
    entry: &ash::Entry,
    validation: bool,
    available: &[String],
    api_version: u32,
    messages: &Arc<MessageLog>,
) -> Result<ash::Instance, Error> {
    let has = |name: &CStr| available.iter().any(|e| e.as_bytes() == name.to_bytes());
    let portability = has(khr::portability_enumeration::NAME);
    let mut enabled = Vec::new();
    let candidates = [
        (ext::debug_utils::NAME, true),
        (ext::validation_features::NAME, validation),
        (khr::portability_enumeration::NAME, true),
    ];
    enabled.extend(candidates.iter().filter(|&&(n, wanted)| wanted && has(n)).map(|&(n, _)| n.as_ptr()));
    let layers = [VALIDATION_LAYER.as_ptr()];
    let app = vk::ApplicationInfo::default()
        .application_name(c"bayplan")
        .engine_name(c"bayplan")
        .api_version(api_version);
    let synchronization = [vk::ValidationFeatureEnableEXT::SYNCHRONIZATION_VALIDATION];
    let mut features = vk::ValidationFeaturesEXT::default().enabled_validation_features(&synchronization);
    let mut messenger = messenger_info(messages);
    let mut info = vk::InstanceCreateInfo::default().application_info(&app).enabled_extension_names(&enabled);
    if portability {
        info = info.flags(vk::InstanceCreateFlags::ENUMERATE_PORTABILITY_KHR);
    }
    if validation {
        info = info.enabled_layer_names(&layers);
        if has(ext::validation_features::NAME) {
            info = info.push_next(&mut features);
        }
        if has(ext::debug_utils::NAME) {
            info = info.push_next(&mut messenger);
        }
    }
    // SAFETY: layers and extensions were enumerated, the chain holds what those extensions allow, and the log that the
    // chained messenger writes to outlives the instance (VUID-vkCreateInstance-ppEnabledExtensionNames-01388).
    unsafe { entry.create_instance(&info, None) }.map_err(|e| match e {
        vk::Result::ERROR_INCOMPATIBLE_DRIVER | vk::Result::ERROR_INITIALIZATION_FAILED => Error::NoDriver,
        vk::Result::ERROR_LAYER_NOT_PRESENT => Error::MissingLayer { layer: VALIDATION_LAYER_NAME },
        e => Error::call("vkCreateInstance", e),
    })
}

fn messenger_info(messages: &Arc<MessageLog>) -> vk::DebugUtilsMessengerCreateInfoEXT<'static> {
    vk::DebugUtilsMessengerCreateInfoEXT::default()
        .message_severity(
            vk::DebugUtilsMessageSeverityFlagsEXT::WARNING | vk::DebugUtilsMessageSeverityFlagsEXT::ERROR,
        )
        // Not GENERAL: there the loader tells of other layers and drivers, which says nothing of this program.
        .message_type(
            vk::DebugUtilsMessageTypeFlagsEXT::VALIDATION | vk::DebugUtilsMessageTypeFlagsEXT::PERFORMANCE,
        )
        .pfn_user_callback(Some(receive))
        .user_data(Arc::as_ptr(messages).cast_mut().cast())
}
