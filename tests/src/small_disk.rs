//! Disks without room, for tests: a file system of a few kilobytes where this process may mount one, else the limit that the
//! system sets to the files of a process.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::program::run;

/// A folder whose disk can be filled.
pub struct SmallDisk {
    folder: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    /// Mounts one of so many kilobytes at a folder that it makes; none where that is not permitted.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn mount(folder: &Path, kilobytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let size = format!("size={kilobytes}k,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "bayplan-test"]).arg(folder);
        let ended = run(&mut mount);
        if ended.code != Some(0) {
            println!(
                "no file system can be mounted here ({}): limits stand for full disks",
                ended.stderr.trim()
            );
            return None;
        }
        Some(Self { folder: folder.to_path_buf(), mounted: true })
    }

    /// A folder in which files of a process will not grow any more, once [`SmallDisk::fill`] says so.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn limited(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        Self { folder: folder.to_path_buf(), mounted: false }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the system says when it is full.
    pub fn refusal(&self) -> &'static str {
        if self.mounted { "No space left on device" } else { "File too large" }
    }

    /// Takes the room that is left: on the disk, or that a process has for each of its files.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn fill(&self, process: u32) {
        if self.mounted {
            // A page at a time, to the last.
            let mut filler = fs::File::create(self.folder.join("filler")).expect("a file");
            while filler.write_all(&[0; 4096]).is_ok() {}
        } else {
            // What is there already is more than that.
            limit(process, Some(1));
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn free(&self, process: u32) {
        if self.mounted {
            fs::remove_file(self.folder.join("filler")).expect("the file is there");
        } else {
            limit(process, None);
        }
    }

    /// Lets nobody write on it any more, if it is a file system of its own.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        run(mount.args(["-o", "remount,ro"]).arg(&self.folder)).success();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let mut umount = Command::new("umount");
            let _ = run(umount.arg("-l").arg(&self.folder));
        }
    }
}

/// Sets how large the files of a process may get; without a number, as large as they could before.
fn limit(process: u32, bytes: Option<u64>) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process");
    let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
    let wanted = Rlimit { current: bytes.or(maximum), maximum };
    prlimit(Some(pid), Resource::Fsize, wanted).expect("a limit that is not above the highest");
}

/// The length of a file, or of all segments in a folder.
pub fn length(recording: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
    match fs::read_dir(recording) {
        Ok(entries) => entries.flatten().map(|entry| len(&entry.path())).sum(),
        Err(_) => len(recording),
    }
}
