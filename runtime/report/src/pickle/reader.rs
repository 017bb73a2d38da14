//! Reading pickles that others wrote: nothing is run, and memory is bounded by the length of the file.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind, Read};

use super::opcode::{self as op, of_classes};
use super::value::{Data, Value};

/// The oldest and newest protocol that is read: 2 has been there since Python 2.3, 5 since 3.8.
const PROTOCOLS: std::ops::RangeInclusive<u8> = 2..=5;

/// Bytes of memory that any pickle may take.
const MEMORY: u64 = 256 << 20;

/// Bytes of memory that each byte of a pickle may take beyond that. What Python writes takes three.
const MEMORY_PER_BYTE: u64 = 8;

/// Bytes of memory of a value on the stack or in a list, and of a list, dict or text of no items.
const VALUE: u64 = size_of::<Value>() as u64;
const CONTAINER: u64 = 3 * VALUE;

/// Keys of a dict: records have a dozen, and whoever looks one up goes through all.
const KEYS: usize = 256;

/// Bytes of a text: what says more is no name of a function.
const TEXT: u64 = 16 << 20;

/// Why a pickle is not read.
#[derive(Debug)]
pub(crate) struct PickleError {
    /// Offset of the opcode at fault, in bytes.
    pub(crate) at: u64,
    pub(crate) cause: PickleCause,
}

#[derive(Debug)]
pub(crate) enum PickleCause {
    Io(io::Error),
    Truncated,
    /// It begins with no protocol number, or with one that is not read.
    Protocol(Option<u8>),
    /// An opcode that makes objects of classes.
    Classes(&'static str),
    /// An opcode that is not known.
    Opcode(u8),
    /// An opcode takes more from the stack than there is, or something of another kind.
    Stack,
    /// A value is asked for that was never put away.
    Memo(u32),
    /// A dict with more keys than records have.
    Keys,
    TooLarge,
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.at)?;
        match &self.cause {
            PickleCause::Io(error) => write!(f, "it cannot be read: {error}"),
            PickleCause::Truncated => {
                f.write_str("the pickle ends in the middle of a value; it was cut short")
            }
            PickleCause::Protocol(None) => f.write_str("this is no pickle of protocol 2 or later"),
            PickleCause::Protocol(Some(found)) => {
                write!(f, "the pickle is of protocol {found}; 2 to 5 are read")
            }
            PickleCause::Classes(name) => write!(
                f,
                "the pickle builds objects of classes ({name}); only plain data is read, and nothing in it was run"
            ),
            PickleCause::Opcode(byte) => write!(f, "0x{byte:02x} is no opcode of a pickle of plain data"),
            PickleCause::Stack => f.write_str("the pickle takes what it did not put down; it is damaged"),
            PickleCause::Memo(number) => {
                write!(f, "the pickle asks for value {number}, which it did not keep; it is damaged")
            }
            PickleCause::Keys => {
                write!(
                    f,
                    "a dict of the pickle has more than {KEYS} keys, as nothing in a memory snapshot has"
                )
            }
            PickleCause::TooLarge => {
                f.write_str("the pickle grows to far more memory than its length explains; it is not read on")
            }
        }
    }
}

/// Reads one pickle; what follows it is left alone.
pub(crate) fn read(source: impl Read) -> Result<Data, PickleError> {
    let mut machine = Machine::new(source);
    let root = machine.run().map_err(|cause| PickleError { at: machine.opcode_at, cause })?;
    machine.data.root = root;
    machine.data.len = machine.at;
    Ok(machine.data)
}

type Step<T = ()> = Result<T, PickleCause>;

struct Machine<R> {
    source: R,
    /// Bytes taken so far.
    at: u64,
    opcode_at: u64,
    memory: u64,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    data: Data,
}

impl<R: Read> Machine<R> {
    fn new(source: R) -> Self {
        let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
        Self { source, at: 0, opcode_at: 0, memory: 0, stack, marks, memo, data: Data::new() }
    }

