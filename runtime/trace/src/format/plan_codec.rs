//! The plan record in binary: protobuf messages with one table of texts, so that what is unknown is skipped.
//!
//! ```text
//! Plan    1 major · 2 text* · 3 model · 4 target · 5 strategy · 6 note* · 7 Dim* · 8 Arena* · 9 Buffer* · 10 Op*
//! Dim     1 name · 2 value (zigzag)
//! Arena   1 name · 2 kind · 3 size · 4 alignment · 5 lower bound · 6 witness op + 1
//! Buffer  1 name · 2 arena · 3 kind · 4 dtype · 5 shape · 6 size · 7 size expression · 8 alignment · 9 offset
//!         10 first · 11 last - first · 12 in place of + 1 · 13 alias of + 1
//! Op      1 name · 2 source node · 3 source op · 4 kernel · 5 reads (packed) · 6 writes (packed) · 7 bytes
//!         8 flops · 9 barrier before · 10 host
//! ```
//! Texts are numbers: 0 is the empty text, n the n-th of the table. Absent fields are 0.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::format::wire::{self, Cursor, Field, WireError, field_bytes, field_nonzero, field_varint};
use crate::schema::plan_record::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, MAX_PLAN_ITEMS, OpRecord, PlanRecord,
    PlanRecordError,
};

/// Major version of the plan record, in binary and JSON.
pub const PLAN_MAJOR: u32 = 1;

/// A decoded plan may take this many times the memory of its bytes. Records in use stay below 20; a record that
/// repeats one long text, or is made of empty messages, is refused before it fills memory.
const MAX_EXPANSION: usize = 64;

/// Why a plan record was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanDecodeError {
    /// It was written in a format this program does not know.
    Version {
        /// The major version found.
        found: u32,
    },
    /// The bytes or the JSON text are not well-formed.
    Malformed {
        /// What was wrong, and where.
        reason: String,
    },
    /// It is well-formed but cannot be a plan.
    Invalid(PlanRecordError),
}

impl fmt::Display for PlanDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { found } => write!(
                f,
                "the plan has format version {found}; this bayplan reads version {PLAN_MAJOR}: use the bayplan \
                 that wrote it, or make the plan anew"
            ),
            Self::Malformed { reason } => write!(f, "the plan is damaged: {reason}"),
            Self::Invalid(error) => write!(f, "the plan is not valid: {error}"),
        }
    }
}

impl core::error::Error for PlanDecodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Invalid(error) => Some(error),
            _ => None,
        }
    }
}

impl From<WireError> for PlanDecodeError {
    fn from(error: WireError) -> Self {
        Self::Malformed { reason: alloc::format!("{error}") }
    }
}

const ARENA_KINDS: [ArenaKind; 8] = [
    ArenaKind::Activations,
    ArenaKind::Weights,
    ArenaKind::Constants,
    ArenaKind::Inputs,
    ArenaKind::Outputs,
    ArenaKind::Staging,
    ArenaKind::Kv,
    ArenaKind::Other,
];

const BUFFER_KINDS: [BufferKind; 6] = [
    BufferKind::Activation,
    BufferKind::Input,
    BufferKind::Output,
    BufferKind::Weight,
    BufferKind::Constant,
    BufferKind::Scratch,
];

fn number_of<T: PartialEq>(table: &[T], item: &T) -> u64 {
    table.iter().position(|other| other == item).unwrap_or(0) as u64
}

/// Numbers texts in the order in which they are first used.
#[derive(Default)]
struct TextTable<'a> {
    numbers: BTreeMap<&'a str, u64>,
    encoded: Vec<u8>,
}

impl<'a> TextTable<'a> {
    fn number(&mut self, text: &'a str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let next = self.numbers.len() as u64 + 1;
        *self.numbers.entry(text).or_insert_with(|| {
            field_bytes(&mut self.encoded, 2, text.as_bytes());
            next
        })
    }
}

