//! Late parts: buffers that lie in bytes of another one until these are first written.

mod alarms;
mod blocks;
#[path = "../common/mod.rs"]
mod common;

use bayplan_compile::{Arena, Buffer, Family, FunctionId, Options, Program, Window, record, verify};
use bayplan_expr::Bindings;
use bayplan_graph::op::{Keep, Op, ReduceOp, UnaryOp};
use bayplan_graph::{NoFiles, eval};
use bayplan_shaders::Target;

use common::dims::{bounded, no_file, with_dims};
use common::{Builder, check_program, device, floats, program};

/// Values are named as they are made:
///
/// ```text
///  op      0         1            2           3          4
///  early = exp x
///          guest = w·x ── most = max(guest)
///                                        late = tanh x
///                                                   all = max(early, late concatenated)
/// ```
///
/// `late` is written where the concatenation wants it, behind `early`; until then `guest` can lie there.
fn model(columns: usize) -> Builder {
    let mut b = Builder::new("late");
    let x = b.floats(&[64, columns]);
    let w = b.constant(&floats(&[64, 64], 3));
    let axes = b.ints(&[1]);
    let reduce = Op::Reduce(ReduceOp::Max, Keep::None);
    let early = b.op(Op::Unary(UnaryOp::Exp), &[x]);
    let guest = b.op(Op::MatMul, &[w, x]);
    let most = b.op(reduce.clone(), &[guest, axes]);
    let late = b.op(Op::Unary(UnaryOp::Tanh), &[x]);
    let both = b.op(Op::Concat { axis: 0 }, &[early, late]);
    let all = b.op(reduce, &[both, axes]);
    for (id, name) in [(x, "x"), (guest, "guest"), (most, "most"), (both, "both"), (all, "all")] {
        b.graph.values[id.0 as usize].name = name.into();
    }
    [most, all].into_iter().for_each(|id| b.output(id));
    b
}

fn options() -> Options {
    Options { direct: true, ..common::way(false, false) }
}

fn housed() -> Program {
    program(&model(64).graph, &Target::generic(), options()).expect("it compiles")
}

fn number(program: &Program, name: &str) -> usize {
    program.buffers.iter().position(|buffer| buffer.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn named<'a>(program: &'a Program, name: &str) -> &'a Buffer {
    &program.buffers[number(program, name)]
}

/// Every window on a buffer.
fn windows(program: &mut Program, id: usize) -> impl Iterator<Item = &mut Window> {
    let all = program.run.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.windows);
    all.filter(move |window| window.buffer.0 as usize == id)
}

/// A change must be refused, with these words.
fn refused(what: &str, change: impl Fn(&mut Program), words: &[&str]) {
    let mut program = housed();
    change(&mut program);
    let violation = verify(&program).expect_err(what).to_string();
    for word in words {
        assert!(violation.contains(word), "{what}: `{word}` is not in: {violation}");
    }
}

#[test]
fn a_buffer_lies_in_bytes_that_are_written_later() {
    let housed = housed();
    let (guest, host) = (named(&housed, "guest"), named(&housed, "both"));
    assert_eq!(guest.within.map(|id| id.0 as usize), Some(number(&housed, "both")));
    assert_eq!((guest.offset, guest.size), (host.offset + 16_384, 16_384));
    assert_eq!((host.late[0].bytes.clone(), host.late[0].first), (16_384..32_768, 3));
    // x, the concatenation and the first output: the product costs nothing, and nothing can be saved.
    assert_eq!(housed.arena_bytes[Arena::Activations.index()], 16_384 + 32_768 + 256);
    assert_eq!(housed.run.plan.peak, housed.arena_bytes[0]);
    assert_eq!(housed.run.plan.status.name(), "optimal");
    let apart = program(&model(64).graph, &Target::generic(), Options { share: false, ..options() });
    assert!(apart.expect("it compiles").buffers.iter().all(|buffer| buffer.late.is_empty()));
}

#[test]
fn it_runs_right_on_a_device() {
    let model = model(64);
    let expected = eval(&model.graph, &model.inputs, &NoFiles).expect("a reference");
    for options in [options(), Options { in_place: true, fuse: true, ..options() }] {
        let program = program(&model.graph, device().target(), options).expect("it compiles");
        assert!(named(&program, "guest").within.is_some());
        check_program(device(), &model.graph, program, &model.inputs, &expected, 1e-5).expect("right");
    }
}

#[test]
fn the_record_has_a_buffer_for_each_piece() {
    let told = record(&housed());
    let of = |name: &str| told.buffers.iter().position(|buffer| buffer.name == name).expect(name);
    let [first, second, guest] = ["both", "both[1]", "guest"].map(of);
    let rectangle = |index: usize| {
        let buffer = &told.buffers[index];
        (buffer.size, buffer.first, buffer.last)
    };
    assert_eq!(rectangle(first), (16_384, 0, 5));
    assert_eq!(rectangle(second), (16_384, 3, 5));
    assert_eq!(rectangle(guest), (16_384, 1, 3));
    assert_eq!(told.buffers[guest].offset, told.buffers[second].offset);
    // What reads the concatenation reads both pieces, and each of its writers writes one.
    assert_eq!(told.ops[4].reads, [first as u32, second as u32]);
    assert_eq!(
        (&told.ops[0].writes[..], &told.ops[3].writes[..]),
        (&[first as u32][..], &[second as u32][..])
    );
    assert_eq!(told.arenas[0].size, told.arenas[0].lower_bound);
}