    fn run(&mut self) -> Step<Value> {
        let [first] = self.bytes()?;
        if first != op::PROTO {
            return Err(PickleCause::Protocol(None));
        }
        self.protocol()?;
        loop {
            self.opcode_at = self.at;
            match self.bytes::<1>()?[0] {
                op::STOP => return self.pop(),
                opcode => self.step(opcode)?,
            }
            if self.memory > MEMORY + MEMORY_PER_BYTE * self.at {
                return Err(PickleCause::TooLarge);
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Step {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.bytes::<8>().map(|_| ()),
            op::MARK => {
                self.marks.push(self.stack.len());
                self.pay(VALUE);
                Ok(())
            }
            op::POP => self.pop().map(|_| ()),
            op::POP_MARK => self.unmark().map(|mark| self.stack.truncate(mark)),
            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BINFLOAT => self.bytes().and_then(|bytes| self.push(Value::Float(f64::from_be_bytes(bytes)))),
            op::EMPTY_LIST | op::EMPTY_TUPLE => self.new_list(Vec::new()),
            op::EMPTY_DICT => self.new_dict(Vec::new()),
            op::BININT | op::BININT1 | op::BININT2 | op::LONG1 | op::LONG4 => self.integer(opcode),
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => self.text(opcode),
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 => self.skip_bytes(opcode),
            op::APPEND | op::APPENDS | op::LIST | op::TUPLE => self.gather(opcode),
            op::SETITEM | op::SETITEMS | op::DICT => self.gather(opcode),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::MEMOIZE | op::BINPUT | op::LONG_BINPUT => self.put(opcode),
            op::BINGET | op::LONG_BINGET => self.get(opcode),
            other => Err(of_classes(other).map_or(PickleCause::Opcode(other), PickleCause::Classes)),
        }
    }

    fn protocol(&mut self) -> Step {
        let [found] = self.bytes()?;
        if PROTOCOLS.contains(&found) { Ok(()) } else { Err(PickleCause::Protocol(Some(found))) }
    }

    fn integer(&mut self, opcode: u8) -> Step {
        let value = match opcode {
            op::BININT => i64::from(i32::from_le_bytes(self.bytes()?)),
            op::BININT1 => i64::from(u8::from_le_bytes(self.bytes()?)),
            op::BININT2 => i64::from(u16::from_le_bytes(self.bytes()?)),
            _ => {
                let len = match opcode {
                    op::LONG1 => u64::from(u8::from_le_bytes(self.bytes()?)),
                    _ => u64::from(u32::from_le_bytes(self.bytes()?)),
                };
                let value = self.long(len)?;
                return self.push(value);
            }
        };
        self.push(Value::Int(value))
    }

    /// An integer of `len` bytes, the lowest first, in two's complement.
    fn long(&mut self, len: u64) -> Step<Value> {
        let (mut value, mut fits) = ([0u8; 8], true);
        let mut last = 0;
        for at in 0..len {
            [last] = self.bytes()?;
            match usize::try_from(at).ok().and_then(|at| value.get_mut(at)) {
                Some(byte) => *byte = last,
                None => fits &= last == if value[7] >= 0x80 { 0xff } else { 0 },
            }
        }
        if last >= 0x80 {
            value.iter_mut().skip(usize::try_from(len).unwrap_or(8)).for_each(|byte| *byte = 0xff);
        }
        Ok(if fits { Value::Int(i64::from_le_bytes(value)) } else { Value::Wide })
    }

    fn text(&mut self, opcode: u8) -> Step {
        let len = match opcode {
            op::SHORT_BINUNICODE => u64::from(u8::from_le_bytes(self.bytes()?)),
            op::BINUNICODE => u64::from(u32::from_le_bytes(self.bytes()?)),
            _ => u64::from_le_bytes(self.bytes()?),
        };
        let mut bytes = Vec::new();
        // Never more than that, whatever length the pickle claims: its source may have no end.
        let most = len.min(TEXT + 1);
        let read = self.source.by_ref().take(most).read_to_end(&mut bytes).map_err(PickleCause::Io)? as u64;
        self.at += read;
        if read < most {
            return Err(PickleCause::Truncated);
        }
        if len > TEXT {
            return Err(PickleCause::TooLarge);
        }
        let start = self.data.chars.len();
        self.data.chars += &String::from_utf8_lossy(&bytes);
        // What is no UTF-8 takes up to three bytes for each of its own.
        self.pay(CONTAINER + (self.data.chars.len() - start) as u64);
        self.data.texts.push((start, self.data.chars.len()));
        let number = number(self.data.texts.len())?;
        self.push(Value::Text(number))
    }

    fn skip_bytes(&mut self, opcode: u8) -> Step {
        let len = match opcode {
            op::SHORT_BINBYTES => u64::from(u8::from_le_bytes(self.bytes()?)),
            op::BINBYTES => u64::from(u32::from_le_bytes(self.bytes()?)),
            _ => u64::from_le_bytes(self.bytes()?),
        };
        let skipped =
            io::copy(&mut self.source.by_ref().take(len), &mut io::sink()).map_err(PickleCause::Io)?;
        self.at += skipped;
        if skipped < len {
            return Err(PickleCause::Truncated);
        }
        self.push(Value::Bytes)
    }

    /// What makes lists and dicts of what lies above a mark, or adds it to them.
    fn gather(&mut self, opcode: u8) -> Step {
        match opcode {
            op::APPEND => {
                let item = self.pop()?;
                self.extend_list(&[item])
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(&[key, value])
            }
            _ => {
                let mark = self.unmark()?;
                let items = self.stack.split_off(mark);
                match opcode {
                    op::APPENDS => self.extend_list(&items),
                    op::SETITEMS => self.extend_dict(&items),
                    op::LIST | op::TUPLE => self.new_list(items),
                    _ => pairs(&items).and_then(|pairs| self.new_dict(pairs)),
                }
            }
        }
    }

    fn tuple(&mut self, items: usize) -> Step {
        let start = self.stack.len().checked_sub(items).filter(|start| *start >= self.floor());
        let items = self.stack.split_off(start.ok_or(PickleCause::Stack)?);
        self.new_list(items)
    }

    fn new_list(&mut self, items: Vec<Value>) -> Step {
        self.pay(CONTAINER + VALUE * items.len() as u64);
        self.data.lists.push(items);
        let number = number(self.data.lists.len())?;
        self.push(Value::List(number))
    }

    fn new_dict(&mut self, pairs: Vec<(Value, Value)>) -> Step {
        self.pay(CONTAINER + 2 * VALUE * pairs.len() as u64);
        if pairs.len() > KEYS {
            return Err(PickleCause::Keys);
        }
        self.data.dicts.push(pairs);
        let number = number(self.data.dicts.len())?;
        self.push(Value::Dict(number))
    }

    fn extend_list(&mut self, items: &[Value]) -> Step {
        self.pay(VALUE * items.len() as u64);
        let Some(Value::List(at)) = self.top() else { return Err(PickleCause::Stack) };
        let list = self.data.lists.get_mut(at as usize).ok_or(PickleCause::Stack)?;
        list.extend_from_slice(items);
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Value]) -> Step {
        self.pay(VALUE * items.len() as u64);
        let pairs = pairs(items)?;
        let Some(Value::Dict(at)) = self.top() else { return Err(PickleCause::Stack) };
        let dict = self.data.dicts.get_mut(at as usize).ok_or(PickleCause::Stack)?;
        if dict.is_empty() {
            *dict = pairs;
        } else {
            dict.extend(pairs);
        }
        if dict.len() > KEYS { Err(PickleCause::Keys) } else { Ok(()) }
    }

    fn put(&mut self, opcode: u8) -> Step {
        let number = match opcode {
            op::BINPUT => u32::from(u8::from_le_bytes(self.bytes()?)),
            op::LONG_BINPUT => u32::from_le_bytes(self.bytes()?),
            _ => u32::try_from(self.memo.len()).map_err(|_| PickleCause::TooLarge)?,
        };
        let value = self.top().ok_or(PickleCause::Stack)?;
        if self.memo.insert(number, value).is_none() {
            self.pay(2 * VALUE);
        }
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Step {
        let number = match opcode {
            op::BINGET => u32::from(u8::from_le_bytes(self.bytes()?)),
            _ => u32::from_le_bytes(self.bytes()?),
        };
        let value = self.memo.get(&number).copied().ok_or(PickleCause::Memo(number))?;
        self.push(value)
    }

    fn bytes<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        match self.source.read_exact(&mut bytes) {
            Ok(()) => {
                self.at += N as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(PickleCause::Truncated),
            Err(error) => Err(PickleCause::Io(error)),
        }
    }

    fn push(&mut self, value: Value) -> Step {
        self.pay(VALUE);
        self.stack.push(value);
        Ok(())
    }

    /// Below this height the stack belongs to what stands before the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Option<Value> {
        self.stack.get(self.floor()..)?.last().copied()
    }

    fn pop(&mut self) -> Step<Value> {
        let value = self.top().ok_or(PickleCause::Stack)?;
        self.stack.pop();
        Ok(value)
    }

    fn unmark(&mut self) -> Step<usize> {
        self.marks.pop().ok_or(PickleCause::Stack)
    }

    fn pay(&mut self, bytes: u64) {
        self.memory = self.memory.saturating_add(bytes);
    }
}

fn pairs(items: &[Value]) -> Step<Vec<(Value, Value)>> {
    let pairs = items.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(PickleCause::Stack);
    }
    Ok(pairs.map(|pair| (pair[0], pair[1])).collect())
}

