//! The library as people use it.

use std::path::{Path, PathBuf};

use bayplan::{
    Bindings, Destination, Device, DeviceOptions, Error, Model, Options, Places, RecordingOptions,
    SessionOptions, Tensor,
};

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/digits.onnx")
}

fn batch(size: i64) -> Bindings {
    [("batch", size)].into_iter().collect()
}

fn open() -> Device {
    Device::open(&DeviceOptions::default()).expect("a Vulkan device")
}

#[test]
fn a_batch_gives_what_its_images_give_alone_on_the_device_and_on_the_host() {
    let (device, host) = (open(), Device::host());
    let model = Model::open(digits()).expect("the model");
    let pixels: Vec<f32> = (0..3 * 64).map(|i| (i * 7 % 17) as f32).collect();
    let logits = |device: &Device, size: usize, pixels: &[f32]| {
        let mut session =
            model.session(device, &batch(size as i64), SessionOptions::default()).expect("a session");
        assert_eq!(session.device().name(), device.name());
        let images = Tensor::from_f32(vec![size, 1, 8, 8], pixels).expect("images");
        let outputs = session.run(&[("images", &images)]).expect("a run");
        let logits = outputs.get("logits").expect("logits").to_tensor().expect("a copy");
        assert_eq!(logits.shape(), [size, 10]);
        logits.to_f32().expect("numbers")
    };
    let together = logits(&device, 3, &pixels);
    let close = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{a} {b}");
        }
    };
    close(&logits(&host, 3, &pixels), &together);
    for (image, expected) in pixels.chunks(64).zip(together.chunks(10)) {
        close(&logits(&device, 1, image), expected);
        close(&logits(&host, 1, image), expected);
    }
}

#[test]
fn the_host_is_a_device_of_that_name() {
    let named = |name: &str| {
        let selector = name.parse().expect("a selector");
        Device::open(&DeviceOptions { selector, ..DeviceOptions::default() })
    };
    let host = named("host").expect("the host");
    assert_eq!((host.name(), host.info().is_none()), ("host", true));
    assert_eq!(host.target(), Device::host().target());
    assert_eq!(host.allocations().allocations, 0);
    let none = named("no such device").err().expect("a refusal").to_string();
    assert!(none.contains("no such device") && none.contains("host"), "{none}");
}

#[test]
fn a_session_is_recorded_where_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.bptrace");
    let device = open();
    let mut recording = RecordingOptions::new(Places::under(folder.path()));
    recording.destination = Destination::File(file.clone());
    recording.level = device.trace_level();
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let model = Model::open(digits()).expect("the model");
    let mut session = model.session(&device, &batch(1), options).expect("a session");
    let images = Tensor::from_f32(vec![1, 1, 8, 8], &[1.0; 64]).expect("images");
    session.run(&[("images", &images)]).expect("a run");
    let summary = session.finish();
    assert_eq!((summary.lost, summary.disk_error), (0, None));
    assert_eq!(summary.bytes, std::fs::metadata(&file).expect("the file").len());
}

#[test]
fn errors_say_which_kind_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Model::open(digits()).expect("the model");
    let device = open();
    let compile = model.compile(&Bindings::default(), device.target(), Options::default());
    let no_model = folder.path().join("text.onnx");
    std::fs::write(&no_model, "no model").expect("a file");
    let unknown = folder.path().join("unknown.onnx");
    std::fs::write(&unknown, one_node("Frobnicate")).expect("a file");
    let known = folder.path().join("known.onnx");
    std::fs::write(&known, one_node("Relu")).expect("a file");
    let check = |error: Option<Error>, unsupported: bool, says: &str| {
        let error = error.expect("a refusal");
        assert_eq!(error.is_unsupported(), unsupported, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    check(Model::open(folder.path().join("none.onnx")).err(), false, "none.onnx");
    check(Model::open(&no_model).err(), false, "");
    check(compile.err(), false, "batch");
    check(Model::open(&unknown).err(), true, "Frobnicate");
    assert!(Model::open(&known).is_ok(), "the same file with an operator that is known");
}

/// An ONNX file (opset 17) of one operator from input `x` to output `y`, both f32[2].
fn one_node(operator: &str) -> Vec<u8> {
    // A protobuf field of bytes, and one of a small number.
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let number = |number: u8, value: u8| vec![number << 3, value];
    let shape = field(2, &field(1, &number(1, 2)));
    let ty = field(2, &field(1, &[number(1, 1), shape].concat()));
    let value = |name: &[u8]| [field(1, name), ty.clone()].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, operator.as_bytes())].concat();
    let graph =
        [field(1, &node), field(2, b"graph"), field(11, &value(b"x")), field(12, &value(b"y"))].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}
