//! Programs on a long recording: time, and the most memory that they held.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_text::Bytes;
use bayplan_trace::{Index, IndexScan};

use crate::common::{held, ms, tell, thread_time};
use crate::on_terminal::OnTerminal;
use crate::recordings::Recorded;
use crate::screen::{SIZE, run_shown};

/// The most memory that a program may hold.
const MEMORY: &str = "300 MB";
/// Time between two looks at how much memory a program held.
const LOOK: Duration = Duration::from_millis(2);

/// The index of the file: read from its end, and made by a scan as if it had none.
pub(crate) fn index(path: &Path) -> Result<(), Box<dyn Error>> {
    let (begun, own) = (Instant::now(), thread_time());
    let mut file = File::open(path)?;
    let mut scan = IndexScan::default();
    let mut portion = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut portion)?;
        if read == 0 {
            break;
        }
        let skipped = scan.feed(&portion[..read]);
        file.seek(SeekFrom::Current(i64::try_from(skipped)?))?;
        scan.skip(skipped);
    }
    let scanned = scan.finish();
    tell(
        &format!("index of a file that has none ({} of processor)", ms(thread_time() - own)),
        &ms(begun.elapsed()),
        "3 s",
    );
    let bytes = fs::read(path)?;
    let footer = Index::footer_len(&bytes).ok_or("the file has no index")?;
    let found = Index::from_footer(&bytes[bytes.len() - footer as usize..], bytes.len() as u64);
    if found.as_ref() != Some(&scanned) {
        return Err("the index in the file is not that of a scan".into());
    }
    println!("  {} chunks, {} events, {} of index", scanned.entries.len(), scanned.events(), Bytes(footer));
    Ok(())
}

/// Prints memory as the bar has it.
fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// The viewer: its first picture, the picture of all of it, and its memory.
pub(crate) fn viewer(home: &Path, recorded: &Recorded) {
    let runs = recorded.shown();
    let begun = Instant::now();
    let mut viewer = OnTerminal::sized(home, &[recorded.name()], SIZE);
    let patience = Duration::from_secs(120);
    let first = viewer.wait_for_screen(patience, |screen| run_shown(screen).is_some());
    tell("viewer: first picture", &first.map_or("none".into(), |at| ms(at - begun)), "1 s");
    let all = viewer.wait_for_screen(patience, |screen| run_shown(screen) == Some(runs));
    let (memory, cpu) = held(viewer.child.id()).unwrap_or_default();
    let what = format!("viewer: all of it read and shown ({} of processor)", ms(cpu));
    tell(&what, &all.map_or("none".into(), |at| ms(at - begun)), "3 s");
    tell("viewer: memory", &megabytes(memory), MEMORY);
    viewer.send("q");
    viewer.end();
}

/// The headless program, each of its ways to read a recording.
pub(crate) fn all(home: &Path, recorded: &Recorded) -> Result<(), Box<dyn Error>> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_bayplan-tui")).with_file_name("bayplan");
    if !program.exists() {
        println!("{} is missing: `make binaries` builds it", program.display());
        return Ok(());
    }
    let name = recorded.name();
    measured(home, &program, "report", &["report", name, "--format", "json"])?;
    measured(home, &program, "check", &["check", name, "--assert", "deviation==0 and overlap==0"])?;
    let listed = Command::new(&program).args(["export", "--help"]).output()?;
    let help = String::from_utf8_lossy(&listed.stdout).into_owned();
    for format in ["perfetto", "chrome", "torch", "vma", "csv", "parquet"] {
        if help.contains(format) {
            let out = home.join(format!("out.{format}"));
            let out = out.to_str().ok_or("the folder's name is text")?;
            measured(
                home,
                &program,
                &format!("export --format {format}"),
                &["export", name, "--format", format, "-o", out],
            )?;
            fs::remove_file(out).unwrap_or_default();
        }
    }
    Ok(())
}

fn measured(home: &Path, program: &Path, what: &str, words: &[&str]) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .env("XDG_RUNTIME_DIR", home.join("runtime"))
        .env("XDG_STATE_HOME", home.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut most = (0, Duration::ZERO);
    let status = loop {
        // What it takes in its last moments may be missed; what it held before is not.
        if let Some(now) = held(child.id()) {
            most = (most.0.max(now.0), most.1.max(now.1));
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(LOOK);
    };
    let time = begun.elapsed();
    let mut said = String::new();
    child.stderr.take().ok_or("no pipe")?.read_to_string(&mut said)?;
    if !status.success() {
        println!("{what}: {status}: {}", said.trim());
    }
    tell(&format!("{what}: time ({} of processor)", ms(most.1)), &ms(time), "");
    tell(&format!("{what}: memory"), &megabytes(most.0), MEMORY);
    Ok(())
}
