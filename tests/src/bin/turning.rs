//! `turning RUNS PAUSE`: runs the small trained decoder at another shape each time, recorded as any program's session is, with
//! PAUSE milliseconds between runs; five shapes in turn, of which three are at hand. It prints `recording: PATH` first, and
//! each shape before it runs.

use std::env;
use std::io::Write;
use std::thread;
use std::time::Duration;

use bayplan::{Bindings, Device, DeviceOptions, Level, Model, Places, RecordingOptions, SessionOptions};
use bayplan_tests::draw;
use bayplan_tests::random::Random;
use bayplan_tests::shapes::Shapes;

const WITHIN: Shapes<'static> = Shapes(&[("batch", 1, 2), ("seq", 1, 16), ("past", 0, 32)]);

/// Batch, sequence and past.
const SHAPES: [[i64; 3]; 5] = [[1, 16, 0], [1, 1, 16], [2, 5, 32], [2, 16, 7], [1, 3, 1]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [runs, pause] = words.as_slice() else { return Err("usage: turning RUNS PAUSE".into()) };
    let (runs, pause): (usize, u64) = (runs.parse()?, pause.parse()?);
    let mut options = DeviceOptions::default();
    if let Ok(device) = env::var("BAYPLAN_DEVICE") {
        options.selector = device.parse()?;
    }
    let device = Device::open(&options)?;
    let model = Model::open(bayplan_tests::root().join("assets/chars.onnx"))?;
    let mut recording = RecordingOptions::new(Places::from_env());
    recording.level = Level::Run;
    let options = SessionOptions { recording: Some(recording), shapes: 3, ..SessionOptions::default() };
    let mut session = model.session(&device, WITHIN.scope(model.graph()), options)?;
    if let Some(path) = session.trace().recorder().path() {
        println!("recording: {}", path.display());
    }
    let mut random = Random::new(1);
    for [batch, seq, past] in SHAPES.into_iter().cycle().take(runs) {
        let named = [("batch", batch), ("past", past), ("seq", seq), ("total", seq + past)];
        let dims: Bindings = named.into_iter().collect();
        println!("{dims}");
        std::io::stdout().flush()?;
        let inputs = draw::inputs(model.graph(), &dims, &mut random);
        let given: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        session.run(&given)?;
        thread::sleep(Duration::from_millis(pause));
    }
    let summary = session.finish();
    println!("lost {}", summary.lost);
    Ok(())
}
