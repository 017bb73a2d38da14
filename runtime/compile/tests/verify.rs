//! The verifier accepts what compiling makes and refuses it after any one change that would break it.

mod common;

use std::sync::Arc;

use bayplan_compile::{Arena, BufferKind, KernelId, Program, Upload, verify};
use bayplan_graph::op::{BinaryOp, Op, UnaryOp};
use bayplan_shaders::{Access, Target};

use common::{Builder, floats, program, way};

const TANH: Op = Op::Unary(UnaryOp::Tanh);

/// One dispatch per node, every value in a buffer of its own:
/// `a = tanh(x)`, `b = a · tanh(w)`, `c = a + b`, `d = softmax(c)`, `e = d + x`; outputs `a` and `e`.
fn good() -> Program {
    let mut b = Builder::new("good");
    let x = b.floats(&[40, 40]);
    let w = b.constant(&floats(&[40, 40], 3));
    let a = b.op(TANH, &[x]);
    let w = b.op(TANH, &[w]);
    let p = b.op(Op::MatMul, &[a, w]);
    let c = b.op(Op::Binary(BinaryOp::Add), &[a, p]);
    let d = b.op(Op::Softmax { axis: 1, log: false }, &[c]);
    let e = b.op(Op::Binary(BinaryOp::Add), &[d, x]);
    let names = [(x, "x"), (a, "a"), (w, "tanh w"), (p, "b"), (c, "c"), (d, "d"), (e, "e")];
    for (id, name) in names {
        b.graph.values[id.0 as usize].name = name.into();
    }
    [a, e].into_iter().for_each(|id| b.output(id));
    program(&b.graph, &Target::generic(), way(false, false)).expect("it compiles")
}

fn buffer(program: &Program, name: &str) -> usize {
    program
        .buffers
        .iter()
        .position(|buffer| buffer.name == name)
        .unwrap_or_else(|| panic!("no buffer {name}"))
}

/// Moves a buffer with everything bound to it.
fn shift(program: &mut Program, name: &str, to: u64) {
    let id = buffer(program, name);
    let from = std::mem::replace(&mut program.buffers[id].offset, to);
    let load = Arc::make_mut(&mut program.load);
    let dispatches = load.dispatches.iter_mut().chain(&mut program.run.dispatches);
    let windows = dispatches.flat_map(|dispatch| &mut dispatch.windows);
    let ports = program.inputs.iter_mut().chain(&mut program.outputs).map(|port| &mut port.window);
    let uploads = Arc::make_mut(&mut program.uploads).iter_mut().map(|upload| &mut upload.window);
    for window in windows.chain(ports).chain(uploads).filter(|window| window.buffer.0 as usize == id) {
        window.offset = window.offset - from + to;
    }
}

/// The uploads, to be changed.
fn uploads(program: &mut Program) -> &mut Vec<Upload> {
    Arc::make_mut(&mut program.uploads)
}

/// Moves a buffer over another one.
fn put_over(program: &mut Program, name: &str, other: &str) {
    let to = program.buffers[buffer(program, other)].offset;
    shift(program, name, to);
}

/// A change must be refused, with all of these words in the message.
fn refused(name: &str, change: impl Fn(&mut Program), words: &[&str]) {
    let mut program = good();
    change(&mut program);
    let violation = verify(&program).expect_err(name).to_string();
    for word in words {
        assert!(violation.contains(word), "{name}: `{word}` is not in: {violation}");
    }
}

#[test]
fn what_compiling_makes_passes() {
    let program = good();
    assert_eq!(verify(&program), Ok(()));
    assert_eq!((program.load.dispatches.len(), program.run.dispatches.len()), (1, 5));
    assert_eq!(program.uploads.len(), 1);
    assert!(program.run.plan.peak < program.buffers.iter().map(|buffer| buffer.size).sum());
}

