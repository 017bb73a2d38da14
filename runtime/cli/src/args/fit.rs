//! The arguments of `bayplan fit`.

use clap::Args;

use super::common::{FormatOptions, ModelOptions};

/// The example of `fit`, and what its JSON holds.
pub(super) const FIT: &str = "\
Example: bayplan fit decoder.onnx --budget 6GiB --dim batch=1 --dim-max seq=2048

JSON: version, model, target, budget (bytes, or null); memory, the bytes as a function of the dimensions: weights \
    and constant (bytes), symbols (each with name, lower, upper or null), kv (or null), and functions, each \
    with name, when (conditions), proved and terms (each with name, the tensors, and bytes, an expression): \
    weights + constant + kv + the largest of the terms; solved (the dimension of which each row has the \
    largest value that fits); rows, each with dims, bytes, next (bytes at the next value, or null) and binds \
    (function, term and bytes of the term that decides); crossings, each with terms and where these two are \
    equal; fits.";

#[derive(Args, Debug)]
pub(crate) struct FitOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// The elements of an input that decides shapes (repeat for each): what fits is told for these alone.
    #[arg(long = "value", value_name = "NAME=FILE.npy|.pb")]
    pub(crate) values: Vec<String>,
    /// What weights and activations may take, for instance 6GiB: also tells what fits. Exits with 1 if nothing does.
    /// Dimensions without a bound are tried up to what their inputs leave room for, at most 4,096, the one that is solved
    /// for up to 1,048,576.
    #[arg(long, value_name = "BYTES", value_parser = bayplan_text::parse_bytes)]
    pub(crate) budget: Option<u64>,
    /// The dimension to find the largest value of, for values of the others; by default the last without a bound.
    #[arg(long, value_name = "NAME")]
    pub(crate) solve: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}
