//! Which device to use: an index, a part of a name, a UUID, or the best one.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use bayplan_text::escape;

use crate::info::{DeviceInfo, DeviceKind, Uuid};
use crate::require::{Requirements, missing};

/// How a person names a device: `INDEX`, a part of its `NAME`, or its `UUID`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The best device: discrete before integrated, virtual, CPU and other; usable before unusable; of CPU devices the
    /// one with the widest subgroups, which are its vectors.
    #[default]
    Best,
    /// The device at this place in the driver's list.
    Index(usize),
    /// The one device whose name contains this text, whatever the case.
    Name(String),
    /// The device of this identity.
    Uuid(Uuid),
}

impl FromStr for Selector {
    type Err = SelectError;

    /// Reads a selector. Digits alone are an index, 32 hexadecimal digits (hyphens allowed) a UUID, anything else a part
    /// of a name.
    ///
    /// # Errors
    /// [`SelectError::Empty`] where there is no text.
    fn from_str(text: &str) -> Result<Selector, SelectError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SelectError::Empty);
        }
        if let Some(uuid) = parse_uuid(text) {
            return Ok(Selector::Uuid(uuid));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            // An index too large for a usize is still an index: one that no device has.
            return Ok(Selector::Index(text.parse().unwrap_or(usize::MAX)));
        }
        Ok(Selector::Name(text.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Best => f.write_str("best"),
            Selector::Index(index) => write!(f, "{index}"),
            Selector::Name(name) => write!(f, "{}", escape(name)),
            Selector::Uuid(uuid) => write!(f, "{uuid}"),
        }
    }
}

/// Reads 32 hexadecimal digits, with hyphens anywhere between them.
fn parse_uuid(text: &str) -> Option<Uuid> {
    let mut digits = [0u8; 32];
    let mut count = 0;
    for c in text.chars().filter(|&c| c != '-') {
        let digit = c.to_digit(16)?;
        *digits.get_mut(count)? = u8::try_from(digit).ok()?;
        count += 1;
    }
    if count != digits.len() {
        return None;
    }
    let mut bytes = [0u8; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(Uuid(bytes))
}

/// Why no device was selected. The text lists the devices there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectError {
    /// The selector has no text.
    Empty,
    /// There is no device at all.
    NoDevices,
    /// No device answers to the selector.
    NotFound {
        /// What was asked for.
        selector: Selector,
        /// One line per device.
        devices: Vec<String>,
    },
    /// More than one device answers to the selector.
    Ambiguous {
        /// What was asked for.
        selector: Selector,
        /// One line per device that answers.
        devices: Vec<String>,
    },
}

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectError::Empty => {
                f.write_str("the device is empty; give an index, a part of a name, or a UUID")
            }
            SelectError::NoDevices => f.write_str(
                "no Vulkan device; install a driver (on Debian: apt-get install mesa-vulkan-drivers)",
            ),
            SelectError::NotFound { selector, devices } => {
                write!(f, "no device answers to \"{selector}\"; there are:")?;
                list(f, devices)
            }
            SelectError::Ambiguous { selector, devices } => {
                write!(f, "\"{selector}\" names more than one device; give the index of one of:")?;
                list(f, devices)
            }
        }
    }
}

impl std::error::Error for SelectError {}

fn list(f: &mut fmt::Formatter<'_>, devices: &[String]) -> fmt::Result {
    devices.iter().try_for_each(|line| write!(f, "\n  {line}"))
}

/// Finds the device that `selector` names and gives its position in `devices`.
///
/// # Errors
/// [`SelectError`] where none or several answer.
pub fn select(devices: &[DeviceInfo], selector: &Selector) -> Result<usize, SelectError> {
    if devices.is_empty() {
        return Err(SelectError::NoDevices);
    }
    if *selector == Selector::Best {
        return best(devices).ok_or(SelectError::NoDevices);
    }
    let found: Vec<usize> = (0..devices.len()).filter(|&i| answers(&devices[i], selector)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(SelectError::NotFound {
            selector: selector.clone(),
            devices: devices.iter().map(describe).collect(),
        }),
        _ => Err(SelectError::Ambiguous {
            selector: selector.clone(),
            devices: found.iter().map(|&i| describe(&devices[i])).collect(),
        }),
    }
}

fn answers(device: &DeviceInfo, selector: &Selector) -> bool {
    match selector {
        Selector::Best => true,
        Selector::Index(index) => device.index == *index,
        Selector::Name(part) => device.name.to_lowercase().contains(&part.to_lowercase()),
        Selector::Uuid(uuid) => device.uuid == *uuid,
    }
}

