//! Limits on what a model file may hold. They are far above real models and keep a broken or hostile file from
//! taking memory or time; each is named in the error that it causes.

/// Bytes of structure (everything but tensor payloads) that are kept: the largest exports have a few MiB.
pub const MAX_SKELETON: usize = 64 << 20;

/// Payloads up to this many bytes stay in the structure; larger ones are only remembered as ranges of the file.
pub const MAX_INLINE: u64 = 4096;

/// Nodes, initializers, attributes and value descriptions together.
pub const MAX_MESSAGES: usize = 1 << 20;

/// Bytes of a name.
pub const MAX_NAME: usize = 4096;

/// Depth of messages within messages: a tensor in the model's graph lies 4 deep, each body of an If around it adds 3.
pub const MAX_DEPTH: usize = 32;

/// Bytes of one type description, and of one entry of metadata.
pub const MAX_TYPE: u64 = 1 << 16;

/// Elements of a constant given as a list of numbers in the structure.
pub const MAX_LIST: usize = 1 << 20;

/// Largest dimension and number of elements of a tensor: what a 48-bit address space holds.
pub const MAX_ELEMENTS: u64 = 1 << 48;

/// Files that one model may be spread over.
pub const MAX_FILES: usize = 4096;

/// Bytes of the path of a file beside the model: what Linux opens.
pub const MAX_LOCATION: usize = 4096;

/// Inputs, and outputs, of a model.
pub const MAX_INTERFACE: usize = 1 << 14;

/// Turns of all loops and scans of a model, those of loops within loops counted each time.
pub const MAX_ALL_TURNS: usize = 1 << 14;

/// Nodes of a graph up to which turns of loops and scans are written out.
pub const MAX_WRITTEN: usize = 1 << 16;

/// Nodes of the graph that is built.
pub const MAX_NODES: usize = 1 << 21;
