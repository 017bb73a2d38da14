//! Several memories: arenas with capacities and spill order, cut into blocks where a device limits allocations.
