//! The header of a GGUF file, versions 2 and 3, little-endian.
//!
//! ```text
//!   "GGUF", version u32, number of tensors u64, number of keys u64
//!   per key      name, type u32, value                        (strings: length u64, bytes; arrays: type u32, length u64)
//!   per tensor   name, rank u32, dimensions u64 (innermost first), type u32, offset u64
//!   data         from the next multiple of general.alignment (32 if no key says it); offsets count from here
//! ```

use bayplan_graph::{BlockFormat, ByteSource, DType, MAX_RANK};
use bayplan_text::escape;

use super::window::Window;
use super::{Encoding, Entry, MAX_NAME, MAX_TENSORS, Problem, count, twice};

/// Most bytes of a header: vocabularies of today's models take some ten million.
const MAX_HEADER: u64 = 64 << 20;

/// How deep arrays lie within arrays.
const MAX_DEPTH: usize = 4;

/// Bytes that a key and a tensor take at least.
const LEAST_KEY: u64 = 8 + 4 + 1;
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;

/// Element types by number that are read.
const TYPES: [(u32, Encoding); 12] = [
    (0, Encoding::Plain(DType::F32)),
    (1, Encoding::Plain(DType::F16)),
    (2, Encoding::Blocks(BlockFormat::Q4_0)),
    (8, Encoding::Blocks(BlockFormat::Q8_0)),
    (12, Encoding::Blocks(BlockFormat::Q4K)),
    (14, Encoding::Blocks(BlockFormat::Q6K)),
    (24, Encoding::Plain(DType::I8)),
    (25, Encoding::Plain(DType::I16)),
    (26, Encoding::Plain(DType::I32)),
    (27, Encoding::Plain(DType::I64)),
    (28, Encoding::Plain(DType::F64)),
    (30, Encoding::Plain(DType::BF16)),
];

