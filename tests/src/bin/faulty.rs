//! `faulty FAULT RUNS [hold]`: runs the digit classifier with a fault planted (`none`: without one) and records it, as
//! any program does; with `hold` it then waits to be killed. It prints `recording: PATH` when it begins.
//!
//! Built with the feature `faults`, by the test that uses it, into a target folder of its own.

use std::env;
use std::io::Write;
use std::thread;
use std::time::Duration;

use bayplan::{
    Bindings, Device, DeviceOptions, Fault, Level, Model, Places, RecordingOptions, SessionOptions, Tensor,
};

const BATCH: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (name, runs, hold) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [name, runs] => (name, runs.parse::<u64>()?, false),
        [name, runs, "hold"] => (name, runs.parse()?, true),
        _ => return Err("usage: faulty FAULT|none RUNS [hold]".into()),
    };
    let known = Fault::ALL.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault);
    if known.is_none() && name != "none" {
        return Err(format!("no fault {name}").into());
    }

    let mut options = DeviceOptions::default();
    if let Ok(device) = env::var("BAYPLAN_DEVICE") {
        options.selector = device.parse()?;
    }
    options.fault = known;
    let device = Device::open(&options)?;
    let model = Model::open(bayplan_tests::root().join("assets/digits.onnx"))?;
    let dims: Bindings = [("batch", BATCH as i64)].into_iter().collect();
    let mut recording = RecordingOptions::new(Places::from_env());
    recording.level = Level::Run;
    let options = SessionOptions { recording: Some(recording), ..SessionOptions::default() };
    let mut session = model.session(&device, &dims, options)?;
    if let Some(path) = session.trace().recorder().path() {
        println!("recording: {}", path.display());
        std::io::stdout().flush()?;
    }
    let images = Tensor::from_f32(vec![BATCH, 1, 8, 8], &[1.0; BATCH * 64])?;
    for _ in 0..runs {
        session.run(&[("images", &images)])?;
    }
    if !hold {
        return Ok(());
    }
    loop {
        thread::sleep(Duration::from_millis(100));
        session.run(&[("images", &images)])?;
    }
}
