//! Numbers as packed events hold them: their length stands in the first byte, and lists are packed bit by bit.
//!
//! ```text
//! number   xxxxxxx1                    7 bits        group   shift, short, long (bytes), then bits, lowest first:
//!          xxxxxx10 xxxxxxxx          14 bits                short = long   each value in so many bits
//!          …                                                 short < long   a bit says which of the two lengths follows
//!          10000000 and 7 bytes       56 bits                short = 255    each value as a number
//!          00000000 and 8 bytes       64 bits        values were shifted right by `shift`, whose bits were 0 in all of them
//! ```

use alloc::vec::Vec;

use crate::format::wire::WireError;

/// Values in a group of a list.
pub(crate) const GROUP: usize = 128;
/// Zeros behind the bytes that are read, so that eight can be looked at anywhere.
pub(crate) const PADDING: usize = 16;
/// Most bits of a value in a group: with the bit before it and the place in its first byte they fit a word.
const MAX_WIDTH: u32 = 56;
/// Stands for the lengths of a group whose values are numbers.
const AS_NUMBERS: u8 = 255;

/// Appends a number.
pub(crate) fn put_number(out: &mut Vec<u8>, value: u64) {
    let bits = u64::BITS - (value | 1).leading_zeros();
    let len = bits.div_ceil(7);
    if len > 8 {
        out.push(0);
        out.extend_from_slice(&value.to_le_bytes());
        return;
    }
    let word = (value << len) | 1 << (len - 1);
    out.extend_from_slice(&word.to_le_bytes()[..len as usize]);
}

/// A signed number so that small magnitudes are short.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a list of values; its length is known to who reads it.
pub(crate) fn put_list(out: &mut Vec<u8>, values: &[u64]) {
    values.chunks(GROUP).for_each(|group| put_group(out, group));
}

fn put_group(out: &mut Vec<u8>, values: &[u64]) {
    let all = values.iter().fold(0, |all, value| all | value);
    let shift = if all == 0 { 0 } else { all.trailing_zeros() };
    let (short, long) = widths(values, shift);
    if long > MAX_WIDTH {
        out.extend_from_slice(&[0, AS_NUMBERS, AS_NUMBERS]);
        values.iter().for_each(|value| put_number(out, *value));
        return;
    }
    out.extend_from_slice(&[shift as u8, short as u8, long as u8]);
    let (mut word, mut filled) = (0u64, 0);
    let flagged = u32::from(short < long);
    for value in values {
        let value = value >> shift;
        let is_long = value >> short > 0;
        let width = if is_long { long } else { short };
        // At most 7 bits wait, so that 57 more fit.
        word |= ((value << flagged) | u64::from(is_long && flagged == 1)) << filled;
        filled += width + flagged;
        while filled >= 8 {
            out.push(word as u8);
            (word, filled) = (word >> 8, filled - 8);
        }
    }
    if filled > 0 {
        out.push(word as u8);
    }
}

/// The two lengths with which the values take the fewest bits.
fn widths(values: &[u64], shift: u32) -> (u32, u32) {
    let mut counts = [0u32; 65];
    for value in values {
        counts[(u64::BITS - (value >> shift).leading_zeros()) as usize] += 1;
    }
    let long = counts.iter().rposition(|count| *count > 0).unwrap_or(0) as u32;
    let total = values.len() as u32;
    let (mut best, mut short, mut below) = (total * long, long, 0);
    for (width, count) in (0..long).zip(counts) {
        below += count;
        let bits = total + below * width + (total - below) * long;
        if bits < best {
            (best, short) = (bits, width);
        }
    }
    (short, long)
}

/// Reads numbers from bytes with [`PADDING`] zeros behind them. Reading past the end gives zeros; [`Numbers::check`] tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a> {
    padded: &'a [u8],
    end: usize,
    pos: usize,
}

impl<'a> Numbers<'a> {
    /// Begins at `pos`. The last [`PADDING`] bytes of `padded` are zeros.
    pub(crate) fn at(padded: &'a [u8], pos: usize) -> Self {
        Self { padded, end: padded.len().saturating_sub(PADDING), pos }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pos >= self.end
    }

