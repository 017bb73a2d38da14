//! Classifies the handwritten test digits and prints how well, and what it took.
//!
//! `digits [--loop] [--shuffle-labels SEED]`: with `--loop` it classifies until it is told to end (SIGTERM or
//! SIGINT), for a viewer to watch. Exits 1 below 97 % accuracy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bayplan::{
    Bindings, Device, DeviceOptions, Level, Model, Places, RecordingOptions, Session, SessionOptions, Tensor,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Test images per run.
const BATCH: usize = 8;

/// Bytes of one image.
const PIXELS: usize = 64;

struct Arguments {
    forever: bool,
    shuffle: Option<u64>,
}

/// The test images, as the model takes them, and their labels.
struct Digits {
    images: Vec<f32>,
    labels: Vec<u8>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let arguments = arguments()?;
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let mut digits = load(&assets.join("digits"))?;
    if let Some(seed) = arguments.shuffle {
        shuffle(&mut digits.labels, seed);
    }
    let device = Device::open(&options()?)?;
    let model = Model::open(assets.join("digits.onnx"))?;
    let dims: Bindings = [("batch", BATCH as i64)].into_iter().collect();
    let mut recording = RecordingOptions::new(Places::from_env());
    // Made to be watched: op times are worth what they cost.
    recording.level = Level::Op;
    let mut session =
        model.session(&device, &dims, SessionOptions { recording: Some(recording), ..Default::default() })?;
    if let Some(e) = session.trace().refused() {
        eprintln!("warning: nothing is recorded: {e}");
    }
    let recording = session.trace().recorder().path().map(PathBuf::from);

    let mut right = classify(&mut session, &digits)?;
    if arguments.forever {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in signal_hook::consts::TERM_SIGNALS {
            signal_hook::flag::register(*signal, Arc::clone(&stop))?;
        }
        while !stop.load(Ordering::Relaxed) {
            right = classify(&mut session, &digits)?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let accuracy = right as f64 / digits.labels.len() as f64;
    report(&session, &digits, right, accuracy, recording.as_deref());
    Ok(accuracy >= 0.97)
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { forever: false, shuffle: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--loop" => arguments.forever = true,
            "--shuffle-labels" => {
                let seed = words.next().ok_or("--shuffle-labels needs a seed")?;
                arguments.shuffle = Some(seed.parse().map_err(|_| format!("{seed} is not a number"))?);
            }
            other => {
                return Err(format!(
                    "unknown argument {other}; usage: digits [--loop] [--shuffle-labels SEED]"
                )
                .into());
            }
        }
    }
    Ok(arguments)
}

/// The device that `BAYPLAN_DEVICE` names, or the best one.
fn options() -> Result<DeviceOptions> {
    let mut options = DeviceOptions::default();
    if let Ok(name) = std::env::var("BAYPLAN_DEVICE") {
        options.selector = name.parse()?;
    }
    Ok(options)
}

fn load(folder: &Path) -> Result<Digits> {
    let images = npy(&folder.join("images.npy"))?;
    let labels = npy(&folder.join("labels.npy"))?;
    let rows = npy(&folder.join("test_rows.npy"))?;
    let mut digits = Digits { images: Vec::new(), labels: Vec::new() };
    for row in rows.chunks_exact(4) {
        let row = u32::from_le_bytes([row[0], row[1], row[2], row[3]]) as usize;
        let image =
            images.get(row * PIXELS..(row + 1) * PIXELS).ok_or("a test row lies outside the images")?;
        digits.images.extend(image.iter().map(|&pixel| f32::from(pixel)));
        digits.labels.push(*labels.get(row).ok_or("a test row lies outside the labels")?);
    }
    Ok(digits)
}

/// The bytes of an array after its header (numpy's format, version 1).
fn npy(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let header = bytes.get(8..10).map(|len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let data = header.and_then(|len| bytes.get(10 + len..));
    Ok(data.ok_or_else(|| format!("{}: not a .npy file", path.display()))?.to_vec())
}

/// Fisher–Yates with splitmix64.
fn shuffle(labels: &mut [u8], mut state: u64) {
    for last in (1..labels.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        labels.swap(last, ((z ^ (z >> 31)) % (last as u64 + 1)) as usize);
    }
}

/// Classifies every test image; says how many came out right.
fn classify(session: &mut Session, digits: &Digits) -> Result<usize> {
    let mut right = 0;
    for (images, labels) in digits.images.chunks(BATCH * PIXELS).zip(digits.labels.chunks(BATCH)) {
        let mut batch = images.to_vec();
        batch.resize(BATCH * PIXELS, 0.0);
        let batch = Tensor::from_f32(vec![BATCH, 1, 8, 8], &batch)?;
        let outputs = session.run(&[("images", &batch)])?;
        let logits = outputs.get("logits").ok_or("the model has no output logits")?.to_tensor()?.to_f32()?;
        right +=
            logits.chunks_exact(10).zip(labels).filter(|(scores, label)| best(scores) == **label).count();
    }
    Ok(right)
}

/// The index of the largest score.
fn best(scores: &[f32]) -> u8 {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0) as u8
}

fn report(session: &Session, digits: &Digits, right: usize, accuracy: f64, recording: Option<&Path>) {
    let program = session.program();
    let plan = &program.run.plan;
    println!("device       {}", session.device().name());
    println!("accuracy     {:.2} %  ({right} of {} test images)", accuracy * 100.0, digits.labels.len());
    println!("arena peak   {} bytes for a batch of {BATCH}", plan.peak);
    println!("lower bound  {} bytes, at op {}", plan.lower_bound.bytes, plan.lower_bound.witness);
    println!("waste        {:.2} %", plan.waste() * 100.0);
    println!("runs         {}", session.runs());
    if let Some(path) = recording {
        println!("recording: {}", path.display());
    }
}
