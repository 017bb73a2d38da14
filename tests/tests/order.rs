//! The order of operators in whole models: never a larger arena than in the model's own order, the same results to the
//! bit, and barriers counted alike by planner and compiler.
//!
//! Every figure is printed (`--nocapture` shows them).

use bayplan::{Device, Effort, Model, Options, Order, Program, Session, SessionOptions, Target};
use bayplan_compile::{Arena, BufferKind};
use bayplan_plan::order::{self, Dag, Node, Value};
use bayplan_plan::{Status, strategies};
use bayplan_shaders::Access;
use bayplan_tests::backend::Backend;
use bayplan_tests::{Case, on_every_backend, reference_case, reference_cases, reference_model, session};

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

/// The processor time this thread has had, in milliseconds; 0 where the system does not tell.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

#[test]
fn never_worse_than_the_order_of_the_model() {
    println!(
        "| model, case | peak given | searched | no order below | barriers | order | CPU ms given | search |\n\
         |---|---|---|---|---|---|---|---|"
    );
    let (mut better, mut declined) = (0, 0);
    for name in MODELS {
        let model = open(name);
        for case in reference_cases(name) {
            let begun = processor_time();
            let given = compiled(&model, &case, &Target::generic(), Order::Given);
            let middle = processor_time();
            let taken = compiled(&model, &case, &Target::generic(), Order::Search);
            let times = [middle - begun, processor_time() - middle];
            let s = &taken.schedule;
            let refused = s.declined.map_or_else(String::new, |other| {
                format!("; declined: {} with {} barriers", other.peak, other.barriers)
            });
            println!(
                "| {name} {} | {} | {} | {} | {} → {} | {}{refused} | {:.1} | {:.1} |",
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
                Order::Drawn(seed) => panic!("{context}: nobody asked for the order of seed {seed}"),
            }
            let shares = |bytes: u64, barriers: u32| {
                let added = f64::from(barriers) / f64::from(s.given_barriers);
                (1.0 - bytes as f64 / s.given_peak as f64, added - 1.0)
            };
            let (saved, added) = shares(s.peak, s.barriers);
            assert!(saved >= added - 1e-12, "{context}: not worth its barriers: {s:?}");
            if let Some(other) = s.declined {
                let (saved, added) = shares(other.peak, other.barriers);
                assert!(saved > 0.0 && saved < added, "{context}: declined, but worth it: {s:?}");
                declined += 1;
            }
            better += u32::from(s.order == Order::Search);
        }
    }
    println!("{better} better, {declined} declined");
    assert!(better > 0, "no model gains: the search does nothing");
    assert!(declined > 0, "no order is declined: nothing shows that barriers count");
}

/// Cases that most targets' programs run in another order than the model has.
const REORDERED: [(&str, &str); 4] =
    [("chars", "3x1+40"), ("encoder_l6", "1x128"), ("gpt2_small", "2x5+0"), ("llama_125m", "1x1+128")];

/// The outputs of a program, as bytes.
fn outputs(device: &Device, model: &Model, case: &Case, program: Program) -> Vec<(String, Vec<u8>)> {
    let session = Session::new(device, program, model.weights(), SessionOptions::default());
    let mut session = session.unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let outputs = session::run(&mut session, &session::inputs(case));
    let bytes = outputs.iter().map(|output| {
        let tensor = output.to_tensor().unwrap_or_else(|e| panic!("{}: {e}", case.name));
        (output.name().to_owned(), tensor.bytes().to_vec())
    });
    bytes.collect()
}

on_every_backend! {
    results_are_the_same_to_the_bit => |backend| {
        let device = backend.device();
        let mut compared = Vec::new();
        for (name, case) in REORDERED {
            let (model, case) = (open(name), reference_case(name, case));
            let [given, searched] =
                [Order::Given, Order::Search].map(|order| compiled(&model, &case, device.target(), order));
            // Which alignment a device asks for decides where another order pays.
            if searched.schedule.order == Order::Given {
                continue;
            }
            let [given, searched] = [given, searched].map(|program| outputs(&device, &model, &case, program));
            assert!(given == searched, "{name} {}: outputs depend on the order", case.name);
            compared.push(name);
        }
        println!("{backend}: {}", compared.join(", "));
        assert!(compared.len() > 1, "{backend}: nearly nothing runs in another order: {compared:?}");
    };
}

/// Orders drawn of each model.
const ORDERS: u64 = 10;

/// Whatever order the operators allow, the outputs are those of the model's own, to the bit.
fn drawn(models: &[&str]) {
    let device = Backend::Lavapipe.device();
    for name in models {
        let (model, cases) = (open(name), reference_cases(name));
        let case = cases.first().expect("a model has cases");
        let given = compiled(&model, case, device.target(), Order::Given);
        let order = |program: &Program| -> Vec<String> {
            program.run.dispatches.iter().map(|dispatch| dispatch.name.to_string()).collect()
        };
        let (own, mut others) = (order(&given), 0);
        let expected = outputs(&device, &model, case, given);
        for seed in 0..ORDERS {
            let program = compiled(&model, case, device.target(), Order::Drawn(seed));
            // Where each operator reads what the one before it made there is one order.
            if order(&program) == own {
                continue;
            }
            others += 1;
            let actual = outputs(&device, &model, case, program);
            assert!(expected == actual, "{name} {}: outputs depend on the order of seed {seed}", case.name);
        }
        println!("{name} {}: {others} other orders, the same outputs", case.name);
    }
}

#[test]
fn drawn_orders_of_networks_change_nothing() {
    drawn(&MODELS[..9]);
}

#[test]
fn drawn_orders_of_encoders_and_decoders_change_nothing() {
    drawn(&MODELS[9..]);
    drawn(&["chars", "digits"]);
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
