//! Problems and plans as CSV, in the format of minimalloc's benchmarks.
//!
//! ```text
//! id,lower,upper,size,alignment,fixed,offset
//! input,0,2,4096,256,8192,8192
//! "conv, 1",1,3,1024,256,,0
//! ```
//!
//! The header is required and names the columns, in any order:
//!
//! | column | required | holds |
//! |---|---|---|
//! | `id` | yes | any text; need not be unique |
//! | `lower`, `upper` | yes | the half-open lifespan `[lower, upper)`, in program points |
//! | `size` | yes | bytes |
//! | `alignment` | no | bytes, a power of two; 1 where it is empty |
//! | `fixed` | no | the offset that the caller has chosen for the buffer, in bytes; where it is empty the planner chooses |
//! | `offset` | no | a placement, in bytes: what a planner answers |
//!
//! Fields with commas, quotes or line breaks are quoted as in RFC 4180. Empty lines are skipped.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::plan::Plan;
use crate::problem::{Buffer, MAX_BUFFERS, Problem, ProblemError};

/// Longest field, in bytes. The longest tensor names of exported models are a few hundred.
pub const MAX_FIELD: usize = 4096;

/// What a CSV file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The id of each buffer, in the file's order; not necessarily unique.
    pub ids: Vec<String>,
    /// The buffers, in the same order.
    pub problem: Problem,
    /// A placement, when the file has an `offset` column: give it to
    /// [`Plan::from_offsets`] to have it checked.
    pub offsets: Option<Vec<u64>>,
}

/// The columns this reader knows.
const COLUMNS: [&str; 7] = ["id", "lower", "upper", "size", "alignment", "fixed", "offset"];
const REQUIRED: usize = 4;
const ALIGNMENT: usize = 4;
const FIXED: usize = 5;
const OFFSET: usize = 6;

/// Reads a problem.
///
/// # Errors
/// A [`CsvError`] with the line and what to change: no header, an unknown, missing or repeated column,
/// a wrong number of fields, a field that is no number in range, an overlong or unclosed field, or a
/// buffer that [`Problem::new`] refuses.
pub fn read(text: &str) -> Result<Instance, CsvError> {
    let mut records = Records::new(text);
    let mut fields = Vec::new();
    if !records.next_into(&mut fields)? {
        return Err(CsvError { line: 1, kind: CsvErrorKind::NoHeader });
    }
    let header = Header::parse(records.line, &fields)?;
    let has_offsets = header.position[OFFSET].is_some();
    let (mut ids, mut buffers, mut offsets, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while records.next_into(&mut fields)? {
        let row = Row { line: records.line, header: &header, fields: &fields };
        if fields.len() != header.columns {
            return Err(row.error(CsvErrorKind::FieldCount { expected: header.columns, found: fields.len() }));
        }
        if buffers.len() == MAX_BUFFERS {
            return Err(
                row.error(CsvErrorKind::Buffer(ProblemError::TooManyBuffers { count: MAX_BUFFERS + 1 }))
            );
        }
        ids.push(row.text(0).unwrap_or_default().to_owned());
        let (first, last) = (row.point(1)?, row.point(2)?);
        let align = row.optional(ALIGNMENT)?.unwrap_or(1);
        let fixed = row.optional(FIXED)?;
        buffers.push(Buffer { fixed, ..Buffer::new(row.number(3)?, first, last).aligned(align) });
        if has_offsets {
            offsets.push(row.number(OFFSET)?);
        }
        lines.push(records.line);
    }
    let problem = Problem::new(buffers).map_err(|error| {
        let line = error.buffer().map_or(1, |buffer| lines[buffer]);
        let kind = match error {
            ProblemError::FixedOverlap { other, .. } => CsvErrorKind::FixedOverlap { line: lines[other] },
            error => CsvErrorKind::Buffer(error),
        };
        CsvError { line, kind }
    })?;
    Ok(Instance { ids, problem, offsets: has_offsets.then_some(offsets) })
}

/// Writes a problem, and with a plan its offsets. The `alignment` column is written when any alignment is
/// not 1, the `fixed` column when any buffer is fixed; offsets the instance carries are written when no plan is given.
/// [`read`] gives the same back.
pub fn write(instance: &Instance, plan: Option<&Plan>) -> String {
    let buffers = instance.problem.buffers();
    let aligned = buffers.iter().any(|b| b.align != 1);
    let fixed = buffers.iter().any(|b| b.fixed.is_some());
    let offsets = plan.map(|plan| &plan.offsets).or(instance.offsets.as_ref());
    let mut out = String::with_capacity(32 * (buffers.len() + 1));
    out.push_str("id,lower,upper,size");
    out.push_str(if aligned { ",alignment" } else { "" });
    out.push_str(if fixed { ",fixed" } else { "" });
    out.push_str(if offsets.is_some() { ",offset\n" } else { "\n" });
    for (i, b) in buffers.iter().enumerate() {
        let id = instance.ids.get(i).map_or_else(|| Cow::Owned(i.to_string()), |id| quoted(id));
        // Writing to a String cannot fail.
        let _ = write!(out, "{id},{},{},{}", b.lifespan.first, b.lifespan.last, b.size);
        if aligned {
            let _ = write!(out, ",{}", b.align);
        }
        if fixed {
            out.push(',');
            let _ = b.fixed.map(|at| write!(out, "{at}"));
        }
        if let Some(offset) = offsets.and_then(|offsets| offsets.get(i)) {
            let _ = write!(out, ",{offset}");
        }
        out.push('\n');
    }
    out
}

fn quoted(field: &str) -> Cow<'_, str> {
    let plain = !field.contains(['"', ',', '\n', '\r']) && field.trim() == field;
    if plain {
        Cow::Borrowed(field)
    } else {
        Cow::Owned(alloc::format!("\"{}\"", field.replace('"', "\"\"")))
    }
}

