//! Plan files that were changed at random: each is read, or refused with an error that says what is wrong; never a panic,
//! never without end, never much memory. Where the checksum is made anew, what cannot be must be found by what it says.
//!
//! `BAYPLAN_SEEDS=n..m` takes those seeds instead.

use std::fmt::Write;
use std::ops::Range;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bayplan_compile::plan_file::{PlanFile, PlanFileError};
use bayplan_expr::{Bindings, Bounds, Scope};
use serde_json::{Map, Number, Value, json};

use super::random::Random;
use super::{at, file};

/// Changed files of each kind.
const FILES: u64 = 4000;

/// How long a file may take: far more than any does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Bytes that all of them together may take more than the process has before.
const MOST: u64 = 64 << 20;

fn seeds() -> Range<u64> {
    match std::env::var("BAYPLAN_SEEDS") {
        Ok(range) => {
            let ends = range.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (first, end): (u64, u64) = ends.expect("BAYPLAN_SEEDS is a range as 7..8");
            first..end
        }
        Err(_) => 0..FILES,
    }
}

/// The most bytes that the process has had in memory, where the system says so.
fn most_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

/// Does what is to be done with each seed, and ends the test where one panics, does not end or takes too much memory.
fn each(what: fn(&str, u64)) {
    let before = most_resident();
    let (tell, told) = mpsc::channel();
    let good = file().to_json();
    let work = thread::spawn(move || {
        for seed in seeds() {
            // Whoever listens may have gone.
            let _ = tell.send(seed);
            what(&good, seed);
        }
    });
    let mut last = None;
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(seed) => last = Some(seed),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {last:?} does not end"),
        }
    }
    assert!(work.join().is_ok(), "seed {last:?}");
    if let (Some(before), Some(after)) = (before, most_resident()) {
        assert!(after - before <= MOST, "{} bytes more", after - before);
    }
}

/// Uses a file that was read in every way there is: whatever it says, answers are numbers or errors.
fn make_use_of(read: &PlanFile) {
    let again = PlanFile::read(&read.to_json()).map(|again| again.to_json());
    assert_eq!(again.as_ref(), Ok(&read.to_json()), "what was read is not written as it was");
    let mut names: Vec<&str> = read.functions.iter().map(|own| own.function.as_str()).collect();
    names.push("no such function");
    let points = [at(1, 0), at(2, 17), at(2048, 4096), at(i64::MAX, i64::MIN), Bindings::new()];
    for point in &points {
        for name in &names {
            if let Ok((own, replayed)) = read.replay(name, point) {
                assert_eq!(replayed.offsets.len(), own.buffers.len());
                assert!(replayed.peak <= own.reservation.bytes, "{point}: {} bytes", replayed.peak);
            }
        }
        let _ = (read.memory.eval(point), read.memory.fixed(point));
    }
    for budget in [0, 1 << 30, 1 << 31, u64::MAX] {
        let _ = read.memory.solve(budget, "chunk", &Bindings::new().with("past", 7));
    }
    for bounds in [Bounds::between(1, 512), Bounds::between(-5, 0), Bounds::between(7, i64::MAX)] {
        let mut scope = Scope::new();
        if scope.declare("chunk", bounds).is_ok()
            && let Ok(small) = read.narrowed(&scope)
        {
            assert!(small.arena_bytes() <= read.arena_bytes(), "{} bytes", small.arena_bytes());
        }
    }
}

/// An error says something that people can read.
fn named(error: &PlanFileError) {
    let text = error.to_string();
    assert!(text.len() > 10 && text.len() < 4096 && !text.contains('\u{1b}'), "{text}");
}

/// Bytes lost, doubled, changed, cut off.
#[test]
fn changed_bytes_are_refused() {
    each(|good, seed| {
        let mut random = Random::new(seed);
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            let start = random.below(bytes.len());
            let end = (start + 1 + random.below(40)).min(bytes.len());
            match random.below(6) {
                0 => bytes[start] ^= 1 << random.below(8),
                1 => bytes[start] = b"0123456789-+eE.{}[]\",:\\u\0"[random.below(25)],
                2 => drop(bytes.drain(start..end)),
                3 => {
                    let again = bytes[start..end].to_vec();
                    bytes.splice(end..end, again);
                }
                4 => bytes.truncate(start.max(1)),
                _ => bytes[start..end].reverse(),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match PlanFile::read(&text) {
            // Blanks say nothing.
            Ok(read) => assert_eq!(read.to_json(), good, "seed {seed}"),
            Err(error) => {
                named(&error);
                let invalid = matches!(error, PlanFileError::Invalid { .. } | PlanFileError::Plan(_));
                assert!(!invalid, "seed {seed}: the checksum is not looked at first: {error}");
            }
        }
    });
}

/// FNV-1a of the compact text, as files are summed up.
fn signed(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove("checksum");
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let sum = Value::Object(object.clone()).to_string().bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        object.insert("checksum".into(), json!(format!("{sum:016x}")));
    }
    value
}

/// Every value within a value, by the way to it.
fn ways(value: &Value, way: &str, all: &mut Vec<String>) {
    all.push(way.to_owned());
    match value {
        Value::Object(object) => object.iter().for_each(|(key, own)| ways(own, &format!("{way}/{key}"), all)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, own)| ways(own, &format!("{way}/{at}"), all));
        }
        _ => {}
    }
}

