//! Each output goes where its policy says, and what is kept lasts.

use bayplan::{Arena, DType, Device, DeviceOptions, OutputArena, Owned, Program};
use bayplan_shaders::{Access, Spec};
use bayplan_tests::backend::Backend;
use bayplan_tests::{on_every_backend, on_every_driver};

use crate::model::{arena, each_its_own, expected, same, session, x};

/// Whether whoever makes the outputs that leave the arena writes them where they go, with no dispatch that copies.
fn made_in_place(program: &Program) {
    assert_eq!(program.copies, []);
    let copies = |spec: &Spec| matches!(spec, Spec::Copy(_));
    assert!(!program.run.dispatches.iter().any(|dispatch| copies(&dispatch.spec)));
    for port in program.outputs.iter().filter(|port| port.name != "lent") {
        assert_eq!(port.window.arena, Arena::External, "{}", port.name);
        let writers = program.run.dispatches.iter().flat_map(|dispatch| &dispatch.windows);
        let written = |window: &&bayplan_compile::Window| {
            window.buffer == port.window.buffer && window.access != Access::Read
        };
        assert!(writers.filter(written).count() > 0, "{} is written by whoever makes it", port.name);
    }
}

/// One session, one policy for each output, shapes that come and go.
fn mixed(device: &Device) {
    let mut session = session(device, &each_its_own(), arena(8192));
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    let mut kept: Vec<(Owned, Vec<f32>)> = Vec::new();
    for (seed, n) in [7, 20, 1, 7].into_iter().enumerate() {
        let x = x(n, seed);
        let [minus, relu, both] = expected(&x);
        let mut outputs = session.run_into(&[("x", &x)], &mut [("mine", &mut mine)]).expect("a run");
        same("lent", outputs.get("lent").expect("it is lent").to_tensor(), &minus);
        same("kept", outputs.get("kept").expect("not taken yet").to_tensor(), &relu);
        assert!(outputs.get("mine").is_none(), "the caller has it");
        assert!(outputs.take("lent").is_none() && outputs.take("mine").is_none());
        kept.extend(outputs.take("kept").map(|own| (own, relu)));
        assert!(outputs.take("kept").is_none() && outputs.get("kept").is_none(), "it was taken");
        assert_eq!(outputs.iter().map(|output| output.name()).collect::<Vec<_>>(), ["lent"]);
        assert_eq!(mine.shape(), [n, 16]);
        same("mine", mine.to_tensor(), &both);
        made_in_place(session.program());
    }
    let bytes: Vec<u64> = kept.iter().map(|(own, _)| own.bytes()).collect();
    assert_eq!(bytes, [7 * 32, 20 * 32, 32, 7 * 32]);
    assert_eq!(session.output_usage().held, bytes.iter().sum::<u64>());
    for (own, relu) in &kept {
        same("kept over later runs", own.to_tensor(), relu);
    }
    // What is dropped makes room; what nobody takes is dropped with the outputs.
    kept.truncate(1);
    assert_eq!(session.output_usage().held, 7 * 32);
    drop(session.run_into(&[("x", &x(20, 9))], &mut [("mine", &mut mine)]).expect("a run"));
    assert_eq!(session.output_usage().held, 7 * 32);
    drop(session);
    same("kept beyond its session", kept[0].0.to_tensor(), &kept[0].1);
}

/// What is kept outlives the session and every handle to its device, in another thread, too.
fn outlives(device: Device) -> Vec<bayplan::Message> {
    let mut session = session(&device, &each_its_own(), arena(4096));
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    let input = x(20, 3);
    let [_, relu, both] = expected(&input);
    let kept: Vec<Owned> = (0..3)
        .map(|_| {
            let mut outputs = session.run_into(&[("x", &input)], &mut [("mine", &mut mine)]).expect("a run");
            outputs.take("kept").expect("it has the policy Own")
        })
        .collect();
    drop(session);
    let said = device.close();
    same("the caller's buffer", mine.to_tensor(), &both);
    let used = std::thread::spawn(move || {
        for own in kept {
            same("kept beyond its device", own.to_tensor(), &relu);
        }
    });
    used.join().expect("the thread ends");
    drop(mine);
    said
}

/// A full arena takes more memory where it may, and says how often.
fn grows(backend: Backend) {
    let device = backend.device();
    let mut session = session(&device, &each_its_own(), OutputArena { bytes: 640, grow: true });
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    let before = session.counters();
    let mut kept = Vec::new();
    for run in 0..3 {
        let x = x(20, run);
        let mut outputs = session.run_into(&[("x", &x)], &mut [("mine", &mut mine)]).expect("a run");
        kept.push((outputs.take("kept").expect("it has the policy Own"), expected(&x)));
    }
    let (usage, after) = (session.output_usage(), session.counters());
    assert_eq!((usage.held, usage.blocks), (3 * 640, 3));
    assert_eq!(after.output_growths - before.output_growths, 2);
    for (own, [_, relu, _]) in &kept {
        same("in a block that was added", own.to_tensor(), relu);
    }
}

on_every_backend! {
    /// Lent, kept and the caller's own, one of each in a run.
    each_output_goes_where_its_policy_says => |on| mixed(&on.device());
    what_is_kept_outlives_session_and_device => |on| {
        assert_eq!(outlives(on.device()).len(), 0);
    };
    an_arena_that_may_grow_grows => grows;
}

on_every_driver! {
    /// Neither while they are used nor when they go, in whatever order.
    the_validation_layers_are_silent => |on| {
        let options = DeviceOptions { validation: true, ..DeviceOptions::default() };
        let device = on.open(&options);
        mixed(&device);
        assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
        let said = outlives(device);
        assert!(said.is_empty(), "{said:#?}");
    };
}
