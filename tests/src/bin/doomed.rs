//! `doomed SEED FILE JOURNAL`: records runs until it is killed, into FILE or the folder of recordings, as the seed says. The
//! time of each event goes to JOURNAL once it was emitted, in eight bytes and a system call of its own: the system keeps
//! them when the process is gone, so that what was emitted is known and not guessed.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::thread;

use bayplan_record::{Destination, Places, Recorder, RecordingOptions};
use bayplan_tests::doomed::{Fate, STEPS, event, plan};
use bayplan_trace::Level;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [seed, file, journal] = words.as_slice() else {
        return Err("usage: doomed SEED FILE JOURNAL".into());
    };
    let fate = Fate::of(seed.parse()?);
    let mut options = RecordingOptions::new(Places::from_env());
    options.level = Level::Op;
    options.model = "doomed".into();
    options.retention = fate.retention;
    if fate.into_file {
        options.destination = Destination::File(file.into());
    }
    let recorder = Recorder::create(options, &plan())?;
    let mut journal = File::create(journal)?;
    for number in 0.. {
        let t = recorder.now();
        recorder.emit(event(number, t));
        journal.write_all(&t.to_le_bytes())?;
        if (number + 1_u64).is_multiple_of(STEPS * fate.burst) {
            thread::sleep(fate.pause);
        }
    }
    Ok(())
}
