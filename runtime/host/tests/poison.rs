//! Broken programs, executed unverified: every mistake in a plan is refused by name or gives a wrong number.

mod common;

use bayplan_compile::{Arena, BufferId, BufferKind, Options, Program};
use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_graph::{NoFiles, Tensor, eval};
use bayplan_host::{HostError, Machine, POISON, Phase};

use common::{Builder, Random, machine, program};

/// Values that live long beside each other.
fn graph() -> Builder {
    let (mut random, mut builder) = (Random(5), Builder::new());
    let x = builder.input(random.floats(&[4, 24]));
    let w = builder.constant(&random.floats(&[24, 24]));
    let a = builder.op(Op::Unary(UnaryOp::Tanh), &[x]);
    let b = builder.op(Op::MatMul, &[a, w]);
    let c = builder.op(Op::Binary(BinaryOp::Add), &[b, x]);
    let d = builder.op(Op::MatMul, &[c, w]);
    let e = builder.op(Op::Binary(BinaryOp::Sub), &[d, a]);
    let f = builder.op(Op::Binary(BinaryOp::Mul), &[e, b]);
    builder.output(e);
    builder.output(f);
    builder
}

/// Nothing fused and nothing in place: many buffers.
fn plain(builder: &Builder) -> Program {
    program(&builder.graph, Options { fuse: false, in_place: false, ..Options::default() })
}

fn run(builder: &Builder, program: Program) -> Result<Vec<Tensor>, HostError> {
    let mut machine = machine(&builder.graph, program);
    machine.run(&builder.inputs.iter().collect::<Vec<_>>())?;
    let ports = machine.program().outputs.clone();
    ports.iter().map(|port| machine.output(port)).collect()
}

fn expected(builder: &Builder) -> Vec<Tensor> {
    eval(&builder.graph, &builder.inputs, &NoFiles).expect("the reference")
}

/// Whether outputs are those of the reference.
fn right(outputs: &[Tensor], expected: &[Tensor]) -> bool {
    let close = |(a, b): (&Tensor, &Tensor)| {
        a.to_f64().iter().zip(b.to_f64()).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs()))
    };
    outputs.iter().zip(expected).all(close)
}

/// Moves a buffer and all that refers to it.
fn moved(program: &Program, buffer: usize, to: u64) -> Program {
    let mut program = program.clone();
    let from = program.buffers[buffer].offset;
    program.buffers[buffer].offset = to;
    let id = BufferId(buffer as u32);
    let dispatches = program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows);
    let ports = program.inputs.iter_mut().chain(&mut program.outputs).map(|port| &mut port.window);
    for window in dispatches.chain(ports).filter(|window| window.buffer == id) {
        window.offset = window.offset - from + to;
    }
    program
}

#[test]
fn live_buffers_in_the_same_bytes_never_pass() {
    let builder = graph();
    let (program, expected) = (plain(&builder), expected(&builder));
    assert!(right(&run(&builder, program.clone()).expect("a sound program"), &expected), "the control");
    let (mut refused, mut wrong) = (0, 0);
    for (a, first) in program.buffers.iter().enumerate() {
        for (b, second) in program.buffers.iter().enumerate() {
            let both =
                first.lifespan.start < second.lifespan.end && second.lifespan.start < first.lifespan.end;
            let fits = first.offset + second.size <= program.arena_bytes[Arena::Activations.index()];
            if a == b || first.arena != Arena::Activations || second.arena != first.arena || !both || !fits {
                continue;
            }
            match run(&builder, moved(&program, b, first.offset)) {
                Err(HostError::Hazard { .. } | HostError::Unwritten { .. } | HostError::Overrun { .. }) => {
                    refused += 1;
                }
                Err(e) => panic!("{} over {}: {e}", second.name, first.name),
                Ok(outputs) => {
                    assert!(!right(&outputs, &expected), "{} over {} passed", second.name, first.name);
                    wrong += 1;
                }
            }
        }
    }
    assert!(refused + wrong >= 10, "{refused} refused, {wrong} wrong: too few pairs to say anything");
}

#[test]
fn shortened_lives_are_refused_by_name() {
    let builder = graph();
    let program = plain(&builder);
    let mut tried = 0;
    for (index, buffer) in program.buffers.iter().enumerate() {
        let short = buffer.arena == Arena::Activations && buffer.lifespan.len() > 1;
        if !short || buffer.kind == BufferKind::Output {
            continue;
        }
        let mut broken = program.clone();
        broken.buffers[index].lifespan.end -= 1;
        let (name, at) = (buffer.name.to_string(), buffer.lifespan.end as usize - 1);
        match run(&builder, broken) {
            Err(HostError::Window { place, buffer, .. }) => assert_eq!((place.index, buffer), (at, name)),
            other => panic!("{name}: {other:?}"),
        }
        tried += 1;
    }
    assert!(tried >= 4, "{tried} buffers");
}

