// Outputs that are kept lie in the session's output arena, each exactly as large as it is.

use bayplan::{
    Bounds, Device, Error, Model, Options, OutputArena, OutputError, OutputPolicy, Policies, Scope, Session,
    SessionOptions, Tensor,
};

/// What the loops take, in words.
fn report(device: &Device) -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();

    // 1,024 outputs of 256 floats, all held; then one more.
    let mut session = session(device, 1 << 20)?;
    let kilobyte = Tensor::from_f32(vec![256], &[1.0; 256])?;
    let mut held = Vec::new();
    for _ in 0..1024 {
        let mut outputs = session.run(&[("x", &kilobyte)])?;
        held.extend(outputs.take("y"));
    }
    let bytes = held[0].bytes();
    let mark = session.output_usage().high_water;
    text += &format!("{} outputs of {bytes} bytes, all held: {mark} bytes\n", held.len());
    match session.run(&[("x", &kilobyte)]).err() {
        Some(Error::Output(OutputError::OutputArenaFull { need, free, held })) => {
            text += &format!("one more: the output arena is full: need {need}, free {free}, held {held}\n");
        }
        other => return Err(format!("expected a full output arena, not {other:?}").into()),
    }
    held.pop();
    held.extend(session.run(&[("x", &kilobyte)])?.take("y"));
    text += &format!("one dropped, one more: {} held\n", held.len());

    // 128 outputs, each a kilobyte larger than the one before, which is dropped first.
    let mut session = self::session(device, 128 * 1024 + 4)?;
    for call in 1..=128 {
        let elements = call * 256 + 1;
        let x = Tensor::from_f32(vec![elements], &vec![1.0; elements])?;
        let y = session.run(&[("x", &x)])?.take("y").ok_or("y has the policy Own")?;
        assert_eq!(y.bytes(), elements as u64 * 4);
    }
    let mark = session.output_usage().high_water;
    text += &format!("128 growing outputs, each dropped before the next: {mark} bytes\n");
    Ok(text)
}

/// A session of `y = Relu(x)` for any number of elements up to 128 KiB + 1 of them, whose output the caller keeps.
fn session(device: &Device, output_bytes: u64) -> Result<Session, Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("relu-{}-{output_bytes}.onnx", std::process::id()));
    std::fs::write(&file, relu())?;
    let model = Model::open(&file);
    std::fs::remove_file(&file)?;
    let model = model?;
    let mut bounds = Scope::new();
    bounds.declare("n", Bounds::between(1, 128 * 256 + 1))?;
    let options = Options { outputs: Policies::all(OutputPolicy::Own), ..Options::default() };
    let family = model.family(&bounds.into(), device.target(), &options)?;
    let outputs = OutputArena { bytes: output_bytes, grow: false };
    let options = SessionOptions { outputs, ..SessionOptions::default() };
    Ok(Session::new(device, family, model.weights(), options)?)
}

/// An ONNX file: x f32[n] → Relu → y.
fn relu() -> Vec<u8> {
    // A protobuf field of bytes, and one of a small number.
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let number = |number: u8, value: u8| vec![number << 3, value];
    let shape = field(2, &field(1, &field(2, b"n")));
    let ty = field(2, &field(1, &[number(1, 1), shape].concat()));
    let value = |name: &[u8]| [field(1, name), ty.clone()].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
    let graph = [field(1, &node), field(2, b"relu"), field(11, &value(b"x")), field(12, &value(b"y"))];
    [number(1, 8), field(7, &graph.concat()), field(8, &number(2, 17))].concat()
}
