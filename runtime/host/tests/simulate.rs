//! Policies of admission on one memory function: what runs out of memory, and how much of it is used.

use bayplan_host::simulate::{Arrival, Lengths, Measured, Outcome, Policy, Server, Workload, fit, serve};

const EXACT: Policy = Policy::Exact { overtakes: 4 };
const IBM: Policy = Policy::Ibm98 { measured: Measured::Copied, margin: None };

/// A smaller budget than the whole one, so that a few requests fill it.
fn server() -> Server {
    let server = Server::llama_3_8b();
    let budget = server.memory.weights + (1500 << 20);
    Server { budget, parallel: 48, context: 4096, ..server }
}

fn workload(lengths: Lengths, requests: u64) -> Workload {
    Workload { requests, arrival: Arrival::Poisson { mean: 1e7 }, lengths, seed: 7 }
}

fn outcome(policy: Policy, workload: &Workload) -> Outcome {
    let told = serve(&server(), policy, workload).expect("a pool");
    assert_eq!(told.admitted, told.finished + told.out_of_memory, "{told:?}");
    assert!(told.refused + told.finished + told.out_of_memory >= workload.requests, "{told:?}");
    assert!(told.bytes <= server().budget, "{told:?}");
    told
}

#[test]
fn exact_uses_more_of_the_memory_and_never_runs_out() {
    for (name, lengths) in Lengths::ALL {
        let workload = workload(lengths, 300);
        let [exact, ibm, contiguous] =
            [EXACT, IBM, Policy::Contiguous].map(|policy| outcome(policy, &workload));
        assert_eq!((exact.out_of_memory, contiguous.out_of_memory), (0, 0), "{name}");
        assert_eq!(exact.admitted + exact.refused, workload.requests, "{name}");
        assert!(ibm.tokens > 1000.0 && contiguous.tokens > 500.0, "{name}: {ibm:?}, {contiguous:?}");
        assert!(exact.tokens >= 1.3 * ibm.tokens, "{name}: {} of {}", exact.tokens, ibm.tokens);
        assert!(exact.tokens > 2.0 * contiguous.tokens, "{name}: {} of {}", exact.tokens, contiguous.tokens);
        assert!(exact.mean > 0.6 && exact.p99 <= 1.0, "{name}: {exact:?}");
    }
}

/// The last block is used, and the arena is as large as it was planned: of the budget hardly anything is left.
#[test]
fn exact_uses_the_budget_up() {
    let server = server();
    let exact = outcome(EXACT, &workload(Lengths::Uniform, 200));
    let pool = exact.blocks * 16 * 131_072;
    assert!(exact.blocks * 16 - exact.most < 48 * 16, "a part of a block for each sequence: {exact:?}");
    let arena = 73_728 * u64::from(server.chunk);
    assert!(pool + arena <= server.budget - server.memory.weights);
    assert!(
        pool + arena + 16 * 131_072 > server.budget - server.memory.weights,
        "one block more would not fit"
    );
}

#[test]
fn the_same_seed_gives_the_same() {
    let workload = workload(Lengths::HeavyTail, 60);
    assert_eq!(outcome(EXACT, &workload), outcome(EXACT, &workload));
    let other = Workload { seed: 8, ..workload };
    assert_ne!(outcome(EXACT, &workload), outcome(EXACT, &other));
}

/// By hand: prefill keeps 131,072 bytes of a token beside 73,728 of the arena; later steps hold the cache twice.
#[test]
fn the_fit_is_that_of_the_memory_function() {
    let fit = fit(&Server::llama_3_8b(), Measured::Copied);
    assert!((fit.linear - 204_800.0).abs() < 1.0, "{fit:?}");
    // What does not grow is put on the few tokens of output, since there is no constant.
    let [input, output] = fit.next.map(|c| c / 262_144.0);
    assert!((1.0..1.01).contains(&input) && (1.0..1.05).contains(&output), "{fit:?}");
    assert_eq!(fit.quadratic, [0.0; 2], "no tensor grows with the square");
    let half = fit.free / (16 * 131_072) / 2;
    assert!(
        (half - half / 20..half).contains(&fit.blocks(16)),
        "half of the memory is never used for blocks: {fit:?}"
    );
}