#[test]
fn a_barrier_removed() {
    let program = good();
    let mut removed = 0;
    for index in 0..program.run.dispatches.len() {
        if program.run.dispatches[index].barrier_before {
            let name = &program.run.dispatches[index].name;
            let remove = |p: &mut Program| p.run.dispatches[index].barrier_before = false;
            refused(
                "a barrier removed",
                remove,
                &[&format!("run dispatch {index} ({name})"), "buffer ", "without a barrier"],
            );
            removed += 1;
        }
    }
    assert_eq!(removed, 4, "each dispatch reads what the one before it wrote");
}

#[test]
fn bytes_of_the_living() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    p(
        "live buffers overlap",
        |p| put_over(p, "b", "a"),
        &["run dispatch 1 (b)", "buffer b", "written while a"],
    );
    p(
        "released early: c over x, which is read by e",
        |p| put_over(p, "c", "x"),
        &["run dispatch 4 (e)", "buffer x", "buffer c was written over them"],
    );
    p(
        "an output overwritten by a later result",
        |p| put_over(p, "d", "a"),
        &["output a", "buffer a", "buffer d was written over them"],
    );
    p("an input over another buffer", |p| put_over(p, "x", "a"), &["run dispatch 0 (a)", "buffer a", "used"]);
    p(
        "partly overlapping",
        |p| {
            let at = p.buffers[buffer(p, "a")].offset;
            let at = if at >= 256 { at - 256 } else { at + 256 };
            shift(p, "c", at);
        },
        &["run dispatch 2 (c)", "buffer c", "in the same bytes"],
    );
}

/// Whatever liveness could get wrong ends in two buffers that live together lying in the same bytes: each such pair is
/// refused, whichever of the two is moved.
#[test]
fn no_two_that_live_together_may_share_bytes() {
    let program = good();
    let buffers = || program.buffers.iter().filter(|buffer| buffer.arena == Arena::Activations);
    let mut pairs = 0;
    for one in buffers() {
        for other in buffers() {
            let together = one.lifespan.start < other.lifespan.end && other.lifespan.start < one.lifespan.end;
            if one.name == other.name || !together {
                continue;
            }
            let mut broken = good();
            put_over(&mut broken, &one.name, &other.name);
            let violation = verify(&broken).expect_err("two live buffers in the same bytes");
            assert!(violation.buffer.is_some(), "{violation}");
            pairs += 1;
        }
    }
    assert!(pairs >= 16, "{pairs} pairs live together");
}

/// Operations in parts: several write to one tensor, one window each, and several add to the sums of those before.
#[test]
fn barriers_between_parts() {
    let mut b = Builder::new("parts");
    let (x, w) = (b.floats(&[1, 512]), b.floats(&[512, 256]));
    let p = b.op(Op::MatMul, &[x, w]);
    let t = b.op(Op::Transpose(vec![1, 0]), &[w]);
    let q = b.op(Op::MatMul, &[p, t]);
    b.output(q);
    let target = Target { max_storage_range: 128 << 10, ..Target::generic() };
    let program = program(&b.graph, &target, way(true, true)).expect("it compiles");
    let dispatches = &program.run.dispatches;
    assert!(dispatches.len() >= 8, "{program}");
    let outputs = dispatches.iter().filter(|dispatch| dispatch.name == dispatches.last().expect("some").name);
    assert!(outputs.count() > 1, "several write to the output: {program}");
    let mut removed = 0;
    for index in (0..dispatches.len()).filter(|&index| dispatches[index].barrier_before) {
        let mut broken = program.clone();
        broken.run.dispatches[index].barrier_before = false;
        let violation = verify(&broken).expect_err("a barrier is missing").to_string();
        assert!(violation.contains("without a barrier between"), "{violation}");
        removed += 1;
    }
    assert!(removed >= 4, "{removed} barriers");
    let mut broken = program.clone();
    broken.run.dispatches.pop();
    broken
        .buffers
        .iter_mut()
        .for_each(|buffer| buffer.lifespan.end = buffer.lifespan.end.min(dispatches.len() as u32 - 1));
    let violation = verify(&broken).expect_err("a part of the output is missing").to_string();
    assert!(violation.starts_with("output "), "{violation}");
}