impl PlanRecord {
    /// The record in binary.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut texts = TextTable::default();
        let mut rest = Vec::new();
        let mut message = Vec::new();
        for (field, text) in [(3, &self.model), (4, &self.target), (5, &self.strategy)] {
            let number = texts.number(text);
            field_nonzero(&mut rest, field, number);
        }
        for note in &self.notes {
            let number = texts.number(note);
            field_varint(&mut rest, 6, number);
        }
        for dim in &self.dims {
            message.clear();
            field_nonzero(&mut message, 1, texts.number(&dim.name));
            let zigzag = ((dim.value << 1) ^ (dim.value >> 63)) as u64;
            field_nonzero(&mut message, 2, zigzag);
            field_bytes(&mut rest, 7, &message);
        }
        for arena in &self.arenas {
            message.clear();
            put_arena(&mut message, arena, &mut texts);
            field_bytes(&mut rest, 8, &message);
        }
        for buffer in &self.buffers {
            message.clear();
            put_buffer(&mut message, buffer, &mut texts);
            field_bytes(&mut rest, 9, &message);
        }
        for op in &self.ops {
            message.clear();
            put_op(&mut message, op, &mut texts);
            field_bytes(&mut rest, 10, &message);
        }
        let mut out = Vec::with_capacity(4 + texts.encoded.len() + rest.len());
        field_varint(&mut out, 1, u64::from(PLAN_MAJOR));
        out.extend_from_slice(&texts.encoded);
        out.extend_from_slice(&rest);
        out
    }

    /// Reads a record that [`PlanRecord::to_bytes`] wrote, and validates it.
    ///
    /// # Errors
    /// An unknown major version, bytes that do not decode or expand to too much memory, or an invalid plan.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanDecodeError> {
        let mut decoder = Decoder { texts: Vec::new(), budget: bytes.len().saturating_mul(MAX_EXPANSION) };
        let plan = decoder.plan(bytes)?;
        plan.validate().map_err(PlanDecodeError::Invalid)?;
        Ok(plan)
    }
}

fn put_arena<'a>(out: &mut Vec<u8>, arena: &'a ArenaRecord, texts: &mut TextTable<'a>) {
    field_nonzero(out, 1, texts.number(&arena.name));
    field_nonzero(out, 2, number_of(&ARENA_KINDS, &arena.kind));
    field_nonzero(out, 3, arena.size);
    field_nonzero(out, 4, arena.alignment);
    field_nonzero(out, 5, arena.lower_bound);
    field_nonzero(out, 6, plus_one(arena.witness_op));
}

fn put_buffer<'a>(out: &mut Vec<u8>, buffer: &'a BufferRecord, texts: &mut TextTable<'a>) {
    field_nonzero(out, 1, texts.number(&buffer.name));
    field_nonzero(out, 2, u64::from(buffer.arena));
    field_nonzero(out, 3, number_of(&BUFFER_KINDS, &buffer.kind));
    field_nonzero(out, 4, texts.number(&buffer.dtype));
    field_nonzero(out, 5, texts.number(&buffer.shape));
    field_nonzero(out, 6, buffer.size);
    field_nonzero(out, 7, texts.number(&buffer.size_expr));
    field_nonzero(out, 8, buffer.alignment);
    field_nonzero(out, 9, buffer.offset);
    field_nonzero(out, 10, u64::from(buffer.first));
    field_nonzero(out, 11, u64::from(buffer.last.saturating_sub(buffer.first)));
    field_nonzero(out, 12, plus_one(buffer.in_place_of));
    field_nonzero(out, 13, plus_one(buffer.alias_of));
}

fn put_op<'a>(out: &mut Vec<u8>, op: &'a OpRecord, texts: &mut TextTable<'a>) {
    for (field, text) in [(1, &op.name), (2, &op.source_node), (3, &op.source_op), (4, &op.kernel)] {
        field_nonzero(out, field, texts.number(text));
    }
    for (field, list) in [(5, &op.reads), (6, &op.writes)] {
        if !list.is_empty() {
            let mut packed = Vec::with_capacity(list.len() * 2);
            list.iter().for_each(|buffer| wire::put_varint(&mut packed, u64::from(*buffer)));
            field_bytes(out, field, &packed);
        }
    }
    field_nonzero(out, 7, op.bytes);
    field_nonzero(out, 8, op.flops);
    field_nonzero(out, 9, u64::from(op.barrier_before));
    field_nonzero(out, 10, u64::from(op.host));
}

fn plus_one(index: Option<u32>) -> u64 {
    index.map_or(0, |index| u64::from(index) + 1)
}

fn minus_one(field: Field<'_>) -> Result<Option<u32>, WireError> {
    field.number()?.checked_sub(1).map(wire::narrow).transpose()
}

struct Decoder<'a> {
    texts: Vec<&'a str>,
    /// Bytes of memory the rest of the plan may still take.
    budget: usize,
}

impl<'a> Decoder<'a> {
    fn spend(&mut self, bytes: usize) -> Result<(), WireError> {
        let left = self.budget.checked_sub(bytes);
        self.budget =
            left.ok_or(WireError::Value("it expands to more memory than a plan of its length needs"))?;
        Ok(())
    }

    /// Appends an item, counting the memory it takes.
    fn push<T>(&mut self, list: &mut Vec<T>, item: T) -> Result<(), WireError> {
        if list.len() >= MAX_PLAN_ITEMS {
            return Err(WireError::Value("a list has too many entries"));
        }
        self.spend(size_of::<T>())?;
        list.push(item);
        Ok(())
    }

    fn text(&mut self, field: Field<'_>) -> Result<String, WireError> {
        let Some(at) = field.number()?.checked_sub(1) else { return Ok(String::new()) };
        let text = usize::try_from(at).ok().and_then(|at| self.texts.get(at).copied());
        let text = text.ok_or(WireError::Value("it uses a text that its table lacks"))?;
        self.spend(text.len())?;
        Ok(String::from(text))
    }

