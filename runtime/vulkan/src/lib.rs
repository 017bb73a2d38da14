//! A thin layer over Vulkan: devices, buffers, pipelines, commands, timestamps.
