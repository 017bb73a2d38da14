//! What was measured of devices, kept from one session to the next: a small JSON file for each.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan_trace::{RoofClock, RoofSource, Roofs};
use serde::{Deserialize, Serialize};

use crate::error::RecordError;
use crate::small_json;

/// Version of the file's format.
const VERSION: u32 = 1;

/// A device and its driver: another version of the driver may compute faster, and is another device here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredDevice {
    /// What names it across runs.
    pub uuid: String,
    /// Its name: drivers of CPUs give all machines the same UUID.
    pub device: String,
    /// Name and version of its driver.
    pub driver: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    #[serde(flatten)]
    of: MeasuredDevice,
    bytes_per_second: u64,
    flops_per_second: u64,
    clock: String,
    measured_unix_ns: u64,
}

impl MeasuredDevice {
    /// What was measured of it before. A file that is damaged, of another device or of another version is as good as none.
    pub fn roofs(&self, cache: &Path) -> Option<Roofs> {
        let file: File = small_json::read(&self.path(cache))?;
        let clock = [RoofClock::Timestamps, RoofClock::Host].into_iter().find(|c| c.name() == file.clock)?;
        let measured = file.bytes_per_second > 0 && file.flops_per_second > 0;
        (file.format == VERSION && file.of == *self && measured).then_some(Roofs {
            bytes_per_second: file.bytes_per_second,
            flops_per_second: file.flops_per_second,
            source: RoofSource::Cached,
            clock,
            measured_unix_ns: file.measured_unix_ns,
        })
    }

    /// Keeps what was measured of it; of each figure the best that was measured so far, for a machine that is busy only makes
    /// a device look slower. What another driver or another clock measured gives way. A reader sees all of it or what was there
    /// before.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn keep(&self, cache: &Path, roofs: &Roofs) -> Result<PathBuf, RecordError> {
        fs::create_dir_all(cache).map_err(RecordError::io("create the folder", cache))?;
        let path = self.path(cache);
        let roofs = &self.roofs(cache).map_or(*roofs, |before| best(&before, roofs));
        let file = File {
            format: VERSION,
            of: self.clone(),
            bytes_per_second: roofs.bytes_per_second,
            flops_per_second: roofs.flops_per_second,
            clock: roofs.clock.name().to_owned(),
            measured_unix_ns: roofs.measured_unix_ns,
        };
        // Two processes may measure at once: each has a file of its own until it is whole.
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        small_json::replace(&path, &temporary, &file)?;
        Ok(path)
    }

    fn path(&self, cache: &Path) -> PathBuf {
        // Of a UUID only its digits name a file, whatever a caller gives.
        let digits: String =
            self.uuid.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        cache.join(format!("roofs-{digits}.json"))
    }
}

/// The best of two measurements by one clock, with the time of the newer one if that was better at anything; by another clock
/// the newer one.
fn best(before: &Roofs, now: &Roofs) -> Roofs {
    if before.clock != now.clock {
        return *now;
    }
    let bytes_per_second = before.bytes_per_second.max(now.bytes_per_second);
    let flops_per_second = before.flops_per_second.max(now.flops_per_second);
    let is_better =
        (bytes_per_second, flops_per_second) != (before.bytes_per_second, before.flops_per_second);
    Roofs { bytes_per_second, flops_per_second, ..if is_better { *now } else { *before } }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn device() -> MeasuredDevice {
        MeasuredDevice { uuid: "6d657361-0000".into(), device: "a device".into(), driver: "driver 1".into() }
    }

    fn roofs() -> Roofs {
        Roofs {
            bytes_per_second: 11_000_000_000,
            flops_per_second: 48_000_000_000,
            source: RoofSource::Measured,
            clock: RoofClock::Host,
            measured_unix_ns: 1_700_000_000_000_000_000,
        }
    }

    #[test]
    fn what_is_kept_is_found_and_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let cache = temp.path().join("not/made/yet");
        assert_eq!(device().roofs(&cache), None);
        let path = device().keep(&cache, &roofs()).unwrap();
        assert_eq!(device().roofs(&cache), Some(Roofs { source: RoofSource::Cached, ..roofs() }));
        let better = Roofs { flops_per_second: 50, clock: RoofClock::Timestamps, ..roofs() };
        assert_eq!(device().keep(&cache, &better).unwrap(), path);
        assert_eq!(device().roofs(&cache), Some(Roofs { source: RoofSource::Cached, ..better }));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing is left beside it");
    }

    /// What a busy machine measured gives way to what an idle one does, and never the other way round.
    #[test]
    fn the_best_of_each_figure_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let kept = |bytes_per_second, flops_per_second, measured_unix_ns| {
            let measured = Roofs { bytes_per_second, flops_per_second, measured_unix_ns, ..roofs() };
            device().keep(temp.path(), &measured).unwrap();
            let kept = device().roofs(temp.path()).unwrap();
            (kept.bytes_per_second, kept.flops_per_second, kept.measured_unix_ns)
        };
        assert_eq!(kept(10, 100, 1), (10, 100, 1));
        assert_eq!(kept(7, 80, 2), (10, 100, 1), "nothing was better");
        assert_eq!(kept(12, 90, 3), (12, 100, 3));
        assert_eq!(kept(12, 130, 4), (12, 130, 4));
    }

    #[test]
    fn another_driver_or_device_is_another() {
        let temp = tempfile::tempdir().unwrap();
        let path = device().keep(temp.path(), &roofs()).unwrap();
        let newer = MeasuredDevice { driver: "driver 2".into(), ..device() };
        let other = MeasuredDevice { device: "another".into(), ..device() };
        let foreign = MeasuredDevice { uuid: "00".into(), ..device() };
        for device in [&newer, &other, &foreign] {
            assert_eq!(device.roofs(temp.path()), None, "{device:?}");
        }
        assert_eq!(newer.keep(temp.path(), &roofs()).unwrap(), path, "the old driver's figures give way");
        assert_eq!((newer.roofs(temp.path()).is_some(), device().roofs(temp.path())), (true, None));
        // A file under another device's name is not believed.
        fs::copy(&path, foreign.path(temp.path())).unwrap();
        assert_eq!(foreign.roofs(temp.path()), None);
    }

    #[test]
    fn what_is_damaged_is_none_and_is_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let path = device().keep(temp.path(), &roofs()).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(device().roofs(temp.path()), None, "{cut} bytes");
        }
        let text = String::from_utf8(whole).unwrap();
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            ("48000000000", "0"),
            ("11000000000", "-1"),
            ("11000000000", "99999999999999999999999"),
            ("\"host\"", "\"sundial\""),
        ] {
            assert!(text.contains(from), "{text}");
            fs::write(&path, text.replace(from, to)).unwrap();
            assert_eq!(device().roofs(temp.path()), None, "{to}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(device().roofs(temp.path()), None, "a folder in its place");
        assert!(device().keep(temp.path(), &roofs()).is_err());
        fs::remove_dir(&path).unwrap();
        device().keep(temp.path(), &roofs()).unwrap();
        assert!(device().roofs(temp.path()).is_some());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("a file");
        fs::write(&file, "").unwrap();
        assert!(device().keep(&file, &roofs()).is_err(), "a file where the folder should be");
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o500)).unwrap();
        // Root may write anywhere.
        if !rustix::process::geteuid().is_root() {
            assert!(device().keep(temp.path(), &roofs()).is_err());
        }
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_uuid_names_no_file_elsewhere() {
        let hostile = MeasuredDevice { uuid: "../../etc/x\n".into(), ..device() };
        assert_eq!(hostile.path(Path::new("/c")), Path::new("/c/roofs-etcx.json"));
    }
}
