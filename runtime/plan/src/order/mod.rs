//! Operator order: the order of a graph's nodes that needs the least memory.
