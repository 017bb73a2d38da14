//! The Trace Event Format: JSON that chrome://tracing, Perfetto and scripts read.
//!
//! Source: "Trace Event Format" (Google, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
//! Times are microseconds with three decimals: nothing of a nanosecond is lost.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use bayplan_trace::{Nanos, Record, SessionInfo, Timeline};
use serde_json::json;

use super::Exporter;
use super::canvas::{Arg, Args, Canvas, Span, Track, TrackKind};
use super::painter::{Painter, shown};

/// Writes the events as they come.
#[derive(Default)]
pub(super) struct Chrome {
    painter: Painter,
    page: Page,
}

impl Exporter for Chrome {
    fn record(&mut self, record: &Record, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        self.painter.record(record, before, &mut self.page);
        self.page.write(out)
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        self.painter.finish(timeline, &mut self.page);
        self.page.write(out)?;
        let begin = if self.page.begun { "" } else { BEGIN };
        let session = timeline.session.as_ref();
        let other = json!({
            "recorder": session.map(|session| format!("bayplan {}", shown(&session.version))),
            "run": session.map(|session| shown(&session.id)),
        });
        writeln!(out, "{begin}\n],\"displayTimeUnit\":\"ns\",\"otherData\":{other}}}")
    }
}

const BEGIN: &str = "{\"traceEvents\":[";

/// Events as text, until they are written.
#[derive(Default)]
struct Page {
    text: String,
    begun: bool,
    pid: u32,
    /// What tracks show and are called, by their number.
    tracks: Vec<(TrackKind, String)>,
}

impl Page {
    /// One event: what is in front of its arguments, and these.
    fn event(&mut self, head: fmt::Arguments<'_>, args: impl Display) {
        let begin = if std::mem::replace(&mut self.begun, true) { "," } else { BEGIN };
        // Writing to a string does not fail.
        let _ = write!(self.text, "{begin}\n{{{head},\"pid\":{},\"args\":{{{args}}}}}", self.pid);
    }

    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }
}

impl Canvas for Page {
    fn session(&mut self, session: &SessionInfo) {
        self.pid = session.pid;
        self.tracks.clear();
        let name = Quoted(&format!("bayplan {}", shown(&session.model))).to_string();
        self.event(format_args!(r#""ph":"M","name":"process_name""#), format_args!(r#""name":{name}"#));
    }

    fn track(&mut self, track: Track, kind: TrackKind, name: &str) {
        let at = track.0 as usize;
        if self.tracks.len() <= at {
            self.tracks.resize(at + 1, (TrackKind::Slices, String::new()));
        }
        if let Some(known) = self.tracks.get_mut(at) {
            *known = (kind, name.to_owned());
        }
        // Counters are told apart by name; rows are threads, listed in the order of their numbers.
        if kind == TrackKind::Slices {
            let (tid, name) = (track.0, Quoted(name));
            self.event(
                format_args!(r#""ph":"M","name":"thread_name","tid":{tid}"#),
                format_args!(r#""name":{name}"#),
            );
            let head = format_args!(r#""ph":"M","name":"thread_sort_index","tid":{tid}"#);
            self.event(head, format_args!(r#""sort_index":{tid}"#));
        }
    }

    fn slice(&mut self, span: Span<'_>, args: &Args<'_>) {
        let Span { track: Track(tid), start, end, name } = span;
        let (start, length, name) = (Micros(start), Micros(end.saturating_sub(start)), Quoted(name));
        let head = format_args!(r#""ph":"X","name":{name},"ts":{start},"dur":{length},"tid":{tid}"#);
        self.event(head, Object(args));
    }

    fn instant(&mut self, Track(tid): Track, t: Nanos, name: &str, args: &Args<'_>) {
        let (t, name) = (Micros(t), Quoted(name));
        self.event(format_args!(r#""ph":"i","s":"t","name":{name},"ts":{t},"tid":{tid}"#), Object(args));
    }

    fn value(&mut self, track: Track, t: Nanos, value: u64) {
        let Some((kind, name)) = self.tracks.get(track.0 as usize) else { return };
        let unit = match kind {
            TrackKind::Bytes => "bytes",
            TrackKind::Nanos => "ns",
            TrackKind::Count | TrackKind::Slices => "count",
        };
        let (name, t) = (Quoted(name).to_string(), Micros(t));
        self.event(format_args!(r#""ph":"C","name":{name},"ts":{t}"#), format_args!(r#""{unit}":{value}"#));
    }
}

/// A time in microseconds, exactly.
struct Micros(Nanos);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A text as a string of JSON.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Serialising a text does not fail.
        f.write_str(&serde_json::to_string(self.0).unwrap_or_default())
    }
}

/// Arguments as the members of an object of JSON.
struct Object<'a>(&'a Args<'a>);

impl Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}:", Quoted(name))?;
            match value {
                Arg::Number(number) => write!(f, "{number}")?,
                Arg::Text(text) => write!(f, "{}", Quoted(text))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lose_nothing() {
        for (t, text) in
            [(0, "0.000"), (1, "0.001"), (1_234_567, "1234.567"), (u64::MAX, "18446744073709551.615")]
        {
            assert_eq!(Micros(t).to_string(), text);
        }
    }

    #[test]
    fn a_page_is_json_even_if_nothing_happened() {
        let mut out = Vec::new();
        Chrome::default().finish(&Timeline::new(), &mut out).unwrap();
        let page: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(page["traceEvents"], json!([]));
    }
}
