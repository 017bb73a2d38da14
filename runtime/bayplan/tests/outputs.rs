//! Outputs that are lent, kept and written to the caller's buffers, at every shape within bounds.

use bayplan::{DeviceOptions, Dims, Input, InputError, Owned};

include!("../examples/outputs/outputs.rs");

fn devices() -> [Device; 2] {
    [Device::host(), Device::open(&DeviceOptions::default()).expect("a Vulkan device")]
}

#[test]
fn the_readme_shows_what_the_example_prints() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split("```outputs\n").nth(1).and_then(|rest| rest.split("```").next());
    for device in devices() {
        let text = report(&device).unwrap_or_else(|e| panic!("{}: {e}", device.name()));
        assert_eq!(Some(&*text), shown, "{}", device.name());
    }
}

/// An ONNX file: x f32[n] → Neg → a, Relu → b, Abs → c.
fn three() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let len = bytes.len();
        assert!(len < 1 << 14);
        let len = if len < 128 { vec![len as u8] } else { vec![len as u8 | 0x80, (len >> 7) as u8] };
        [&[number << 3 | 2][..], &len, bytes].concat()
    };
    let number = |number: u8, value: u8| vec![number << 3, value];
    let shape = field(2, &field(1, &field(2, b"n")));
    let ty = field(2, &field(1, &[number(1, 1), shape].concat()));
    let value = |name: &str| [field(1, name.as_bytes()), ty.clone()].concat();
    let node = |op: &str, y: &str| {
        field(1, &[field(1, b"x"), field(2, y.as_bytes()), field(4, op.as_bytes())].concat())
    };
    let nodes = [node("Neg", "a"), node("Relu", "b"), node("Abs", "c")].concat();
    let outputs = ["a", "b", "c"].map(|name| field(12, &value(name))).concat();
    let graph = [nodes, field(2, b"three"), field(11, &value("x")), outputs].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

/// A session of it for n up to 20: `a` is lent, `b` is kept, `c` goes to the caller's buffer.
fn mixed(device: &Device, output_bytes: u64) -> Session {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("three.onnx");
    std::fs::write(&file, three()).expect("a file");
    let model = Model::open(&file).expect("the model");
    let mut bounds = Scope::new();
    bounds.declare("n", Bounds::between(1, 20)).expect("bounds");
    let outputs = Policies::default().with("b", OutputPolicy::Own).with("c", OutputPolicy::Into);
    let options = Options { outputs, ..Options::default() };
    let family = model.family(&Dims::from(bounds), device.target(), &options).expect("a family");
    let outputs = OutputArena { bytes: output_bytes, grow: false };
    let options = SessionOptions { outputs, ..SessionOptions::default() };
    Session::new(device, family, model.weights(), options).expect("a session")
}

fn x(n: usize) -> Tensor {
    let all: Vec<f32> = (0..n).map(|i| i as f32 - 3.5).collect();
    Tensor::from_f32(vec![n], &all).expect("numbers")
}

fn floats(tensor: Result<Tensor, Error>) -> Vec<f32> {
    tensor.expect("a copy").to_f32().expect("floats")
}

#[test]
fn each_output_goes_where_its_policy_says_and_back_in_as_an_input() {
    for device in devices() {
        let mut session = mixed(&device, 4096);
        let mut buffer = device.tensor(bayplan::DType::F32, &[20]).expect("a buffer");
        let mut kept: Vec<Owned> = Vec::new();
        for n in [7, 20, 1, 7] {
            let x = x(n);
            let mut outputs = session.run_into(&[("x", &x)], &mut [("c", &mut buffer)]).expect("a run");
            let own = x.to_f32().expect("floats");
            let map = |f: fn(f32) -> f32| own.iter().map(|&v| f(v)).collect::<Vec<f32>>();
            assert_eq!(floats(outputs.get("a").expect("a is lent").to_tensor()), map(|v| -v));
            assert_eq!(floats(outputs.get("b").expect("b is there").to_tensor()), map(|v| v.max(0.0)));
            assert!(outputs.get("c").is_none() && outputs.take("a").is_none() && outputs.take("c").is_none());
            kept.extend(outputs.take("b"));
            assert!(outputs.take("b").is_none() && outputs.get("b").is_none(), "it was taken");
            assert_eq!((buffer.shape(), floats(buffer.to_tensor())), (&[n][..], map(f32::abs)));
        }
        assert_eq!(kept.iter().map(Owned::bytes).collect::<Vec<_>>(), [28, 80, 4, 28]);
        assert_eq!(session.output_usage().held, 140);
        // Outputs as inputs: what was kept, and what lies in the caller's buffer.
        let mut second = device.tensor(bayplan::DType::F32, &[20]).expect("a buffer");
        for (input, expect) in
            [(Input::from(&kept[1]), kept[1].to_tensor()), (Input::from(&buffer), buffer.to_tensor())]
        {
            let outputs =
                session.call(Default::default(), &[("x", input)], &mut [("c", &mut second)]).expect("a run");
            let expect: Vec<f32> = floats(expect).into_iter().map(|v| -v).collect();
            assert_eq!(floats(outputs.get("a").expect("a is lent").to_tensor()), expect);
        }
        drop(session);
        assert_eq!(
            floats(kept[0].to_tensor()),
            [0.0, 0.0, 0.0, 0.0, 0.5, 1.5, 2.5],
            "it outlives its session"
        );
    }
}

#[test]
fn what_is_refused_is_refused_by_name_and_the_session_works_on() {
    for device in devices() {
        let mut session = mixed(&device, 40);
        let mut buffer = device.tensor(bayplan::DType::F32, &[20]).expect("a buffer");
        let mut small = device.tensor(bayplan::DType::F32, &[2]).expect("a buffer");
        let works = |session: &mut Session, buffer: &mut bayplan::DeviceTensor| {
            let x = x(10);
            let outputs = session.run_into(&[("x", &x)], &mut [("c", buffer)]).expect("a run");
            assert_eq!(outputs.iter().map(|output| output.name()).collect::<Vec<_>>(), ["a", "b"]);
        };
        works(&mut session, &mut buffer);
        let large = x(21);
        match session.run_into(&[("x", &large)], &mut [("c", &mut buffer)]).err() {
            Some(Error::Input(InputError::BoundExceeded { dim, value: 21, bound: 20, .. })) => {
                assert_eq!(dim, "n");
            }
            other => panic!("{other:?}"),
        }
        works(&mut session, &mut buffer);
        let own = x(11);
        match session.run_into(&[("x", &own)], &mut [("c", &mut buffer)]).err() {
            Some(Error::Output(full)) => {
                assert_eq!(full, OutputError::OutputArenaFull { need: 44, free: 40, held: 0 });
            }
            other => panic!("{other:?}"),
        }
        works(&mut session, &mut buffer);
        let refused = |session: &mut Session, into: &mut [(&str, &mut bayplan::DeviceTensor)]| match session
            .run_into(&[("x", &x(10))], into)
            .err()
        {
            Some(Error::Output(error)) => error,
            other => panic!("{other:?}"),
        };
        let name = || "c".to_string();
        assert_eq!(refused(&mut session, &mut []), OutputError::IntoMissing { name: name() });
        let too_small = OutputError::IntoTooSmall { name: name(), need: 40, bytes: 8 };
        assert_eq!(refused(&mut session, &mut [("c", &mut small)]), too_small);
        let not_into = OutputError::NotInto { name: "b".into() };
        assert_eq!(refused(&mut session, &mut [("b", &mut small)]), not_into);
        works(&mut session, &mut buffer);
    }
}