/// Where the known columns are.
struct Header {
    columns: usize,
    position: [Option<usize>; COLUMNS.len()],
}

impl Header {
    fn parse(line: u32, fields: &[Cow<'_, str>]) -> Result<Self, CsvError> {
        let mut position = [None; COLUMNS.len()];
        for (at, field) in fields.iter().enumerate() {
            let error = |kind| CsvError { line, kind };
            let Some(column) = COLUMNS.iter().position(|name| name == field) else {
                return Err(error(CsvErrorKind::UnknownColumn { name: field.to_string() }));
            };
            if position[column].replace(at).is_some() {
                return Err(error(CsvErrorKind::RepeatedColumn { name: COLUMNS[column] }));
            }
        }
        if let Some(missing) = (0..REQUIRED).find(|&column| position[column].is_none()) {
            return Err(CsvError { line, kind: CsvErrorKind::MissingColumn { name: COLUMNS[missing] } });
        }
        Ok(Self { columns: fields.len(), position })
    }
}

/// One line's fields by column.
struct Row<'a> {
    line: u32,
    header: &'a Header,
    fields: &'a [Cow<'a, str>],
}

impl Row<'_> {
    fn text(&self, column: usize) -> Option<&str> {
        self.header.position[column].map(|at| &*self.fields[at])
    }

    fn number(&self, column: usize) -> Result<u64, CsvError> {
        let text = self.text(column).unwrap_or_default();
        text.parse().map_err(|_| {
            let found = text.to_owned();
            self.error(CsvErrorKind::NotANumber { column: COLUMNS[column], max: u64::MAX, found })
        })
    }

    /// A number that may be left out, with its column or in its field.
    fn optional(&self, column: usize) -> Result<Option<u64>, CsvError> {
        if self.text(column).unwrap_or_default().is_empty() {
            Ok(None)
        } else {
            self.number(column).map(Some)
        }
    }

    fn point(&self, column: usize) -> Result<u32, CsvError> {
        let text = self.text(column).unwrap_or_default();
        text.parse().map_err(|_| {
            let (found, max) = (text.to_owned(), u64::from(u32::MAX));
            self.error(CsvErrorKind::NotANumber { column: COLUMNS[column], max, found })
        })
    }

    fn error(&self, kind: CsvErrorKind) -> CsvError {
        CsvError { line: self.line, kind }
    }
}