#[test]
fn who_writes_a_late_part_waits_for_those_that_read_what_was_there() {
    let program = housed();
    // tanh x reads what is given, and nobody has written its bytes since.
    assert!(program.run.dispatches[3].barrier_before);
    refused(
        "a barrier removed",
        |p| p.run.dispatches[3].barrier_before = false,
        &["run dispatch 3", "buffer both", "read by dispatch 2 without a barrier between"],
    );
}

/// Without what the program says of parts: the bytes tell.
fn bytes_alone(program: &mut Program) {
    for buffer in &mut program.buffers {
        (buffer.within, buffer.late) = (None, Vec::new());
    }
}

#[test]
fn a_guest_that_lives_too_long_is_refused() {
    let longer = |p: &mut Program| {
        let id = number(p, "guest");
        p.buffers[id].lifespan.end = 4;
    };
    refused("said", longer, &["buffer guest", "in bytes of both that are used in 3..5"]);
    // The same dispatch after the one that writes the part.
    let late = |p: &mut Program| {
        let [guest, host, most] = ["guest", "both", "most"].map(|name| number(p, name));
        p.run.dispatches.swap(2, 3);
        p.run.dispatches.iter_mut().for_each(|dispatch| dispatch.barrier_before = true);
        p.buffers[guest].lifespan.end = 4;
        p.buffers[most].lifespan.start = 3;
        p.buffers[host].late[0].first = 2;
    };
    refused("said, and done", late, &["buffer guest", "in bytes of both that are used in 2..5"]);
    let done = |p: &mut Program| {
        late(p);
        bytes_alone(p);
    };
    refused("done", done, &["run dispatch 3", "buffer guest", "buffer both was written over them"]);
}

#[test]
fn a_guest_over_the_written_part_is_refused() {
    let over = |p: &mut Program| {
        let id = number(p, "guest");
        p.buffers[id].offset -= 16_384;
        windows(p, id).for_each(|window| window.offset -= 16_384);
    };
    refused("said", over, &["buffer guest", "in bytes of both that are used in 0..5"]);
    let done = |p: &mut Program| {
        over(p);
        p.run.dispatches.iter_mut().for_each(|dispatch| dispatch.barrier_before = true);
        bytes_alone(p);
    };
    refused("done", done, &["run dispatch 4", "buffer both", "buffer guest was written over them"]);
}

#[test]
fn what_is_said_of_parts_is_checked() {
    let host = |p: &mut Program| number(p, "both");
    let p = |what, change: &dyn Fn(&mut Program), words: &[&str]| refused(what, change, words);
    p(
        "a part written before it is said to be",
        &|p| {
            let host = host(p);
            p.buffers[host].late[0].first = 4;
        },
        &["run dispatch 3", "buffer both", "16384..32768 are not its own before dispatch 4"],
    );
    p(
        "a part beyond the buffer",
        &|p| {
            let host = host(p);
            p.buffers[host].late[0].bytes.end += 16;
        },
        &["buffer both", "leaves its 32768 bytes"],
    );
    p(
        "a guest elsewhere",
        &|p| {
            let guest = number(p, "guest");
            p.buffers[guest].within = Some(bayplan_compile::BufferId(number(p, "x") as u32));
        },
        &["buffer guest", "does not lie in x"],
    );
}

#[test]
fn one_place_serves_every_shape() {
    let (symbolic, dims) = (with_dims(model(64), &[&["64", "n"]]), bounded(&[("n", 1, 200)]));
    let family = Family::new(&symbolic, &dims, device().target(), &options(), &no_file).expect("a family");
    let reserved = family.reservation().expect("bounds").arena_bytes[0];
    let memory = family.memory().expect("a plan for all shapes");
    for n in [1, 2, 3, 16, 63, 64, 65, 150, 199, 200] {
        let dims = Bindings::new().with("n", n);
        let program = family.at(FunctionId(0), &dims).expect("a program");
        let (guest, host) = (named(&program, "guest"), named(&program, "both"));
        assert_eq!(guest.offset, host.offset + 256 * n as u64, "n = {n}");
        let bytes = program.arena_bytes[Arena::Activations.index()];
        assert_eq!(bytes, program.run.plan.peak, "n = {n}");
        assert!(bytes <= reserved, "n = {n}");
        let weights = program.arena_bytes[Arena::Weights.index()];
        assert_eq!(memory.eval(&dims).expect("a value"), bytes + weights, "n = {n}");
        let alone = model(n as usize);
        let expected = eval(&alone.graph, &alone.inputs, &NoFiles).expect("a reference");
        let graph = symbolic.bind(&dims).expect("a shape");
        check_program(device(), &graph, program, &alone.inputs, &expected, 1e-5)
            .unwrap_or_else(|e| panic!("n = {n}: {e}"));
    }
}
