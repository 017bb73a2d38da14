//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which model, with which dimensions.
#[derive(Args, Debug)]
pub(crate) struct ModelOptions {
    /// The ONNX file.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) weights: WeightOptions,
    /// The value of a symbolic dimension (repeat for each).
    #[arg(long = "dim", value_name = "NAME=VALUE")]
    pub(crate) dims: Vec<String>,
    /// The most that a symbolic dimension may be (repeat for each). One program then serves every size up to it.
    #[arg(long = "dim-max", value_name = "NAME=N")]
    pub(crate) dim_max: Vec<String>,
    /// The least that a symbolic dimension may be (repeat for each); 0 unless the model says more.
    #[arg(long = "dim-min", value_name = "NAME=N")]
    pub(crate) dim_min: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceOption,
    /// In which order operators run: as the model has them, or, by default, in an order whose plan needs less memory, where
    /// one saves enough for the barriers it adds.
    #[arg(long, value_enum)]
    pub(crate) order: Option<OperatorOrder>,
}

/// Weights of another file than the model's.
#[derive(Args, Debug)]
pub(crate) struct WeightOptions {
    /// Takes the model's weights from a safetensors or GGUF file, or an index of shards, by name. Every weight must have a
    /// tensor and every tensor a weight; small initializers (at most 4 KiB) may stay.
    #[arg(long = "weights", value_name = "FILE.safetensors|.json|.gguf")]
    pub(crate) file: Option<PathBuf>,
    /// Rules for names, a line each: PATTERN => NAME, a regular expression for the whole name in the weights' file and the
    /// initializer that it is, with $1 for what a group matched. The first that fits counts. " transposed" behind NAME turns a
    /// matrix (a square one fits both ways, so that nothing tells where it is missing), - in place of NAME leaves a tensor out, a
    /// line that begins with => names another initializer for the same tensor, one that begins with # is a comment.
    #[arg(long = "weight-names", value_name = "RULES", requires = "file")]
    pub(crate) names: Option<PathBuf>,
}

/// On what it runs, or for what it is compiled.
#[derive(Args, Debug)]
pub(crate) struct DeviceOption {
    /// Which device: an index, part of a name, a UUID, or host, the CPU without any driver; the best Vulkan device by
    /// default.
    #[arg(long = "device", value_name = "INDEX|NAME|UUID|host", env = "BAYPLAN_DEVICE")]
    pub(crate) name: Option<String>,
}

/// In which order operators run. Results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperatorOrder {
    /// As the model has them.
    Given,
    /// In the order whose plan needs the least memory; as the model has them where none saves as large a part of the memory
    /// as it adds to the barriers.
    Search,
}

impl From<OperatorOrder> for bayplan_compile::Order {
    fn from(order: OperatorOrder) -> Self {
        match order {
            OperatorOrder::Given => Self::Given,
            OperatorOrder::Search => Self::Search,
        }
    }
}

/// What to print, where there is only text and JSON.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct FormatOptions {
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl FormatOptions {
    /// Whether JSON is asked for, in whichever way.
    pub(crate) fn is_json(self) -> bool {
        self.json || self.format == Format::Json
    }
}

/// Where a report goes.
#[derive(Args, Debug)]
pub(crate) struct FileOptions {
    /// The file to write; - is standard output, which it is without this.
    #[arg(long, short, value_name = "FILE|-")]
    pub(crate) output: Option<PathBuf>,
    /// Replaces a file that is there already.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object, whose `version` changes when a key changes its meaning.
    Json,
}
