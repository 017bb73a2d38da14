//! Loading a model in a process of its own, watched.

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bayplan::{
    Device, DeviceOptions, Dims, Model, Options, Selector, Session, SessionOptions, Tensor, Weights,
};
use bayplan_compile::Arena;
use bayplan_compile::session::{Io, Progress};
use bayplan_graph::{ByteSource, ConstData, FileRef, ReadError, ValueSource};
use bayplan_trace::Loading;
use bayplan_weights::{FileSource, Store};
use serde_json::{Value, json};

use super::Shape;
use super::memory::{Held, Watch, forget_high_water, read_so_far, resident};

/// How long weights may take to arrive.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the model is made of, for its inputs.
    pub shape: Shape,
    /// The model file.
    pub model: PathBuf,
    /// The file of weights beside it, where its own are not there.
    pub weights: Option<PathBuf>,
    /// The device.
    pub device: Selector,
    /// How files are read.
    pub io: Io,
    /// On a device whose memory the host does not see.
    pub separate: bool,
    /// Reads whole tensors: what the watch must see.
    pub whole: bool,
    /// Runs the model once.
    pub run: bool,
}

/// Loads, and tells as JSON: how long it took, how much memory of the process it took beside the device's (with what the device
/// took, where weights stay in their files), and a hash of what the model computes. A device that has too little memory is told as `refused`, with what was read by then.
///
/// # Errors
/// Anything else.
pub fn load(load: &Load) -> Result<Value, Box<dyn Error>> {
    let options = DeviceOptions {
        selector: load.device.clone(),
        separate_memory: load.separate,
        ..DeviceOptions::default()
    };
    let device = Device::open(&options)?;
    forget_high_water();
    let (opened, before, read) = (Instant::now(), resident(), read_so_far());
    let named = load.weights.as_ref().map(Weights::open).transpose()?;
    let model = Model::open_with(&load.model, &[], named.as_ref())?;
    let opened = opened.elapsed();
    let compiled = Instant::now();
    let family = model.family(&Dims::default(), device.target(), &Options::default())?;
    let compiled = compiled.elapsed();
    let whole = load.whole.then(|| whole(load, &model)).transpose()?;
    let store = whole.as_ref().unwrap_or(model.weights());
    let program = family.first();
    let bytes = |arena: Arena| program.arena_bytes[arena.index()];
    let (weights, scratch) = (bytes(Arena::Weights), bytes(Arena::Load));
    let planned = weights + scratch.max(bytes(Arena::Activations));
    let loads = program.load.dispatches.len();
    // The host has a bit for each word of its arenas beside them.
    let held = match device.info() {
        // Of what is not copied nothing is held; what is held of the rest counts with everything else.
        Some(_) if load.io == Io::Import => Held::AtOnce(0),
        Some(_) => Held::Written { bytes: planned, scratch },
        None => Held::AtOnce(planned + planned / 32),
    };
    let now = resident();
    let prepared = now.anonymous as i64 - before.anonymous as i64;
    let prepared_most = now.high_water as i64 - (before.anonymous + before.mapped) as i64;
    let (arrivals, progress) = arrivals();
    let options = SessionOptions { progress: Some(progress), io: load.io, ..SessionOptions::default() };
    let watch = Watch::begin(held, &arrivals.bytes);
    let begun = Instant::now();
    let mut session = match Session::new(&device, family, store, options) {
        Ok(session) => session,
        Err(e) => return Ok(json!({ "refused": e.to_string(), "read": read_so_far() - read })),
    };
    let built = Instant::now();
    let (loading, from, to) = arrivals.wait()?;
    let (above, from_files) = watch.end();
    let first = Instant::now();
    let hash = if load.run { Some(run(&mut session, &load.shape)?) } else { None };
    let ran = first.elapsed();
    let (counts, after) = (device.allocations(), resident().anonymous as i64 - before.anonymous as i64);
    Ok(json!({
        "device": device.name(), "planned": planned, "weights": weights, "load_dispatches": loads, "prepared": prepared,
        "prepared_most": prepared_most,
        "seen": above.seen, "high_water": above.high_water, "read": from_files,
        "seconds": to.max(built).duration_since(from).as_secs_f64(), "built_seconds": (built - begun).as_secs_f64(),
        "total": loading.total, "staging": loading.staging, "direct": loading.direct,
        "paths": loading.paths().map(|(path, _)| path.name()).collect::<Vec<_>>(),
        "open_seconds": opened.as_secs_f64(), "compile_seconds": compiled.as_secs_f64(),
        "run_seconds": load.run.then_some(ran.as_secs_f64()), "hash": hash,
        "allocated": counts.live_bytes, "imported": counts.imported_bytes, "after": after,
    }))
}

