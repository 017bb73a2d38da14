//! The protobuf wire format, written and read by hand: varints, fields and a cursor that checks every step.
//!
//! Source: protobuf.dev, "Encoding". Wire types used: 0 (varint), 1 (8 bytes), 2 (length-delimited), 5 (4 bytes).

use alloc::vec::Vec;
use core::fmt;

/// Wire type of varint fields.
pub const VARINT: u32 = 0;
/// Wire type of 8-byte fields.
pub const FIXED64: u32 = 1;
/// Wire type of length-delimited fields.
pub const BYTES: u32 = 2;
/// Wire type of 4-byte fields.
pub const FIXED32: u32 = 5;

/// Bytes that do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// They end inside an item.
    Truncated,
    /// A varint has more than 64 bits.
    Varint,
    /// A value is not possible where it stands; the text names it.
    Value(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends in the middle of an item"),
            Self::Varint => f.write_str("it holds a number of more than 64 bits"),
            Self::Value(what) => write!(f, "{what}"),
        }
    }
}

/// Appends `value` as a varint: 7 bits per byte, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number so that small magnitudes are short (zigzag).
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends the difference from `from` to `to`; any two values work, since both sides wrap.
pub(crate) fn put_delta(out: &mut Vec<u8>, from: u64, to: u64) {
    put_signed(out, to.wrapping_sub(from) as i64);
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field key.
pub fn put_key(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    put_varint(out, u64::from(field) << 3 | u64::from(wire_type));
}

/// Appends a varint field.
pub fn field_varint(out: &mut Vec<u8>, field: u32, value: u64) {
    put_key(out, field, VARINT);
    put_varint(out, value);
}

/// Appends a varint field unless it is 0, the value an absent field has.
pub fn field_nonzero(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        field_varint(out, field, value);
    }
}

/// Appends a length-delimited field.
pub fn field_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_key(out, field, BYTES);
    put_bytes(out, bytes);
}

/// Appends a text field unless it is empty.
pub fn field_text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        field_bytes(out, field, text.as_bytes());
    }
}

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 4 or 8 bytes: none of our fields.
    Fixed,
}

impl<'a> Field<'a> {
    /// The number of a varint field.
    pub(crate) fn number(self) -> Result<u64, WireError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(WireError::Value("a number is stored as something else")),
        }
    }

    /// The number of a varint field that has at most 32 bits.
    pub(crate) fn index(self) -> Result<u32, WireError> {
        narrow(self.number()?)
    }

    /// The contents of a length-delimited field.
    pub(crate) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Value("a text or list is stored as something else")),
        }
    }

    /// The text of a length-delimited field.
    pub(crate) fn text(self) -> Result<&'a str, WireError> {
        utf8(self.bytes()?)
    }
}

/// The bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    core::str::from_utf8(bytes).map_err(|_| WireError::Value("a text is not UTF-8"))
}

/// The number as 32 bits.
pub(crate) fn narrow(value: u64) -> Result<u32, WireError> {
    u32::try_from(value).map_err(|_| WireError::Value("an index does not fit 32 bits"))
}

/// Reads from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// A cursor that begins at `pos`, which must not lie past the end.
    pub(crate) fn at(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.pos
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        let byte = *self.bytes.get(self.pos).ok_or(WireError::Truncated)?;
        self.pos += 1;
        Ok(byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(WireError::Varint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, WireError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The value that [`put_delta`] wrote against `from`.
    pub(crate) fn delta(&mut self, from: u64) -> Result<u64, WireError> {
        Ok(from.wrapping_add(self.signed()? as u64))
    }

    pub(crate) fn index(&mut self) -> Result<u32, WireError> {
        narrow(self.varint()?)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        if len > self.remaining() {
            return Err(WireError::Truncated);
        }
        let taken = &self.bytes[self.pos..self.pos + len];
        self.pos += len;
        Ok(taken)
    }

    /// The bytes behind a length.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.varint()?;
        self.take(usize::try_from(len).map_err(|_| WireError::Truncated)?)
    }

    /// The next field of a message: its number and value.
    pub(crate) fn field(&mut self) -> Result<(u32, Field<'a>), WireError> {
        let key = self.varint()?;
        let number = narrow(key >> 3)?;
        if number == 0 {
            return Err(WireError::Value("a field has number 0"));
        }
        let value = match (key & 7) as u32 {
            VARINT => Field::Varint(self.varint()?),
            FIXED64 => {
                self.take(8)?;
                Field::Fixed
            }
            BYTES => Field::Bytes(self.bytes()?),
            FIXED32 => {
                self.take(4)?;
                Field::Fixed
            }
            _ => return Err(WireError::Value("a field has an unknown wire type")),
        };
        Ok((number, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn varints_round_trip_in_their_length() {
        for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (1 << 32, 5), (u64::MAX, 10)] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), len, "{value}");
            assert_eq!(Cursor::new(&out).varint(), Ok(value));
            assert_eq!(Cursor::new(&out[..len - 1]).varint(), Err(WireError::Truncated));
        }
    }

    #[test]
    fn deltas_wrap() {
        for (from, to) in [(0, 0), (5, 3), (3, 5), (0, u64::MAX), (u64::MAX, 0), (1 << 63, 0)] {
            let mut out = Vec::new();
            put_delta(&mut out, from, to);
            assert_eq!(Cursor::new(&out).delta(from), Ok(to), "{from} {to}");
        }
    }

    #[test]
    fn too_long_a_varint_is_refused() {
        assert_eq!(Cursor::new(&[0xff; 11]).varint(), Err(WireError::Varint));
        let mut over = vec![0x80; 9];
        over.push(2);
        assert_eq!(Cursor::new(&over).varint(), Err(WireError::Varint));
    }
}
