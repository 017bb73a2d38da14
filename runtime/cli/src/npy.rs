//! numpy's `.npy` files, versions 1 to 3 (numpy.lib.format).
//!
//! ```text
//! \x93NUMPY  major minor  header length  {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n  elements
//! ```

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use bayplan_graph::{DType, MAX_RANK, Tensor};

/// numpy's names of element types: little-endian, or of one byte.
const TYPES: [(&str, DType); 12] = [
    ("<f4", DType::F32),
    ("<f8", DType::F64),
    ("<f2", DType::F16),
    ("|i1", DType::I8),
    ("<i2", DType::I16),
    ("<i4", DType::I32),
    ("<i8", DType::I64),
    ("|u1", DType::U8),
    ("<u2", DType::U16),
    ("<u4", DType::U32),
    ("<u8", DType::U64),
    ("|b1", DType::Bool),
];

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest header that is read. numpy's own are 54 or 118 bytes; only structured types have more to say.
const MAX_HEADER: usize = 4096;

/// The header and the elements begin at multiples of this.
const ALIGNMENT: usize = 64;

/// Reads a `.npy` file.
///
/// # Errors
/// What is wrong with the file and what to do, for people.
pub(crate) fn read(path: &Path) -> Result<Tensor, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let (mut file, bytes, header) = open(path)?;
    let size = header.shape.iter().try_fold(header.dtype.size(), |bytes, &dim| bytes.checked_mul(dim));
    // Checked before anything is allocated for it.
    let size = size.filter(|&size| size as u64 <= bytes).ok_or_else(|| fail(&SHORT))?;
    let mut data = vec![0; size];
    file.read_exact(&mut data).map_err(|_| fail(&SHORT))?;
    Tensor::new(header.dtype, header.shape, data).map_err(|e| fail(&e))
}

/// The dimensions of the array in a `.npy` file, of which only the header is read.
///
/// # Errors
/// What is wrong with the file and what to do, for people.
pub(crate) fn shape(path: &Path) -> Result<Vec<usize>, String> {
    open(path).map(|(_, _, header)| header.shape)
}

/// A file after its header, its bytes, and the header.
fn open(path: &Path) -> Result<(BufReader<File>, u64, Header), String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    // Asked before it is opened: opening a pipe waits for its other end.
    let meta = std::fs::metadata(path).map_err(|e| fail(&e))?;
    if !meta.is_file() {
        return Err(fail(&"it is no file; give a .npy file"));
    }
    let mut file = BufReader::new(File::open(path).map_err(|e| fail(&e))?);
    let header = read_header(&mut file).map_err(|e| fail(&e))?;
    Ok((file, meta.len(), header))
}

const SHORT: &str = "it is shorter than its header says; it is incomplete, save it again";