#[test]
fn windows_and_places() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    let first = "run dispatch 0 (a)";
    p("a window shifted", |p| p.run.dispatches[0].windows[0].offset += 256, &[first, "buffer x", "leaves"]);
    p("a window too long", |p| p.run.dispatches[0].windows[1].len += 16, &[first, "buffer a", "leaves"]);
    p("an endless window", |p| p.run.dispatches[0].windows[1].len = u64::MAX, &[first, "buffer a", "leaves"]);
    p("an empty window", |p| p.run.dispatches[0].windows[0].len = 0, &[first, "buffer x", "0 bytes"]);
    p(
        "a window between units",
        |p| {
            let window = &mut p.run.dispatches[0].windows[0];
            (window.offset, window.len) = (window.offset + 16, window.len - 16);
        },
        &[first, "buffer x", "no multiple of 256"],
    );
    p(
        "a window of the other arena",
        |p| p.run.dispatches[0].windows[0].arena = Arena::Weights,
        &[first, "buffer x", "leaves"],
    );
    p(
        "a buffer that is not there",
        |p| p.run.dispatches[0].windows[0].buffer.0 = 99,
        &[first, "no such buffer"],
    );
    p("a buffer misplaced", |p| shift(p, "b", 16), &["buffer b", "no multiple of 256"]);
    p("a buffer past the arena", |p| shift(p, "b", 1 << 30), &["buffer b", "leave the activations arena"]);
    p(
        "an arena too small",
        |p| {
            p.arena_bytes[Arena::Activations.index()] -= 256;
            *p.blocks[Arena::Activations.index()].last_mut().expect("a block") -= 256;
        },
        &["leave the activations arena"],
    );
    p(
        "a weight among activations",
        |p| {
            let id = buffer(p, "tanh w");
            p.buffers[id].arena = Arena::Activations;
        },
        &["buffer tanh w", "Weight"],
    );
    p("a window longer than the device binds", |p| p.target.max_storage_range = 4096, &["cannot be bound"]);
}

#[test]
fn blocks() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    p(
        "a cut in a buffer",
        |p| {
            let buffer = &p.buffers[buffer(p, "b")];
            let at = buffer.offset + 256;
            p.blocks[Arena::Activations.index()].insert(0, at);
        },
        &["the activations arena is cut at", "which lies in its bytes"],
    );
    p("a block more than the arena", |p| p.blocks[Arena::Load.index()].push(1 << 20), &["the load arena"]);
    p("no blocks", |p| p.blocks[Arena::Weights.index()].clear(), &["the weights arena"]);
    p("a block beyond the limit", |p| p.target.max_allocation = 4096, &["has more than 4096 bytes"]);
    p(
        "a block that cannot be bound from its start",
        |p| p.blocks[Arena::Activations.index()].insert(0, 8),
        &["begins at no multiple of 256"],
    );
    // All buffers have the same size, so that none lies across the end of the first.
    let (mut program, end) = (good(), 40 * 40 * 4);
    program.blocks[Arena::Activations.index()].insert(0, end);
    assert_eq!(verify(&program), Ok(()), "a cut between buffers");
    assert_eq!(program.block(Arena::Activations, end), Some(1));
    assert_eq!(program.block(Arena::Activations, end - 1), Some(0));
    assert_eq!(program.block(Arena::Activations, u64::MAX), None);
}