    /// Whether all that was read was there.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), WireError> {
        if self.pos <= self.end { Ok(()) } else { Err(WireError::Truncated) }
    }

    /// Eight bytes from a place on, the first the lowest.
    #[inline(always)]
    fn word(&self, pos: usize) -> u64 {
        let word = self.padded.get(pos..).and_then(|rest| rest.first_chunk::<8>());
        word.map_or(0, |word| u64::from_le_bytes(*word))
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> u8 {
        let byte = self.padded.get(self.pos).copied().unwrap_or(0);
        self.pos += 1;
        byte
    }

    #[inline(always)]
    pub(crate) fn number(&mut self) -> u64 {
        let word = self.word(self.pos);
        let len = word.trailing_zeros() + 1;
        if len > 8 {
            return self.whole_number();
        }
        self.pos += len as usize;
        let unused = 64 - 8 * len;
        (word << unused) >> (unused + len)
    }

    #[cold]
    fn whole_number(&mut self) -> u64 {
        let value = self.word(self.pos + 1);
        self.pos += 9;
        value
    }

    #[inline(always)]
    pub(crate) fn signed(&mut self) -> i64 {
        unzigzag(self.number())
    }

    #[inline]
    pub(crate) fn index(&mut self) -> Result<u32, WireError> {
        crate::format::wire::narrow(self.number())
    }

    /// The bytes behind a length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = usize::try_from(self.number()).map_err(|_| WireError::Truncated)?;
        let end = self.pos.checked_add(len).filter(|end| *end <= self.end).ok_or(WireError::Truncated)?;
        let taken = self.padded.get(self.pos..end).ok_or(WireError::Truncated)?;
        self.pos = end;
        Ok(taken)
    }

    /// Reads a list of as many values as `slots` has, each put where `put` says.
    #[inline]
    pub(crate) fn list<T>(&mut self, slots: &mut [T], mut put: impl FnMut(&mut T, u64)) {
        for group in slots.chunks_mut(GROUP) {
            self.group(group, &mut put);
        }
    }

    #[inline]
    fn group<T>(&mut self, slots: &mut [T], put: &mut impl FnMut(&mut T, u64)) {
        let [shift, short, long] = [(); 3].map(|()| self.byte());
        if long == AS_NUMBERS {
            slots.iter_mut().for_each(|slot| put(slot, self.number()));
            return;
        }
        let shift = u32::from(shift) & 63;
        let [short, long] = [short, long].map(|width| u32::from(width).min(MAX_WIDTH));
        let mut at = self.pos * 8;
        if short == long {
            let mask = (1u64 << long) - 1;
            for slot in slots {
                let value = self.word(at / 8) >> (at % 8) & mask;
                at += long as usize;
                put(slot, value << shift);
            }
        } else {
            let widths = [short, long];
            for slot in slots {
                let word = self.word(at / 8) >> (at % 8);
                let width = widths[(word & 1) as usize];
                at += 1 + width as usize;
                put(slot, (word >> 1 & ((1u64 << width) - 1)) << shift);
            }
        }
        self.pos = at.div_ceil(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.len() + PADDING, 0);
        bytes
    }

    fn list_back(bytes: &[u8], len: usize) -> (Vec<u64>, Result<(), WireError>) {
        let mut numbers = Numbers::at(bytes, 0);
        let mut back = vec![0; len];
        numbers.list(&mut back, |slot, value| *slot = value);
        (back, numbers.check())
    }

    #[test]
    fn numbers_take_a_byte_for_seven_bits() {
        for (value, len) in
            [(0, 1), (127, 1), (128, 2), (16_383, 2), (1 << 55, 8), (1 << 56, 9), (u64::MAX, 9)]
        {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(out.len(), len, "{value}");
            let whole = padded(out.clone());
            let mut numbers = Numbers::at(&whole, 0);
            assert_eq!((numbers.number(), numbers.pos(), numbers.check()), (value, len, Ok(())));
            let cut = padded(out[..len - 1].to_vec());
            let mut numbers = Numbers::at(&cut, 0);
            numbers.number();
            assert_eq!(numbers.check(), Err(WireError::Truncated), "{value}");
        }
    }

    #[test]
    fn few_long_values_do_not_make_the_others_long() {
        let mut values = vec![1000; 128];
        values[7] = 1 << 40;
        let mut out = Vec::new();
        put_list(&mut out, &values);
        // Three bytes, a bit for each, 7 bits after three zeros for 127 of them and 38 for one.
        assert_eq!(out.len(), 3 + (128usize + 127 * 7 + 38).div_ceil(8));
        assert_eq!(list_back(&padded(out), 128), (values, Ok(())));
    }

    proptest! {
        #[test]
        fn lists_round_trip(
            values in proptest::collection::vec((any::<u64>(), 0u32..64), 0..400),
            widest in 0u32..64,
            shift in 0u32..8,
        ) {
            let values: Vec<u64> =
                values.into_iter().map(|(value, bits)| value >> bits.max(widest) << shift).collect();
            let mut out = Vec::new();
            put_list(&mut out, &values);
            for cut in [out.len() / 2, out.len().saturating_sub(1)] {
                // Whatever is missing, nothing breaks.
                let _ = list_back(&padded(out[..cut].to_vec()), values.len());
            }
            prop_assert_eq!(list_back(&padded(out), values.len()), (values, Ok(())));
        }

        #[test]
        fn rubbish_never_breaks(bytes in proptest::collection::vec(any::<u8>(), 0..200), len in 0usize..500) {
            let _ = list_back(&padded(bytes), len);
        }
    }
}