/// Any number of 64 bits.
fn wide(random: &mut Random) -> u64 {
    random.between(0, u64::MAX - 1)
}

/// A number from the corners of what files can say.
fn number(random: &mut Random) -> Value {
    let any = wide(random);
    let whole: [i64; 12] =
        [0, 1, -1, 2, 15, 255, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 53, i64::MAX, i64::MIN];
    match random.below(5) {
        0 => json!(u64::MAX),
        1 => json!(any),
        2 => json!(any % 100),
        3 => Number::from_f64([0.5, -0.0, 1e300, 1e-300][random.below(4)]).map_or(Value::Null, Value::Number),
        _ => json!(whole[random.below(whole.len())]),
    }
}

/// Text from the corners of what expressions, conditions and names can be.
fn text(random: &mut Random) -> String {
    let deep = 1 + random.below(3000);
    match random.below(14) {
        0 => "(".repeat(deep) + "chunk" + &")".repeat(deep),
        1 => "-".repeat(deep) + "1",
        2 => (0..deep).fold("1".to_owned(), |mut text, at| {
            let _ = write!(text, " + x{at}");
            text
        }),
        3 => "chunk*past".repeat(deep).replace("pastchunk", "past*chunk"),
        4 => format!("chunk**{}", wide(random)),
        5 => format!("Max(chunk, {})", "past, ".repeat(deep) + "1"),
        6 => format!("{}*chunk", wide(random)),
        7 => "chunk - past".to_owned(),
        8 => "Mod(past, chunk - chunk)".to_owned(),
        9 => format!("floor(past/{})", random.below(3)),
        10 => "1 < chunk".to_owned(),
        11 => "\u{1b}[31m\u{0}\u{202e}".to_owned(),
        12 => format!("2**{}*past", random.below(70)),
        _ => String::new(),
    }
}

/// One thing of a file changed.
fn change(value: &mut Value, random: &mut Random) {
    let mut all = Vec::new();
    ways(value, "", &mut all);
    let way = &all[1 + random.below(all.len() - 1)];
    let other = value.pointer(&all[random.below(all.len())]).cloned().unwrap_or_default();
    if random.once_in(4) {
        // A field less, or one twice.
        let (parent, key) = way.rsplit_once('/').expect("a way begins with a stroke");
        match value.pointer_mut(parent) {
            Some(Value::Object(object)) => drop(object.remove(&key.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(list)) => {
                let at = key.parse::<usize>().unwrap_or(0).min(list.len() - 1);
                let again = list[at].clone();
                if random.once_in(2) { list.insert(at, again) } else { drop(list.remove(at)) }
            }
            _ => {}
        }
        return;
    }
    let Some(own) = value.pointer_mut(way) else { return };
    *own = match (random.below(8), &*own) {
        (0, _) => Value::Null,
        (1, _) => other,
        (2, _) => Value::Array(Vec::new()),
        (3, _) => Value::Object(Map::new()),
        (_, Value::Number(_)) => number(random),
        (_, Value::String(_)) => Value::String(text(random)),
        (_, Value::Array(list)) => {
            let again = 1 + random.below(20);
            Value::Array(list.iter().cycle().take(list.len() * again).cloned().collect())
        }
        (_, Value::Bool(own)) => Value::Bool(!own),
        (4, _) => number(random),
        _ => Value::String(text(random)),
    };
}

/// Files that sum up rightly: numbers, expressions and lists of any kind where others belong.
#[test]
fn files_that_sum_up_rightly_are_used_or_refused() {
    each(|good, seed| {
        let mut random = Random::new(seed ^ 0xf11e);
        let mut value: Value = serde_json::from_str(good).expect("a plan file");
        for _ in 0..=random.below(2) {
            change(&mut value, &mut random);
        }
        let value = signed(value);
        let whole = if random.once_in(4) { json!({ "kind": "model", "shapes": value }) } else { value };
        match PlanFile::read(&whole.to_string()) {
            Ok(read) => make_use_of(&read),
            Err(error) => {
                named(&error);
                let damaged = matches!(error, PlanFileError::Damaged | PlanFileError::Malformed { .. });
                assert!(!damaged, "seed {seed}: it sums up rightly: {error}");
            }
        }
    });
}

/// A field twice in the text: the last one counts, for the checksum too.
#[test]
fn fields_twice_are_one() {
    let good = file().to_json();
    for key in
        ["format", "version", "model", "digest", "target", "functions", "memory", "outputs", "checksum"]
    {
        let with = |own: &str| good.replacen('{', &format!("{{\"{key}\": {own},"), 1);
        for own in ["0", "null", "\"x\"", "[]", "{}"] {
            let read = PlanFile::read(&with(own)).map(|read| read.to_json());
            assert_eq!(read.as_ref(), Ok(&good), "{key} is {own} first");
            let last = good.trim_end().strip_suffix('}').expect("an object").to_owned();
            let error = PlanFile::read(&format!("{last}, \"{key}\": {own}}}")).expect_err("another file");
            named(&error);
        }
    }
}

/// What the changes begin from is read, and a checksum made anew is the file's.
#[test]
fn what_is_changed_is_a_plan_file() {
    let good = file().to_json();
    let value: Value = serde_json::from_str(&good).expect("JSON");
    assert_eq!(signed(value.clone()), value);
    make_use_of(&PlanFile::read(&good).expect("a plan file"));
}