    fn plan(&mut self, bytes: &'a [u8]) -> Result<PlanRecord, PlanDecodeError> {
        let mut plan = PlanRecord::default();
        let mut cursor = Cursor::new(bytes);
        match cursor.field() {
            Ok((1, Field::Varint(major))) if major == u64::from(PLAN_MAJOR) => {}
            Ok((1, Field::Varint(major))) => {
                return Err(PlanDecodeError::Version { found: u32::try_from(major).unwrap_or(u32::MAX) });
            }
            _ => return Err(WireError::Value("it does not begin with its version").into()),
        }
        while !cursor.is_empty() {
            let (number, field) = cursor.field()?;
            match number {
                2 => {
                    let text = field.text()?;
                    self.spend(size_of::<&str>())?;
                    self.texts.push(text);
                }
                3 => plan.model = self.text(field)?,
                4 => plan.target = self.text(field)?,
                5 => plan.strategy = self.text(field)?,
                6 => {
                    let note = self.text(field)?;
                    self.push(&mut plan.notes, note)?;
                }
                7 => {
                    let dim = self.dim(field.bytes()?)?;
                    self.push(&mut plan.dims, dim)?;
                }
                8 => {
                    let arena = self.arena(field.bytes()?)?;
                    self.push(&mut plan.arenas, arena)?;
                }
                9 => {
                    let buffer = self.buffer(field.bytes()?)?;
                    self.push(&mut plan.buffers, buffer)?;
                }
                10 => {
                    let op = self.op(field.bytes()?)?;
                    self.push(&mut plan.ops, op)?;
                }
                _ => {}
            }
        }
        Ok(plan)
    }

    fn dim(&mut self, bytes: &[u8]) -> Result<DimBinding, WireError> {
        let mut dim = DimBinding::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            match cursor.field()? {
                (1, field) => dim.name = self.text(field)?,
                (2, field) => {
                    let zigzag = field.number()?;
                    dim.value = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                }
                _ => {}
            }
        }
        Ok(dim)
    }

    fn arena(&mut self, bytes: &[u8]) -> Result<ArenaRecord, WireError> {
        let mut arena = ArenaRecord::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, field) = cursor.field()?;
            match number {
                1 => arena.name = self.text(field)?,
                // A kind that a later minor version added is shown as `Other`.
                2 => arena.kind = *ARENA_KINDS.get(field.index()? as usize).unwrap_or(&ArenaKind::Other),
                3 => arena.size = field.number()?,
                4 => arena.alignment = field.number()?,
                5 => arena.lower_bound = field.number()?,
                6 => arena.witness_op = minus_one(field)?,
                _ => {}
            }
        }
        Ok(arena)
    }

    fn buffer(&mut self, bytes: &[u8]) -> Result<BufferRecord, WireError> {
        let mut buffer = BufferRecord::default();
        let mut length = 0;
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, field) = cursor.field()?;
            match number {
                1 => buffer.name = self.text(field)?,
                2 => buffer.arena = field.index()?,
                3 => buffer.kind = BUFFER_KINDS.get(field.index()? as usize).copied().unwrap_or_default(),
                4 => buffer.dtype = self.text(field)?,
                5 => buffer.shape = self.text(field)?,
                6 => buffer.size = field.number()?,
                7 => buffer.size_expr = self.text(field)?,
                8 => buffer.alignment = field.number()?,
                9 => buffer.offset = field.number()?,
                10 => buffer.first = field.index()?,
                11 => length = field.index()?,
                12 => buffer.in_place_of = minus_one(field)?,
                13 => buffer.alias_of = minus_one(field)?,
                _ => {}
            }
        }
        let last = buffer.first.checked_add(length);
        buffer.last = last.ok_or(WireError::Value("a lifespan ends past the largest index"))?;
        Ok(buffer)
    }

    fn op(&mut self, bytes: &[u8]) -> Result<OpRecord, WireError> {
        let mut op = OpRecord::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, field) = cursor.field()?;
            match number {
                1 => op.name = self.text(field)?,
                2 => op.source_node = self.text(field)?,
                3 => op.source_op = self.text(field)?,
                4 => op.kernel = self.text(field)?,
                5 => self.packed(&mut op.reads, field.bytes()?)?,
                6 => self.packed(&mut op.writes, field.bytes()?)?,
                7 => op.bytes = field.number()?,
                8 => op.flops = field.number()?,
                9 => op.barrier_before = field.number()? != 0,
                10 => op.host = field.number()? != 0,
                _ => {}
            }
        }
        Ok(op)
    }

    fn packed(&mut self, list: &mut Vec<u32>, bytes: &[u8]) -> Result<(), WireError> {
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let index = cursor.index()?;
            self.push(list, index)?;
        }
        Ok(())
    }
}
