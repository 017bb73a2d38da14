//! A file that appears under its name when it is whole, and of which nothing is left where the program is killed before.
//!
//! ```text
//!  O_TMPFILE ─ no name leads to it ──────────────┬─ linkat ──────────────────────► NAME
//!                                                └─ linkat ─► .bayplan-new-… ─ rename ─► NAME, where that is replaced
//!  elsewhere ─ .bayplan-new-…, locked (flock) ───── rename ──────────────────────► NAME
//! ```
//!
//! A signal that ends the process removes the names that are held; the lock of one that was killed is free, and whoever writes
//! the same file next removes what was left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bayplan_graph::Digest;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat};
use rustix::io::Errno;
use tempfile::TempPath;

/// How names begin that files have before they are whole.
const PREFIX: &str = ".bayplan-new-";

/// What a new file's permissions are, less what the umask takes.
const EVERYONE: u32 = 0o666;

/// How often a file is made again that somebody took for a leftover in the moment before it was locked.
const ATTEMPTS: usize = 8;

/// Names that go with the process, whatever ends it.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the names of files that are not whole: the process ends now.
pub(crate) fn remove_unfinished() {
    for path in held().drain(..) {
        let _ = fs::remove_file(path);
    }
}

/// A file that is not whole yet.
pub(crate) struct FreshFile {
    file: File,
    /// Where others open it.
    path: PathBuf,
    /// The name that it has meanwhile, where it must have one.
    name: Option<Held>,
    /// The name that it is to get.
    to: PathBuf,
}

impl FreshFile {
    /// Makes a file that is to be called `to`, in the same folder; what killed programs left of it is removed.
    ///
    /// # Errors
    /// It cannot be made there.
    pub(crate) fn new(to: &Path) -> io::Result<Self> {
        sweep(to);
        match Self::nameless(to) {
            Some(made) => made,
            None => Self::named(to),
        }
    }

    /// One without a name; `None` where the file system has none such.
    fn nameless(to: &Path) -> Option<io::Result<Self>> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file: File = match rustix::fs::open(folder(to), flags, Mode::from_raw_mode(EVERYONE)) {
            Ok(file) => file.into(),
            // What kernels and file systems answer that do not know it.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => return None,
            Err(e) => return Some(Err(e.into())),
        };
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // Without this folder it could never get a name.
        fs::metadata(&path).ok()?;
        lock(&file);
        Some(Ok(Self { file, path, name: None, to: to.to_owned() }))
    }

    /// One with a name that nobody looks for.
    fn named(to: &Path) -> io::Result<Self> {
        let permissions = fs::Permissions::from_mode(EVERYONE);
        for _ in 0..ATTEMPTS {
            let prefix = prefix(to);
            let mut builder = tempfile::Builder::new();
            let made = builder
                .prefix(&prefix)
                .permissions(permissions.clone())
                .tempfile_in(folder(to))
                .map_err(plain)?;
            let (file, path) = made.into_parts();
            let name = Held::new(path);
            lock(&file);
            let found = fs::metadata(&name.path).map(|found| (found.dev(), found.ino())).ok();
            let own = file.metadata()?;
            if found == Some((own.dev(), own.ino())) {
                return Ok(Self { file, path: name.path.clone(), name: Some(name), to: to.to_owned() });
            }
        }
        Err(io::Error::other("new files are removed as soon as they are made"))
    }

    /// Where it can be opened until it appears.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in place of a file that has it if `replace` says so.
    ///
    /// # Errors
    /// The name is taken, or the system's reason.
    pub(crate) fn appear(self, replace: bool) -> io::Result<()> {
        let name = match self.name {
            Some(name) => name,
            None => match link(&self.path, &self.to) {
                Err(e) if replace && e.kind() == io::ErrorKind::AlreadyExists => {
                    let to_link = |path: &Path| link(&self.path, path);
                    let made =
                        tempfile::Builder::new().prefix(&prefix(&self.to)).make_in(folder(&self.to), to_link);
                    Held::new(made.map_err(plain)?.into_temp_path())
                }
                done => return done,
            },
        };
        name.rename(&self.to, replace)
    }
}

impl Write for FreshFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A name that goes with the process.
struct Held {
    /// Taken away when the file has its own name, or is given up.
    temporary: Option<TempPath>,
    path: PathBuf,
}

impl Held {
    fn new(temporary: TempPath) -> Self {
        let path = temporary.to_path_buf();
        held().push(path.clone());
        Self { temporary: Some(temporary), path }
    }

    fn rename(mut self, to: &Path, replace: bool) -> io::Result<()> {
        let Some(own) = self.temporary.take() else { return Ok(()) };
        let renamed = if replace { own.persist(to) } else { own.persist_noclobber(to) };
        renamed.map_err(|e| plain(e.error))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The file first: a signal between finds the name.
        drop(self.temporary.take());
        held().retain(|path| *path != self.path);
    }
}

