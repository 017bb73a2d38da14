//! `bayplan export`.

use std::io::{self, Write};
use std::process::ExitCode;

use bayplan::Places;
use bayplan_record::Part;
use bayplan_report::Exporter;
use bayplan_text::escape;
use bayplan_trace::{Record, Timeline};

use super::recordings::{damage_text, unreadable};
use crate::args::ExportOptions;
use crate::exit::Outcome;
use crate::out;
use crate::output_file::{Output, Wanted};

pub(crate) fn export(options: &ExportOptions) -> Outcome {
    let source = bayplan_record::open(&options.recording, &Places::from_env())?;
    let path = source.path.clone();
    let wanted = Wanted {
        path: &options.output,
        what: "the export",
        text: options.format.text,
        force: options.force,
        source: &path,
    };
    let mut output = Output::open(wanted)?;
    let mut work = Work { exporter: (options.format.new)(), timeline: Timeline::new(), error: None };
    let (_, damages) = bayplan_record::read_with_chunks(source, |part| work.part(part, output.writer()))?;
    if work.timeline.session.is_none() && work.timeline.plans.is_empty() {
        return Err(unreadable(&path));
    }
    match work.finish(output.writer()).and_then(|()| output.close(options.force)) {
        Err(e) if wanted.was_enough(&e) => {}
        result => result.map_err(|e| wanted.refused(&e))?,
    }
    for damage in &damages {
        out::error_line("warning", &escape(&damage_text(damage)).to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// What is being written, and the first thing that went wrong with it.
struct Work {
    exporter: Box<dyn Exporter>,
    timeline: Timeline,
    error: Option<io::Error>,
}

impl Work {
    fn part(&mut self, part: Part<'_>, out: &mut dyn Write) {
        if self.error.is_some() {
            return;
        }
        match part {
            Part::Chunks(frames) => self.error = self.exporter.chunks(frames, out).err(),
            Part::Record(record) => self.record(record, out),
            Part::Event(event) => self.record(Record::Event(event.to_event()), out),
        }
    }

    fn record(&mut self, record: Record, out: &mut dyn Write) {
        self.error = self.exporter.record(&record, &self.timeline, out).err();
        self.timeline.apply(record);
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self.error.take() {
            Some(e) => Err(e),
            None => self.exporter.finish(&self.timeline, out),
        }
    }
}