#[test]
fn lives() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    p(
        "dead before its last reader",
        |p| {
            let id = buffer(p, "c");
            p.buffers[id].lifespan.end -= 1;
        },
        &["run dispatch 3 (d)", "buffer c", "not alive"],
    );
    p(
        "born after its writer",
        |p| {
            let id = buffer(p, "c");
            p.buffers[id].lifespan.start += 1;
        },
        &["run dispatch 2 (c)", "buffer c", "not alive"],
    );
    p(
        "a life without end",
        |p| {
            let id = buffer(p, "c");
            p.buffers[id].lifespan.end = 99;
        },
        &["buffer c", "lifespan"],
    );
    p(
        "read before it is written",
        |p| {
            p.run.dispatches.swap(1, 2);
            p.buffers.iter_mut().filter(|b| b.kind != BufferKind::Load).for_each(|b| b.lifespan = 0..5);
        },
        &["run dispatch 1 (c)", "buffer b", "nothing has written"],
    );
    p(
        "a weight written by the run",
        |p| {
            let (id, from) = (buffer(p, "tanh w"), &p.load.dispatches[0]);
            let write = *from.windows.iter().find(|window| window.access == Access::Write).expect("a result");
            assert_eq!(write.buffer.0 as usize, id);
            p.run.dispatches[0].windows[1] = write;
        },
        &["run dispatch 0 (a)", "buffer tanh w", "written by the run"],
    );
    p(
        "a load buffer read by the run",
        |p| {
            let read = p.load.dispatches[0].windows[0];
            p.run.dispatches[0].windows[0] = read;
        },
        &["run dispatch 0 (a)", "not alive"],
    );
}

#[test]
fn kernels_and_parameters() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    let first = "run dispatch 0 (a)";
    p(
        "a window missing",
        |p| p.run.dispatches[0].windows.truncate(1),
        &[first, "1 windows for the 2 bindings"],
    );
    p("a kernel missing", |p| p.run.dispatches[0].kernel = KernelId(99), &[first, "kernel is missing"]);
    p("another access", |p| p.run.dispatches[0].windows[1].access = Access::Read, &[first, "Read", "Write"]);
    p("parameters past the end", |p| p.run.dispatches[0].params.end = 1 << 20, &[first, "parameters"]);
    p("parameters missing", |p| p.run.dispatches[0].params = 0..0, &[first, "parameters"]);
    p(
        "parameters between units",
        |p| {
            let params = &mut p.run.dispatches[1].params;
            *params = params.start + 16..params.end;
        },
        &["run dispatch 1 (b)", "parameters"],
    );
    p("a grid too large", |p| p.run.dispatches[0].grid[1] = 1 << 20, &[first, "grid"]);
}

#[test]
fn uploads_and_ports() {
    let p = |name, change: fn(&mut Program), words: &[&str]| refused(name, change, words);
    p("an upload missing", |p| uploads(p).clear(), &["load dispatch 0 (tanh w)", "nothing has written"]);
    p(
        "an upload too late",
        |p| uploads(p)[0].before = 1,
        &["load dispatch 0 (tanh w)", "nothing has written"],
    );
    p("an upload into another buffer", |p| uploads(p)[0].window.offset += 256, &["upload of", "leaves"]);
    p(
        "an upload of too much",
        |p| uploads(p)[0].bytes *= 2,
        &["upload of", "12800 bytes", "not in its 6400"],
    );
    p("an upload of the end twice", |p| uploads(p)[0].skip = 4, &["upload of", "from byte 4 on"]);
    p(
        "an upload of too little",
        |p| uploads(p)[0].bytes -= 16,
        &["upload of", "6384 bytes", "window of 6400"],
    );
    p(
        "an upload into an activation",
        |p| {
            uploads(p)[0].window = p.run.dispatches[1].windows[2];
        },
        &["upload of", "buffer b", "Activation"],
    );
    p("an input beside its buffer", |p| p.inputs[0].window.offset += 256, &["input x", "buffer x", "leaves"]);
    p("an output of more elements", |p| p.outputs[0].shape[0] = 41, &["output a", "buffer a", "do not fit"]);
}
