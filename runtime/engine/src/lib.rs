//! Sessions: programs running on a Vulkan device.
