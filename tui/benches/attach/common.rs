//! What benches of the program have in common.
#![allow(dead_code, reason = "benches use a part each")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bayplan_record::{Follower, Part, Places, Source, Start};
use bayplan_trace::Timeline;
use rustix::time::{ClockId, clock_gettime};

/// A line of the table.
pub(crate) fn tell(what: &str, figure: &str, bar: &str) {
    println!("{what:<62} {figure:>12}   {bar}");
}

/// Milliseconds with what is left of them.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Processor time of this thread.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Median and largest.
pub(crate) fn middle(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

/// Reads all that is there from a place on; returns what holds then.
pub(crate) fn fold(source: Source, start: Start) -> Result<Timeline, Box<dyn Error>> {
    let mut follower = Follower::open(source, start)?;
    let mut timeline = Timeline::new();
    let mut take = |part: Part<'_>| match part {
        Part::Event(event) => timeline.apply_event(event),
        Part::Record(record) => timeline.apply(record),
        Part::Chunks(_) => {}
    };
    while !follower.poll_parts(&mut take)?.caught_up {}
    Ok(timeline)
}

/// The most memory that a process held so far, in bytes, and its processor time; none once it has ended.
pub(crate) fn held(pid: u32) -> Option<(u64, Duration)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets; user and system time are in hundredths of a second.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some((kilobytes << 10, Duration::from_millis(ticks * 10)))
}

/// The folders of recordings that the viewer sees.
pub(crate) fn places(home: &Path) -> Places {
    Places { live: home.join("runtime/bayplan"), runs: home.join("state/bayplan/runs"), cache: None }
}
