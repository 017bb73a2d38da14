//! A recording in the formats of other programs. One file per format, one row of [`FORMATS`] each.
//!
//! An [`Exporter`] takes a recording record by record and writes as it goes, so that a long recording does not have to fit
//! in memory. The caller folds the records into a [`Timeline`] and hands it along:
//!
//! ```text
//! for each record:  exporter.record(&record, &timeline, out)  then  timeline.apply(record)
//! at the end:       exporter.finish(&timeline, out)
//! ```
//! All names that come from the recording are escaped for display.

mod canvas;
mod chrome;
mod csv;
mod instance;
mod lanes;
mod painter;
mod painter_pools;
mod painter_runs;
#[cfg(feature = "parquet")]
mod parquet;
mod perfetto;
mod table;
mod torch;
mod torch_memory;
#[cfg(test)]
mod torch_tests;
mod vma;

use std::io::{self, Write};

use bayplan_trace::{Record, Timeline};

/// Writes a recording in another format.
pub trait Exporter {
    /// Takes chunks of the recording as they lie in its file, in their frames, before the records in them. Only a format
    /// that carries the recording itself along has a use for them.
    ///
    /// # Errors
    /// `out` refuses the bytes.
    fn chunks(&mut self, _frames: &[u8], _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Takes a record. `before` is the state without it: a block that is freed is still known, a plan is in the record.
    ///
    /// # Errors
    /// `out` refuses the bytes.
    fn record(&mut self, record: &Record, before: &Timeline, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what only the end tells. `timeline` is the state with all records.
    ///
    /// # Errors
    /// `out` refuses the bytes, or the recording cannot be told in this format; the text says why.
    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()>;
}

/// A format that recordings are exported to.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is and what opens it, in a sentence without its end.
    pub about: &'static str,
    /// The usual extension of its files, without the dot.
    pub extension: &'static str,
    /// Whether it is text that a terminal can show.
    pub text: bool,
    /// Makes an exporter of one recording.
    pub new: fn() -> Box<dyn Exporter>,
}

/// Every format, in the order in which people look for them.
pub static FORMATS: &[Format] = &[
    Format {
        name: "perfetto",
        about: "all there is as a trace for ui.perfetto.dev and SQL; it is a recording as well",
        extension: "bptrace",
        text: false,
        new: || Box::new(perfetto::Perfetto::default()),
    },
    Format {
        name: "chrome",
        about: "JSON of the Trace Event Format, for chrome://tracing and scripts",
        extension: "json",
        text: true,
        new: || Box::new(chrome::Chrome::default()),
    },
    Format {
        name: "torch",
        about: "a PyTorch memory snapshot, for pytorch.org/memory_viz and _memory_viz.py",
        extension: "pickle",
        text: false,
        new: || Box::new(torch::Torch::default()),
    },
    Format {
        name: "vma",
        about: "a JSON dump of the Vulkan Memory Allocator at the peak, for its GpuMemDumpVis",
        extension: "json",
        text: true,
        new: || Box::new(vma::Dump),
    },
    Format {
        name: "csv",
        about: "all of it as one table, for spreadsheets and scripts",
        extension: "csv",
        text: true,
        new: || Box::new(table::Table::<csv::Csv>::default()),
    },
    #[cfg(feature = "parquet")]
    Format {
        name: "parquet",
        about: "the same table, for DuckDB, DataFusion and pandas",
        extension: "parquet",
        text: false,
        new: || Box::new(table::Table::<parquet::Parquet>::default()),
    },
    Format {
        name: "instance",
        about: "the tensors of one arena as an instance for planners, which `plan` reads",
        extension: "csv",
        text: true,
        new: || Box::new(instance::Planner),
    },
];

/// The format with a name.
pub fn export_format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
