//! A gate fails for a reason only: `bayplan check` finds no alarm in runs of random graphs, of a classifier and of decoders
//! whose cache grows. `make clean-runs` does a thousand.

use std::ops::Range;

use bayplan_tests::backend::Backend;
use bayplan_tests::clean::{Kind, Sweep};

/// Runs of the mix on each backend: two of each row. Run 49 has a graph in which nothing is left to compute.
const NUMBERS: Range<u64> = 40..60;

fn clean(backend: Backend) {
    let outcome = Sweep::new(&[backend]).run(NUMBERS, &mut |_, _| {});
    println!(
        "{backend}: {} recordings of {} runs, {} windows",
        outcome.recordings(),
        outcome.inferences,
        outcome.windows
    );
    assert!(outcome.failures.is_empty(), "{}", outcome.failures.join("\n"));
    let runs = NUMBERS.end - NUMBERS.start;
    assert_eq!(outcome.recordings(), runs);
    for kind in [Kind::Graph, Kind::Digits, Kind::Chars, Kind::Decoder] {
        assert!(outcome.judged.keys().any(|(own, _)| *own == kind), "no {kind}");
    }
    // A decoder plans for every shape that it meets.
    assert!(outcome.plans > 3 * runs / 2 && outcome.windows > 100 * runs, "{outcome:?}");
}

bayplan_tests::on_every_backend! {
    nothing_is_wrong_where_nothing_was_planted => clean;
}
