//! What a picture of a recording on a time axis is made of, whatever file it is written to.

use bayplan_trace::{Block, Nanos, SessionInfo};

/// A track: a row of slices and instants, or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Track(pub(crate) u32);

/// What a track shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrackKind {
    /// Slices and instants.
    Slices,
    /// A number of things over time.
    Count,
    /// Bytes over time.
    Bytes,
    /// Nanoseconds over time.
    Nanos,
}

/// A value that explains a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arg<'a> {
    Number(u64),
    Text(&'a str),
}

/// The values that explain a slice or instant, by name.
pub(crate) type Args<'a> = [(&'a str, Arg<'a>)];

/// A slice of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) track: Track,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) name: &'a str,
}

/// Takes a picture part by part. Texts are escaped already.
///
/// Slices of a track do not overlap, and come in the order of their times; parts of different tracks come in any order.
pub(crate) trait Canvas {
    /// Who recorded. The first part, and again where another session follows.
    fn session(&mut self, session: &SessionInfo);
    /// A track, before anything is drawn on it.
    fn track(&mut self, track: Track, kind: TrackKind, name: &str);
    /// A slice.
    fn slice(&mut self, span: Span<'_>, args: &Args<'_>);
    /// Something without a duration.
    fn instant(&mut self, track: Track, t: Nanos, name: &str, args: &Args<'_>);
    /// A value of a counter from a time on.
    fn value(&mut self, track: Track, t: Nanos, value: u64);
    /// A block of device memory was allocated (`true`) or freed; formats without such a thing leave it to the counters.
    fn block(&mut self, _t: Nanos, _block: &Block, _allocated: bool) {}
}
