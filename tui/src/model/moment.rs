//! Moments of a session: how one is named, and how its state is folded.
//!
//! ```text
//!  records  s p k e e e│e e e e e e         the state at a time is that of all records up to the last one
//!  now      0 0 5 6 6 8│9 9 …               with which the session's clock had not passed it
//!                      └ at 8
//! ```
//! The clock of a session never goes back, whatever order events come in; a keyframe says where it stood. So reading from a
//! keyframe on comes to the same state as reading from the beginning.

use std::fmt;

use bayplan_text::{Nanos as Length, parse_duration};
use bayplan_trace::{EventRef, Nanos, Record};

use super::fold::Fold;

/// A moment as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// What held at a time of the session.
    At(Nanos),
    /// When that run had ended, counted from 1; where it never did, before the next one began.
    Run(u64),
    /// When something happened last before a time.
    Before(Nanos),
    /// When something happened next after a time.
    After(Nanos),
    /// When most lived.
    Peak,
    /// The end of what is there.
    End,
}

/// Where to look, as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A moment of the session.
    Stop(Stop),
    /// So long before the end.
    BeforeEnd(Nanos),
    /// When most lived.
    Peak,
}

/// Why a moment cannot be read from its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAMoment(String);

impl fmt::Display for NotAMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAMoment {}

impl At {
    /// Reads `1.5s` since the session began, `-1.5s` before its end, `run:12`, `peak` or `end`.
    ///
    /// # Errors
    /// It is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAMoment> {
        let time = |text: &str| {
            let time = parse_duration(text).map_err(|error| NotAMoment(error.to_string()))?;
            Ok(Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX))
        };
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| Some(text).filter(is_number)?.parse().ok().filter(|number| *number > 0);
        match (text, text.strip_prefix("run:"), text.strip_prefix('-')) {
            ("end", ..) => Ok(Self::Stop(Stop::End)),
            ("peak", ..) => Ok(Self::Peak),
            (_, Some(run), _) => match number(run) {
                Some(run) => Ok(Self::Stop(Stop::Run(run))),
                None => Err(NotAMoment("runs are counted from 1, as in run:12".to_owned())),
            },
            (_, _, Some(before)) => time(before).map(Self::BeforeEnd),
            _ => time(text).map(|t| Self::Stop(Stop::At(t))).map_err(|error| {
                // What begins as a number was meant as a time.
                if text.starts_with(|first: char| first.is_ascii_digit()) {
                    return error;
                }
                let ways = "a time since the session began, as 1.5s, or before its end, as -1.5s; run:12, peak or end";
                NotAMoment(format!("a moment is {ways}"))
            }),
        }
    }

    /// The moment that is meant in a session that was read to its end.
    ///
    /// # Errors
    /// The session has no such moment; why.
    pub(crate) fn in_session(self, whole: &Fold) -> Result<Stop, String> {
        let end = whole.timeline.now;
        match self {
            Self::Stop(Stop::At(t)) if t > end => Err(format!("the session ends after {}", Length(end))),
            Self::Stop(stop) => Ok(stop),
            Self::BeforeEnd(time) => match end.checked_sub(time) {
                Some(t) => Ok(Stop::At(t)),
                None => Err(format!("the session is only {} long", Length(end))),
            },
            // Whoever looks it up finds out when that was: it takes reading the whole session.
            Self::Peak if whole.strip.has_memory() || whole.timeline.current_plan().is_some() => {
                Ok(Stop::Peak)
            }
            Self::Peak => Err("no memory was ever taken".to_owned()),
        }
    }
}

/// A state that is folded up to a moment.
#[derive(Debug)]
pub(crate) struct Folding {
    pub(crate) fold: Fold,
    stop: Stop,
    /// The clock may not pass this any more.
    limit: Option<Nanos>,
    /// Whether what was read so far says all that held before: a keyframe, or the beginning of the session.
    pub(crate) is_whole: bool,
    /// Whether the moment was passed: what came after it was not taken.
    pub(crate) is_passed: bool,
}

