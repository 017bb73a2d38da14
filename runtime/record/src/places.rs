//! Where recordings and the list of live runs lie.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::RecordError;

/// Start of the name of a user's folder under the temporary directory.
const USER_FOLDER: &str = "bayplan-";

/// The folders bayplan uses. Environment variables are read in [`Places::from_env`] and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Holds one descriptor per live run. Only this user may read it.
    pub live: PathBuf,
    /// Holds one folder per recorded run.
    pub runs: PathBuf,
    /// Holds what was measured of devices, a file for each; none where the user has no home.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// All folders under `root`.
    pub fn under(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self { live: root.join("live"), runs: root.join("runs"), cache: Some(root.join("cache")) }
    }

    /// The folders by the XDG base directory specification:
    /// `$XDG_RUNTIME_DIR/bayplan` and `$XDG_STATE_HOME/bayplan/runs` (`~/.local/state` where that is unset), or a
    /// folder of this user under the temporary directory; `$XDG_CACHE_HOME/bayplan` (`~/.cache` where that is unset).
    pub fn from_env() -> Self {
        Self::resolve(|name| env::var_os(name), &env::temp_dir(), rustix::process::getuid().as_raw())
    }

    fn resolve(var: impl Fn(&str) -> Option<OsString>, temp: &Path, user: u32) -> Self {
        // The specification says that relative paths are to be ignored.
        let folder = |name| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = temp.join(format!("{USER_FOLDER}{user}"));
        let in_home =
            |name, below: &str| folder(name).or_else(|| folder("HOME").map(|home| home.join(below)));
        let state = in_home("XDG_STATE_HOME", ".local/state");
        Self {
            live: folder("XDG_RUNTIME_DIR").map_or_else(|| own.join("live"), |path| path.join("bayplan")),
            runs: state.map_or_else(|| own.join("runs"), |path| path.join("bayplan/runs")),
            cache: in_home("XDG_CACHE_HOME", ".cache").map(|path| path.join("bayplan")),
        }
    }

    /// Makes the folder of live runs, for this user alone, and checks that it is.
    pub(crate) fn make_live(&self) -> Result<(), RecordError> {
        make_private(&self.live)?;
        self.check_live()
    }

    /// Checks that the folder of live runs is this user's own, so that nobody else can put descriptors there.
    pub(crate) fn check_live(&self) -> Result<(), RecordError> {
        check_above(&self.live)?;
        check_private(&self.live)
    }

    /// Makes the folder of recordings.
    pub(crate) fn make_runs(&self) -> Result<(), RecordError> {
        make_private(&self.runs)?;
        check_above(&self.runs)
    }
}

/// Checks this user's folder under the temporary directory, where anyone may have made it first.
fn check_above(path: &Path) -> Result<(), RecordError> {
    let named_for_a_user =
        |above: &Path| above.file_name().is_some_and(|name| name.to_string_lossy().starts_with(USER_FOLDER));
    path.parent().filter(|above| named_for_a_user(above)).map_or(Ok(()), check_private)
}

/// Makes a folder, and those above it, for this user alone.
fn make_private(path: &Path) -> Result<(), RecordError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(RecordError::io("create the folder", path))
}

fn check_private(path: &Path) -> Result<(), RecordError> {
    let about = fs::symlink_metadata(path).map_err(RecordError::io("look at", path))?;
    let refuse = |reason| Err(RecordError::NotPrivate { path: path.to_path_buf(), reason });
    if !about.is_dir() {
        return refuse("it is not a folder");
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if about.mode() & 0o077 != 0 {
        let narrowed = fs::set_permissions(path, Permissions::from_mode(0o700));
        return narrowed.map_err(RecordError::io("narrow the permissions of", path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vars: &[(&str, &str)], live: &str, runs: &str, cache: Option<&str>) {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        let places = Places::resolve(var, Path::new("/t"), 7);
        assert_eq!(
            places,
            Places { live: live.into(), runs: runs.into(), cache: cache.map(PathBuf::from) },
            "{vars:?}"
        );
    }

    #[test]
    fn folders_follow_the_environment() {
        check(&[], "/t/bayplan-7/live", "/t/bayplan-7/runs", None);
        check(
            &[("HOME", "/h")],
            "/t/bayplan-7/live",
            "/h/.local/state/bayplan/runs",
            Some("/h/.cache/bayplan"),
        );
        check(
            &[("XDG_RUNTIME_DIR", "/r"), ("XDG_STATE_HOME", "/s"), ("XDG_CACHE_HOME", "/c"), ("HOME", "/h")],
            "/r/bayplan",
            "/s/bayplan/runs",
            Some("/c/bayplan"),
        );
        check(
            &[("XDG_RUNTIME_DIR", "relative"), ("XDG_STATE_HOME", ""), ("XDG_CACHE_HOME", "x")],
            "/t/bayplan-7/live",
            "/t/bayplan-7/runs",
            None,
        );
    }

    #[test]
    fn live_folder_is_made_private() {
        let temp = tempfile::tempdir().unwrap();
        let places = Places::under(temp.path().join("bayplan-x"));
        places.make_live().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&places.live), 0o700);
        fs::set_permissions(&places.live, Permissions::from_mode(0o755)).unwrap();
        places.make_live().unwrap();
        assert_eq!(mode(&places.live), 0o700);
    }

    #[test]
    fn a_link_or_file_in_its_place_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let places = Places::under(temp.path());
        std::os::unix::fs::symlink(temp.path(), &places.live).unwrap();
        let error = places.make_live().unwrap_err();
        assert!(matches!(error, RecordError::NotPrivate { .. }), "{error}");

        // The same one level up, where the temporary directory is everyone's.
        let elsewhere = temp.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, temp.path().join("bayplan-7")).unwrap();
        let places = Places::resolve(|_| None, temp.path(), 7);
        for made in [places.make_live(), places.make_runs()] {
            let error = made.unwrap_err();
            assert!(matches!(error, RecordError::NotPrivate { .. }), "{error}");
        }
    }
}
