//! Reasons as text.

use super::{Finish, Pressure, Refusal, Stall, Wait};
use bayplan_text::{Bytes, Count, plural};
use core::fmt;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPrompt => f.write_str("the prompt has no token"),
            Self::NothingToDo => f.write_str("no token is to be generated; ask for one at least"),
            Self::Exists => f.write_str("a request of this number is there already"),
            Self::Context { need, context } => write!(
                f,
                "prompt and answer take {} and a sequence may hold {}; shorten the prompt or ask for fewer tokens",
                plural(*need, "token"),
                Count(*context)
            ),
            Self::Blocks { need, blocks } => write!(
                f,
                "it may need {} and the pool has {}; raise the budget or ask for fewer tokens",
                plural(*need, "block"),
                Count(*blocks)
            ),
            Self::Weight { need, limit } => {
                write!(
                    f,
                    "it weighs {} by the fitted model, above the limit of {}",
                    Bytes(*need as u64),
                    Bytes(*limit)
                )
            }
        }
    }
}

impl core::error::Error for Refusal {}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequences { running } => write!(f, "{} already", plural_run(*running)),
            Self::Chunk { chunk } => {
                write!(f, "the {} of this step are given out", plural(u64::from(*chunk), "token"))
            }
            Self::Blocks { need, blocks, steps: 0 } => {
                write!(
                    f,
                    "with it {} would be held at once, the pool has {}",
                    plural(*need, "block"),
                    Count(*blocks)
                )
            }
            Self::Blocks { need, blocks, steps } => write!(
                f,
                "with it {} would be held in {}, the pool has {}",
                plural(*need, "block"),
                plural(*steps, "step"),
                Count(*blocks)
            ),
            Self::Weight { need, limit } => write!(
                f,
                "by the fitted model {} would be used of {}",
                Bytes(*need as u64),
                Bytes(*limit as u64)
            ),
            Self::Behind { sequence } => write!(f, "sequence {sequence} waits before it"),
            Self::Stalled { sequence } => write!(f, "sequence {sequence} is stalled and goes first"),
            Self::Budget(Pressure { usage, budget }) => {
                write!(
                    f,
                    "{} of the device's memory are in use, the budget is {}",
                    Bytes(*usage),
                    Bytes(*budget)
                )
            }
        }
    }
}

fn plural_run(running: u64) -> alloc::string::String {
    let verb = if running == 1 { "runs" } else { "run" };
    alloc::format!("{} {verb}", plural(running, "sequence"))
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (need, free) = (plural(self.need, "block"), plural(u64::from(self.free), "free block"));
        write!(f, "it needs {need}; others need the {free} to finish")
    }
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "as long as it may be",
            Self::Stop => "ended",
            Self::Cancelled => "cancelled",
            Self::OutOfBlocks => "out of blocks",
        })
    }
}
