//! Tests across rooms: architecture, models, faults, terminal.
