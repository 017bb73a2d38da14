//! The arguments of `import`.

use std::path::PathBuf;

use clap::Args;

/// The example of `import`, and what it takes.
pub(super) const IMPORT: &str = "\
Example: bayplan import snapshot.pickle --output snapshot.bptrace

Files that are understood: memory snapshots of PyTorch (torch.cuda.memory._dump_snapshot), each event of the \
    allocator an op, each allocation a tensor at its place; and plans in CSV (id,lower,upper,size and, where wanted, \
    alignment, fixed, offset). Nothing in a file is run. The recording appears when it is whole; one that is \
    there already is left as it is, unless --force is given.";

#[derive(Args, Debug)]
pub(crate) struct ImportOptions {
    /// The file to read; - is standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// The recording to write, which top, report and export then take; - is standard output.
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: PathBuf,
    /// Replaces a file that is there already.
    #[arg(long)]
    pub(crate) force: bool,
}