/// Writes a `.npy` file, whole or not at all: under another name beside it first. bf16, which numpy does not have,
/// becomes f32.
///
/// # Errors
/// Why it could not be written.
pub(crate) fn write(path: &Path, tensor: &Tensor) -> Result<(), String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let Some((name, _)) = TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype()) else {
        let wide = Tensor::from_f64(DType::F32, tensor.shape().to_vec(), &tensor.to_f64());
        return write(path, &wide.map_err(|e| fail(&e))?);
    };
    let shape: String = tensor.shape().iter().map(|dim| format!("{dim}, ")).collect();
    let mut header =
        format!("{{'descr': '{name}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let before = MAGIC.len() + 4;
    let padded = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before;
    header += &" ".repeat(padded - 1 - header.len());
    header.push('\n');
    let part = path.with_extension("npy.part");
    let written = File::create(&part).and_then(|file| {
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        file.write_all(&[1, 0])?;
        // Of at most MAX_RANK dims of 20 digits: always fits the two bytes of version 1.
        file.write_all(&(header.len() as u16).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        file.write_all(tensor.bytes())?;
        file.flush()?;
        drop(file);
        std::fs::rename(&part, path)
    });
    written.map_err(|e| {
        // What cannot be removed either is told by the same words.
        let _ = std::fs::remove_file(&part);
        fail(&e)
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Header {
    dtype: DType,
    shape: Vec<usize>,
}

fn read_header(file: &mut impl Read) -> Result<Header, String> {
    let mut magic = [0; 8];
    if file.read_exact(&mut magic).is_err() || magic[..6] != *MAGIC {
        return Err("it is no .npy file; save the array with numpy.save".into());
    }
    let length = match magic[6] {
        1 => {
            let mut length = [0; 2];
            file.read_exact(&mut length).map_err(|_| SHORT)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            file.read_exact(&mut length).map_err(|_| SHORT)?;
            u32::from_le_bytes(length) as usize
        }
        version => return Err(format!("its format version is {version}; 1 to 3 are supported")),
    };
    if length > MAX_HEADER {
        return Err(format!("its header has {length} bytes; at most {MAX_HEADER} are supported"));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(|_| SHORT)?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Result<Header, String> {
    let unclear = || "its header cannot be understood; save the array with numpy.save".to_owned();
    let (mut dtype, mut shape, mut fortran) = (None, None, None);
    let mut rest = Cursor(text);
    if !rest.eat("{") {
        return Err(unclear());
    }
    while !rest.eat("}") {
        let key = rest.string().filter(|_| rest.eat(":")).ok_or_else(unclear)?;
        match key {
            "descr" => dtype = Some(element_type(rest.string())?),
            "fortran_order" if rest.eat("False") => fortran = Some(false),
            "fortran_order" if rest.eat("True") => fortran = Some(true),
            "shape" => shape = Some(rest.tuple().ok_or_else(unclear)?),
            _ => return Err(unclear()),
        }
        if !rest.eat(",") && !rest.0.trim_start().starts_with('}') {
            return Err(unclear());
        }
    }
    let (Some(dtype), Some(shape), Some(fortran)) = (dtype, shape, fortran) else { return Err(unclear()) };
    // Both orders are the same where there is at most one dimension.
    if fortran && shape.len() > 1 {
        return Err("it is in Fortran order; save numpy.ascontiguousarray(array)".into());
    }
    Ok(Header { dtype, shape })
}

fn element_type(name: Option<&str>) -> Result<DType, String> {
    let found = name.and_then(|name| TYPES.iter().find(|(known, _)| *known == name));
    found.map(|(_, dtype)| *dtype).ok_or_else(|| {
        let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        let name = name.map_or("structured".into(), |name| bayplan_text::ellipsis(name, 40).to_string());
        format!("its element type is {name}; convert it to one of {}", known.join(" "))
    })
}

/// What is left of a header, a literal of Python.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn string(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| "'\"".contains(*c))?;
        let (inner, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(inner)
    }

    fn number(&mut self) -> Option<usize> {
        let text = self.0.trim_start();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number = text[..end].parse().ok()?;
        // Python 2 wrote long integers with an L.
        self.0 = text[end..].strip_prefix('L').unwrap_or(&text[end..]);
        Some(number)
    }

    /// `()`, `(3,)` or `(2, 3)`.
    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut dims = Vec::new();
        if !self.eat("(") {
            return None;
        }
        while !self.eat(")") {
            dims.push(self.number().filter(|_| dims.len() < MAX_RANK)?);
            if !self.eat(",") && !self.0.trim_start().starts_with(')') {
                return None;
            }
        }
        Some(dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let shapes: [&[usize]; 5] = [&[], &[6], &[2, 3], &[0, 4], &[1; MAX_RANK]];
        for (name, dtype) in TYPES {
            for shape in shapes {
                let path = folder.path().join("x.npy");
                let count: usize = shape.iter().product();
                let bytes = (0..count * dtype.size()).map(|byte| (byte % 2) as u8).collect();
                let tensor = Tensor::new(dtype, shape.to_vec(), bytes).unwrap();
                write(&path, &tensor).unwrap();
                assert_eq!(read(&path).unwrap(), tensor, "{name}");
                let length = std::fs::metadata(&path).unwrap().len();
                assert_eq!((length as usize - tensor.bytes().len()) % ALIGNMENT, 0, "{name}");
            }
        }
    }

    #[test]
    fn types_that_numpy_lacks_are_widened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        write(&path, &Tensor::from_f64(DType::BF16, vec![2], &[1.5, -2.0]).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), Tensor::from_f32(vec![2], &[1.5, -2.0]).unwrap());
    }

    #[test]
    fn headers() {
        let f32_of = |shape: &[usize]| Ok(Header { dtype: DType::F32, shape: shape.to_vec() });
        let cases: [(&str, Result<Header, &str>); 15] = [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", f32_of(&[2, 3])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", f32_of(&[])),
            ("{\"shape\":(3,),\"descr\":\"<f4\",\"fortran_order\":False}", f32_of(&[3])),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (3L,), }", f32_of(&[3])),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }", Err("Fortran order")),
            ("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", Err("element type is >f4")),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", Err("structured")),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", Err("understood")),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
                Err("understood"),
            ),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3", Err("understood")),
            ("{'descr': '<f4', 'shape': (3,), }", Err("understood")),
            ("{'descr': '<f4' 'shape': (3,), }", Err("understood")),
            ("{'other': 1}", Err("understood")),
            ("", Err("understood")),
            ("((((((((", Err("understood")),
        ];
        for (text, expected) in cases {
            match (parse(text), expected) {
                (Ok(header), Ok(expected)) => assert_eq!(header, expected, "{text}"),
                (Err(e), Err(expected)) => assert!(e.contains(expected), "{text}: {e}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn files_that_are_cut_or_no_arrays_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        write(&path, &Tensor::from_f32(vec![4], &[1.0; 4]).unwrap()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in 0..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(read(&path).is_err(), "cut at byte {end}");
        }
        // A header that claims more than any memory holds, and one that claims to be long itself.
        let claims = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }";
        let mut bytes = [MAGIC.as_slice(), &[1, 0], &(claims.len() as u16).to_le_bytes(), claims].concat();
        std::fs::write(&path, &bytes).unwrap();
        assert!(read(&path).unwrap_err().contains("shorter than its header says"));
        bytes = [MAGIC.as_slice(), &[2, 0], &u32::MAX.to_le_bytes()].concat();
        std::fs::write(&path, &bytes).unwrap();
        assert!(read(&path).unwrap_err().contains("its header has 4294967295 bytes"));
        assert!(read(folder.path()).unwrap_err().contains("it is no file"));
        assert!(read(&folder.path().join("absent")).unwrap_err().contains("absent"));
    }
}
