//! The machine's memory.

/// Memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemMemory {
    /// All there is.
    pub total: u64,
    /// What can be allocated without swapping.
    pub available: u64,
}

/// The machine's memory, where the system tells (Linux).
pub fn memory() -> Option<SystemMemory> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Reads Linux's `/proc/meminfo`: `MemTotal:       16316412 kB` and so on.
fn parse(text: &str) -> Option<SystemMemory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(SystemMemory { total: field("MemTotal")?, available: field("MemAvailable")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_table_is_read() {
        let text = "MemTotal:       1000 kB\nMemFree:  10 kB\nMemAvailable:    600 kB\n";
        assert_eq!(parse(text), Some(SystemMemory { total: 1_024_000, available: 614_400 }));
        assert_eq!(parse("MemTotal: 1000 kB\n"), None);
        assert_eq!(parse("MemTotal: x kB\nMemAvailable: 1 kB\n"), None);
        assert_eq!(parse(""), None);
    }
}