/// The number of the last of `len` things.
fn number(len: usize) -> Step<u32> {
    u32::try_from(len - 1).map_err(|_| PickleCause::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    /// What `pickle.dumps` of Python 3.11 writes of one value, by protocol: the first of the texts is a key that comes twice.
    #[test]
    fn reads_what_python_writes() {
        // pickle.dumps([{"a": 1, "b": -2.5}, {"a": 2**40, "b": None}, (True, "é", 300, 70000, -5)], protocol)
        let two = b"\x80\x02]q\x00(}q\x01(X\x01\x00\x00\x00aq\x02K\x01X\x01\x00\x00\x00bq\x03G\xc0\x04\x00\x00\x00\x00\x00\x00u}q\x04(h\x02\x8a\x06\x00\x00\x00\x00\x00\x01h\x03Nu(\x88X\x02\x00\x00\x00\xc3\xa9q\x05M,\x01Jp\x11\x01\x00J\xfb\xff\xff\xfftq\x06e.";
        let four = b"\x80\x04\x95;\x00\x00\x00\x00\x00\x00\x00]\x94(}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94G\xc0\x04\x00\x00\x00\x00\x00\x00u}\x94(h\x02\x8a\x06\x00\x00\x00\x00\x00\x01h\x03Nu(\x88\x8c\x02\xc3\xa9\x94M,\x01Jp\x11\x01\x00J\xfb\xff\xff\xfft\x94e.";
        for bytes in [&two[..], &four[..]] {
            let data = read(bytes).unwrap();
            let items = data.list(data.root()).unwrap().to_vec();
            assert_eq!(data.number(items[0], "a"), Some(1));
            assert_eq!(data.get(items[0], "b"), Some(Value::Float(-2.5)));
            assert_eq!(data.number(items[1], "a"), Some(1 << 40));
            assert_eq!(data.get(items[1], "b"), Some(Value::None));
            assert_eq!(data.get(items[1], "c"), None);
            let tuple = data.list(items[2]).unwrap();
            assert_eq!((tuple[0], data.text(tuple[1])), (Value::Bool(true), Some("é")));
            assert_eq!(tuple[2..], [Value::Int(300), Value::Int(70000), Value::Int(-5)]);
        }
    }

    #[test]
    fn integers_of_any_length() {
        fn check(bytes: &[u8], expect: Value) {
            let mut pickle = vec![0x80, 2, op::LONG1, bytes.len() as u8];
            pickle.extend_from_slice(bytes);
            pickle.push(op::STOP);
            assert_eq!(read(&pickle[..]).unwrap().root(), expect, "of {bytes:?}");
        }
        check(&[], Value::Int(0));
        check(&[0xff], Value::Int(-1));
        check(&[0xff, 0], Value::Int(255));
        check(&[0, 0x80], Value::Int(-32768));
        check(&i64::MAX.to_le_bytes(), Value::Int(i64::MAX));
        check(&i64::MIN.to_le_bytes(), Value::Int(i64::MIN));
        check(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0], Value::Wide);
        check(&[1, 0, 0, 0, 0, 0, 0, 0, 0], Value::Int(1));
        check(&[0xff; 12], Value::Int(-1));
        check(&[1; 12], Value::Wide);
    }

    #[test]
    fn what_would_run_code_is_refused_by_name() {
        // pickle.dumps(os.system) and its call.
        let global = cause(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        assert!(global.contains("byte 2") && global.contains("(GLOBAL)"), "{global}");
        let stack = cause(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.");
        assert!(stack.contains("(STACK_GLOBAL)"), "{stack}");
    }

    #[test]
    fn what_is_no_sound_pickle_is_told_from_one() {
        assert!(cause(b"").contains("cut short"));
        assert!(cause(b"id,lower,upper\n").contains("no pickle"));
        assert!(cause(b"\x80\x09.").contains("protocol 9"));
        assert!(cause(b"\x80\x04.").contains("did not put down"));
        assert!(cause(b"\x80\x04]K\x01u.").contains("did not put down"));
        assert!(cause(b"\x80\x04(K\x01ue.").contains("did not put down"));
        assert!(cause(b"\x80\x04h\x07.").contains("value 7"));
        assert!(cause(b"\x80\x04\xfe.").contains("0xfe"));
        assert!(cause(b"\x80\x04X\xff\xff\xff\xffabc").contains("cut short"));
        assert!(cause(b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc").contains("cut short"));
    }

    /// A byte that makes a list of 48 bytes, 16 million times.
    #[test]
    fn memory_is_bounded_by_length() {
        let lists = io::Read::chain(&b"\x80\x04"[..], io::repeat(op::EMPTY_LIST).take(16 << 20));
        let error = read(io::BufReader::new(lists)).unwrap_err();
        assert!(matches!(error.cause, PickleCause::TooLarge), "{error}");
    }

    #[test]
    fn no_text_and_no_dict_is_endless() {
        // A text of 2^62 bytes, from a source that has them.
        let text = io::Read::chain(&b"\x80\x04\x8d\0\0\0\0\0\0\0\x40"[..], io::repeat(b'x'));
        let error = read(io::BufReader::new(text)).unwrap_err();
        assert!(matches!(error.cause, PickleCause::TooLarge), "{error}");
        let mut dict = b"\x80\x04}".to_vec();
        for _ in 0..=KEYS {
            dict.extend_from_slice(b"\x8c\x01aNs");
        }
        assert!(cause(&dict).contains("more than 256 keys"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&bytes[..]);
            let mut begun = b"\x80\x04]\x94(}\x94(\x8c\x01a\x94".to_vec();
            begun.extend_from_slice(&bytes);
            let _ = read(&begun[..]);
        }
    }
}
