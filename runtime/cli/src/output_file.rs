//! The file or stream that a command writes to: a file appears when it is whole.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use bayplan_text::escape;

use crate::args::FileOptions;
use crate::exit::Failure;
use crate::fresh_file::FreshFile;
use crate::out;

/// Standard output, by the name that stands for it.
const STDOUT: &str = "-";

/// What is to be written, and what with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The file; `-` is standard output.
    pub(crate) path: &'a Path,
    /// What it will be, in words: `the recording`, `the export`.
    pub(crate) what: &'a str,
    /// Whether it is text that a terminal can show.
    pub(crate) text: bool,
    /// Whether a file that is there already is replaced.
    pub(crate) force: bool,
    /// What it is made from, a file or a folder: never written to.
    pub(crate) source: &'a Path,
}

impl Wanted<'_> {
    /// What went wrong with it.
    pub(crate) fn refused(&self, e: &io::Error) -> Failure {
        let name = match is_stdout(self.path) {
            true => "standard output".to_owned(),
            false => escape(&self.path.to_string_lossy()).to_string(),
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let reason = match folder {
            Some(folder) => format!("there is no folder {}; make it", escape(&folder.to_string_lossy())),
            None => e.to_string(),
        };
        Failure::new(format!("{} cannot be written to {name}: {reason}", self.what))
    }

    /// Whether a reader closed its end: it wants no more.
    pub(crate) fn was_enough(&self, e: &io::Error) -> bool {
        e.kind() == io::ErrorKind::BrokenPipe && is_stdout(self.path)
    }
}

impl Wanted<'_> {
    /// What there is at the path, if that may be written to.
    ///
    /// # Errors
    /// It is a folder, what it is made from, or there already.
    fn free(&self) -> Result<Option<fs::Metadata>, Failure> {
        let name = escape(&self.path.to_string_lossy()).to_string();
        let found = match fs::metadata(self.path) {
            Ok(found) => found,
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.refused(&e)),
            Err(_) if !self.force && self.path.is_symlink() => {
                return Err(Failure::new(format!(
                    "{name} is a link that leads nowhere: it is left as it is; name a file, or give --force to replace it"
                )));
            }
            Err(_) => return Ok(None),
        };
        if found.is_dir() {
            return Err(Failure::usage(format!("{name} is a folder: name a file in it")));
        }
        if found.is_file() {
            self.not_made_of(self.source)?;
            if !self.force {
                return Err(Failure::new(format!(
                    "{name} exists: it is left as it is; name another file, or give --force to replace it"
                )));
            }
        }
        Ok(Some(found))
    }

    /// Refuses what it is made from.
    pub(crate) fn not_made_of(&self, source: &Path) -> Result<(), Failure> {
        if !is_part_of(self.path, source) {
            return Ok(());
        }
        let name = escape(&self.path.to_string_lossy()).to_string();
        Err(Failure::usage(format!("{name} is read to make {}: name another file", self.what)))
    }

    /// A file in the same folder, which becomes this one when it is whole.
    fn beside(&self) -> Result<FreshFile, Failure> {
        FreshFile::new(self.path).map_err(|e| self.refused(&e))
    }

    /// A file that others write to by its path, and that gets its name when it is whole.
    ///
    /// # Errors
    /// Another file or a folder is there, or none can be made.
    pub(crate) fn fresh(&self) -> Result<FreshFile, Failure> {
        if self.free()?.is_some_and(|found| !found.is_file()) {
            return Err(Failure::usage(format!(
                "{} is no file: {} is a file beside another",
                escape(&self.path.to_string_lossy()),
                self.what
            )));
        }
        self.beside()
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// Another has taken the name meanwhile, or the system's reason.
    pub(crate) fn appear(&self, file: FreshFile) -> Result<(), Failure> {
        file.appear(self.force).map_err(|e| self.refused(&e))
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == STDOUT
}

/// Where it goes.
pub(crate) enum Output {
    /// Standard output, or what is no regular file: a pipe, a device.
    Stream(BufWriter<Box<dyn Write>>),
    /// A file beside the one that is wanted, which it becomes when it is whole.
    File(BufWriter<FreshFile>),
}

impl Output {
    /// Opens it.
    ///
    /// # Errors
    /// It is a terminal and not text, a folder, what it is made from, or there already; it cannot be made.
    pub(crate) fn open(wanted: Wanted<'_>) -> Result<Self, Failure> {
        let Wanted { path, what, text, .. } = wanted;
        if is_stdout(path) {
            if !text && io::stdout().is_terminal() {
                return Err(Failure::usage(format!(
                    "{what} is not text: name a file, or send standard output to one"
                )));
            }
            return Ok(Self::Stream(BufWriter::new(Box::new(io::stdout()))));
        }
        let found = wanted.free()?;
        if found.is_some_and(|found| !found.is_file()) {
            let file = fs::OpenOptions::new().write(true).open(path).map_err(|e| wanted.refused(&e))?;
            return Ok(Self::Stream(BufWriter::new(Box::new(file))));
        }
        Ok(Self::File(BufWriter::new(wanted.beside()?)))
    }

    pub(crate) fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(writer) => writer,
            Self::File(writer) => writer,
        }
    }

    /// Writes what is left and gives the file its name.
    pub(crate) fn close(self, force: bool) -> io::Result<()> {
        match self {
            Self::Stream(mut writer) => writer.flush(),
            Self::File(writer) => writer.into_inner().map_err(io::IntoInnerError::into_error)?.appear(force),
        }
    }
}

/// Writes a text that is whole already to the file that is asked for, or to standard output.
///
/// # Errors
/// As [`Output::open`], or it cannot be written.
pub(crate) fn deliver(
    options: &FileOptions,
    what: &str,
    sources: &[&Path],
    text: &str,
) -> Result<(), Failure> {
    let Some(path) = options.output.as_deref().filter(|path| !is_stdout(path)) else {
        return out::print(text);
    };
    // Any of what it is made from is refused; the one that would be written to, if there is one.
    let source = sources.iter().find(|source| is_part_of(path, source)).or(sources.first());
    let source = source.copied().unwrap_or(Path::new(""));
    let wanted = Wanted { path, what, text: true, force: options.force, source };
    let mut output = Output::open(wanted)?;
    let written = output.writer().write_all(text.as_bytes());
    written.and_then(|()| output.close(options.force)).map_err(|e| wanted.refused(&e))
}

/// Whether a file is another, or one of its folder.
pub(crate) fn is_part_of(path: &Path, source: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let Ok(source) = fs::canonicalize(source) else { return false };
    path.starts_with(&source)
}
