//! Kernels: their WGSL sources, the table that chooses among them, and the description of the device they run on.
//!
//! A caller describes device work as a [`Spec`]: what to compute, over concrete shapes, without a word about how.
//! [`launch`] picks a row of the kernel table for the [`Target`] and answers a [`Launch`]: the [`Kernel`] (WGSL text and
//! its interface), the parameters, and the grid. Kernels with equal text are one pipeline, whatever their shapes: shapes
//! travel in the parameters, so that devices which compile slowly compile little.
//!
//! A CPU driver such as lavapipe ends every loop of an invocation without a word after 65,535 passes, those of all its
//! loops counted together: kernels for [`Class::Cpu`] keep below that by taking several steps to a pass, and work that
//! would still pass it is a [`Refusal`].
//!
//! A kernel has its lanes from the [`Target`] and runs where there are as many ([`Kernel::suits`]). 64-bit integers run on every
//! device, on pairs of words where it has none. What floats become there is told by [`error_bound`] and [`step_error`]; NaNs,
//! infinities and floats that do not fit an integer give the same results everywhere, integers and movements the same bits.
//!
//! This room reads no device: a [`Target`] is plain data.
#![forbid(unsafe_code)]

mod blocks;
mod bounds;
mod chain;
mod convert;
mod epilogue;
mod kernel;
mod kernels;
mod lanes;
mod layout;
mod loops;
mod packing;
mod probe;
mod scratch;
mod source;
mod spec;
mod spirv;
mod strides;
mod table;
mod tape;
mod target;
mod variant;

pub use bounds::{
    Approx, ErrorBound, LEAST_NORMAL, UNIT, error_bound, log_softmax_magnitudes, normalize_magnitudes,
    product_magnitude, rounded_error, softmax_magnitudes, step_error,
};
pub use convert::Convert;
pub use kernel::{Access, Binding, Kernel, Launch, Refusal, Slot};
pub use packing::Packing;
pub use probe::{COPIED, MULTIPLY_ADD_FLOPS, probe_copy, probe_lanes, probe_multiply_add};
pub use scratch::Scratch;
pub use spec::{
    Arg, BlockGatherSpec, BlockMatMulSpec, Chain, ConvSpec, CopySpec, CumulateSpec, ElementwiseSpec,
    GatherNdSpec, GatherSpec, HostSpec, Layout, MatMulSpec, NormalizeSpec, Number, Operand, Others, Packed,
    PoolSpec, RangeSpec, RankSpec, ReduceSpec, ScatterSpec, SoftmaxSpec, Spec, Step, StepOp, UnpackSpec,
    block_words,
};
pub use spirv::{CompileError, Mode, compile_wgsl, compile_wgsl_as};
pub use table::{KERNELS, Row, family, launch, scratch};
pub use tape::Taped;
pub use target::{CPU_LOOP_PASSES, Class, Features, Repr, Subgroup, Target, VEC4};
pub use variant::{Numbers, Variant};
