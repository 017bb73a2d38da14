//! Requests as they come.

use super::random::Random;
use bayplan_kv::Request;

/// When requests come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// One by one, each at any time: nanoseconds between two on average.
    Poisson {
        /// Nanoseconds.
        mean: f64,
    },
    /// So many at once.
    Bursts {
        /// How many.
        size: u64,
        /// Nanoseconds between two bursts on average.
        mean: f64,
    },
}

/// How long prompts and answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Prompts of 16 to 1024 tokens, answers of 16 to 512.
    Uniform,
    /// Log-normal: prompts around 256 tokens, answers around 160.
    LogNormal,
    /// Heavy tails: most are short, a few as long as they may be.
    HeavyTail,
}

impl Lengths {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 3] =
        [("uniform", Self::Uniform), ("log-normal", Self::LogNormal), ("heavy tail", Self::HeavyTail)];

    /// A prompt's and an answer's tokens.
    fn draw(self, random: &mut Random) -> (u64, u64) {
        let clip = |tokens: f64, most: u64| (tokens as u64).clamp(1, most);
        match self {
            Self::Uniform => (random.between(16, 1024), random.between(16, 512)),
            Self::LogNormal => {
                (clip(random.log_normal(256.0, 0.9), 4096), clip(random.log_normal(160.0, 0.8), 2048))
            }
            Self::HeavyTail => (clip(random.pareto(48.0, 1.1), 4096), clip(random.pareto(48.0, 1.3), 2048)),
        }
    }
}

/// Requests to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// How many.
    pub requests: u64,
    /// When they come.
    pub arrival: Arrival,
    /// How long they are.
    pub lengths: Lengths,
    /// The same seed draws the same requests.
    pub seed: u64,
}

/// A request that comes.
#[derive(Clone, Debug)]
pub(super) struct Coming {
    /// Nanoseconds.
    pub(super) at: u64,
    pub(super) request: Request,
    /// Tokens after which it really ends; at most as many as it may have.
    pub(super) ends: u32,
}

impl Workload {
    /// The requests in the order in which they come. Half of the answers are as long as they may be, the others end
    /// somewhere before.
    pub(super) fn draw(&self) -> Vec<Coming> {
        let mut random = Random::new(self.seed);
        let mut now = 0.0;
        let coming = |sequence: u64| {
            now += match self.arrival {
                Arrival::Poisson { mean } => random.exponential(mean),
                Arrival::Bursts { size, mean } if sequence.is_multiple_of(size.max(1)) => {
                    random.exponential(mean)
                }
                Arrival::Bursts { .. } => 0.0,
            };
            let (prompt, most) = self.lengths.draw(&mut random);
            let ends = if random.between(0, 1) == 0 { most } else { random.between(1, most) };
            // No two prompts begin alike: what can be shared is not compared here.
            let prompt = vec![sequence as u32; prompt as usize];
            Coming {
                at: now as u64,
                request: Request { sequence, prompt, max_new: most as u32 },
                ends: ends as u32,
            }
        };
        (0..self.requests).map(coming).collect()
    }
}
