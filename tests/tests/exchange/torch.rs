//! PyTorch's memory snapshots, as Python reads them and as PyTorch's own tool printed them.

use std::ffi::OsStr;

use bayplan_tests::program::Sandbox;
use bayplan_tests::root;

use crate::{arenas, export, figure, import, list, made, most_of, number, outside, report, told};

/// What is reserved and allocated in a snapshot, segment by segment, is what the report says of arenas, pools and blocks; and
/// the snapshot comes back as a recording in which that is so, too.
#[test]
fn snapshots_hold_what_the_report_says() {
    let sandbox = Sandbox::new();
    for recording in made::all(&sandbox) {
        let said = report(&sandbox, &recording);
        let snapshot = export(&sandbox, &recording, "torch");
        let seen = told("exchange.py", &["torch".as_ref(), snapshot.as_os_str()]);

        let mut expected: Vec<(u64, u64)> = Vec::new();
        for name in arenas(&said) {
            // Weights are there whether or not a plan ran.
            let live = most_of(&said, name, "peak_live", !name.contains("weights"));
            expected.push((most_of(&said, name, "size", false), live));
        }
        let of = |name: &str| list(&said["figures"][name]["of"]).iter().map(|of| number(of, "value"));
        expected.extend(of("pool_size").zip(of("pool_high_water")));
        expected.extend(outside(&said).map(|bytes| (bytes, bytes)));
        expected.sort_unstable();
        let segments = list(&seen["segments"]).iter();
        let mut found: Vec<_> =
            segments.map(|segment| (number(segment, "size"), number(segment, "most"))).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", recording.display());
        let actions = &seen["actions"];
        let gone = list(&said["unplanned_blocks"]).len() - outside(&said).count();
        assert_eq!(actions["segment_free"].as_u64().unwrap_or(0), gone as u64);
        assert_eq!(actions["free_requested"], actions["free_completed"]);

        let again = report(&sandbox, &import(&sandbox, &snapshot));
        let plan = &again["plans"][0];
        assert_eq!(plan["arenas"][0]["peak_live"], seen["peak"], "{}", recording.display());
        assert_eq!(plan["buffers"], actions["alloc"]);
        assert_eq!(figure(&again, "device_bytes"), number(&seen, "reserved"));
        assert_eq!((&again["deviation"], &again["overlap"]), (&0.into(), &0.into()));
        let name = snapshot.file_name().and_then(OsStr::to_str).expect("a name");
        assert_eq!(again["session"]["origin"], format!("PyTorch memory snapshot {name}"));
    }
}

/// What PyTorch's own `_memory_viz.py` prints of fixed snapshots lies beside them: `make golden-torch` brings the tool and
/// writes it anew. Here its lines are held against the snapshots, whose bytes the report's own tests fix.
#[test]
fn pytorchs_own_tool_reads_the_golden_snapshots() {
    let golden = root().join("runtime/report/tests/golden");
    for level in ["op", "run"] {
        let path = |what: &str| golden.join(format!("torch-{level}.{what}")).into_os_string();
        let seen = told("exchange.py", &["viz".into(), path("pickle"), path("stats"), path("trace")]);
        assert!(number(&seen, "events") > 20, "{seen}");
    }
}
