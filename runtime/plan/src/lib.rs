//! Static memory planning: lifespans in, offsets and a proved lower bound out.
