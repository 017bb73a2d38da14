//! Trace events, their encoding, and the timeline folded from them.
