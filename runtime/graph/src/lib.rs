//! The tensor graph: values, operators, shape rules and reference evaluation.
