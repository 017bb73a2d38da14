//! The model's folder, which external data must lie in.

use std::path::{Path, PathBuf};

use crate::WeightsError;

/// Checks that a file beside a model lies in the model's folder once links are followed. A model that is a link itself has two
/// folders, that of the link and that of the file: caches of downloads keep models and their data as links to files side by
/// side elsewhere. A file that is not there is for whoever opens it to tell.
///
/// # Errors
/// [`WeightsError::Outside`], without a tensor.
pub(crate) fn inside(model: &Path, path: &Path) -> Result<(), WeightsError> {
    let Ok(target) = path.canonicalize() else { return Ok(()) };
    let folder = |file: &Path| -> Option<PathBuf> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    let own = [folder(model), model.canonicalize().ok().as_deref().and_then(folder)];
    if own.iter().flatten().any(|folder| target.starts_with(folder)) {
        return Ok(());
    }
    Err(WeightsError::Outside { path: path.to_owned(), tensor: None, target })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_no_further_than_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for folder in ["models/data", "blobs", "elsewhere"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        for file in ["models/m.onnx", "models/data/w", "blobs/1", "blobs/2", "elsewhere/secret"] {
            std::fs::write(path(file), b"x").unwrap();
        }
        symlink("data/w", path("models/near")).unwrap();
        symlink("../elsewhere/secret", path("models/far")).unwrap();
        symlink("../elsewhere", path("models/folder")).unwrap();
        symlink("far", path("models/farther")).unwrap();
        symlink("../blobs/1", path("models/linked.onnx")).unwrap();
        symlink("../blobs/2", path("models/blob")).unwrap();
        let check = |model: &str, data: &str| inside(&path(model), &path(data));
        for data in ["models/data/w", "models/near", "models/none", "models/m.onnx"] {
            assert_eq!(check("models/m.onnx", data), Ok(()), "{data}");
        }
        for data in ["models/far", "models/farther", "models/folder/secret", "models/blob"] {
            let Err(WeightsError::Outside { target, .. }) = check("models/m.onnx", data) else {
                panic!("{data}")
            };
            assert!(target.is_absolute() && !target.starts_with(path("models")), "{target:?}");
        }
        // The model is a link beside its data, as in a cache of downloads.
        assert_eq!(check("models/linked.onnx", "models/blob"), Ok(()));
        assert!(check("models/linked.onnx", "models/far").is_err());
    }
}
