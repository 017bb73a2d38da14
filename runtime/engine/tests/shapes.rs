//! One session for all shapes, and outputs that callers keep or have made where they want them.

mod common;

use bayplan_compile::{Family, FunctionId, InputError, InputPolicy, Options, OutputPolicy, Policies};
use bayplan_engine::{Device, EngineError, Input, OutputArena, OutputError, Owned, Session, SessionOptions};
use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{DType, Op, Tensor};
use bayplan_trace::Level;
use common::{Model, agree, numbers, open, recording, timeline};

const BOUNDS: [(&str, i64, i64); 2] = [("n", 1, 20), ("m", 2, 6)];

/// x f32[n, m, 8] → Exp → + w[8] → Softmax of each row → y.
fn model() -> Model {
    let mut model = Model::new("shapes");
    let x = model.input_of("x", vec![Expr::symbol("n"), Expr::symbol("m"), Expr::from(8)]);
    let w = model.weight("w", &numbers(&[8]));
    let e = model.exp("e", x);
    let p = model.add("p", e, w);
    let y = model.node("y", Op::Softmax { axis: -1, log: false }, &[p]);
    model.outputs(&[y])
}

fn input(n: usize, m: usize) -> Tensor {
    numbers(&[n, m, 8])
}

fn expected(model: &Model, x: &Tensor) -> Tensor {
    let dims: Bindings = [("n", x.shape()[0] as i64), ("m", x.shape()[1] as i64)].into_iter().collect();
    model.at(&dims).reference(std::slice::from_ref(x)).remove(0)
}

fn policy(outputs: OutputPolicy) -> Options {
    Options { outputs: Policies::all(outputs), ..Options::default() }
}

fn session(device: &Device, family: Family, model: &Model, options: SessionOptions) -> Session {
    Session::new(device, family, &model.store(), options).expect("a session")
}

/// Shapes in an order that repeats some soon, some late.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    let mut state = 7u32;
    (0..60).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (1 + (state >> 16) as usize % 20, 2 + (state >> 8) as usize % 5)
    })
}

#[test]
fn every_shape_within_bounds_without_allocation_or_pipeline() {
    for separate in [false, true] {
        let (device, model) = (open(separate), model());
        let options = SessionOptions { shapes: 3, ..SessionOptions::default() };
        let mut session =
            session(&device, model.family(&device, &BOUNDS, &Options::default()), &model, options);
        let built = session.counters();
        for (n, m) in shapes() {
            let x = input(n, m);
            let outputs = session.run(&[("x", &x)]).expect("a run");
            let y = outputs.get("y").expect("an output").to_tensor().expect("a tensor");
            assert!(agree(&y, &expected(&model, &x)), "{n} {m}");
            assert_eq!(session.program().dims.get("n"), Some(n as i64));
        }
        let done = session.counters();
        assert_eq!(done.device_allocations, built.device_allocations);
        assert_eq!(done.pipelines, built.pipelines);
        assert!(done.shapes > built.shapes + 20, "three places do not hold them all: {done:?}");
        let x = input(3, 3);
        session.run(&[("x", &x)]).expect("a run");
        let (once, runs) = (session.counters(), session.runs());
        session.run(&[("x", &x)]).expect("a run");
        assert_eq!(session.counters(), once, "a shape at hand is submitted as it is");
        assert_eq!(session.runs(), runs + 1);
    }
}

