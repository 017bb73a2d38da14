//! The device, as far as kernels and plans depend on it, as plain values.

use bayplan_graph::DType;

use crate::chain::double;

/// How a device executes, which decides the style of its kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A CPU driver (lavapipe, SwiftShader): one subgroup per workgroup, registers, no shared memory.
    Cpu,
    /// Anything else: workgroups over tiles in shared memory.
    Gpu,
}

/// What subgroups of a compute shader can do. Sizes are in invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subgroup {
    /// Invocations per subgroup, if every compute pipeline has exactly that many.
    pub size: u32,
    /// `subgroupShuffle`.
    pub shuffle: bool,
    /// `subgroupAdd`, `subgroupMax` and so on.
    pub arithmetic: bool,
}

/// Optional abilities that kernels may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// 64-bit integers in shaders.
    pub int64: bool,
    /// 64-bit floats in shaders.
    pub float64: bool,
    /// 16-bit floats in shaders.
    pub float16: bool,
    /// 16-bit elements in storage buffers.
    pub storage16: bool,
    /// 8-bit elements in storage buffers.
    pub storage8: bool,
}

/// Everything that kernels, lowering and planning know of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The device's name, or `generic`.
    pub name: String,
    /// Which style of kernels runs well.
    pub class: Class,
    /// Subgroups, if their size is known.
    pub subgroup: Option<Subgroup>,
    /// Abilities.
    pub features: Features,
    /// Invocations per workgroup.
    pub max_workgroup_invocations: u32,
    /// Invocations per workgroup in each dimension.
    pub max_workgroup_size: [u32; 3],
    /// Workgroups per dispatch in each dimension.
    pub max_workgroup_count: [u32; 3],
    /// Bytes of shared memory per workgroup.
    pub max_shared_memory: u32,
    /// Bytes that the offset of a storage window must be a multiple of.
    pub storage_alignment: u64,
    /// Bytes that buffers and storage windows are whole multiples of: 16 where kernels move `vec4`s, as all kernels of
    /// devices do. 1 gives plans that are exact to the byte; the host can run those, since it computes word by word.
    pub storage_granule: u64,
    /// Bytes that the offset of a uniform window must be a multiple of.
    pub uniform_alignment: u64,
    /// Bytes in the largest storage window.
    pub max_storage_range: u64,
    /// Bytes in the largest allocation.
    pub max_allocation: u64,
    /// Passes through all loops of one invocation after which the driver leaves them, if it counts them.
    pub max_loop_passes: Option<u64>,
}

/// Passes that the compiler which lavapipe is made of gives an invocation: `LP_MAX_TGSI_LOOP_ITERATIONS` of Mesa's gallivm.
pub const CPU_LOOP_PASSES: u64 = 65_535;

/// Bytes of a `vec4` of 32-bit words, what kernels read and write at once.
pub const VEC4: u64 = 16;

impl Target {
    /// Whether shaders compute with an element type; where not, its elements can be moved all the same.
    pub fn computes(&self, dtype: DType) -> bool {
        Repr::of(dtype).is_none_or(|repr| !double::lacking(self, repr))
    }

    /// Bytes that the offset of a window on part of a tensor is a multiple of.
    pub fn window_alignment(&self) -> u64 {
        self.storage_alignment.max(self.storage_granule)
    }

    /// A device no better than Vulkan 1.1 promises to most: 256-byte alignment, 128 MiB windows, no subgroups known.
    pub fn generic() -> Self {
        Self {
            name: "generic".into(),
            class: Class::Gpu,
            subgroup: None,
            features: Features { int64: true, ..Features::default() },
            max_workgroup_invocations: 128,
            max_workgroup_size: [128, 128, 64],
            max_workgroup_count: [65_535; 3],
            max_shared_memory: 16_384,
            storage_alignment: 256,
            storage_granule: VEC4,
            uniform_alignment: 256,
            max_storage_range: 128 << 20,
            max_allocation: 1 << 30,
            max_loop_passes: None,
        }
    }
}

/// How an element type lies in device memory.
///
/// Storage buffers hold 32-bit words everywhere; narrower types are widened (narrow floats are computed with as `f32` and
/// rounded to their type after every operation) and 64-bit integers take two words (low first). Types without a representation are refused by name when a graph is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repr {
    /// `f32` and narrower floats, one word.
    F32,
    /// Signed integers of up to 32 bits, one word.
    I32,
    /// Unsigned integers of up to 32 bits and booleans (0 or 1), one word.
    U32,
    /// Signed 64-bit integers, two words, low first.
    I64,
    /// Unsigned 64-bit integers, two words, low first.
    U64,
    /// `f64`, two words, low first.
    F64,
}

impl Repr {
    /// The representation of an element type; `None` where there is none yet.
    pub const fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Some(Self::F32),
            _ if dtype.is_small_float() => Some(Self::F32),
            DType::I2 | DType::I4 | DType::I8 | DType::I16 | DType::I32 => Some(Self::I32),
            DType::U2 | DType::U4 | DType::U8 | DType::U16 | DType::U32 | DType::Bool => Some(Self::U32),
            DType::I64 => Some(Self::I64),
            DType::U64 => Some(Self::U64),
            DType::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// 32-bit words per element.
    pub const fn words(self) -> u64 {
        match self {
            Self::F32 | Self::I32 | Self::U32 => 1,
            Self::I64 | Self::U64 | Self::F64 => 2,
        }
    }

    /// Bytes per element in device memory.
    pub const fn bytes(self) -> u64 {
        self.words() * 4
    }
}
