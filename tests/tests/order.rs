//! The order of operators in whole models: never a larger arena than in the model's own order, the same results to the
//! bit, and barriers counted alike by planner and compiler.
//!
//! Every figure is printed (`--nocapture` shows them).

use std::time::Instant;

use bayplan::{Effort, Model, Options, Order, Program, Session, SessionOptions, Target};
use bayplan_compile::{Arena, BufferKind};
use bayplan_plan::order::{self, Dag, Node, Value};
use bayplan_plan::{Status, strategies};
use bayplan_shaders::Access;
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, reference_case, reference_cases, reference_model, session};

/// Classifiers, then encoders and decoders by both exporters.
const MODELS: [&str; 18] = [
    "alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
    "mobilenetv2",
    "mobilenetv2_ts",
    "vit_tiny",
    "encoder_l6",
    "encoder_l6_ts",
    "gpt2_small",
    "gpt2_small_ts",
    "llama_125m",
    "llama_125m_ts",
];

fn open(name: &str) -> Model {
    Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn compiled(model: &Model, case: &Case, target: &Target, order: Order) -> Program {
    let options = Options { order, ..Options::default() };
    model.compile(&session::dims(case), target, options).unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

fn barriers(program: &Program) -> u32 {
    program.run.dispatches.iter().filter(|dispatch| dispatch.barrier_before).count() as u32
}

#[test]
fn never_worse_than_the_order_of_the_model() {
    println!(
        "model case | peak given | peak taken | bound of all orders | barriers given, taken | order | ms given, search"
    );
    let mut better = 0;
    for name in MODELS {
        let model = open(name);
        for case in reference_cases(name) {
            let begun = Instant::now();
            let given = compiled(&model, &case, &Target::generic(), Order::Given);
            let middle = Instant::now();
            let taken = compiled(&model, &case, &Target::generic(), Order::Search);
            let times = [middle - begun, middle.elapsed()].map(|time| time.as_secs_f64() * 1e3);
            let s = &taken.schedule;
            println!(
                "{name} {} | {} | {} | {} | {}, {} | {} | {:.1}, {:.1}",
                case.name,
                s.given_peak,
                s.peak,
                s.bound,
                s.given_barriers,
                s.barriers,
                s.candidate,
                times[0],
                times[1]
            );
            let context = format!("{name} {}", case.name);
            assert_eq!(
                (s.given_peak, s.given_barriers),
                (given.run.plan.peak, barriers(&given)),
                "{context}"
            );
            assert_eq!((s.peak, s.barriers), (taken.run.plan.peak, barriers(&taken)), "{context}");
            assert!(s.bound <= s.peak && s.peak <= s.given_peak, "{context}: {s:?}");
            match s.order {
                Order::Search => assert!(s.peak < s.given_peak, "{context}: {s:?}"),
                Order::Given => assert_eq!(given.run, taken.run, "{context}"),
            }
            better += u32::from(s.order == Order::Search);
        }
    }
    assert!(better > 0, "no model gains: the search does nothing");
}

#[test]
fn results_are_the_same_to_the_bit() {
    let device = Backend::Host.device();
    for (name, case) in [("chars", "3x1+40"), ("encoder_l6", "2x7")] {
        let (model, case) = (open(name), reference_case(name, case));
        let outputs = [Order::Given, Order::Search].map(|order| {
            let program = compiled(&model, &case, device.target(), order);
            assert_eq!(program.schedule.order, order, "{name} would compare a program with itself");
            let session = Session::new(&device, program, model.weights(), SessionOptions::default());
            let mut session = session.unwrap_or_else(|e| panic!("{name}: {e}"));
            let outputs = session::run(&mut session, &session::inputs(&case));
            let bytes = outputs.iter().map(|output| {
                let tensor = output.to_tensor().unwrap_or_else(|e| panic!("{name}: {e}"));
                (output.name().to_owned(), tensor.bytes().to_vec())
            });
            bytes.collect::<Vec<_>>()
        });
        assert!(outputs[0] == outputs[1], "{name} {}: outputs depend on the order", case.name);
    }
}

/// The run stage of a finished program as a graph to order: what overwrites what is decided, buffers are values.
fn graph(program: &Program) -> Dag {
    let mut values = Vec::new();
    let numbers: Vec<Option<u32>> = program
        .buffers
        .iter()
        .map(|buffer| {
            (buffer.arena == Arena::Activations).then(|| {
                let given = buffer.kind == BufferKind::Input || buffer.lifespan.start == 0;
                let kept = buffer.lifespan.end as usize == program.run.dispatches.len();
                values.push(Value { size: buffer.size, align: buffer.align, given, kept });
                values.len() as u32 - 1
            })
        })
        .collect();
    let node = |dispatch: &bayplan_compile::Dispatch| {
        let mut node = Node::default();
        for window in &dispatch.windows {
            let Some(value) = numbers[window.buffer.0 as usize] else { continue };
            let start = window.offset - program.buffers[window.buffer.0 as usize].offset;
            let access = order::Access::new(value, start, start + window.len);
            if window.access != Access::Write {
                node.reads.push(access);
            }
            if window.access != Access::Read {
                node.writes.push(access);
            }
        }
        node
    };
    let nodes = program.run.dispatches.iter().map(node).collect();
    Dag::new(nodes, values).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn planner_and_compiler_count_the_same_barriers() {
    let mut compared = 0;
    for name in ["chars", "squeezenet", "densenet121", "encoder_l6", "llama_125m"] {
        let model = open(name);
        for case in reference_cases(name) {
            let program = compiled(&model, &case, &Target::generic(), Order::Search);
            // A plan that a strategy makes at the bound is the same wherever it is made.
            let plan = &program.run.plan;
            if plan.status != Status::Optimal || !strategies().any(|strategy| strategy == plan.strategy) {
                continue;
            }
            let searched = order::search(&graph(&program), Effort::Normal);
            let given = searched.given();
            assert_eq!(given.peak, program.run.plan.peak, "{name} {}", case.name);
            assert_eq!(given.barriers, barriers(&program), "{name} {}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 0, "nothing was compared");
}
