//! How soon the next picture may follow: thirty a second, at once where it answers a key, and fewer where the line or the
//! terminal is slow.

use std::time::Duration;

/// Shortest time between two pictures.
const SHORTEST: Duration = Duration::from_millis(33);
/// Shortest time to a picture that answers a key or the mouse.
const SHORTEST_ANSWER: Duration = Duration::from_millis(8);
/// Longest time that a picture is put off for.
const LONGEST: Duration = Duration::from_millis(250);
/// Most bytes that are sent in a second.
const BYTES_PER_SECOND: u64 = 2_000_000;
/// Writing takes one part in so many of the time at most: the rest of it the terminal shows what was written.
const SHARE: u32 = 3;

/// The time from a picture to the next one, by how many bytes it took and how long they took to be written; whether that one
/// answers a key or the mouse.
pub(crate) fn until_next(bytes: usize, writing: Duration, answers: bool) -> Duration {
    let line = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000 / BYTES_PER_SECOND));
    let shortest = if answers { SHORTEST_ANSWER } else { SHORTEST };
    line.max(writing.saturating_mul(SHARE)).clamp(shortest, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_fewer_where_bytes_are_many_or_writing_stalls() {
        let ms = Duration::from_millis;
        for (bytes, writing, expect, answer) in [
            (0, ms(0), ms(33), ms(8)),
            (10_000, ms(1), ms(33), ms(8)),
            (30_000, ms(1), ms(33), ms(15)),
            (64_000, ms(0), ms(33), ms(32)),
            (200_000, ms(1), ms(100), ms(100)),
            (10_000, ms(20), ms(60), ms(60)),
            (10_000, ms(5000), ms(250), ms(250)),
            (usize::MAX, Duration::MAX, ms(250), ms(250)),
        ] {
            let found = [false, true].map(|answers| until_next(bytes, writing, answers));
            assert_eq!(found, [expect, answer], "{bytes} bytes in {writing:?}");
        }
    }
}
