//! The kernel table: which kernel does what on which device.

use crate::kernels::{
    block_matmul, block_matmul_cpu, conv, conv_block, conv_depthwise, copy, cumulate, elementwise, gather,
    host, matmul, matmul_any, matmul_gpu, normalize, pool, range, rank, reduce, scatter, softmax, unpack,
};
use crate::scratch::{self, Scratch};
use crate::source::Written;
use crate::tape::{Constants, Taped};
use crate::{Launch, Number, Refusal, Spec, Target};

/// One row: the first whose `accepts` holds is built.
pub struct Row {
    /// Name of the row, the beginning of its kernels' names.
    pub name: &'static str,
    /// Family of specs it serves, as [`family`] names them.
    pub family: &'static str,
    /// Whether the row serves this work on this device.
    pub(crate) accepts: fn(&Spec<Taped>, &Target) -> bool,
    /// What the work keeps between two phases, where it is worth doing it in two: whoever plans memory plans it too.
    pub scratch: fn(&Spec, &Target) -> Option<Scratch>,
    /// Writes the kernel.
    pub(crate) build: fn(&Spec<Taped>, &Target) -> Result<Written, Refusal>,
}

/// The family of a spec.
pub const fn family<N: Number>(spec: &Spec<N>) -> &'static str {
    match spec {
        Spec::Elementwise(_) => "elementwise",
        Spec::MatMul(_) => "matmul",
        Spec::Conv(_) => "conv",
        Spec::Pool(_) => "pool",
        Spec::Reduce(_) => "reduce",
        Spec::Softmax(_) => "softmax",
        Spec::Normalize(_) => "normalize",
        Spec::Copy(_) => "copy",
        Spec::Gather(_) => "gather",
        Spec::GatherNd(_) => "gather_nd",
        Spec::Scatter(_) => "scatter",
        Spec::Cumulate(_) => "cumulate",
        Spec::Rank(_) => "rank",
        Spec::Range(_) => "range",
        Spec::Unpack(_) => "unpack",
        Spec::BlockMatMul(_) => "block_matmul",
        Spec::BlockGather(_) => "block_gather",
        Spec::Host(_) => "host",
    }
}

/// Any device.
fn always(_: &Spec<Taped>, _: &Target) -> bool {
    true
}

/// Makes a row's `build` from a function of its spec: the row's family guards the mismatch.
macro_rules! build {
    ($variant:ident, $path:path) => {
        |spec, target| match spec {
            Spec::$variant(s) => $path(s, target),
            other => {
                Err(Refusal { what: family(other).into(), reason: "the row serves another family".into() })
            }
        }
    };
}

