//! Run tensor graphs on Vulkan from a static memory plan.
