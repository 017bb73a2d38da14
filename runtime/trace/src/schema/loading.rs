//! How the weights of a model come to where kernels read them.

use crate::schema::event::Nanos;

/// How a weight comes to the memory that kernels read it from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum WeightsPath {
    /// The file's mapping is device memory: nothing is copied.
    Imported = 0,
    /// Read straight into device memory that the host has mapped.
    Mapped = 1,
    /// Read into a staging buffer, which the device copies from.
    Staged = 2,
    /// Read into memory of the host, which computes itself.
    Host = 3,
}

impl WeightsPath {
    /// Every path, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Imported, Self::Mapped, Self::Staged, Self::Host];

    /// The path with this number in the file format.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|path| u64::from(path.number()) == number)
    }

    /// Its number in the file format.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Mapped => "mapped",
            Self::Staged => "staged",
            Self::Host => "host",
        }
    }
}

/// How the bytes of a weight are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadMode {
    /// Through the system's page cache, or from memory that the process has.
    Buffered,
    /// Past the page cache (`O_DIRECT`).
    Direct,
}

impl ReadMode {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Direct => "direct",
        }
    }
}

/// How far a session's weights have come. All sizes are of the weights as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Bytes to load.
    pub total: u64,
    /// Bytes that arrived, by the number of their path.
    pub by_path: [u64; WeightsPath::ALL.len()],
    /// Bytes of those that arrived that were read past the page cache.
    pub direct: u64,
    /// Bytes of staging buffers that loading holds, the most so far.
    pub staging: u64,
}

impl Loading {
    /// A loading of so many bytes, of which none has arrived.
    pub fn of(total: u64) -> Self {
        Self { total, ..Self::default() }
    }

    /// Counts a piece that arrived.
    pub fn add(&mut self, bytes: u64, path: WeightsPath, mode: ReadMode) {
        let sum = &mut self.by_path[usize::from(path.number())];
        *sum = sum.saturating_add(bytes);
        if mode == ReadMode::Direct {
            self.direct = self.direct.saturating_add(bytes);
        }
    }

    /// Bytes that arrived.
    pub fn arrived(&self) -> u64 {
        self.by_path.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// The paths that bytes arrived by, each with how many.
    pub fn paths(&self) -> impl Iterator<Item = (WeightsPath, u64)> + '_ {
        let known = WeightsPath::ALL.into_iter().zip(self.by_path);
        known.filter(|(_, bytes)| *bytes > 0)
    }

    /// The ways in which bytes that arrived were read, each with how many.
    pub fn modes(&self) -> impl Iterator<Item = (ReadMode, u64)> {
        let buffered = self.arrived().saturating_sub(self.direct);
        let both = [(ReadMode::Direct, self.direct), (ReadMode::Buffered, buffered)];
        both.into_iter().filter(|(_, bytes)| *bytes > 0)
    }
}

/// Bytes per second; `None` where no time passed.
pub fn rate(bytes: u64, took: Nanos) -> Option<f64> {
    (took > 0).then(|| bytes as f64 / (took as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn pieces_are_counted_by_path_and_mode() {
        let mut loading = Loading::of(100);
        assert_eq!((loading.arrived(), loading.paths().count(), loading.modes().count()), (0, 0, 0));
        loading.add(10, WeightsPath::Mapped, ReadMode::Direct);
        loading.add(30, WeightsPath::Staged, ReadMode::Buffered);
        loading.add(5, WeightsPath::Mapped, ReadMode::Buffered);
        assert_eq!(loading.arrived(), 45);
        let paths: Vec<_> = loading.paths().collect();
        assert_eq!(paths, [(WeightsPath::Mapped, 15), (WeightsPath::Staged, 30)]);
        let modes: Vec<_> = loading.modes().collect();
        assert_eq!(modes, [(ReadMode::Direct, 10), (ReadMode::Buffered, 35)]);
    }

    #[test]
    fn paths_are_known_by_number() {
        for path in WeightsPath::ALL {
            assert_eq!(WeightsPath::from_number(u64::from(path.number())), Some(path));
        }
        assert_eq!(WeightsPath::from_number(4), None);
    }

    #[test]
    fn a_rate_takes_time() {
        assert_eq!(rate(1 << 20, 500_000_000), Some(2.0 * f64::from(1 << 20)));
        assert_eq!(rate(1, 0), None);
    }
}
