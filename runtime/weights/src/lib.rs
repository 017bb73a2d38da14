//! Byte sources for weights.
