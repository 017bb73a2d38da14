//! The kernel families.

pub(crate) mod bands;
pub(crate) mod block_matmul;
pub(crate) mod block_matmul_cpu;
pub(crate) mod conv;
pub(crate) mod conv_block;
pub(crate) mod conv_depthwise;
pub(crate) mod copy;
pub(crate) mod cumulate;
pub(crate) mod elementwise;
pub(crate) mod gather;
pub(crate) mod host;
pub(crate) mod matmul;
pub(crate) mod matmul_any;
pub(crate) mod matmul_gpu;
pub(crate) mod normalize;
pub(crate) mod pool;
pub(crate) mod pool_bands;
pub(crate) mod product;
pub(crate) mod range;
pub(crate) mod rank;
pub(crate) mod reduce;
pub(crate) mod rows;
pub(crate) mod scatter;
pub(crate) mod softmax;
pub(crate) mod unpack;
