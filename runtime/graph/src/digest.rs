//! Digests of a tensor's bytes, against damage of files.

use core::fmt;
use core::str::FromStr;

use twox_hash::XxHash3_128;

/// XXH3, 128 bits, of a tensor's bytes as they lie in its file. It finds damage, not deceit: whoever wants to can make other
/// bytes with the same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u128);

impl Digest {
    /// The digest of bytes that are at hand.
    pub fn of(bytes: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(bytes))
    }
}

/// 32 hexadecimal digits, the first the highest: XXH's canonical form.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NoDigest)
    }
}

/// A text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest is 32 hexadecimal digits")
    }
}

impl std::error::Error for NoDigest {}

/// Makes a digest of bytes that come in pieces.
#[derive(Clone, Default)]
pub struct Digester(XxHash3_128);

impl Digester {
    /// Nothing was given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        Digest(self.0.finish_128())
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digester({})", self.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of xxHash's own program (`xxhsum -H2`) and of its sanity checks.
    #[test]
    fn it_is_xxh3_of_128_bits() {
        assert_eq!(Digest::of(b"").to_string(), "99aa06d3014798d86001c324468d497f");
        assert_eq!(Digest::of(b"a").to_string(), "a96faf705af16834e6c632b61e964e1f");
        assert_eq!(Digest::of(b"abc").to_string(), "06b05ab6733a618578af5f94892f3950");
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let bytes: Vec<u8> = (0..5000_u32).map(|at| ((at * at) >> 3) as u8).collect();
        for piece in [1, 7, 256, 1023, 1024, 4999, 5000] {
            let mut digester = Digester::new();
            bytes.chunks(piece).for_each(|piece| digester.update(piece));
            assert_eq!(digester.digest(), Digest::of(&bytes), "{piece}");
        }
        assert_eq!(Digester::new().digest(), Digest::of(&[]));
    }

    #[test]
    fn digests_are_read_as_they_are_written() {
        for digest in [Digest(0), Digest(1), Digest(u128::MAX), Digest::of(b"bay")] {
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
        for text in [
            "",
            "0",
            "+123456789012345678901234567890123",
            &"g".repeat(32),
            &"0".repeat(33),
            "+1234567890123456789012345678901",
        ] {
            assert_eq!(text.parse::<Digest>(), Err(NoDigest), "{text}");
        }
    }
}
