//! Which processes are alive.

use std::fs;

/// When a process began, in the system's clock ticks since boot; with the process id it names one process for good.
/// `None` where the system does not tell, or the process is gone.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        .filter(|stat| !stat.gone)
        .map(|s| s.start)
}

/// Whether the process that had this id and start is still there.
pub(crate) fn is_alive(pid: u32, start: Option<u64>) -> bool {
    match (start_ticks(pid), start) {
        (Some(now), Some(then)) => now == then,
        (Some(_), None) => true,
        // Without /proc, ask whether a signal could be sent.
        (None, _) if !proc_is_mounted() => i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
        (None, _) => false,
    }
}

fn proc_is_mounted() -> bool {
    fs::exists("/proc/self/stat").unwrap_or(false)
}

struct Stat {
    gone: bool,
    start: u64,
}

/// Reads the state and the start time out of `/proc/<pid>/stat` (proc_pid_stat(5)).
fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses; it may hold spaces and parentheses itself.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3, the start time field 22. A zombie has ended; only its parent has not asked yet.
    let start = fields.nth(18)?.parse().ok()?;
    Some(Stat { gone: matches!(state, "Z" | "X" | "x"), start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_any_program_name() {
        let tail = "1 1 1 0 -1 4194560 9 8 7 6 5 4 3 2 20 0 1 0 98765 123 45";
        for (name, state, expect) in
            [("a", "S", Some(false)), ("a) R (b", "R", Some(false)), ("x", "Z", Some(true))]
        {
            let stat = parse_stat(&format!("42 ({name}) {state} {tail}"));
            assert_eq!(stat.as_ref().map(|s| s.gone), expect, "{name}");
            assert_eq!(stat.map(|s| s.start), Some(98_765), "{name}");
        }
        assert!(parse_stat("42 (a) S 1 2").is_none());
        assert!(parse_stat("").is_none());
    }

    #[test]
    fn a_process_is_alive_until_another_has_its_id() {
        let pid = std::process::id();
        let start = start_ticks(pid);
        assert!(is_alive(pid, start));
        assert!(is_alive(pid, None));
        if let Some(start) = start {
            assert!(!is_alive(pid, Some(start + 1)));
        }
        assert!(!is_alive(u32::MAX, None));
    }
}