/// Names of the others, for messages.
const OTHERS: [(u32, &str); 22] = [
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (13, "Q5_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

/// Types of values by number.
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn fail<T>(reason: String) -> Result<T, Problem> {
    Err(Problem::Format(reason))
}

/// The tensors of a file, checked.
pub(super) fn read(source: &dyn ByteSource) -> Result<Vec<Entry>, Problem> {
    let len = source.len();
    let mut window = Window::new(source, 0, len);
    if window.array()? != *b"GGUF" {
        return fail("it does not begin as a GGUF file does; it is damaged or something else".to_owned());
    }
    match window.u32()? {
        2 | 3 => {}
        version if version & 0xffff == 0 => {
            return fail(
                "it is written for big-endian machines; convert it (gguf-convert-endian)".to_owned(),
            );
        }
        version => {
            return fail(format!("its version of GGUF is {version}; 2 and 3 are read, convert it again"));
        }
    }
    let (tensors, keys) = (window.u64()?, window.u64()?);
    let room = window.left();
    let fits = keys <= room / LEAST_KEY && tensors <= room / LEAST_TENSOR && tensors <= MAX_TENSORS as u64;
    if !fits {
        return fail(format!(
            "its header says that {keys} keys and {tensors} tensors follow, more than it has room for; it is damaged"
        ));
    }
    let mut alignment = None;
    for _ in 0..keys {
        key(&mut window, &mut alignment)?;
        in_bounds(&window)?;
    }
    let alignment = alignment.unwrap_or(32);
    let mut entries = Vec::new();
    for _ in 0..tensors {
        entries.push(tensor(&mut window, alignment)?);
        in_bounds(&window)?;
    }
    if let Some(name) = twice(entries.iter().map(|entry| &*entry.name)) {
        return fail(format!("it names tensor `{}` twice; it is damaged", escape(name)));
    }
    // No overflow: the header ends in the file, and an alignment has 32 bits.
    let start = window.at().next_multiple_of(alignment);
    for entry in &mut entries {
        let place = entry.offset.checked_add(start).and_then(|at| Some((at, at.checked_add(entry.len)?)));
        let Some((at, end)) = place else {
            return fail(format!(
                "tensor `{}` begins beyond any file, at {}; it is damaged",
                escape(&entry.name),
                entry.offset
            ));
        };
        if end > len {
            return Err(Problem::Short { tensor: entry.name.to_string(), end, len });
        }
        entry.offset = at;
    }
    apart(&entries, start)?;
    Ok(entries)
}

/// No byte belongs to two tensors. Where those end whose elements are not read is not known.
fn apart(entries: &[Entry], start: u64) -> Result<(), Problem> {
    let mut listed: Vec<&Entry> = entries.iter().filter(|entry| entry.len > 0).collect();
    listed.sort_by_key(|entry| entry.offset);
    match listed.windows(2).find(|pair| pair[1].offset < pair[0].offset + pair[0].len) {
        None => Ok(()),
        Some(pair) => fail(format!(
            "tensor `{}` begins at byte {} of the data, but `{}` before it ends at {}; the file is damaged",
            escape(&pair[1].name),
            pair[1].offset - start,
            escape(&pair[0].name),
            pair[0].offset - start + pair[0].len
        )),
    }
}

/// Files of holes could be read for hours otherwise.
fn in_bounds(window: &Window<'_>) -> Result<(), Problem> {
    if window.at() > MAX_HEADER {
        return fail(format!("its header is longer than {MAX_HEADER} bytes; it is damaged"));
    }
    Ok(())
}

/// A string of at most `most` bytes.
fn string(window: &mut Window<'_>, what: &str, most: usize) -> Result<String, Problem> {
    let (at, len) = (window.at(), window.u64()?);
    match usize::try_from(len).ok().filter(|&len| len <= most) {
        None => fail(format!(
            "{what} at byte {at} would have {len} bytes, more than the {most} that it may; it is damaged"
        )),
        Some(len) => {
            let mut bytes = vec![0; len];
            window.take(&mut bytes)?;
            let text = String::from_utf8(bytes);
            text.or_else(|_| fail(format!("{what} at byte {at} is no text in UTF-8; it is damaged")))
        }
    }
}

/// Reads a key with its value; all but those that say where tensors lie are skipped.
fn key(window: &mut Window<'_>, alignment: &mut Option<u64>) -> Result<(), Problem> {
    let name = string(window, "the name of a key", 1 << 16)?;
    let ty = window.u32()?;
    match (&*name, ty) {
        ("general.alignment", 4) => {
            let given = window.u32()?;
            if !given.is_power_of_two() {
                return fail(format!(
                    "its tensors would be aligned to {given} bytes, which is no power of two; it is damaged"
                ));
            }
            match alignment.replace(given.into()) {
                None => Ok(()),
                Some(_) => fail("it has general.alignment twice; it is damaged".to_owned()),
            }
        }
        ("general.alignment", _) => fail("its general.alignment is no u32; it is damaged".to_owned()),
        ("split.count", 2) => match u16::from_le_bytes(window.array()?) {
            0 | 1 => Ok(()),
            parts => fail(format!("it is one of {parts} parts; join them (llama-gguf-split --merge)")),
        },
        _ => skip(window, ty, 0),
    }
}

/// Bytes of a value of a type that all have as many.
fn size(ty: u32) -> Option<u64> {
    match ty {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Skips a value.
fn skip(window: &mut Window<'_>, ty: u32, depth: usize) -> Result<(), Problem> {
    match ty {
        STRING => {
            let len = window.u64()?;
            window.skip(len)
        }
        ARRAY => {
            let (at, of, count) = (window.at(), window.u32()?, window.u64()?);
            // Strings and arrays begin with a length of 8 bytes.
            let each = size(of).unwrap_or(8);
            match count.checked_mul(each).filter(|&bytes| bytes <= window.left()) {
                None => fail(format!(
                    "the array at byte {at} would have {count} elements, more than there is room for; it is damaged"
                )),
                Some(bytes) if size(of).is_some() => window.skip(bytes),
                Some(_) if depth >= MAX_DEPTH => {
                    fail(format!("the arrays at byte {at} lie too deep in each other; it is damaged"))
                }
                Some(_) => (0..count).try_for_each(|_| {
                    skip(window, of, depth + 1)?;
                    in_bounds(window)
                }),
            }
        }
        _ => match size(ty) {
            Some(bytes) => window.skip(bytes),
            None => fail(format!(
                "a value before byte {} has type {ty}, which GGUF does not have; it is damaged",
                window.at()
            )),
        },
    }
}

/// A tensor; its offset counts from the data.
fn tensor(window: &mut Window<'_>, alignment: u64) -> Result<Entry, Problem> {
    let name = string(window, "the name of a tensor", MAX_NAME)?;
    let wrong = |reason: String| fail(format!("tensor `{}`: {reason}; the file is damaged", escape(&name)));
    let rank = window.u32()?;
    if rank as usize > MAX_RANK {
        return wrong(format!("it would have {rank} dimensions, at most {MAX_RANK} are possible"));
    }
    let mut shape = (0..rank).map(|_| window.u64()).collect::<Result<Vec<_>, _>>()?;
    shape.reverse();
    let (ty, offset) = (window.u32()?, window.u64()?);
    let Some(elements) = count(&shape) else {
        return wrong(format!("its shape {shape:?} has more elements than any memory"));
    };
    if !offset.is_multiple_of(alignment) {
        return wrong(format!("it begins at {offset} of the data, which is no multiple of {alignment}"));
    }
    let encoding = TYPES.iter().find(|row| row.0 == ty).map(|row| row.1.clone());
    let encoding = encoding.unwrap_or_else(|| {
        let name = OTHERS.iter().find(|row| row.0 == ty).map(|row| row.1.to_owned());
        Encoding::Other(name.unwrap_or_else(|| format!("type {ty}")).into())
    });
    let len = match &encoding {
        // 2^48 elements of at most 8 bytes.
        Encoding::Plain(dtype) => elements * dtype.size() as u64,
        Encoding::Blocks(format) => {
            let (each, row) = (format.elements() as u64, shape.last().copied().unwrap_or(1));
            if !row.is_multiple_of(each) {
                return wrong(format!(
                    "its rows of {row} elements are no whole blocks of {each}, as {format} has them"
                ));
            }
            elements / each * format.bytes() as u64
        }
        Encoding::Other(_) => 0,
    };
    Ok(Entry { name: name.as_str().into(), shape, encoding, file: 0, offset, len })
}
