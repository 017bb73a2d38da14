//! The arguments of `pack`.

use std::path::PathBuf;

use clap::Args;

use super::common::ModelOptions;

/// The example of `pack`, and what it writes.
pub(super) const PACK: &str = "\
Example: bayplan pack encoder.onnx --output encoder.bay.onnx --dim-max batch=8 --dim-max seq=512

Two files are written: the model, and beside it, with .data behind the name, its weights as external data, in \
    the order in which runs first use them, large ones at multiples of 4 KiB. Any reader of ONNX opens the \
    model. Each tensor has a digest (XXH3, 128 bits, against damage, not against deceit), which runs check while they \
    load. Where every dimension has a value or a bound, the model brings its plan along. Weights in \
    blocks (GGUF) are written as f32; those of another type than the model's stay as they are, and a Cast \
    node converts them.

The files appear when both are whole. What is there already is left as it is, unless --force is given.";

/// What `--device` says here.
pub(super) const PLANNED_FOR: &str = "For which device it is planned: an index, part of a name, a UUID, or host; without this for \
    none in particular";

#[derive(Args, Debug)]
pub(crate) struct PackOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// The model to write; its weights go to a file of the same name with .data behind it.
    #[arg(long, short, value_name = "OUT.bay.onnx")]
    pub(crate) output: PathBuf,
    /// Replaces files that are there already.
    #[arg(long)]
    pub(crate) force: bool,
    /// Prints nothing but what is wrong.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
