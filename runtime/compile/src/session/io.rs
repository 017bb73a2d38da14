//! How weights are read.

use core::fmt;
use core::str::FromStr;

/// How sessions read files of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Io {
    /// Past the page cache what is not in it, and the rest from there.
    #[default]
    Auto,
    /// Past the page cache where the file system lets (`O_DIRECT`): a model that is loaded once pushes nothing out of it.
    Direct,
    /// Through the page cache: the next load finds the model there.
    Buffered,
    /// Not at all what kernels read as it lies in a file, where the device can read it there (`VK_EXT_external_memory_host`);
    /// the rest as with [`Io::Auto`]. It takes no memory but the system's cache of files, from which a page may go, and come
    /// back from the disk in the middle of a run. Whoever changes such a file changes what runs read, and whoever makes it
    /// shorter ends the process (SIGBUS): so it is asked for, never chosen.
    Import,
}

impl Io {
    /// All, by name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("direct", Self::Direct),
        ("buffered", Self::Buffered),
        ("import", Self::Import),
    ];

    /// Whether files are read past the page cache; `None` where they say what is best.
    pub fn direct(self) -> Option<bool> {
        match self {
            Self::Auto | Self::Import => None,
            Self::Direct => Some(true),
            Self::Buffered => Some(false),
        }
    }
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(_, io)| io == self);
        f.write_str(own.map_or("", |(name, _)| name))
    }
}

impl FromStr for Io {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|&(_, io)| io).ok_or_else(|| "name auto, direct, buffered or import".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (name, io) in Io::ALL {
            assert_eq!((name.parse(), io.to_string()), (Ok(io), name.to_string()));
        }
        assert!("mmap".parse::<Io>().unwrap_err().contains("buffered"));
    }
}
