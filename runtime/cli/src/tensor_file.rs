//! Tensors in files: numpy's `.npy`, or ONNX's `TensorProto` where a file is named `.pb`.

use std::path::{Path, PathBuf};

use bayplan_graph::Tensor;

use crate::exit::Failure;
use crate::npy;

/// Largest file that is read whole before its contents are looked at: ONNX's own limit of a message.
const MAX_MESSAGE: u64 = 1 << 31;

/// Reads a tensor.
///
/// # Errors
/// What is wrong with the file and what to do, for people.
pub(crate) fn read(path: &Path) -> Result<Tensor, Failure> {
    if is_message(path) { message(path) } else { npy::read(path) }.map_err(Failure::new)
}

/// The dimensions of the tensor in a file.
///
/// # Errors
/// What is wrong with the file and what to do, for people.
pub(crate) fn shape(path: &Path) -> Result<Vec<usize>, Failure> {
    if !is_message(path) {
        return npy::shape(path).map_err(Failure::new);
    }
    message(path).map(|tensor| tensor.shape().to_vec()).map_err(Failure::new)
}

/// Writes a tensor, whole or not at all; its name goes into a `TensorProto`.
///
/// # Errors
/// Why it could not be written.
pub(crate) fn write(path: &Path, name: &str, tensor: &Tensor) -> Result<(), Failure> {
    if !is_message(path) {
        return npy::write(path, tensor).map_err(Failure::new);
    }
    let part = path.with_extension("pb.part");
    let bytes = bayplan_onnx::write_tensor(name, tensor);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|e| {
        // What cannot be removed either is told by the same words.
        let _ = std::fs::remove_file(&part);
        Failure::new(format!("{}: {e}", path.display()))
    })
}

/// The file of an input, or of an output, in a folder: `input_0.pb`.
pub(crate) fn numbered(folder: &Path, what: &str, at: usize) -> PathBuf {
    folder.join(format!("{what}_{at}.pb"))
}

fn is_message(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pb")
}

fn message(path: &Path) -> Result<Tensor, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    // Asked before it is opened: opening a pipe waits for its other end.
    let meta = std::fs::metadata(path).map_err(|e| fail(&e))?;
    if !meta.is_file() || meta.len() > MAX_MESSAGE {
        return Err(fail(&"it is no TensorProto file of at most 2 GiB"));
    }
    let bytes = std::fs::read(path).map_err(|e| fail(&e))?;
    bayplan_onnx::read_tensor(&bytes).map(|(_, tensor)| tensor).map_err(|e| fail(&e))
}

#[cfg(test)]
mod tests {
    use bayplan_graph::DType;

    use super::*;

    #[test]
    fn either_kind_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let tensor = Tensor::from_f64(DType::F16, vec![2, 3], &[0.5; 6]).expect("a tensor");
        for name in ["x.npy", "x.pb"] {
            let path = folder.path().join(name);
            write(&path, "x", &tensor).expect("a file");
            assert_eq!(read(&path), Ok(tensor.clone()), "{name}");
            assert_eq!(shape(&path), Ok(vec![2, 3]), "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
        let broken = folder.path().join("broken.pb");
        std::fs::write(&broken, [0xff; 9]).expect("a file");
        for path in [broken, folder.path().to_owned(), numbered(folder.path(), "input", 0)] {
            let failure = read(&path).expect_err("no tensor");
            assert!(failure.mentions(&path.display().to_string()), "{failure:?}");
        }
    }
}
