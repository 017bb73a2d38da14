//! Guests in arenas that the device allocates in several blocks: they lie in the block of what they live in.

use bayplan_compile::{Arena, CompileError, Family, FunctionId, Options, Program};
use bayplan_engine::Limits;
use bayplan_expr::Bindings;
use bayplan_graph::op::{Keep, Op, ReduceOp, UnaryOp};
use bayplan_graph::{NoFiles, eval};
use bayplan_shaders::Target;

use super::common::dims::{bounded, no_file, with_dims};
use super::common::{self, Builder, check_program, floats, program};
use super::{model, named, options};

/// The models of several widths side by side: their concatenations live at the same time, one guest after the other.
fn several(columns: &[usize]) -> Builder {
    let mut b = Builder::new("several");
    let w = b.constant(&floats(&[64, 64], 3));
    let axes = b.ints(&[1]);
    let reduce = Op::Reduce(ReduceOp::Max, Keep::None);
    let inputs: Vec<_> = columns.iter().map(|&columns| b.floats(&[64, columns])).collect();
    let early: Vec<_> = inputs.iter().map(|&x| b.op(Op::Unary(UnaryOp::Exp), &[x])).collect();
    for &x in &inputs {
        let guest = b.op(Op::MatMul, &[w, x]);
        let most = b.op(reduce.clone(), &[guest, axes]);
        b.output(most);
    }
    let late: Vec<_> = inputs.iter().map(|&x| b.op(Op::Unary(UnaryOp::Tanh), &[x])).collect();
    let both: Vec<_> =
        early.iter().zip(&late).map(|(&early, &late)| b.op(Op::Concat { axis: 0 }, &[early, late])).collect();
    for both in both {
        let all = b.op(reduce.clone(), &[both, axes]);
        b.output(all);
    }
    b
}

/// Checks that every guest lies in one block, that of its host; answers how many there are.
fn guests(program: &Program) -> usize {
    let block = |offset: u64| program.block(Arena::Activations, offset);
    let mut guests = 0;
    for buffer in &program.buffers {
        let Some(host) = buffer.within.map(|id| &program.buffers[id.0 as usize]) else { continue };
        let (first, last) = (block(buffer.offset), block(buffer.offset + buffer.size - 1));
        assert_eq!(
            (first, last),
            (block(host.offset), block(host.offset)),
            "{} in {}",
            buffer.name,
            host.name
        );
        guests += 1;
    }
    guests
}

#[test]
fn a_guest_lies_in_the_block_of_its_host() {
    let mut saved = 0;
    for columns in [&[64, 64][..], &[64, 48, 56], &[16, 64, 40, 24], &[33, 64, 64, 7, 50]] {
        let b = several(columns);
        let expected = eval(&b.graph, &b.inputs, &NoFiles).expect("a reference");
        let whole = common::device().target();
        let all = program(&b.graph, whole, options()).expect("one block").arena_bytes[0];
        let largest = columns.iter().map(|columns| 2 * 64 * 4 * *columns as u64).max().expect("columns");
        for most in [largest, largest + 4096, all / 2, all - 256] {
            let limits = Limits { max_allocation: Some(most.max(largest)), ..Limits::default() };
            let device = common::open(limits);
            let told = format!("{columns:?} in blocks of {most}");
            let made =
                program(&b.graph, device.target(), options()).unwrap_or_else(|e| panic!("{told}: {e}"));
            assert!(made.blocks(Arena::Activations).len() > 1, "{told}");
            made.blocks(Arena::Activations)
                .for_each(|block| assert!(block.end - block.start <= most, "{told}"));
            let apart = Options { late: false, ..options() };
            let apart = program(&b.graph, device.target(), apart).unwrap_or_else(|e| panic!("{told}: {e}"));
            assert_eq!(guests(&apart), 0, "{told}");
            // Guests are there where they save bytes, and only there.
            let (with, without) = (made.arena_bytes[0], apart.arena_bytes[0]);
            assert_eq!(guests(&made) > 0, with < without, "{told}: {with} and {without} bytes");
            saved += usize::from(with < without);
            check_program(&device, &b.graph, made, &b.inputs, &expected, 1e-5)
                .unwrap_or_else(|e| panic!("{told}: {e}"));
        }
    }
    assert!(saved >= 8, "guests save bytes in {saved} of 16 plans");
}

/// All shapes together are refused with the bound that fits; one alone may have several blocks, and its guest lies where
/// its host does.
#[test]
fn one_shape_of_a_family_has_guests_in_several_blocks() {
    // Two buffers of 256 and 512 bytes for each column at n = 200: more than one block, the larger one less.
    let target = Target { max_allocation: 120_000, ..common::device().target().clone() };
    let symbolic = with_dims(model(64), &[&["64", "n"]]);
    let family = |upper: i64| {
        Family::new(&symbolic, &bounded(&[("n", 1, upper)]), &target, &options(), &no_file).expect("a family")
    };
    let error = family(200).reservation().expect_err("two blocks").clone();
    let CompileError::Blocks { arena: "activations", max: 120_000, fitting } = &error else {
        panic!("{error}")
    };
    let [(dim, most)] = fitting.as_slice() else { panic!("{error}") };
    assert_eq!(dim, "n");
    let fits = family(*most);
    assert!(fits.reservation().expect("one block").arena_bytes[0] <= 120_000);
    assert!(family(*most + 1).reservation().is_err());

    let device = common::open(Limits { max_allocation: Some(120_000), ..Limits::default() });
    for (family, n) in [(family(200), 200), (family(200), most + 1), (fits, *most)] {
        let dims = Bindings::new().with("n", n);
        let made = family.at(FunctionId(0), &dims).expect("a program");
        assert_eq!(made.blocks(Arena::Activations).len() > 1, n > *most, "n = {n}");
        assert_eq!((guests(&made), named(&made, "guest").within.is_some()), (1, true), "n = {n}");
        let alone = model(n as usize);
        let expected = eval(&alone.graph, &alone.inputs, &NoFiles).expect("a reference");
        let graph = symbolic.bind(&dims).expect("a shape");
        check_program(&device, &graph, made, &alone.inputs, &expected, 1e-5)
            .unwrap_or_else(|e| panic!("n = {n}: {e}"));
    }
}
