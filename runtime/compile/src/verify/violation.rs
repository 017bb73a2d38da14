//! What the verifier finds.

use core::fmt;

use bayplan_text::escape;

/// The first rule that a program breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place in the program.
    pub place: Place,
    /// Name of the buffer concerned, if it is about one.
    pub buffer: Option<String>,
    /// What is wrong, in words.
    pub problem: String,
}

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The list of buffers.
    Buffers,
    /// A dispatch of the load stage: number and name.
    Load(usize, String),
    /// A dispatch of the run stage: number and name.
    Run(usize, String),
    /// The upload of the constant of that name.
    Upload(String),
    /// The input of that name.
    Input(String),
    /// The output of that name.
    Output(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffers => f.write_str("buffers"),
            Self::Load(number, name) => write!(f, "load dispatch {number} ({})", escape(name)),
            Self::Run(number, name) => write!(f, "run dispatch {number} ({})", escape(name)),
            Self::Upload(name) => write!(f, "upload of {}", escape(name)),
            Self::Input(name) => write!(f, "input {}", escape(name)),
            Self::Output(name) => write!(f, "output {}", escape(name)),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(buffer) = &self.buffer {
            write!(f, "buffer {}: ", escape(buffer))?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Violation {}
