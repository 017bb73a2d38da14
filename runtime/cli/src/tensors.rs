//! Tensors in numpy's files.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use bayplan_graph::{DType, Tensor};
use npyz::{NpyFile, Order, WriteOptions, WriterBuilder};

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

/// Reads a `.npy` file.
///
/// # Errors
/// What is wrong with the file, for people.
pub(crate) fn read(path: &Path) -> Result<Tensor, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| fail(&e))?;
    let length = file.metadata().map_err(|e| fail(&e))?.len();
    let npy = NpyFile::new(BufReader::new(file)).map_err(|e| fail(&e))?;
    let (name, order) = (npy.dtype().descr(), npy.order());
    let Some((_, dtype)) = TYPES.iter().find(|(known, _)| name.trim_matches('\'') == *known) else {
        let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        return Err(fail(&format!("its element type is {name}; convert it to one of {}", known.join(" "))));
    };
    if order != Order::C {
        return Err(fail(&"it is in Fortran order; save numpy.ascontiguousarray(array)"));
    }
    let shape: Vec<usize> = npy.shape().iter().map(|&dim| dim as usize).collect();
    let elements = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    let bytes = elements.and_then(|count| count.checked_mul(dtype.size()));
    // Checked before anything is allocated for it.
    let Some(bytes) = bytes.filter(|&bytes| bytes as u64 <= length) else {
        return Err(fail(&"it is shorter than its header says"));
    };
    let mut data = vec![0; bytes];
    npy.into_inner().read_exact(&mut data).map_err(|_| fail(&"it is shorter than its header says"))?;
    Tensor::new(*dtype, shape, data).map_err(|e| fail(&e))
}

/// Writes a `.npy` file.
///
/// # Errors
/// Why it could not be written.
pub(crate) fn write(path: &Path, tensor: &Tensor) -> Result<(), String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let name = TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype()).map(|(name, _)| *name);
    let name = name.ok_or_else(|| fail(&format!("{} has no form in numpy's files", tensor.dtype())))?;
    let dtype = npyz::DType::new_scalar(name.parse().map_err(|e| fail(&e))?);
    let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
    let file = BufWriter::new(File::create(path).map_err(|e| fail(&e))?);
    let header = WriteOptions::new_header_only().dtype(dtype).shape(&shape).writer(file).write_header_only();
    let mut file = header.map_err(|e| fail(&e))?;
    file.write_all(tensor.bytes()).and_then(|()| file.flush()).map_err(|e| fail(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for (index, (name, dtype)) in TYPES.into_iter().enumerate() {
            let path = folder.path().join(format!("{index}.npy"));
            let bytes = (0..6 * dtype.size()).map(|byte| (byte % 2) as u8).collect();
            let tensor = Tensor::new(dtype, vec![2, 3], bytes).unwrap();
            write(&path, &tensor).unwrap();
            assert_eq!(read(&path).unwrap(), tensor, "{name}");
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
        std::fs::write(&path, b"not an array").unwrap();
        assert!(read(&path).is_err());
    }
}
