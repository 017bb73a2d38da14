//! The arguments of `bayplan conform`.

use std::path::PathBuf;

use clap::Args;

use super::common::DeviceOption;

/// The example of `conform`, and what its lines hold.
pub(super) const CONFORM: &str = "\
Example: bayplan conform cases.jsonl --device host

LIST holds one JSON object per line, each a case: id; model, an ONNX file; inputs, a folder with \
    input_0.pb and so on, one TensorProto for each input of the graph that is no initializer, in its \
    order; outputs, a folder, made if it is missing, that gets output_0.pb and so on, in the order of \
    the graph.
One line of JSON per case, printed when it is done: id; status (ok, unsupported: the model uses \
    what bayplan or the device does not have, or error); error, why; ms, milliseconds from opening the \
    model to its outputs; and where it ran dispatches, host_nodes (how many nodes the host \
    computed instead of the device), host (which, and why) and kernels. Ends with 0 when the list was worked through.";

#[derive(Args, Debug)]
pub(crate) struct ConformOptions {
    /// A file with one JSON object per line: id, model, inputs, outputs.
    #[arg(value_name = "LIST")]
    pub(crate) list: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceOption,
}
