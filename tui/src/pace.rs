//! How soon the next picture may follow: thirty a second, and fewer where the line or the terminal is slow.

use std::time::Duration;

/// Shortest time between two pictures.
const SHORTEST: Duration = Duration::from_millis(33);
/// Longest time that a picture is put off for.
const LONGEST: Duration = Duration::from_millis(250);
/// Most bytes that are sent in a second.
const BYTES_PER_SECOND: u64 = 2_000_000;
/// Writing takes one part in so many of the time at most: the rest of it the terminal shows what was written.
const SHARE: u32 = 3;

/// The time from a picture to the next one, by how many bytes it took and how long they took to be written.
pub(crate) fn until_next(bytes: usize, writing: Duration) -> Duration {
    let line = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000 / BYTES_PER_SECOND));
    line.max(writing.saturating_mul(SHARE)).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_fewer_where_bytes_are_many_or_writing_stalls() {
        let ms = Duration::from_millis;
        for (bytes, writing, expect) in [
            (0, ms(0), ms(33)),
            (64_000, ms(0), ms(33)),
            (200_000, ms(1), ms(100)),
            (10_000, ms(20), ms(60)),
            (10_000, ms(5000), ms(250)),
            (usize::MAX, Duration::MAX, ms(250)),
        ] {
            assert_eq!(until_next(bytes, writing), expect, "{bytes} bytes in {writing:?}");
        }
    }
}