/// Splits text into records and fields; `line` is where the latest record began.
struct Records<'a> {
    rest: &'a str,
    line: u32,
    next_line: u32,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 0, next_line: 1 }
    }

    /// Reads the next record that is no empty line; false at the end of the text.
    fn next_into(&mut self, fields: &mut Vec<Cow<'a, str>>) -> Result<bool, CsvError> {
        fields.clear();
        while !self.rest.is_empty() {
            self.line = self.next_line;
            loop {
                fields.push(self.field()?);
                if fields.len() > COLUMNS.len() {
                    return Err(self.error(CsvErrorKind::TooManyFields));
                }
                match self.rest.strip_prefix(',') {
                    Some(rest) => self.rest = rest,
                    None => break,
                }
            }
            let line_break = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
            if let Some(rest) = line_break {
                self.rest = rest;
                self.next_line += 1;
            }
            if fields.len() > 1 || !fields[0].is_empty() {
                return Ok(true);
            }
            fields.clear();
        }
        Ok(false)
    }

    /// Takes one field and leaves the separator after it.
    fn field(&mut self) -> Result<Cow<'a, str>, CsvError> {
        let field = match self.rest.strip_prefix('"') {
            Some(rest) => self.quoted_field(rest)?,
            None => {
                let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
                let (field, rest) = self.rest.split_at(end);
                // The carriage return of a line break stays with the separator.
                let cut = if rest.starts_with(',') { 0 } else { usize::from(field.ends_with('\r')) };
                self.rest = &self.rest[end - cut..];
                Cow::Borrowed(field[..end - cut].trim())
            }
        };
        if self.rest == "\r" {
            self.rest = "";
        }
        if field.len() > MAX_FIELD {
            return Err(self.error(CsvErrorKind::FieldTooLong { length: field.len() }));
        }
        Ok(field)
    }

    /// Takes a field whose opening quote is already gone from `rest`.
    fn quoted_field(&mut self, mut rest: &'a str) -> Result<Cow<'a, str>, CsvError> {
        let mut field = String::new();
        loop {
            let Some((part, after)) = rest.split_once('"') else {
                return Err(self.error(CsvErrorKind::UnclosedQuote));
            };
            field.push_str(part);
            self.next_line += part.bytes().filter(|&byte| byte == b'\n').count() as u32;
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    rest = more;
                }
                None if after.is_empty() || after.starts_with([',', '\n', '\r']) => {
                    self.rest = after;
                    return Ok(Cow::Owned(field));
                }
                None => return Err(self.error(CsvErrorKind::TextAfterQuote)),
            }
        }
    }

    fn error(&self, kind: CsvErrorKind) -> CsvError {
        CsvError { line: self.line, kind }
    }
}

/// What is wrong with a CSV text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvError {
    /// Line of the record at fault, from 1.
    pub line: u32,
    /// What is wrong there.
    pub kind: CsvErrorKind,
}

/// What can be wrong with a CSV text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvErrorKind {
    /// The text holds no line.
    NoHeader,
    /// A column name that is not known.
    UnknownColumn {
        /// The name.
        name: String,
    },
    /// A required column is not in the header.
    MissingColumn {
        /// The name.
        name: &'static str,
    },
    /// A column is named twice.
    RepeatedColumn {
        /// The name.
        name: &'static str,
    },
    /// A line has more fields than there are columns to know.
    TooManyFields,
    /// A line has not as many fields as the header.
    FieldCount {
        /// Columns in the header.
        expected: usize,
        /// Fields in the line.
        found: usize,
    },
    /// A field is no decimal number from 0 to `max`.
    NotANumber {
        /// The column.
        column: &'static str,
        /// The largest number allowed.
        max: u64,
        /// The field.
        found: String,
    },
    /// A field is longer than [`MAX_FIELD`].
    FieldTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A quoted field has no closing quote.
    UnclosedQuote,
    /// Text between a closing quote and the next separator.
    TextAfterQuote,
    /// The buffer is fixed where another one is, and both are live at once.
    FixedOverlap {
        /// The other one's line.
        line: u32,
    },
    /// The buffer of the line cannot be planned.
    Buffer(ProblemError),
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.kind {
            CsvErrorKind::NoHeader => f.write_str("empty; expected a header such as id,lower,upper,size"),
            CsvErrorKind::UnknownColumn { name } => {
                write!(f, "unknown column {}; known are ", Excerpt(name))?;
                f.write_str(&COLUMNS.join(", "))
            }
            CsvErrorKind::MissingColumn { name } => {
                write!(f, "the header has no column {name}; required are id, lower, upper and size")
            }
            CsvErrorKind::RepeatedColumn { name } => write!(f, "column {name} is named twice"),
            CsvErrorKind::TooManyFields => write!(f, "more than {} fields", COLUMNS.len()),
            CsvErrorKind::FieldCount { expected, found } => {
                write!(f, "{found} fields, the header has {expected}")
            }
            CsvErrorKind::NotANumber { column, max, found } => {
                write!(f, "{column} is {}, expected a whole number from 0 to {max}", Excerpt(found))
            }
            CsvErrorKind::FieldTooLong { length } => {
                write!(f, "a field of {length} bytes; at most {MAX_FIELD} are allowed")
            }
            CsvErrorKind::UnclosedQuote => f.write_str("a quoted field is not closed"),
            CsvErrorKind::TextAfterQuote => {
                f.write_str("text after a closing quote; a quote inside a quoted field is written twice")
            }
            CsvErrorKind::FixedOverlap { line } => {
                write!(f, "its fixed place shares bytes with that of line {line} while both are live")
            }
            CsvErrorKind::Buffer(error) => error.what(f),
        }
    }
}

impl core::error::Error for CsvError {}

/// A quoted field cut to a length that fits a message, control characters escaped.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        let cut = self.0.char_indices().nth(SHOWN).map_or(self.0.len(), |(at, _)| at);
        write!(f, "{:?}{}", &self.0[..cut], if cut < self.0.len() { "..." } else { "" })
    }
}