#[test]
fn a_bound_exceeded_is_told_and_nothing_happens() {
    let (device, model) = (open(false), model());
    let family = model.family(&device, &BOUNDS, &Options::default());
    let mut session = session(&device, family, &model, SessionOptions::default());
    match session.run(&[("x", &input(21, 2))]).err() {
        Some(EngineError::Input(InputError::BoundExceeded { dim, value: 21, bound: 20, .. })) => {
            assert_eq!(dim, "n");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(session.runs(), 0);
    let x = input(20, 2);
    let y = session.run(&[("x", &x)]).expect("a run").get("y").map(|y| y.to_tensor().expect("a tensor"));
    assert!(agree(&y.expect("an output"), &expected(&model, &x)));
}

#[test]
fn exactly_the_bytes_of_a_shape_are_enough_for_it() {
    let (device, model) = (open(false), model());
    let family = model.family(&device, &BOUNDS, &Options::default());
    let dims: Bindings = [("n", 9), ("m", 4)].into_iter().collect();
    let program = family.at(FunctionId::default(), &dims).expect("a program");
    let [activations, weights, load, _] = program.arena_bytes;
    let exact = weights + activations.max(load);
    let build = |memory| {
        let options = SessionOptions { memory: Some(memory), ..SessionOptions::default() };
        session(&device, family.clone(), &model, options)
    };
    let x = input(9, 4);
    let mut enough = build(exact);
    let y = enough.run(&[("x", &x)]).expect("a run").get("y").map(|y| y.to_tensor().expect("a tensor"));
    assert!(agree(&y.expect("an output"), &expected(&model, &x)));
    let mut less = build(exact - device.target().storage_granule);
    match less.run(&[("x", &x)]).err() {
        Some(EngineError::Budget(over)) => {
            assert_eq!((over.needed, over.given), (exact, exact - device.target().storage_granule));
            assert_eq!(over.dims.get("n"), Some(9));
        }
        other => panic!("{other:?}"),
    }
    less.run(&[("x", &input(2, 2))]).expect("a smaller shape runs");
}

fn take(session: &mut Session, x: &Tensor) -> Result<Owned, EngineError> {
    let mut outputs = session.run(&[("x", x)])?;
    assert_eq!(outputs.iter().len(), 1);
    let owned = outputs.take("y").expect("an output to keep");
    assert!(outputs.take("y").is_none() && outputs.get("y").is_none(), "taken once");
    Ok(owned)
}

#[test]
fn outputs_that_are_kept_outlive_runs_threads_and_sessions() {
    for separate in [false, true] {
        let (device, model) = (open(separate), model());
        let family = model.family(&device, &BOUNDS, &policy(OutputPolicy::Own));
        let bytes = 3 * 20 * 6 * 8 * 4;
        let outputs = OutputArena { bytes, grow: false };
        let options = SessionOptions { outputs, ..SessionOptions::default() };
        let mut session = session(&device, family, &model, options);
        let built = session.counters().device_allocations;
        let mut held = Vec::new();
        for (n, m) in [(20, 6), (1, 2), (7, 3)] {
            let x = input(n, m);
            held.push((take(&mut session, &x).expect("room"), expected(&model, &x)));
        }
        let exact: u64 = held.iter().map(|(owned, _)| owned.bytes()).sum();
        assert_eq!(exact, (20 * 6 + 2 + 7 * 3) * 8 * 4, "nothing is rounded");
        assert_eq!(session.output_usage().held, exact);
        // Two more of the largest do not fit; a smaller one does, also after the refusal.
        let runs = session.runs();
        let _fourth = take(&mut session, &input(20, 6)).expect("room");
        match take(&mut session, &input(20, 6)).err() {
            Some(EngineError::Output(OutputError::OutputArenaFull { need, free, held })) => {
                assert_eq!((need, held), (20 * 6 * 8 * 4, exact + 20 * 6 * 8 * 4));
                assert!(free < need);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(session.runs(), runs + 1, "nothing was submitted");
        drop(take(&mut session, &input(1, 2)).expect("room"));
        drop(session.run(&[("x", &input(1, 2))]).expect("outputs that nobody takes are free again"));
        assert_eq!(session.counters().device_allocations, built);
        drop(session);
        let reader = std::thread::spawn(move || {
            held.into_iter().all(|(owned, expected)| {
                agree(&owned.to_tensor().expect("a tensor"), &expected) && owned.name() == "y"
            })
        });
        assert!(reader.join().expect("the thread ends"));
    }
}

#[test]
fn an_output_arena_grows_where_it_may_and_says_so() {
    let (device, model) = (open(false), model());
    let family = model.family(&device, &BOUNDS, &policy(OutputPolicy::Own));
    let options =
        SessionOptions { outputs: OutputArena { bytes: 64, grow: true }, ..SessionOptions::default() };
    let mut session = session(&device, family, &model, options);
    let built = session.counters();
    let x = input(20, 6);
    let owned = take(&mut session, &x).expect("it grows");
    let grown = session.counters();
    assert_eq!((grown.output_growths, grown.device_allocations), (1, built.device_allocations + 1));
    assert!(agree(&owned.to_tensor().expect("a tensor"), &expected(&model, &x)));
}

#[test]
fn outputs_are_made_in_the_callers_buffers() {
    for separate in [false, true] {
        let (device, model) = (open(separate), model());
        let family = model.family(&device, &BOUNDS, &policy(OutputPolicy::Into));
        let mut session = session(&device, family, &model, SessionOptions::default());
        let mut two =
            [(); 2].map(|()| device.tensor(DType::F32, &[20, 6, 8]).expect("a tensor of the device"));
        let made = session.counters();
        for (turn, (n, m)) in shapes().enumerate() {
            let (x, y) = (input(n, m), &mut two[turn % 2]);
            let outputs = session.run_into(&[("x", &x)], &mut [("y", y)]).expect("a run");
            assert_eq!(outputs.iter().len(), 0, "the caller has it");
            drop(outputs);
            assert_eq!(y.shape(), [n, m, 8]);
            assert!(agree(&y.to_tensor().expect("a tensor"), &expected(&model, &x)), "{n} {m}");
        }
        assert_eq!(session.counters().device_allocations, made.device_allocations);
        assert_eq!(session.counters().pipelines, made.pipelines);
        // Both placements of one shape are recorded once.
        let x = input(5, 5);
        let mut turns = |session: &mut Session, count: usize| {
            for turn in 0..count {
                session.run_into(&[("x", &x)], &mut [("y", &mut two[turn % 2])]).expect("a run");
            }
            session.counters().recordings
        };
        let recorded = turns(&mut session, 2);
        assert_eq!(turns(&mut session, 8), recorded);
        let live = device.allocations().live_bytes;
        drop(two);
        let mut small = device.tensor(DType::F32, &[5, 5, 8]).expect("a tensor of the device");
        session.run_into(&[("x", &x)], &mut [("y", &mut small)]).expect("a run");
        assert!(
            device.allocations().live_bytes < live,
            "what was dropped is free once the session runs again"
        );
    }
}

#[test]
fn buffers_that_do_not_fit_are_refused_before_anything_is_written() {
    let (device, model) = (open(false), model());
    let family = model.family(&device, &BOUNDS, &policy(OutputPolicy::Into));
    let mut session = session(&device, family, &model, SessionOptions::default());
    let x = input(4, 4);
    let mut small = device.tensor(DType::F32, &[127]).expect("a tensor of the device");
    let mut whole = device.tensor(DType::I32, &[128]).expect("a tensor of the device");
    let mut refused = |name: &str, tensor: Option<bool>| {
        let mut given = match tensor {
            Some(true) => vec![(name, &mut small)],
            Some(false) => vec![(name, &mut whole)],
            None => Vec::new(),
        };
        match session.run_into(&[("x", &x)], &mut given).err() {
            Some(EngineError::Output(e)) => e,
            other => panic!("{other:?}"),
        }
    };
    let name = || "y".to_string();
    assert_eq!(refused("y", None), OutputError::IntoMissing { name: name() });
    assert_eq!(refused("y", Some(true)), OutputError::IntoTooSmall { name: name(), need: 512, bytes: 508 });
    let wrong = OutputError::IntoWrong { name: name(), expected: DType::F32, actual: DType::I32 };
    assert_eq!(refused("y", Some(false)), wrong);
    assert!(matches!(refused("z", Some(true)), OutputError::UnknownOutput { .. }));
    assert_eq!(session.runs(), 0);
    let other = open(false);
    let mut elsewhere = other.tensor(DType::F32, &[128]).expect("a tensor of the device");
    let refused = session.run_into(&[("x", &x)], &mut [("y", &mut elsewhere)]).err();
    assert!(matches!(refused, Some(EngineError::Output(OutputError::IntoElsewhere { .. }))));
}

#[test]
fn what_lies_on_the_device_is_given_as_an_input() {
    for (separate, inputs) in [
        (false, InputPolicy::Planned),
        (true, InputPolicy::Planned),
        (false, InputPolicy::Caller),
        (true, InputPolicy::Caller),
    ] {
        let (device, model) = (open(separate), chain());
        let options = Options { inputs: Policies::all(inputs), ..policy(OutputPolicy::Own) };
        let family = model.family(&device, &[("n", 1, 30)], &options);
        let outputs = OutputArena { bytes: 1 << 16, grow: false };
        let options = SessionOptions { outputs, ..SessionOptions::default() };
        let mut session = session(&device, family, &model, options);
        let x = numbers(&[30, 4]);
        let first = take(&mut session, &x).expect("room");
        let mut call = |input: Input<'_>| {
            let mut outputs = session.call(FunctionId::default(), &[("x", input)], &mut []).expect("a run");
            outputs.take("y").expect("an output").to_tensor().expect("a tensor")
        };
        let fed = call(Input::from(&first));
        let copied = call(Input::from(&first.to_tensor().expect("a tensor")));
        assert_eq!(fed.bytes(), copied.bytes());
        let mut tensor = device.tensor(DType::F32, &[30, 4]).expect("a tensor of the device");
        tensor.write(&numbers(&[7, 4])).expect("it fits");
        assert_eq!(call(Input::from(&tensor)).bytes(), call(Input::from(&numbers(&[7, 4]))).bytes());
    }
}

/// x f32[n, 4] → Exp → · w[4, 4] → y.
fn chain() -> Model {
    let mut model = Model::new("chain");
    let x = model.input_of("x", vec![Expr::symbol("n"), Expr::from(4)]);
    let w = model.weight("w", &numbers(&[4, 4]));
    let e = model.exp("e", x);
    let y = model.matmul("y", e, w);
    model.outputs(&[y])
}

#[test]
fn a_recording_tells_the_plan_of_the_shape_that_runs() {
    let temp = tempfile::tempdir().expect("a folder");
    let policies = [OutputPolicy::Borrow, OutputPolicy::Own, OutputPolicy::Into];
    for (number, outputs) in policies.into_iter().enumerate() {
        let (device, model) = (open(false), model());
        let file = temp.path().join(format!("{number}.bptrace"));
        let options = SessionOptions {
            recording: Some(recording(&file, Level::Op)),
            shapes: 2,
            outputs: OutputArena { bytes: 1 << 16, grow: false },
            ..SessionOptions::default()
        };
        let family = model.family(&device, &BOUNDS, &policy(outputs));
        let mut session = session(&device, family, &model, options);
        let mut tensor = device.tensor(DType::F32, &[20, 6, 8]).expect("a tensor of the device");
        let shapes = [(3, 2), (4, 5), (3, 2), (20, 6), (2, 4), (3, 2)];
        for (n, m) in shapes {
            let x = input(n, m);
            let mut into = vec![("y", &mut tensor)];
            into.retain(|_| outputs == OutputPolicy::Into);
            session.run_into(&[("x", &x)], &mut into).expect("a run");
        }
        assert_eq!(session.finish().lost, 0);
        let timeline = timeline(&file);
        assert_eq!(timeline.alarm_counts().total(), 0, "{:?}", timeline.alarms().collect::<Vec<_>>());
        assert_eq!(timeline.runs_ok, shapes.len() as u64);
        let dims = |plan: &bayplan_trace::PlanState| -> Vec<i64> {
            plan.record.dims.iter().map(|dim| dim.value).collect()
        };
        // The first is that of no special dims, which the recording begins with; a shape that gave way is told anew.
        let told: Vec<_> = timeline.plans.iter().skip(1).map(dims).collect();
        assert_eq!(told, [[2, 3], [5, 4], [6, 20], [4, 2], [2, 3]]);
        let gone: Vec<_> = timeline.plans.iter().skip(1).map(|plan| plan.retired).collect();
        assert_eq!(gone, [true, true, true, false, false]);
        let (current, plan) = timeline.current_plan().expect("a plan");
        assert_eq!((current, dims(plan)), (5, vec![2, 3]));
        assert!(plan.windows.iter().all(|window| window.arena != bayplan_trace::UNPLANNED));
        assert!(plan.windows.len() >= 3, "seen as bound: {:?}", plan.windows);
    }
}
