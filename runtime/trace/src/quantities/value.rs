//! What a figure says: a number, how far it is certain, or why there is none.

use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;

use crate::schema::event::EventKind;

/// A number of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number: bytes, nanoseconds, things.
    Whole(u64),
    /// A share.
    Real(f64),
}

impl Number {
    /// As a float: exact below 2⁵³.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    /// By size; numbers that are none come last.
    pub fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.saturating_add(b)),
            (a, b) => Self::Real(a.as_f64() + b.as_f64()),
        }
    }

    pub(crate) fn max(self, other: Self) -> Self {
        if other.order(self).is_gt() { other } else { self }
    }

    pub(crate) fn min(self, other: Self) -> Self {
        if other.order(self).is_lt() { other } else { self }
    }
}

/// The value of a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// This number.
    Exact(Number),
    /// A number between these two, both included: so far it is proved.
    Between(Number, Number),
    /// This number or a larger one, and why it is not certain.
    AtLeast(Number, Unknown),
    /// Nothing is known of it.
    Unknown(Unknown),
}

impl Value {
    /// A whole number.
    pub fn whole(number: u64) -> Self {
        Self::Exact(Number::Whole(number))
    }

    /// A share.
    pub fn real(number: f64) -> Self {
        Self::Exact(Number::Real(number))
    }

    /// The number, if it is certain.
    pub fn exact(&self) -> Option<Number> {
        match self {
            Self::Exact(number) => Some(*number),
            Self::Between(least, most) => (least == most).then_some(*least),
            Self::AtLeast(..) | Self::Unknown(_) => None,
        }
    }

    /// The number, or the least that it can be.
    pub fn least(&self) -> Option<Number> {
        match self {
            Self::Exact(number) | Self::Between(number, _) | Self::AtLeast(number, _) => Some(*number),
            Self::Unknown(_) => None,
        }
    }

    /// The same where records that belong to it are missing.
    pub(crate) fn uncertain(self, grows: bool, why: &Unknown) -> Self {
        match self {
            Self::Exact(number) | Self::Between(number, _) if grows => Self::AtLeast(number, why.clone()),
            Self::Exact(_) | Self::Between(..) => Self::Unknown(why.clone()),
            Self::AtLeast(..) | Self::Unknown(_) => self,
        }
    }
}

/// Why a figure is not known, or not certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No plan was recorded.
    NoPlan,
    /// No plan has such things.
    Absent {
        /// What there is none of.
        scope: &'static str,
    },
    /// The recording has nothing of that name; what it has.
    NoSuch {
        /// What was asked for.
        asked: String,
        /// The names that there are, at most a few.
        known: String,
    },
    /// Several subjects have this figure, and they do not make one: choose.
    Several {
        /// What there are several of.
        scope: &'static str,
    },
    /// No windows were seen to compare with the plan.
    NoWindows,
    /// It is a plan: nothing ran.
    NothingRan,
    /// The recording was imported: what it shows was not planned.
    Imported,
    /// Some windows were lost.
    LostWindows,
    /// No op was timed.
    NotTimed,
    /// The recording does not say what its device does at most.
    NoRoofs,
    /// The device's roof does not hold for this op: it moves and computes nothing, took no time, or the host computes it.
    NoRoofOfOp,
    /// No run has ended.
    NoRuns,
    /// The session was not seen to be ready.
    NotReady,
    /// The driver does not tell it.
    NotTold,
    /// No ratio says it: it would divide by 0.
    NoRatio,
    /// The plan was forgotten: many shapes came after it.
    NotKept,
    /// No block of device memory was seen.
    NoBlocks,
    /// There is no dynamic pool.
    NoPool,
    /// The recording tells of no weights that were loaded.
    NoLoad,
    /// It is a distribution: choose a statistic.
    Statistic,
    /// It is no distribution.
    NoDistribution,
    /// It takes a planner, and none is at hand.
    NoPlanner,
    /// The recording is damaged: records are missing.
    Damaged,
    /// Events were lost while it was recorded.
    Lost {
        /// Which.
        kind: EventKind,
        /// How many.
        count: u64,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = match self {
            Self::NoPlan => "no plan was recorded".into(),
            Self::Absent { scope } => return write!(f, "no plan of the recording has any {scope}"),
            Self::NoSuch { asked, known } if known.is_empty() => {
                return write!(f, "the recording has no {asked}");
            }
            Self::NoSuch { asked, known } => {
                return write!(f, "the recording has no {asked}; it has {known}");
            }
            Self::Several { scope } => return write!(f, "there are several: say of which {scope}"),
            Self::NoWindows => "no windows were seen to compare with the plan".into(),
            Self::NothingRan => "it is a plan: nothing ran".into(),
            Self::Imported => "the recording was imported: there was no plan to differ from".into(),
            Self::LostWindows => "some windows were lost".into(),
            Self::NotTimed => "no op was timed; --trace-level op times them".into(),
            Self::NoRoofs => {
                "what the device does at most is not in the recording; bayplan devices --probe measures it".into()
            }
            Self::NoRoofOfOp => {
                "no roof holds for this op: it moves and computes nothing, took no time, or the host computes it".into()
            }
            Self::NoRuns => "no run has ended".into(),
            Self::NotReady => "the session was not seen to be ready".into(),
            Self::NotTold => "the driver does not tell it".into(),
            Self::NoRatio => "it would divide by 0".into(),
            Self::NotKept => "the plan is not kept any more: many shapes came after it".into(),
            Self::NoBlocks => "no block of device memory was seen".into(),
            Self::NoPool => "the session has no dynamic pool".into(),
            Self::NoLoad => "the recording tells of no weights that were loaded".into(),
            Self::Statistic => {
                "it is a distribution: take its mean, p50, p95, max or another statistic".into()
            }
            Self::NoDistribution => "it is one number, no distribution".into(),
            Self::NoPlanner => "it takes a planner".into(),
            Self::Damaged => "the recording is damaged: records are missing".into(),
            Self::Lost { kind, count } => {
                return write!(f, "events were lost while it was recorded: {count} × {}", kind.name());
            }
        };
        f.write_str(&text)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => f.write_str(&number.to_string()),
            Self::Real(number) => f.write_str(&number.to_string()),
        }
    }
}