#[test]
fn what_nothing_has_written_is_not_read() {
    let builder = graph();
    let program = plain(&builder);
    let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
    let count = program.run.dispatches.len();
    for skipped in 0..count {
        let mut machine = machine(&builder.graph, program.clone());
        machine.begin(&inputs).expect("inputs");
        let made = (0..count)
            .filter(|&index| index != skipped)
            .try_for_each(|index| machine.step(Phase::Run, index))
            .and_then(|()| {
                machine.program().outputs.clone().iter().try_for_each(|p| machine.output(p).map(drop))
            });
        let window = program.run.dispatches[skipped]
            .windows
            .iter()
            .find(|w| w.access != bayplan_shaders::Access::Read);
        let made_by = &program.buffers[window.expect("a result").buffer.0 as usize];
        match made {
            Err(HostError::Unwritten { buffer, byte, .. }) => {
                assert!(byte >= made_by.offset && byte < made_by.offset + made_by.size, "{buffer} {byte}");
            }
            other => panic!("without dispatch {skipped}: {other:?}"),
        }
    }
}

#[test]
fn two_uses_of_written_bytes_are_a_hazard() {
    let builder = graph();
    let mut program = plain(&builder);
    let windows = &mut program.run.dispatches[0].windows;
    let read = windows.iter().position(|w| w.access == bayplan_shaders::Access::Read).expect("an operand");
    let written = windows.iter().position(|w| w.access != bayplan_shaders::Access::Read).expect("a result");
    let access = windows[read].access;
    windows[read] = bayplan_compile::Window { access, ..windows[written] };
    match run(&builder, program) {
        Err(HostError::Hazard { place, .. }) => assert_eq!((place.phase, place.index), (Phase::Run, 0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn guards_and_dead_bytes_are_watched() {
    let builder = graph();
    let program = program(&builder.graph, Options { guard: 64, fuse: false, ..Options::default() });
    let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
    let result = |program: &Program, index: usize| {
        let windows = &program.run.dispatches[index].windows;
        let window = windows.iter().find(|w| w.access != bayplan_shaders::Access::Read).expect("a result");
        let buffer = &program.buffers[window.buffer.0 as usize];
        buffer.offset + buffer.size
    };
    // One word behind each dispatch's result, changed as a kernel that goes too far would.
    for index in 0..program.run.dispatches.len() {
        let mut machine = machine(&builder.graph, program.clone());
        machine.begin(&inputs).expect("inputs");
        (0..index).for_each(|before| machine.step(Phase::Run, before).expect("sound"));
        let byte = result(&program, index);
        let word = &mut machine.arena_mut(Arena::Activations)[byte as usize / 4];
        assert_eq!(std::mem::replace(word, 7), POISON, "guards are poison");
        match machine.step(Phase::Run, index) {
            Err(HostError::Overrun { place: Some(place), byte: found, .. }) => {
                assert_eq!((place.index, found), (index, byte));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut quick = Machine::new(program.clone());
    quick.load(&bayplan_weights::Store::open("", &builder.graph).expect("no files")).expect("weights");
    quick.begin(&inputs).expect("inputs");
    let byte = result(&program, 0);
    quick.arena_mut(Arena::Activations)[byte as usize / 4] = 7;
    (0..program.run.dispatches.len()).for_each(|index| quick.step(Phase::Run, index).expect("sound"));
    assert!(matches!(quick.end(), Err(HostError::Overrun { place: None, byte: found, .. }) if found == byte));
}

#[test]
fn runs_need_weights_and_their_inputs() {
    let builder = graph();
    let mut unloaded = Machine::new(plain(&builder));
    let inputs: Vec<&Tensor> = builder.inputs.iter().collect();
    assert!(matches!(unloaded.run(&inputs), Err(HostError::NotLoaded)));
    let mut machine = machine(&builder.graph, plain(&builder));
    assert!(matches!(machine.run(&[]), Err(HostError::Port { .. })));
    let count = machine.program().run.dispatches.len();
    assert!(matches!(machine.execute(Phase::Run, count), Err(HostError::Dispatch { .. })));
}
