//! `simulate [REQUESTS] [SEED]`: policies of admission on the shape of Llama-3-8B in 24 GiB, three distributions of lengths.

use bayplan_host::simulate::{Arrival, Lengths, Measured, Policy, Server, Workload, fit, serve};
use bayplan_text::{Bytes, Count, Percent};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<Option<u64>> = std::env::args().skip(1).map(|word| word.parse().ok()).collect();
    let word = |at: usize, default: u64| words.get(at).copied().unwrap_or(Some(default));
    let (Some(requests), Some(seed), true) = (word(0, 10_000), word(1, 1), words.len() <= 2) else {
        eprintln!("usage: simulate [REQUESTS] [SEED]");
        return ExitCode::from(2);
    };
    let server = Server::llama_3_8b();
    for (name, measured) in [("copied", Measured::Copied), ("in place", Measured::InPlace)] {
        let fit = fit(&server, measured);
        let [[q0, q1], [c0, c1]] = [fit.quadratic, fit.next];
        println!(
            "ibm-98, cache {name}: a0 {:.0}, q0 {q0:.0}, q1 {q1:.3}, c0 {c0:.0}, c1 {c1:.0} bytes; margin {} %; {} blocks",
            fit.linear,
            fit.recommended_margin(),
            Count(fit.blocks(16))
        );
    }
    let ibm = |measured, margin| Policy::Ibm98 { measured, margin };
    let policies = [
        ("exact", Policy::Exact { overtakes: 0 }),
        ("exact, 4 overtakes", Policy::Exact { overtakes: 4 }),
        ("ibm-98, recommended", ibm(Measured::Copied, None)),
        ("ibm-98, 20 %", ibm(Measured::Copied, Some(20))),
        ("ibm-98 in place, recommended", ibm(Measured::InPlace, None)),
        ("ibm-98 in place, 20 %", ibm(Measured::InPlace, Some(20))),
        ("contiguous", Policy::Contiguous),
    ];
    for (name, lengths) in Lengths::ALL {
        for (how, arrival) in [
            ("one by one", Arrival::Poisson { mean: 1e7 }),
            ("bursts of 64", Arrival::Bursts { size: 64, mean: 6.4e8 }),
        ] {
            println!("\n{name}, {how}, {} requests, seed {seed}\n", Count(requests));
            println!(
                "| policy | blocks | admitted | refused | out of memory | tokens at once | sequences | used, mean | p99 | stalls | most bytes | done after |"
            );
            println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
            for (policy, rule) in policies {
                let workload = Workload { requests, arrival, lengths, seed };
                match serve(&server, rule, &workload) {
                    Ok(told) => println!(
                        "| {policy} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {} s |",
                        Count(told.blocks),
                        Count(told.admitted),
                        Count(told.refused),
                        Count(told.out_of_memory),
                        Count(told.tokens as u64),
                        told.sequences,
                        Percent(told.mean),
                        Percent(told.p99),
                        Count(told.stalls),
                        Bytes(told.bytes),
                        Count(told.time / 1_000_000_000),
                    ),
                    Err(error) => println!("| {policy} | {error} |"),
                }
            }
        }
    }
    ExitCode::SUCCESS
}
