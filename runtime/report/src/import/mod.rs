//! What other tools wrote, as recordings: every view, report and export then shows it.
//!
//! | what | becomes |
//! |---|---|
//! | a PyTorch memory snapshot (a pickle of protocol 2 to 5) | each event of the allocator an op, each allocation a buffer at its place in its segment; one arena per device |
//! | an instance of the planner (CSV with the columns id, lower, upper, size) | a plan, with the offsets of the file or, where it has none, the planner's |
//!
//! The recording says in its session what it was made from. Nothing of a file is run, and memory is bounded by its length.

mod csv;
mod history;
mod sites;
mod snapshot;
#[cfg(test)]
mod tests;
mod torch;

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use bayplan_trace::{Event, Level, Nanos, PlanRecord, Reader, SessionInfo, Window, Writer};

use crate::pickle;

/// Windows of one event.
const WINDOWS: usize = 1024;

/// Bytes that gather before they are written.
const PORTION: usize = 1 << 20;

/// Bytes of a plan's first line, and of what follows it.
const HEADER: u64 = 64 << 10;
const TEXT: u64 = 1 << 30;

/// Why a file is not imported, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError(String);

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ImportError {}

/// What was read of a file, ready to be written as a recording.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// What the file is, for people.
    what: &'static str,
    /// Where it was made.
    device: String,
    start_unix_ns: u64,
    plan: PlanRecord,
    /// Where buffers were seen.
    windows: Vec<Window>,
    /// Whether the ops happened, rather than being planned only.
    ran: bool,
    /// Begin and end of each op, where they are known.
    times: Vec<(Nanos, Nanos)>,
    /// What happened beside the ops, each with the op it came with, in order.
    events: Vec<(u32, Event)>,
}

/// Reads a file that another tool wrote; its first bytes tell what it is.
///
/// # Errors
/// It cannot be read, is nothing that is known here, or is damaged.
pub fn import(mut source: impl BufRead) -> Result<Imported, ImportError> {
    let unreadable = |error: io::Error| ImportError(format!("it cannot be read: {error}"));
    let head = source.fill_buf().map_err(unreadable)?;
    if Reader::recognises(head) {
        return Err(ImportError("it is a recording already; report, top and export take it as it is".into()));
    }
    if head.starts_with(b"PK\x03\x04") {
        return Err(ImportError(
            "it is an archive, say a model saved by torch.save; a memory snapshot is written by \
             torch.cuda.memory._dump_snapshot"
                .into(),
        ));
    }
    if head.first() == Some(&0x80) {
        let data = pickle::read(source).map_err(|error| ImportError(error.to_string()))?;
        return torch::import(&data).map_err(ImportError);
    }
    let text = text(source).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            ImportError("it is neither a PyTorch memory snapshot (a pickle) nor a plan in CSV".into())
        }
        _ => unreadable(error),
    })?;
    csv::import(&text).map_err(ImportError)
}

/// The text of a plan: only its first line, where that is no header of one. What has no end is no plan.
fn text(mut source: impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    let mut head = source.by_ref().take(HEADER);
    // Empty lines may come first.
    while text.trim_end().is_empty() && head.read_line(&mut text)? > 0 {}
    if head.limit() == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if csv::is_header(&text) && source.take(TEXT + 1).read_to_string(&mut text)? as u64 > TEXT {
        return Err(io::Error::other("it is longer than a gigabyte, as no plan is"));
    }
    Ok(text)
}

impl Imported {
    /// What the file is: `PyTorch memory snapshot`, `plan`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The plan that a recording of it has.
    pub fn plan(&self) -> &PlanRecord {
        &self.plan
    }

    /// Writes a recording that ended in order. `name` is the file's, for people; `version` that of the program.
    ///
    /// # Errors
    /// `out` cannot be written, or the plan is larger than a recording holds.
    pub fn write(mut self, name: &str, version: &str, mut out: impl Write) -> io::Result<()> {
        self.plan.model = name.to_owned();
        let mut writer = Writer::new(SessionInfo {
            id: format!("imported-{}", self.start_unix_ns / 1_000_000),
            model: name.to_owned(),
            device: std::mem::take(&mut self.device),
            version: version.to_owned(),
            level: Level::Op,
            start_unix_ns: self.start_unix_ns,
            origin: format!("{} {name}", self.what),
            ..SessionInfo::default()
        });
        writer.plan(&self.plan);
        let ready = self.events.partition_point(|(op, _)| *op == 0);
        let mut later = self.events.split_off(ready);
        for (_, event) in self.events.drain(..) {
            writer.event(&event);
        }
        writer.event(&Event::SessionReady { t: 0 });
        for (part, windows) in (0..).zip(self.windows.chunks(WINDOWS)) {
            let windows = windows.to_vec();
            writer.event(&Event::Windows { t: 0, recording: 0, plan: 0, part, windows });
            hand_over(&mut writer, &mut out, PORTION)?;
        }
        let end = self.times.last().map_or(0, |(_, end)| *end);
        if self.ran {
            writer.event(&Event::RunStart { run: 0, plan: 0, t: 0 });
            for (_, event) in later.drain(..) {
                writer.event(&event);
                hand_over(&mut writer, &mut out, PORTION)?;
            }
            if !self.times.is_empty() {
                writer.event(&Event::OpTimes { run: 0, plan: 0, first_op: 0, times: self.times });
            }
            writer.event(&Event::RunEnd { run: 0, t: end, ok: true });
        }
        writer.event(&Event::SessionEnd { t: end });
        writer.flush();
        hand_over(&mut writer, &mut out, 0)
    }
}

/// Writes the encoded bytes, once there are some.
fn hand_over(writer: &mut Writer, out: &mut impl Write, portion: usize) -> io::Result<()> {
    let mut bytes = Vec::new();
    if writer.ready_len() > portion {
        writer.take(&mut bytes);
    }
    out.write_all(&bytes)
}
