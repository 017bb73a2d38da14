//! Plans for every shape: the order of placement is stored, offsets are replayed for any sizes, and the peak is an expression.