fn best(devices: &[DeviceInfo]) -> Option<usize> {
    let rank = |device: &DeviceInfo| {
        let kind = match device.kind {
            DeviceKind::Discrete => 0,
            DeviceKind::Integrated => 1,
            DeviceKind::Virtual => 2,
            DeviceKind::Cpu => 3,
            DeviceKind::Other => 4,
        };
        let vectors = match device.kind {
            DeviceKind::Cpu => (Reverse(device.subgroup.size), !device.features.shader_int64),
            _ => Default::default(),
        };
        (!missing(device, &Requirements::default()).is_empty(), kind, vectors)
    };
    // min_by_key gives the first of equals: the driver's order decides between two of a kind.
    (0..devices.len()).min_by_key(|&i| rank(&devices[i]))
}

/// One line for people: index, name, kind, UUID.
fn describe(device: &DeviceInfo) -> String {
    format!("{}  {}  ({})  {}", device.index, escape(&device.name), device.kind, device.uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn selectors_are_read() {
        let uuid = Uuid(*b"mesa22.3.6\0\0\0\0\0\0");
        let check = |text: &str, expect: Selector| assert_eq!(text.parse(), Ok(expect), "{text}");
        check("0", Selector::Index(0));
        check(" 12 ", Selector::Index(12));
        check("99999999999999999999999", Selector::Index(usize::MAX));
        check("llvm", Selector::Name("llvm".into()));
        check("6d657361-3232-2e33-2e36-000000000000", Selector::Uuid(uuid));
        check("6D65736132322E332E36000000000000", Selector::Uuid(uuid));
        check("6d65736132322e332e3600000000000", Selector::Name("6d65736132322e332e3600000000000".into()));
        check("11111111111111111111111111111111", Selector::Uuid(Uuid([0x11; 16])));
        assert_eq!("".parse::<Selector>(), Err(SelectError::Empty));
        assert_eq!("  ".parse::<Selector>(), Err(SelectError::Empty));
    }

    #[test]
    fn devices_are_found() {
        let devices = fake::all();
        let check = |text: &str, expect: Option<&str>| {
            let found = select(&devices, &text.parse().expect("reads")).ok().map(|i| &*devices[i].name);
            assert_eq!(found, expect, "{text}");
        };
        check("0", Some(&devices[0].name));
        check("5", Some(&devices[5].name));
        check("6", None);
        check("LLVM", Some(&fake::lavapipe().name));
        check("radeon", Some(&fake::discrete().name));
        check("nothing like it", None);
        check(&fake::lavapipe().uuid.to_string(), Some(&fake::lavapipe().name));
        check("ffffffff-ffff-ffff-ffff-ffffffffffff", None);
    }

    #[test]
    fn errors_list_the_devices() {
        let mut devices = vec![fake::discrete(), fake::discrete(), fake::lavapipe()];
        devices[1].index = 1;
        devices[2].index = 2;
        let two = select(&devices, &Selector::Name("radeon".into())).expect_err("two answer").to_string();
        assert!(two.contains("more than one") && two.lines().count() == 3, "{two}");
        let none = select(&devices, &Selector::Index(7)).expect_err("none answers").to_string();
        assert!(none.contains("\"7\"") && none.contains("llvmpipe") && none.lines().count() == 4, "{none}");
        assert_eq!(select(&[], &Selector::Best), Err(SelectError::NoDevices));
    }

    #[test]
    fn names_are_escaped() {
        let mut device = fake::lavapipe();
        device.name = "bad\u{1b}[2J".into();
        let text = select(&[device], &Selector::Index(9)).expect_err("none answers").to_string();
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_best_device() {
        let check = |devices: &[DeviceInfo], expect: usize| {
            assert_eq!(select(devices, &Selector::Best), Ok(expect));
        };
        check(&[fake::lavapipe(), fake::integrated(), fake::discrete()], 2);
        check(&[fake::lavapipe(), fake::integrated()], 1);
        check(&[fake::discrete(), fake::discrete()], 0);
        check(&[fake::swiftshader(), fake::lavapipe()], 1);
        check(&[fake::lavapipe(), fake::swiftshader()], 0);
        check(&[fake::lavapipe(), fake::lavapipe()], 0);
        check(&[fake::without_timeline(), fake::lavapipe()], 1);
        check(&[fake::without_compute(), fake::lavapipe()], 1);
        check(&[fake::without_compute()], 0);
    }
}