/// What a session tells of its loading.
#[derive(Default)]
struct Arrivals {
    bytes: Arc<AtomicU64>,
    /// How far it is, when it began, and when that was told.
    last: Arc<Mutex<Option<(Loading, Instant, Instant)>>>,
}

/// Where a session tells of its loading, and what is to be told.
fn arrivals() -> (Arrivals, Progress) {
    let arrivals = Arrivals::default();
    let (bytes, last) = (Arc::clone(&arrivals.bytes), Arc::clone(&arrivals.last));
    let tell = move |loading: &Loading| {
        let now = Instant::now();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = last.map_or(now, |(_, begun, _)| begun);
        *last = Some((*loading, begun, now));
        bytes.store(loading.arrived(), Ordering::Relaxed);
    };
    (arrivals, Progress::new(tell))
}

impl Arrivals {
    /// Waits until all weights have arrived: a session may be built before.
    fn wait(&self) -> Result<(Loading, Instant, Instant), Box<dyn Error>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last {
                Some(last) if last.0.arrived() >= last.0.total => return Ok(last),
                _ if Instant::now() > end => return Err(format!("loading stands still: {last:?}").into()),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

/// A hash of the outputs' bytes, which is another one if any bit is.
fn run(session: &mut Session, shape: &Shape) -> Result<String, Box<dyn Error>> {
    let inputs = shape.inputs();
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let outputs = session.run(&inputs)?;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut size = 0.0;
    for output in outputs.iter() {
        let tensor = output.to_tensor()?;
        size += tensor.to_f64().iter().map(|v| v * v).sum::<f64>();
        // FNV-1a.
        tensor
            .into_bytes()
            .iter()
            .for_each(|&byte| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }
    if !(1e-12..1e12).contains(&size) {
        return Err(format!("the squares of the outputs add up to {size}").into());
    }
    Ok(format!("{hash:016x}"))
}

/// The weights of a model as a loader gets them that reads whole tensors.
fn whole(load: &Load, model: &Model) -> Result<Store, Box<dyn Error>> {
    let graph = model.graph();
    let folder = load.model.parent().ok_or("a model lies in a folder")?;
    let mut files = Vec::new();
    for (index, file) in graph.files.iter().enumerate() {
        let path = match file {
            FileRef::Model => load.model.clone(),
            FileRef::External(location) => folder.join(&**location),
            FileRef::Weights(path) => path.to_path_buf(),
        };
        let mut tensors: Vec<(u64, u64)> = Vec::new();
        for value in &graph.values {
            if let ValueSource::Constant(ConstData::Range(range)) = &value.source
                && range.file.0 as usize == index
            {
                tensors.push((range.offset, range.len));
            }
        }
        tensors.sort_unstable();
        // A model whose weights lie elsewhere names a file that is not there.
        if path.exists() {
            let source = Whole { file: FileSource::open(&path)?, tensors, held: Mutex::default() };
            files.push((path, Arc::new(source) as Arc<dyn ByteSource>));
        } else {
            return Err(format!("{} is not there", path.display()).into());
        }
    }
    Ok(Store::from_sources(files, graph)?)
}

/// A file of which the tensor that is asked for is held as a whole.
struct Whole {
    file: FileSource,
    /// Where each begins, and its bytes.
    tensors: Vec<(u64, u64)>,
    /// Where the tensor that is held begins, and its bytes.
    held: Mutex<(u64, Vec<u8>)>,
}

impl ByteSource for Whole {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let at = self.tensors.partition_point(|(begin, _)| *begin <= offset);
        let Some(&(begin, len)) = at.checked_sub(1).and_then(|at| self.tensors.get(at)) else {
            return self.file.read_at(offset, buf);
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 != begin || held.1.is_empty() {
            *held = (begin, Vec::new());
            held.1.resize(len as usize, 0);
            self.file.read_at(begin, &mut held.1)?;
        }
        let start = (offset - begin) as usize;
        match held.1.get(start..start + buf.len()) {
            Some(part) => buf.copy_from_slice(part),
            None => self.file.read_at(offset, buf)?,
        }
        Ok(())
    }
}
