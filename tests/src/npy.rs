//! Arrays as numpy writes them (`numpy.lib.format`, versions 1 to 3): little-endian, C order.

use std::fs;
use std::path::Path;

/// An array read from a `.npy` file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Element type as numpy writes it: `<f4`, `<i8`, `|u1`.
    pub dtype: String,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, little-endian, in C order.
    pub bytes: Vec<u8>,
}

impl Array {
    /// The elements of an `<f4` array.
    ///
    /// # Panics
    /// When the elements are of another type.
    pub fn f32s(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "<f4", "expected an array of f32");
        self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// The elements of an `<i8` array (64-bit integers).
    ///
    /// # Panics
    /// When the elements are of another type.
    pub fn i64s(&self) -> Vec<i64> {
        assert_eq!(self.dtype, "<i8", "expected an array of i64");
        self.bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }
}

/// Reads the array in `path`.
///
/// # Panics
/// When it cannot be read; the message names the file.
pub fn read(path: &Path) -> Array {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes an array, as version 1 of the format.
///
/// # Panics
/// When the file cannot be written.
pub fn write(path: &Path, array: &Array) {
    let extents: String = array.shape.iter().map(|extent| format!("{extent},")).collect();
    let text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({extents}), }}", array.dtype);
    // Magic, version, length and header take a multiple of 64 bytes together.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let header = format!("{text:<width$}\n", width = length - 1);
    let size = u16::try_from(length).expect("headers are short").to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00", &size[..], header.as_bytes(), &array.bytes].concat();
    fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// ‖out − reference‖ / ‖reference‖, Euclidean, summed in f64.
///
/// # Panics
/// When the lengths differ, or the reference is zero or not finite.
pub fn relative_error(out: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(out.len(), reference.len(), "lengths differ");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let size = norm(&mut reference.iter().map(|r| f64::from(*r)));
    assert!(size.is_finite() && size > 0.0, "the reference has norm {size}");
    norm(&mut out.iter().zip(reference).map(|(o, r)| f64::from(*o) - f64::from(*r))) / size
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a .npy file")?;
    // Two bytes of version, then the header's length: two bytes in version 1, four later.
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("unknown version of the .npy format".to_string()),
    };
    let (header, data) = rest.split_at_checked(length).ok_or("the header is cut off")?;
    let header = std::str::from_utf8(header).map_err(|e| e.to_string())?;
    let dtype = between(header, "'descr': '", "'")?;
    if between(header, "'fortran_order': ", ",")? != "False" {
        return Err("the array is in Fortran order".to_string());
    }
    let extents = between(header, "'shape': (", ")")?.split(',').map(str::trim).filter(|e| !e.is_empty());
    let shape = extents.map(str::parse).collect::<Result<Vec<usize>, _>>().map_err(|e| e.to_string())?;
    let size: usize = match dtype.as_bytes() {
        [b'<' | b'|', _, size @ b'1'..=b'8'] => usize::from(size - b'0'),
        _ => return Err(format!("unknown element type {dtype}")),
    };
    let expect = shape.iter().try_fold(size, |n, e| n.checked_mul(*e)).ok_or("the shape is too large")?;
    if data.len() != expect {
        return Err(format!("{} bytes of data where the header asks for {expect}", data.len()));
    }
    Ok(Array { dtype: dtype.to_string(), shape, bytes: data.to_vec() })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Result<&'a str, String> {
    let (_, rest) = text.split_once(before).ok_or_else(|| format!("the header lacks {before}"))?;
    rest.split_once(after).map(|(found, _)| found).ok_or_else(|| "the header is damaged".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn reads_arrays() {
        let data: Vec<u8> = [1f32, -2.5].iter().flat_map(|v| v.to_le_bytes()).collect();
        let array =
            parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", &data)).unwrap();
        assert_eq!((array.shape.as_slice(), array.f32s().as_slice()), (&[2, 1][..], &[1.0, -2.5][..]));
        let scalar =
            parse(&file("{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", &7i64.to_le_bytes()));
        assert_eq!(scalar.unwrap().i64s(), [7]);
    }

    #[test]
    fn writes_what_it_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        for shape in [vec![], vec![1], vec![2, 3, 0], vec![1; 40]] {
            let count = shape.iter().product::<usize>();
            let array = Array { dtype: "<i8".into(), shape, bytes: vec![7; 8 * count] };
            write(&path, &array);
            assert_eq!(read(&path), array);
            assert_eq!((fs::metadata(&path).unwrap().len() as usize - array.bytes.len()) % 64, 0);
        }
    }

    #[test]
    fn refuses_what_is_not_an_array() {
        let check = |bytes: &[u8], expect: &str| assert_eq!(parse(bytes).unwrap_err(), expect);
        check(b"PK", "not a .npy file");
        check(b"\x93NUMPY\x09\x00", "unknown version of the .npy format");
        check(b"\x93NUMPY\x01\x00\xff\xff{", "the header is cut off");
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        check(&file(header, &[0; 7]), "7 bytes of data where the header asks for 8");
        check(&file(&header.replace("False", "True"), &[0; 8]), "the array is in Fortran order");
        check(&file(&header.replace("<f4", ">f4"), &[0; 8]), "unknown element type >f4");
        check(&file(&header.replace("(2,)", "(4611686018427387904, 8)"), &[]), "the shape is too large");
    }

    #[test]
    fn measures_the_error() {
        assert_eq!(relative_error(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        assert_eq!(relative_error(&[0.0, 8.0], &[0.0, 4.0]), 1.0);
        assert!(relative_error(&[f32::NAN], &[1.0]).is_nan());
    }
}
