//! What a figure is told of, and which of them are asked for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::Chars;

use bayplan_text::escape;

/// What a figure is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The session.
    Session,
    /// A plan.
    Plan {
        /// Its number.
        plan: u32,
    },
    /// An arena of a plan.
    Arena {
        /// The plan's number.
        plan: u32,
        /// The arena's number in the plan.
        arena: u32,
        /// Its name.
        name: &'a str,
    },
    /// A heap of the device.
    Heap {
        /// Its index.
        heap: u32,
    },
    /// A dynamic pool.
    Pool {
        /// Its number.
        pool: u32,
        /// Its name.
        name: &'a str,
    },
    /// An op of a plan.
    Op {
        /// The plan's number.
        plan: u32,
        /// The op's number.
        op: u32,
        /// Its name.
        name: &'a str,
        /// The node of the model that it came from.
        node: &'a str,
    },
    /// A tensor of a plan.
    Tensor {
        /// The plan's number.
        plan: u32,
        /// The number of its buffer.
        buffer: u32,
        /// Its name.
        name: &'a str,
        /// Its arena's number.
        arena: u32,
        /// Its arena's name.
        arena_name: &'a str,
    },
}

/// By what figures are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The plan, by number.
    Plan,
    /// The arena, by name or number.
    Arena,
    /// The heap, by number.
    Heap,
    /// The pool, by name or number.
    Pool,
    /// The op, by its name, the name of its node, or its number.
    Op,
    /// The tensor, by name or number of its buffer.
    Tensor,
}

impl Key {
    /// Every key.
    pub const ALL: [Self; 6] = [Self::Plan, Self::Arena, Self::Heap, Self::Pool, Self::Op, Self::Tensor];

    /// Its name in expressions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Arena => "arena",
            Self::Heap => "heap",
            Self::Pool => "pool",
            Self::Op => "op",
            Self::Tensor => "tensor",
        }
    }

    /// Whether it can be a name; what cannot is chosen by number.
    pub fn has_names(self) -> bool {
        !matches!(self, Self::Plan | Self::Heap)
    }
}

/// What a key must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// This name.
    Name(String),
    /// A name like this: `*` stands for any text, also none, `?` for one character.
    Like(String),
    /// This number.
    Number(u64),
}

/// Whether a name is like a pattern. Takes at most as many steps as both lengths multiplied.
fn is_like(name: &str, pattern: &str) -> bool {
    let (mut name, mut pattern) = (name.chars(), pattern.chars());
    // Behind the latest `*`: the pattern, and the name less one character for each try that failed.
    let mut again: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = before;
                again = Some((pattern.clone(), name.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            (_, None) => return false,
            (_, Some(_)) => {
                let Some((behind, rest)) = &mut again else { return false };
                rest.next();
                (pattern, name) = (behind.clone(), rest.clone());
            }
        }
    }
}

/// Which subjects are asked for: those that match every entry. An empty one asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub Vec<(Key, Match)>);

impl Filter {
    /// The subjects with this name or number.
    pub fn by(key: Key, wanted: Match) -> Self {
        Self(alloc::vec![(key, wanted)])
    }

    /// Whether a subject is asked for.
    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        self.0.iter().all(|(key, wanted)| subject.is(*key, wanted))
    }

    /// The number that a key must be, if it must be one.
    pub(crate) fn number(&self, key: Key) -> Option<u64> {
        self.0.iter().find_map(|(own, wanted)| match wanted {
            Match::Number(number) if *own == key => Some(*number),
            _ => None,
        })
    }
}

impl Subject<'_> {
    fn is(&self, key: Key, wanted: &Match) -> bool {
        let (number, names) = match (self, key) {
            (
                Self::Plan { plan }
                | Self::Arena { plan, .. }
                | Self::Op { plan, .. }
                | Self::Tensor { plan, .. },
                Key::Plan,
            ) => (plan, [None, None]),
            (Self::Arena { arena, name, .. }, Key::Arena) => (arena, [Some(*name), None]),
            (Self::Tensor { arena, arena_name, .. }, Key::Arena) => (arena, [Some(*arena_name), None]),
            (Self::Heap { heap }, Key::Heap) => (heap, [None, None]),
            (Self::Pool { pool, name }, Key::Pool) => (pool, [Some(*name), None]),
            (Self::Op { op, name, node, .. }, Key::Op) => (op, [Some(*name), Some(*node)]),
            (Self::Tensor { buffer, name, .. }, Key::Tensor) => (buffer, [Some(*name), None]),
            _ => return false,
        };
        match wanted {
            Match::Number(wanted) => u64::from(*number) == *wanted,
            Match::Name(wanted) => names.contains(&Some(wanted)),
            Match::Like(pattern) => names.into_iter().flatten().any(|name| is_like(name, pattern)),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, wanted)) in self.0.iter().enumerate() {
            let between = if at > 0 { ", " } else { "" };
            match wanted {
                Match::Name(name) => write!(f, "{between}{} \"{}\"", key.name(), escape(name))?,
                Match::Like(name) => write!(f, "{between}{} like \"{}\"", key.name(), escape(name))?,
                Match::Number(number) => write!(f, "{between}{} {number}", key.name())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_stand_for_names() {
        let like = [
            ("", ""),
            ("", "*"),
            ("conv1", "conv1"),
            ("conv1", "conv?"),
            ("conv1", "*"),
            ("conv1", "*1"),
            ("/layer.3/attention/scores", "*/attention/*"),
            ("abcabd", "*abd"),
            ("aab", "*?b"),
            ("é*", "?*"),
        ];
        for (name, pattern) in like {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("a", ""), ("", "?"), ("conv12", "conv?"), ("abc", "*b"), ("ab", "a*b*c")] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
        // Steps are bounded however many stars there are.
        let (long, stars) = ("a".repeat(2_000), "*a".repeat(500));
        assert!(is_like(&long, &stars) && !is_like(&long, &(stars + "b")));
    }
}
