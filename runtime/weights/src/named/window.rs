//! Reading a header from its front, a piece at a time.

use std::io;

use bayplan_graph::ByteSource;

use super::Problem;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// A range of a source, read from its front.
pub(super) struct Window<'a> {
    source: &'a dyn ByteSource,
    /// Bytes of the source from here on are not in `piece`.
    next: u64,
    end: u64,
    piece: Vec<u8>,
    used: usize,
}

impl<'a> Window<'a> {
    /// The bytes from `start` to `end`, which lie in the source.
    pub(super) fn new(source: &'a dyn ByteSource, start: u64, end: u64) -> Self {
        Self { source, next: start, end, piece: Vec::new(), used: 0 }
    }

    /// Place in the source of what is read next.
    pub(super) fn at(&self) -> u64 {
        self.next - (self.piece.len() - self.used) as u64
    }

    /// Bytes left.
    pub(super) fn left(&self) -> u64 {
        self.end - self.at()
    }

    /// Reads on where everything at hand is used.
    fn fill(&mut self) -> Result<(), Problem> {
        if self.used == self.piece.len() && self.next < self.end {
            let len = usize::try_from(self.end - self.next).unwrap_or(PIECE).min(PIECE);
            (self.used, self.piece) = (0, Vec::new());
            let mut piece = vec![0; len];
            self.source.read_at(self.next, &mut piece)?;
            self.piece = piece;
            self.next += len as u64;
        }
        Ok(())
    }

    /// Fills `buf`; the end is an error.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> Result<(), Problem> {
        if self.left() < buf.len() as u64 {
            return Err(Problem::Format(format!(
                "it ends at byte {} in the middle of its header; copy or download it again",
                self.end
            )));
        }
        let mut done = 0;
        while done < buf.len() {
            self.fill()?;
            let count = (self.piece.len() - self.used).min(buf.len() - done);
            buf[done..done + count].copy_from_slice(&self.piece[self.used..self.used + count]);
            done += count;
            self.used += count;
        }
        Ok(())
    }

    /// The next bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    /// Goes on behind the next `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Problem> {
        if self.left() < count {
            return Err(Problem::Format(format!(
                "at byte {} its header says that {count} bytes follow, but it ends at byte {}; copy or download it again",
                self.at(),
                self.end
            )));
        }
        let at_hand = (self.piece.len() - self.used) as u64;
        if count <= at_hand {
            self.used += count as usize;
        } else {
            (self.used, self.piece) = (0, Vec::new());
            self.next += count - at_hand;
        }
        Ok(())
    }
}

impl io::Read for Window<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(|problem| io::Error::other(problem.to_string()))?;
        let count = (self.piece.len() - self.used).min(buf.len());
        buf[..count].copy_from_slice(&self.piece[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn reads_and_skips_across_pieces() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let mut window = Window::new(&bytes, 10, 199_990);
        assert_eq!((window.at(), window.left()), (10, 199_980));
        assert_eq!(window.array::<2>(), Ok([10, 11]));
        window.skip(PIECE as u64 - 3).unwrap();
        assert_eq!(
            (window.at(), window.array::<4>()),
            (9 + PIECE as u64, Ok(bytes[9 + PIECE..][..4].try_into().unwrap()))
        );
        window.skip(100_000).unwrap();
        let at = window.at() as usize;
        let mut rest = Vec::new();
        window.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, bytes[at..199_990]);
        assert_eq!(window.left(), 0);
        assert!(window.u32().is_err() && window.skip(1).is_err() && window.skip(u64::MAX).is_err());
        assert_eq!(window.skip(0), Ok(()));
    }
}
