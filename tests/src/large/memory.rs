//! What a process holds, as the kernel counts it (proc(5)).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two looks of a [`Watch`].
const PAUSE: Duration = Duration::from_micros(500);

/// Memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Pages without a file: heap, stacks, memory of a driver that runs on the CPU (`RssAnon`).
    pub anonymous: u64,
    /// Pages of files that are mapped, and shared memory (`RssFile`, `RssShmem`).
    pub mapped: u64,
    /// The most that both together had since [`forget_high_water`] (`VmHWM`).
    pub high_water: u64,
}

/// What this process holds now.
///
/// # Panics
/// `/proc` is not there.
pub fn resident() -> Resident {
    let status = told("status");
    let kib = |key: &str| number(&status, key) * 1024;
    let mapped = kib("RssFile:") + kib("RssShmem:");
    Resident { anonymous: kib("RssAnon:"), mapped, high_water: kib("VmHWM:") }
}

/// Lets the high water begin at what is resident now.
///
/// # Panics
/// The kernel does not do so.
pub fn forget_high_water() {
    fs::write("/proc/self/clear_refs", "5").expect("/proc/self/clear_refs can be written");
}

/// Bytes that this process has read by system calls, from files and anything else, but for what is read here.
///
/// # Panics
/// `/proc` is not there.
pub fn read_so_far() -> u64 {
    let own = LOOKED.load(Ordering::Relaxed);
    number(&told("io"), "rchar:") - own
}

/// Bytes read here.
static LOOKED: AtomicU64 = AtomicU64::new(0);

fn told(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/self/{name}")).expect("a file of /proc");
    LOOKED.fetch_add(text.len() as u64, Ordering::Relaxed);
    text
}

fn number(text: &str, key: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(key));
    let word = rest.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {key} in {text}"))
}

/// Memory of a device that is the process's own, and when it becomes resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Page by page, as weights are written to it: drivers that run on the CPU. `scratch` of the bytes are written again
    /// and again while weights are loaded.
    Written {
        /// Bytes in all.
        bytes: u64,
        /// Bytes that hold none of the weights in the end.
        scratch: u64,
    },
    /// Before anything is read: the host, which fills its arenas. So many bytes.
    AtOnce(u64),
}

impl Held {
    /// All of it.
    fn bytes(self) -> u64 {
        let (Self::Written { bytes, .. } | Self::AtOnce(bytes)) = self;
        bytes
    }

    /// What is resident when weights of so many bytes have arrived, at least but for the scratch.
    fn when_arrived(self, arrived: u64) -> u64 {
        match self {
            Self::Written { bytes, scratch } => bytes.min(arrived.saturating_add(scratch)),
            Self::AtOnce(bytes) => bytes,
        }
    }
}

/// How much more anonymous memory the process has than at a moment, beside memory of its device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Above {
    /// The most that was seen: every half millisecond, anonymous memory less that of the start, less what the device holds by
    /// then, which is what has arrived and its scratch. Pieces on their way count as host memory, so it is rather too much.
    pub seen: i64,
    /// By the kernel's high water, which misses nothing, less all of the device's memory: rather too little where the
    /// device's pages were not all there at the highest moment, and nothing else is.
    pub high_water: i64,
}

/// Watches anonymous memory of this process.
pub struct Watch {
    start: Resident,
    read: u64,
    device: Held,
    arrived: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Watch {
    /// Begins with what the process has now, and what its device will hold. Whoever loads counts in `arrived` the bytes that
    /// are on the device.
    ///
    /// # Panics
    /// `/proc` is not there.
    pub fn begin(device: Held, arrived: &Arc<AtomicU64>) -> Self {
        forget_high_water();
        let (start, read) = (resident(), read_so_far());
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(arrived));
        let thread = thread::spawn(move || {
            let mut most = i64::MIN;
            while !stopped.load(Ordering::Relaxed) {
                // In this order: what arrives between the two is not taken off.
                let held = device.when_arrived(counted.load(Ordering::Relaxed));
                let anonymous = resident().anonymous;
                most = most.max(anonymous as i64 - start.anonymous as i64 - held as i64);
                thread::sleep(PAUSE);
            }
            most
        });
        Self { start, read, device, arrived: Arc::clone(arrived), stop, thread }
    }

    /// Ends: what was above the start, and how many bytes were read meanwhile.
    ///
    /// # Panics
    /// The thread that looked did.
    pub fn end(self) -> (Above, u64) {
        let (end, read) = (resident(), read_so_far() - self.read);
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("the thread that looks does not panic");
        let held = self.device.when_arrived(self.arrived.load(Ordering::Relaxed));
        let last = end.anonymous as i64 - self.start.anonymous as i64 - held as i64;
        let before = self.start.anonymous + self.start.mapped;
        let high_water = end.high_water as i64 - before as i64 - self.device.bytes() as i64;
        (Above { seen: seen.max(last), high_water }, read)
    }
}

/// Runs a program to its end: the most anonymous memory that it was seen with, every half millisecond.
///
/// # Errors
/// It cannot be started, or fails.
pub fn highest(command: &mut Command) -> Result<u64, String> {
    let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        // A process that has ended and was not waited for has no memory any more.
        let text = fs::read_to_string(&status).unwrap_or_default();
        if text.contains("RssAnon:") {
            most = most.max(number(&text, "RssAnon:") * 1024);
        }
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(ended) if ended.success() => return Ok(most),
            Some(ended) => return Err(format!("{command:?} ended with {ended}")),
            None => thread::sleep(PAUSE),
        }
    }
}

/// Bytes of a file that lie in the page cache, as `fincore` (util-linux) counts them.
///
/// # Errors
/// The program is not there, or says something else.
pub fn cached(path: &Path) -> Result<u64, String> {
    let arguments = ["--bytes", "--noheadings", "--raw", "--output", "RES"];
    let ended = Command::new("fincore").args(arguments).arg(path).output();
    let output = ended.map_err(|e| format!("fincore (util-linux): {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("fincore {}: {text:?}", path.display()))
}
