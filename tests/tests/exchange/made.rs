//! Recordings to export: of a model on a driver, of a decoder whose outputs are kept in a pool, and one in which device
//! memory is allocated outside the plan.

use std::path::PathBuf;

use bayplan::{
    Bindings, Destination, Level, Model, Options, OutputArena, OutputPolicy, Places, Policies,
    RecordingOptions, Session, SessionOptions,
};
use bayplan_tests::backend::Backend;
use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::random::Random;
use bayplan_tests::shapes::Shapes;
use bayplan_tests::{draw, root};
use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, Event, OpRecord, PlanRecord, SessionInfo, Window,
    Writer,
};

/// All of them.
pub(crate) fn all(sandbox: &Sandbox) -> [PathBuf; 3] {
    [digits(sandbox), decoder(sandbox), outside(sandbox)]
}

/// Three runs of the digits on lavapipe, with the times of their ops.
pub(crate) fn digits(sandbox: &Sandbox) -> PathBuf {
    let (recording, model) = (sandbox.path("digits.bptrace"), root().join("assets/digits.onnx"));
    let words = ["--dim", "batch=2", "--device", "llvmpipe", "--trace-level", "op", "--runs", "3", "--quiet"];
    let mut command = sandbox.command("bayplan", &["run".as_ref(), model.as_os_str()]);
    run(command.args(words).arg("--trace").arg(&recording)).success();
    recording
}

/// A decoder over growing past, a plan for each, whose outputs the caller keeps for a while.
pub(crate) fn decoder(sandbox: &Sandbox) -> PathBuf {
    const STEPS: i64 = 6;
    let recording = sandbox.path("decoder.bptrace");
    let device = Backend::Host.device();
    let model = Model::open(root().join("assets/chars.onnx")).expect("the model");
    let mut told = RecordingOptions::new(Places::under(sandbox.path("places")));
    (told.destination, told.level) = (Destination::File(recording.clone()), Level::Op);
    let within = Shapes(&[("batch", 1, 1), ("seq", 1, 1), ("past", 0, STEPS)]);
    let options = Options { outputs: Policies::all(OutputPolicy::Own), ..Options::default() };
    let dims = within.scope(model.graph()).into();
    let family = model.family(&dims, device.target(), &options).expect("a family");
    let outputs = OutputArena { bytes: 1 << 20, grow: true };
    let options = SessionOptions { recording: Some(told), outputs, ..SessionOptions::default() };
    let mut session = Session::new(&device, family, model.weights(), options).expect("a session");
    let (mut random, mut kept) = (Random::new(1), Vec::new());
    for past in 0..STEPS {
        let named = [("batch", 1), ("past", past), ("seq", 1), ("total", 1 + past)];
        let dims: Bindings = named.into_iter().collect();
        let inputs = draw::inputs(model.graph(), &dims, &mut random);
        let given: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut outputs = session.run(&given).expect("a run");
        let names: Vec<String> = outputs.iter().map(|output| output.name().to_owned()).collect();
        kept.extend(names.iter().map(|name| outputs.take(name).expect("it is the caller's")));
        kept.drain(..kept.len().saturating_sub(5));
    }
    assert_eq!(session.finish().lost, 0);
    recording
}

/// A session in whose second run two blocks are allocated outside the plan, of which one stays.
pub(crate) fn outside(sandbox: &Sandbox) -> PathBuf {
    let plan = plan();
    let mut writer = Writer::new(SessionInfo {
        id: "outside-1".into(),
        model: "outside".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        level: bayplan_trace::Level::Op,
        start_unix_ns: 1_700_000_000_000_000_000,
        ..SessionInfo::default()
    });
    writer.plan(&plan);
    let block = |t, id, bytes, purpose: &str, planned| Event::DeviceAllocated {
        t,
        id,
        bytes,
        memory_type: 0,
        purpose: purpose.into(),
        planned,
    };
    let windows = plan.buffers.iter().zip(0..).flat_map(|(buffer, number)| {
        [buffer.first, buffer.last - 1].map(|op| Window {
            op,
            binding: 0,
            buffer: number,
            arena: buffer.arena,
            offset: buffer.offset,
            len: buffer.size,
            write: op == buffer.first,
        })
    });
    let mut events = vec![
        block(10, 1, 7 << 10, "activations", true),
        Event::Windows { t: 20, recording: 0, plan: 0, part: 0, windows: windows.collect() },
        Event::SessionReady { t: 30 },
    ];
    for run in 0..3 {
        let start = 10_000 * (run + 1);
        events.push(Event::RunStart { run, plan: 0, t: start });
        if run == 1 {
            events.push(block(start + 100, 7, 123_456, "scratch\u{1b}[2J of a layer", false));
            events.push(block(start + 200, 8, 5 << 20, "scratch of another", false));
            events.push(Event::DeviceFreed { t: start + 900, id: 7 });
        }
        let times = (0..4).map(|op| (start + 1000 * op, start + 1000 * op + 700)).collect();
        events.push(Event::RunEnd { run, t: start + 5_000, ok: run != 2 });
        events.push(Event::OpTimes { run, plan: 0, first_op: 0, times });
        // Every segment tells once more what is held.
        events.push(Event::TraceCost { t: start + 5_500, ns: 10 * run, run_ns: 5_000 * (run + 1) });
    }
    events.push(Event::SessionEnd { t: 50_000 });
    let mut bytes = Vec::new();
    for (at, event) in events.iter().enumerate() {
        writer.event(event);
        if at % 8 == 7 {
            writer.begin_segment();
        }
    }
    writer.flush();
    writer.take(&mut bytes);
    let path = sandbox.path("outside.bptrace");
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Four ops in a row, three tensors of which the last is computed in place.
fn plan() -> PlanRecord {
    let buffer = |name: &str, kind, size, offset, life: (u32, u32)| BufferRecord {
        name: name.into(),
        kind,
        dtype: "f32".into(),
        shape: format!("f32[{}]", size / 4),
        size,
        size_expr: size.to_string(),
        alignment: 256,
        offset,
        first: life.0,
        last: life.1,
        ..BufferRecord::default()
    };
    let in_place =
        BufferRecord { in_place_of: Some(1), ..buffer("c", BufferKind::Output, 2 << 10, 4 << 10, (2, 4)) };
    PlanRecord {
        model: "outside".into(),
        arenas: vec![ArenaRecord {
            name: "activations".into(),
            kind: ArenaKind::Activations,
            size: 7 << 10,
            alignment: 256,
            lower_bound: 6 << 10,
            witness_op: Some(0),
        }],
        buffers: vec![
            buffer("a", BufferKind::Input, 4 << 10, 0, (0, 2)),
            buffer("b", BufferKind::Activation, 2 << 10, 4 << 10, (0, 3)),
            in_place,
        ],
        ops: (0..4).map(|op| OpRecord { name: format!("op{op}"), ..OpRecord::default() }).collect(),
        ..PlanRecord::default()
    }
}