/// Every kernel, in order of preference.
pub const KERNELS: &[Row] = &[
    Row {
        name: "elementwise",
        family: "elementwise",
        accepts: always,
        scratch: scratch::none,
        build: build!(Elementwise, elementwise::build),
    },
    Row {
        name: "matmul.any",
        family: "matmul",
        accepts: matmul_any::fits,
        scratch: scratch::none,
        build: build!(MatMul, matmul_any::build),
    },
    Row {
        name: "matmul.cpu",
        family: "matmul",
        accepts: matmul::block_fits,
        scratch: scratch::none,
        build: build!(MatMul, matmul::build),
    },
    Row {
        name: "matmul.gpu",
        family: "matmul",
        accepts: always,
        scratch: scratch::none,
        build: build!(MatMul, matmul_gpu::build),
    },
    Row {
        name: "conv.block",
        family: "conv",
        accepts: conv::block_fits,
        scratch: scratch::none,
        build: build!(Conv, conv_block::build),
    },
    Row {
        name: "conv.depthwise",
        family: "conv",
        accepts: conv::depthwise_fits,
        scratch: scratch::none,
        build: build!(Conv, conv_depthwise::build),
    },
    Row {
        name: "conv.window",
        family: "conv",
        accepts: conv::window_fits,
        scratch: scratch::none,
        build: build!(Conv, conv::build_window),
    },
    Row {
        name: "conv.cpu",
        family: "conv",
        accepts: conv::cpu_fits,
        scratch: scratch::none,
        build: build!(Conv, conv::build_cpu),
    },
    Row {
        name: "conv.gpu",
        family: "conv",
        accepts: conv::gpu_fits,
        scratch: scratch::none,
        build: build!(Conv, conv::build_gpu),
    },
    Row {
        name: "pool",
        family: "pool",
        accepts: always,
        scratch: scratch::none,
        build: build!(Pool, pool::build),
    },
    Row {
        name: "reduce",
        family: "reduce",
        accepts: always,
        scratch: scratch::reduce,
        build: build!(Reduce, reduce::build),
    },
    Row {
        name: "softmax",
        family: "softmax",
        accepts: always,
        scratch: scratch::none,
        build: build!(Softmax, softmax::build),
    },
    Row {
        name: "normalize",
        family: "normalize",
        accepts: always,
        scratch: scratch::none,
        build: build!(Normalize, normalize::build),
    },
    Row {
        name: "copy",
        family: "copy",
        accepts: always,
        scratch: scratch::none,
        build: build!(Copy, copy::build),
    },
    Row {
        name: "gather",
        family: "gather",
        accepts: always,
        scratch: scratch::none,
        build: build!(Gather, gather::build),
    },
    Row {
        name: "gather_nd",
        family: "gather_nd",
        accepts: always,
        scratch: scratch::none,
        build: build!(GatherNd, gather::build_nd),
    },
    Row {
        name: "scatter",
        family: "scatter",
        accepts: always,
        scratch: scratch::none,
        build: build!(Scatter, scatter::build),
    },
    Row {
        name: "cumulate",
        family: "cumulate",
        accepts: always,
        scratch: scratch::none,
        build: build!(Cumulate, cumulate::build),
    },
    Row {
        name: "rank",
        family: "rank",
        accepts: always,
        scratch: scratch::none,
        build: build!(Rank, rank::build),
    },
    Row {
        name: "range",
        family: "range",
        accepts: always,
        scratch: scratch::none,
        build: build!(Range, range::build),
    },
    Row {
        name: "unpack",
        family: "unpack",
        accepts: always,
        scratch: scratch::none,
        build: build!(Unpack, unpack::build),
    },
    Row {
        name: "block_matmul.cpu",
        family: "block_matmul",
        accepts: block_matmul_cpu::fits,
        scratch: scratch::none,
        build: build!(BlockMatMul, block_matmul_cpu::build),
    },
    Row {
        name: "block_matmul.gpu",
        family: "block_matmul",
        accepts: always,
        scratch: scratch::none,
        build: build!(BlockMatMul, block_matmul::build),
    },
    Row {
        name: "block_gather",
        family: "block_gather",
        accepts: always,
        scratch: scratch::none,
        build: build!(BlockGather, gather::build_blocks),
    },
    Row {
        name: "host",
        family: "host",
        accepts: always,
        scratch: scratch::none,
        build: build!(Host, host::build),
    },
];

/// Chooses and writes the kernel for a piece of work on a device.
///
/// # Errors
/// No row serves it, or it exceeds a limit: the refusal says which.
pub fn launch(spec: &Spec, target: &Target) -> Result<Launch, Refusal> {
    written(&spec.map(&Constants), target).map(Written::launch)
}

/// The same over numbers on a tape.
pub(crate) fn written(spec: &Spec<Taped>, target: &Target) -> Result<Written, Refusal> {
    match row(spec, target) {
        Some(row) => {
            let written = (row.build)(spec, target)?;
            written.kernel.suits(target)?;
            Ok(written)
        }
        None => {
            let reason = format!("no kernel serves device `{}`", target.name);
            Err(Refusal { what: family(spec).into(), reason })
        }
    }
}

/// What a piece of work keeps between two phases on a device, where it is worth doing it in two.
pub fn scratch(spec: &Spec, target: &Target) -> Option<Scratch> {
    (row(&spec.map(&Constants), target)?.scratch)(spec, target)
}

fn row(spec: &Spec<Taped>, target: &Target) -> Option<&'static Row> {
    let family = family(spec);
    KERNELS.iter().find(|row| row.family == family && (row.accepts)(spec, target))
}

#[cfg(test)]
mod tests;