impl Folding {
    /// Begins at a chapter; `has_keyframe` says whether anything was before it.
    pub(crate) fn new(stop: Stop, has_keyframe: bool) -> Self {
        let limit = match stop {
            Stop::At(t) => Some(t),
            Stop::Before(t) => Some(t.saturating_sub(1)),
            Stop::Run(_) | Stop::After(_) | Stop::Peak | Stop::End => None,
        };
        Self { fold: Fold::default(), stop, limit, is_whole: !has_keyframe, is_passed: false }
    }

    /// Takes a session, a plan or a keyframe; returns whether to go on.
    pub(crate) fn record(&mut self, record: Record) -> bool {
        self.is_whole |= matches!(record, Record::Keyframe(_));
        self.fold.apply(record);
        true
    }

    /// Takes an event, unless it came after the moment; returns whether to go on.
    #[inline]
    pub(crate) fn event(&mut self, event: EventRef<'_>) -> bool {
        let now = self.fold.timeline.now.max(event.time());
        let is_later = self.limit.is_some_and(|limit| now > limit) || self.begins_later_run(event);
        if is_later {
            self.is_passed = true;
            return false;
        }
        self.fold.apply_event(event);
        match (self.stop, event) {
            (Stop::Run(run), EventRef::RunEnd { .. }) if self.has_run(run) => self.limit = Some(now),
            (Stop::After(t), _) if now > t => self.limit = Some(now),
            _ => {}
        }
        true
    }

    fn begins_later_run(&self, event: EventRef<'_>) -> bool {
        let Stop::Run(run) = self.stop else { return false };
        matches!(event, EventRef::RunStart { .. }) && self.fold.timeline.runs_started >= run
    }

    /// Whether that run was begun as the last one, and has ended.
    fn has_run(&self, run: u64) -> bool {
        self.fold.timeline.runs_started == run && self.fold.timeline.current.is_none()
    }

    /// Whether the moment was found: not where the recording ends before it.
    pub(crate) fn is_found(&self) -> bool {
        match self.stop {
            Stop::At(_) | Stop::Before(_) | Stop::Peak | Stop::End => true,
            Stop::Run(run) => self.fold.timeline.runs_started == run,
            Stop::After(t) => self.fold.timeline.now > t,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::taken;

    #[test]
    fn moments_are_read_from_their_names() {
        let check = |text: &str, expect: Option<At>| assert_eq!(At::parse(text).ok(), expect, "{text}");
        let at = |t| Some(At::Stop(Stop::At(t)));
        check("1.5s", at(1_500_000_000));
        check("0", at(0));
        check("200us", at(200_000));
        check("-2ms", Some(At::BeforeEnd(2_000_000)));
        check("run:12", Some(At::Stop(Stop::Run(12))));
        check("peak", Some(At::Peak));
        check("end", Some(At::Stop(Stop::End)));
        for wrong in [
            "",
            "run:",
            "run:0",
            "run:-1",
            "run:+1",
            "run:1.5",
            "12",
            "-",
            "--1s",
            "now",
            "Peak",
            "1.5 parsecs",
        ] {
            check(wrong, None);
        }
        for (text, words) in [("12", "unit"), ("1.5 parsecs", "1.5s"), ("9e99h", "1.5s"), ("now", "run:12")] {
            let error = At::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn moments_near_the_end_and_the_peak_are_those_of_the_session() {
        let mut whole = Fold::default();
        assert!(At::Peak.in_session(&whole).unwrap_err().contains("no memory"));
        for event in [taken(10, 1, 5), taken(20, 2, 5), EventRef::DeviceFreed { t: 30, id: 1 }] {
            whole.apply_event(event);
        }
        assert_eq!(At::Peak.in_session(&whole), Ok(Stop::Peak));
        assert_eq!(At::BeforeEnd(4).in_session(&whole), Ok(Stop::At(26)));
        assert_eq!(At::BeforeEnd(30).in_session(&whole), Ok(Stop::At(0)));
        assert_eq!(At::Stop(Stop::At(30)).in_session(&whole), Ok(Stop::At(30)));
        assert!(At::BeforeEnd(31).in_session(&whole).unwrap_err().contains("only 30 ns long"));
        assert!(At::Stop(Stop::At(31)).in_session(&whole).unwrap_err().contains("ends after 30 ns"));
    }
}