/// The folder that a file lies in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How the names of what becomes a file begin: with a digest of its own, which may be as long as a name can be.
fn prefix(to: &Path) -> String {
    let name = to.file_name().unwrap_or_default();
    format!("{PREFIX}{}-", Digest::of(name.as_encoded_bytes()))
}

/// The system's own error: nobody knows the name that it was met with.
fn plain(e: io::Error) -> io::Error {
    let inner = std::error::Error::source(&e).and_then(|inner| inner.downcast_ref::<io::Error>());
    let code = inner.and_then(io::Error::raw_os_error);
    code.map_or(e, io::Error::from_raw_os_error)
}

/// Gives a file another name.
fn link(path: &Path, to: &Path) -> io::Result<()> {
    Ok(linkat(CWD, path, CWD, to, AtFlags::SYMLINK_FOLLOW)?)
}

/// Says that somebody writes it; answers whether nobody else does. Where files cannot be locked nobody's are taken for left over.
fn lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes what killed programs left of a file: those of its names that nobody holds a lock on.
fn sweep(to: &Path) {
    let prefix = prefix(to);
    let entries = fs::read_dir(folder(to)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())) {
        let mut options = fs::OpenOptions::new();
        // To write, which some file systems want for a lock; never what a link leads to.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.read(true).write(true).custom_flags(flags.bits().cast_signed());
        let Ok(file) = options.open(entry.path()) else { continue };
        if file.metadata().is_ok_and(|found| found.is_file()) && lock(&file) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Both ways, one after the other, of which a file system may have but one.
    fn ways(to: &Path) -> impl Iterator<Item = FreshFile> {
        let made = |named| match named {
            true => Some(FreshFile::named(to).expect("a file")),
            false => FreshFile::nameless(to).map(|made| made.expect("a file")),
        };
        [false, true].into_iter().filter_map(made)
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("out.bin");
        for mut fresh in ways(&to) {
            fresh.write_all(b"one").expect("it is written");
            // Others write to it by its path.
            let mut again = fs::OpenOptions::new().append(true).open(fresh.path()).expect("a file");
            again.write_all(b" two").expect("it is written");
            assert!(!to.exists());
            fresh.appear(false).expect("it appears");
            assert_eq!(fs::read(&to).expect("a file"), b"one two");
            assert_eq!(names(folder.path()), ["out.bin"]);
            fs::remove_file(&to).expect("it is removed");
        }
        ways(&to).for_each(drop);
        assert_eq!(names(folder.path()), [""; 0], "given up");
    }

    #[test]
    fn a_name_that_is_taken_is_replaced_only_if_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("out.bin");
        for replace in [false, true] {
            fs::write(&to, "old").expect("a file");
            for mut fresh in ways(&to) {
                fresh.write_all(b"new").expect("it is written");
                let done = fresh.appear(replace).map_err(|e| e.kind());
                assert_eq!(done, if replace { Ok(()) } else { Err(io::ErrorKind::AlreadyExists) });
            }
            assert_eq!(fs::read(&to).expect("a file"), if replace { b"new" } else { b"old" });
            assert_eq!(names(folder.path()), ["out.bin"]);
        }
    }

    #[test]
    fn what_is_left_of_a_killed_program_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (to, other) = (folder.path().join("out.bin"), folder.path().join("other.bin"));
        let left = |of: &Path, end: &str| {
            let path = folder.path().join(prefix(of) + end);
            fs::write(&path, "half").expect("a file");
            path
        };
        let (killed, others) = (left(&to, "killed"), left(&other, "killed"));
        let alive = FreshFile::named(&to).expect("a file");
        let link = folder.path().join(prefix(&to) + "link");
        std::os::unix::fs::symlink(&others, &link).expect("a link");
        let fresh = FreshFile::new(&to).expect("a file");
        assert!(!killed.exists());
        assert!(others.exists() && alive.path().exists() && link.is_symlink());
        drop((fresh, alive));
        // Names as long as any file system takes.
        let long = folder.path().join("x".repeat(255));
        FreshFile::named(&long).expect("a file").appear(false).expect("it appears");
    }

    #[test]
    fn permissions_are_those_of_any_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let usual = fs::File::create(folder.path().join("usual")).and_then(|file| file.metadata());
        let usual = usual.expect("a file").permissions();
        let to = folder.path().join("out.bin");
        for fresh in ways(&to) {
            fresh.appear(true).expect("it appears");
            assert_eq!(fs::metadata(&to).expect("a file").permissions(), usual);
        }
    }
}
