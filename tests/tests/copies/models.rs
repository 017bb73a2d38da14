//! What remains in whole models.

use bayplan::{Model, Options, Program, Target};
use bayplan_compile::Dispatch;
use bayplan_graph::{Node, Op};
use bayplan_shaders::{Class, Spec};
use bayplan_tests::{REFERENCE_MODELS, reference_cases, reference_model, session};

use crate::writers;

/// Bytes that each model copies at each run. Both windows' alignments, both styles of kernels.
#[test]
fn what_models_copy() {
    println!(
        "| model, case | alignment | copies | bytes | of them past K/V | dispatches | barriers | arena |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for name in REFERENCE_MODELS {
        let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        for case in reference_cases(name) {
            for (alignment, class) in [(16, Class::Cpu), (256, Class::Gpu)] {
                let target = Target { storage_alignment: alignment, class, ..Target::generic() };
                let program = model
                    .compile(&session::dims(&case), &target, Options::default())
                    .unwrap_or_else(|e| panic!("{name} {}: {e}", case.name));
                let bytes: u64 = program.copies.iter().map(|copy| copy.bytes).sum();
                let past: u64 = program
                    .inputs
                    .iter()
                    .filter(|port| port.name.starts_with("past"))
                    .map(|port| 4 * port.shape.iter().product::<u64>())
                    .sum();
                let barriers = program.run.dispatches.iter().filter(|d| d.barrier_before).count();
                println!(
                    "| {name} {} | {alignment} | {} | {bytes} | {past} | {} | {barriers} | {} |",
                    case.name,
                    program.copies.len(),
                    program.run.dispatches.len(),
                    program.arena_bytes[0]
                );
                grown(name, &program);
                for copy in program.copies.iter().filter(|copy| !copy.why.contains("graph input")) {
                    let dispatch = &program.run.dispatches[copy.dispatch as usize];
                    println!(
                        "  {} bytes to {} ({}): {}",
                        copy.bytes, dispatch.name, dispatch.source_op, copy.why
                    );
                }
                match name {
                    // Average pools write part of a concatenation where windows of 256 bytes cannot begin.
                    "shufflenet" => assert!(bytes <= 159_936 && shuffles(&model, &program) == 16, "{bytes}"),
                    // The class token.
                    "vit_tiny" => assert!(program.copies.len() == 1 && bytes <= 4 * 192 * 3, "{bytes}"),
                    "densenet121" => {
                        let concat = |node: &&Node| matches!(node.op, Op::Concat { .. });
                        assert_eq!((model.graph().nodes.iter().filter(concat).count(), bytes), (58, 0));
                    }
                    _ => assert_eq!(bytes, past, "{name} {}: past K/V once, nothing else", case.name),
                }
            }
        }
    }
}

/// The keys and values of a decoder are joined by nothing but a copy of those before and the maker of the new ones.
fn grown(name: &str, program: &Program) {
    let present = program.outputs.iter().enumerate().filter(|(_, port)| port.name.starts_with("present"));
    for (index, _) in present {
        let (copies, makers): (Vec<&Dispatch>, Vec<&Dispatch>) =
            writers(program, index).partition(|dispatch| matches!(*dispatch.spec, Spec::Copy(_)));
        assert!(copies.len() <= 1 && makers.len() == 1, "{name}, output {index}: {copies:?} {makers:?}");
    }
}

/// Channels that are shuffled as they are made, printed with what that costs.
fn shuffles(model: &Model, program: &Program) -> usize {
    let turned = model.graph().nodes.iter().filter(|node| &*node.source_op == "Transpose").count();
    let shuffled: Vec<_> = program.direct.iter().filter(|direct| direct.op == "Transpose").collect();
    for direct in &shuffled {
        let dispatch = &program.run.dispatches[direct.dispatch as usize];
        println!(
            "  {} shuffles {} bytes in rows of {} as it is made by {}: no copy, no dispatch",
            dispatch.name, direct.bytes, direct.run, dispatch.source_op
        );
    }
    assert_eq!(shuffled.len(), turned);
    turned
}
