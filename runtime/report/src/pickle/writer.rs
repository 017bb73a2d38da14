//! Writing pickles of protocol 4, a value at a time, with the opcodes that every reader of snapshots knows.

use std::collections::HashMap;
use std::io::{self, Write};

use super::opcode as op;

/// Items of a list or dict that are added at once, as Python does it. Some readers pass them as arguments of a call, of
/// which there can only be so many.
const BATCH: usize = 1000;

/// Writes one pickle.
///
/// ```text
/// new → value… → finish
/// value:  number | float | word | text | recall  |  open_list (item value)* close  |  open_dict (key value)* close
/// ```
pub(crate) struct Pickler<W> {
    out: W,
    /// The lists and dicts that are open, the inner last.
    open: Vec<Open>,
    memo: u32,
    words: HashMap<&'static str, u32>,
}

/// A list or dict to which values are being added.
struct Open {
    /// Items since the last mark.
    items: usize,
    /// What adds them.
    close: u8,
}

/// A value to be used again in the same pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept(u32);

impl<W: Write> Pickler<W> {
    /// Begins a pickle.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[op::PROTO, 4])?;
        Ok(Self { out, open: Vec::new(), memo: 0, words: HashMap::new() })
    }

    /// Where the bytes went so far.
    pub(crate) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the pickle.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[op::STOP])?;
        Ok(self.out)
    }

    /// Begins a list. Say [`Pickler::item`] before each value.
    pub(crate) fn open_list(&mut self) -> io::Result<()> {
        self.open.push(Open { items: 0, close: op::APPENDS });
        self.out.write_all(&[op::EMPTY_LIST])
    }

    /// Begins a dict. Say [`Pickler::key`] before each value.
    pub(crate) fn open_dict(&mut self) -> io::Result<()> {
        self.open.push(Open { items: 0, close: op::SETITEMS });
        self.out.write_all(&[op::EMPTY_DICT])
    }

    /// Ends the innermost list or dict.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        match self.open.pop() {
            Some(Open { items: 1.., close }) => self.out.write_all(&[close]),
            _ => Ok(()),
        }
    }

    /// The next value is an item of the list.
    pub(crate) fn item(&mut self) -> io::Result<()> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        if open.items == BATCH {
            open.items = 0;
            self.out.write_all(&[open.close])?;
        }
        open.items += 1;
        if open.items == 1 { self.out.write_all(&[op::MARK]) } else { Ok(()) }
    }

    /// The next value is what the dict has under this key.
    pub(crate) fn key(&mut self, key: &'static str) -> io::Result<()> {
        self.item()?;
        self.word(key)
    }

    /// No value.
    #[cfg(test)]
    pub(crate) fn none(&mut self) -> io::Result<()> {
        self.out.write_all(&[op::NONE])
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, value: bool) -> io::Result<()> {
        self.out.write_all(&[if value { op::NEWTRUE } else { op::NEWFALSE }])
    }

    /// A tuple of two integers.
    pub(crate) fn pair(&mut self, first: u64, second: u64) -> io::Result<()> {
        self.number(first)?;
        self.number(second)?;
        self.out.write_all(&[op::TUPLE2])
    }

    /// An integer.
    pub(crate) fn number(&mut self, number: u64) -> io::Result<()> {
        if let Ok(byte) = u8::try_from(number) {
            return self.out.write_all(&[op::BININT1, byte]);
        }
        if let Ok(short) = u16::try_from(number) {
            self.out.write_all(&[op::BININT2])?;
            return self.out.write_all(&short.to_le_bytes());
        }
        if let Ok(int) = i32::try_from(number) {
            self.out.write_all(&[op::BININT])?;
            return self.out.write_all(&int.to_le_bytes());
        }
        // As few bytes as say it, and one more where the highest bit would make it negative.
        let len = (64 - number.leading_zeros() as usize) / 8 + 1;
        self.out.write_all(&[op::LONG1, len as u8])?;
        let bytes = u128::from(number).to_le_bytes();
        self.out.write_all(&bytes[..len])
    }

    /// One of few texts that come again and again.
    pub(crate) fn word(&mut self, word: &'static str) -> io::Result<()> {
        if let Some(&kept) = self.words.get(word) {
            return self.recall(Kept(kept));
        }
        self.text(word)?;
        let kept = self.keep()?;
        self.words.insert(word, kept.0);
        Ok(())
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        match u8::try_from(text.len()) {
            Ok(len) => self.out.write_all(&[op::SHORT_BINUNICODE, len])?,
            Err(_) => {
                let len = u32::try_from(text.len()).map_err(io::Error::other)?;
                self.out.write_all(&[op::BINUNICODE])?;
                self.out.write_all(&len.to_le_bytes())?;
            }
        }
        self.out.write_all(text.as_bytes())
    }

    /// Keeps the value that was just written.
    pub(crate) fn keep(&mut self) -> io::Result<Kept> {
        let kept = Kept(self.memo);
        self.memo += 1;
        self.out.write_all(&[op::MEMOIZE])?;
        Ok(kept)
    }

    /// A value that was kept, once more.
    pub(crate) fn recall(&mut self, Kept(number): Kept) -> io::Result<()> {
        match u8::try_from(number) {
            Ok(byte) => self.out.write_all(&[op::BINGET, byte]),
            Err(_) => {
                self.out.write_all(&[op::LONG_BINGET])?;
                self.out.write_all(&number.to_le_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Value, read};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut pickler = Pickler::new(Vec::new()).unwrap();
        pickler.open_dict().unwrap();
        pickler.key("empty").unwrap();
        pickler.open_list().unwrap();
        pickler.close().unwrap();
        pickler.key("numbers").unwrap();
        pickler.open_list().unwrap();
        let numbers: Vec<u64> = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).collect();
        for number in &numbers[..127] {
            pickler.item().unwrap();
            pickler.number(*number).unwrap();
        }
        pickler.close().unwrap();
        pickler.key("texts").unwrap();
        pickler.open_list().unwrap();
        for text in ["", "π", &"x".repeat(255), &"y".repeat(256)] {
            pickler.item().unwrap();
            pickler.text(text).unwrap();
        }
        pickler.close().unwrap();
        pickler.close().unwrap();
        let bytes = pickler.finish().unwrap();
        let data = read(&bytes[..]).unwrap();
        let list = |key| data.list(data.get(data.root(), key).unwrap()).unwrap();
        assert_eq!(list("empty"), []);
        let found: Vec<_> = list("numbers").to_vec();
        let expect: Vec<_> = numbers[..127].iter().map(|n| Value::Int(*n as i64)).collect();
        assert_eq!(found, expect);
        let lengths: Vec<_> = list("texts").iter().map(|text| data.text(*text).unwrap().len()).collect();
        assert_eq!(lengths, [0, 2, 255, 256]);
    }

    /// More items than are added at once, and more kept values than one byte counts.
    #[test]
    fn long_lists_come_in_batches() {
        let mut pickler = Pickler::new(Vec::new()).unwrap();
        pickler.open_list().unwrap();
        let mut kept = Vec::new();
        for at in 0..2500 {
            pickler.item().unwrap();
            pickler.open_list().unwrap();
            pickler.item().unwrap();
            pickler.number(at).unwrap();
            pickler.close().unwrap();
            kept.push(pickler.keep().unwrap());
        }
        for kept in kept {
            pickler.item().unwrap();
            pickler.recall(kept).unwrap();
        }
        pickler.close().unwrap();
        let data = read(&pickler.finish().unwrap()[..]).unwrap();
        let all = data.list(data.root()).unwrap();
        assert_eq!(all.len(), 5000);
        for at in 0..2500 {
            assert_eq!(all[at], all[at + 2500]);
            assert_eq!(data.list(all[at]).unwrap(), [Value::Int(at as i64)]);
        }
    }
}
