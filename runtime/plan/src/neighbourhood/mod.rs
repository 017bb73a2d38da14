//! Large-neighbourhood search: the exact search on a window of the buffers at the peak, the rest fixed.
