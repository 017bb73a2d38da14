//! The header of a safetensors file.
//!
//! ```text
//!   8 bytes   length of the header, little-endian
//!   header    JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [BEGIN, END]}, …, "__metadata__": {…}}
//!   data      offsets count from here; no byte belongs to two tensors, and none to no tensor
//! ```

use core::fmt;

use bayplan_graph::{ByteSource, DType, MAX_RANK};
use bayplan_text::escape;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::window::Window;
use super::{Encoding, Entry, MAX_NAME, MAX_TENSORS, Problem, count, twice};

/// Most bytes of a header, as the format's own reader has it.
const MAX_HEADER: u64 = 100_000_000;

/// The names of element types, and bits of an element.
const TYPES: [(&str, DType); 18] = [
    ("BOOL", DType::Bool),
    ("U8", DType::U8),
    ("I8", DType::I8),
    ("U16", DType::U16),
    ("I16", DType::I16),
    ("U32", DType::U32),
    ("I32", DType::I32),
    ("U64", DType::U64),
    ("I64", DType::I64),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
    ("F8_E4M3", DType::F8E4M3FN),
    ("F8_E5M2", DType::F8E5M2),
    ("F8_E4M3FNUZ", DType::F8E4M3FNUZ),
    ("F8_E5M2FNUZ", DType::F8E5M2FNUZ),
    ("F8_E8M0", DType::F8E8M0),
];

/// The tensors of a file, checked.
pub(super) fn read(source: &dyn ByteSource) -> Result<Vec<Entry>, Problem> {
    let fail = |reason: String| Err(Problem::Format(reason));
    let len = source.len();
    if len < 8 {
        return fail(format!(
            "it has {len} bytes, too few for a safetensors file; copy or download it again"
        ));
    }
    let header = Window::new(source, 0, len).u64()?;
    if header > MAX_HEADER {
        return fail(format!(
            "its header would have {header} bytes, more than the {MAX_HEADER} of the format; it is no safetensors file, or damaged"
        ));
    }
    let start = 8 + header;
    if start > len {
        return fail(format!(
            "its header ends at byte {start}, but it has {len} bytes; copy or download it again"
        ));
    }
    let mut listed = listed(Window::new(source, 8, start))?;
    if let Some(name) = twice(listed.iter().map(|own| &*own.name)) {
        return fail(format!("it names tensor `{}` twice; it is damaged", escape(name)));
    }
    let entries = listed.iter().map(|own| entry(own, start, len)).collect::<Result<Vec<_>, _>>()?;
    // In the order of the bytes, empty ones first.
    listed.sort_by_key(|own| own.info.data_offsets);
    no_gaps(&listed, len - start)?;
    Ok(entries)
}

/// A tensor of the header, as it is written there.
struct Listed {
    name: String,
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    #[serde(deserialize_with = "shape")]
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The tensors as the header lists them, parsed as it is read.
fn listed(window: Window<'_>) -> Result<Vec<Listed>, Problem> {
    let mut parser = serde_json::Deserializer::from_reader(window);
    let parsed = Tensors.deserialize(&mut parser).and_then(|listed| parser.end().map(|()| listed));
    parsed.map_err(|e| {
        Problem::Format(format!("its header is no JSON of a safetensors file: {}", escape(&e.to_string())))
    })
}

/// The object of a header.
struct Tensors;

impl<'de> DeserializeSeed<'de> for Tensors {
    type Value = Vec<Listed>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensors {
    type Value = Vec<Listed>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut listed = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if name.len() > MAX_NAME {
                return Err(A::Error::custom(format!("a name is longer than {MAX_NAME} bytes")));
            }
            if listed.len() >= MAX_TENSORS {
                return Err(A::Error::custom(format!("it lists more than {MAX_TENSORS} tensors")));
            }
            listed.push(Listed { name, info: map.next_value()? });
        }
        Ok(listed)
    }
}

/// A shape of a rank that tensors may have.
fn shape<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    struct Dims;
    impl<'de> Visitor<'de> for Dims {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of dimensions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut dims = Vec::new();
            while let Some(dim) = list.next_element()? {
                if dims.len() >= MAX_RANK {
                    return Err(A::Error::custom(format!("a tensor has more than {MAX_RANK} dimensions")));
                }
                dims.push(dim);
            }
            Ok(dims)
        }
    }
    deserializer.deserialize_seq(Dims)
}

/// A tensor whose data begins at `start` of a file of `len` bytes.
fn entry(Listed { name, info }: &Listed, start: u64, len: u64) -> Result<Entry, Problem> {
    let fail = |reason: String| {
        Err(Problem::Format(format!("tensor `{}`: {reason}; the file is damaged", escape(name))))
    };
    let known = TYPES.iter().find(|row| row.0 == info.dtype).map(|row| row.1);
    let encoding = known.map_or_else(|| Encoding::Other(info.dtype.as_str().into()), Encoding::Plain);
    let (begin, end) = info.data_offsets;
    if begin > end {
        return fail(format!("its bytes begin at {begin} and end before, at {end}"));
    }
    let Some(file_end) = start.checked_add(end) else {
        return fail(format!("its bytes end at {end}, beyond any file"));
    };
    let Some(elements) = count(&info.shape) else {
        return fail(format!("its shape {:?} has more elements than any memory", info.shape));
    };
    // 2^48 elements of at most 8 bytes.
    match known.map(|dtype| elements * dtype.size() as u64) {
        Some(bytes) if bytes != end - begin => {
            return fail(format!(
                "{} {:?} takes {bytes} bytes, but the header gives it {}",
                encoding,
                info.shape,
                end - begin
            ));
        }
        _ => {}
    }
    if file_end > len {
        return Err(Problem::Short { tensor: name.clone(), end: file_end, len });
    }
    let (name, shape) = (name.as_str().into(), info.shape.clone());
    Ok(Entry { name, shape, encoding, file: 0, offset: start + begin, len: end - begin })
}

/// Every byte of the data belongs to one tensor: `listed` in the order of their bytes.
fn no_gaps(listed: &[Listed], data: u64) -> Result<(), Problem> {
    let mut at = 0;
    for Listed { name, info } in listed {
        let (begin, end) = info.data_offsets;
        if begin != at {
            return Err(Problem::Format(format!(
                "tensor `{}` begins at byte {begin} of the data, but those before it end at {at}; the file is damaged",
                escape(name)
            )));
        }
        at = end;
    }
    if at != data {
        return Err(Problem::Format(format!(
            "{} bytes behind the last tensor belong to none; the file is damaged",
            data - at
        )));
    }
    Ok(())
}
