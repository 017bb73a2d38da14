//! Kernel sources, the kernel table and the description of a target device.
