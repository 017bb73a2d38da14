//! Recordings through pipes: `bayplan tail` on one side, `-` as a recording on the other.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bayplan_tests::binary;
use bayplan_tests::live::{LiveRun, segments};
use bayplan_tests::program::{Ended, Sandbox, run, wait};
use bayplan_tests::tmux::Tmux;
use serde_json::Value;

/// How long anything may take: machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `bayplan` with a file as its standard input.
fn from_file(sandbox: &Sandbox, arguments: &[&str], input: &std::path::Path) -> Ended {
    run(sandbox.command("bayplan", arguments).stdin(File::open(input).expect("a file")))
}

/// Runs a pipeline of the shell, in which `bayplan` is the program.
fn shell(sandbox: &Sandbox, pipeline: &str) -> Ended {
    let script = format!("bayplan() {{ {} \"$@\"; }}\n{pipeline}", binary("bayplan").display());
    run(&mut sandbox.program("/bin/sh".as_ref(), &["-c", &script]))
}

/// The number of runs that a report in JSON tells of.
fn runs_of(report: &Value) -> u64 {
    report["runs"]["ok"].as_u64().unwrap_or_else(|| panic!("no runs: {report}"))
}

#[test]
fn what_comes_through_a_pipe_is_the_recording() {
    let sandbox = Sandbox::new();
    let live = LiveRun::start(&sandbox, &[]);
    let (pid, recording) = (live.pid().to_string(), live.recording());
    // Both begin while the run goes on, and end with it.
    let reported = |words: &str| {
        let script = format!("{b} tail {words} | {b} report - --json", b = binary("bayplan").display());
        let mut shell = sandbox.program("/bin/sh".as_ref(), &["-c", &script]);
        shell.stdout(Stdio::piped()).spawn().expect("a shell")
    };
    let followers = [reported(&format!("{pid} --from start")), reported(&pid)];
    live.wait_for("a recording", || segments(&recording).len() > 20_000);
    let (code, told, _) = live.stop();
    assert_eq!(code, Some(0));
    let file = sandbox.bayplan(&["report".as_ref(), recording.as_os_str(), "--json".as_ref()]).success();
    let whole: Value = serde_json::from_str(&file).expect("a report");
    assert_eq!(runs_of(&whole), told["runs"].as_u64().expect("a number of runs"));
    for follower in followers {
        let output = follower.wait_with_output().expect("a follower ends with the run");
        assert_eq!(String::from_utf8_lossy(&output.stdout), file);
    }
    // All of it is a recording in one file, too.
    let tail = run(&mut sandbox.command("bayplan", &["tail", &pid, "--from", "start"]));
    assert_eq!((tail.code, tail.stderr.as_str()), (Some(0), ""));
    let copy = sandbox.path("copy.bptrace");
    let words = format!("bayplan tail {pid} --from start > {}", copy.display());
    shell(&sandbox, &words).success();
    assert_eq!(fs::read(&copy).expect("a copy"), segments(&recording));
    assert_eq!(from_file(&sandbox, &["report", "-", "--json"], &copy).success(), file);
    let again = shell(&sandbox, &format!("bayplan tail - < {} | bayplan report - --json", copy.display()));
    assert_eq!(again.success(), file);
}

#[test]
fn a_reader_that_goes_ends_the_tail_and_nothing_else() {
    let sandbox = Sandbox::new();
    let live = LiveRun::start(&sandbox, &[]);
    let mut tail = sandbox.command("bayplan", &["tail", &live.pid().to_string()]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a tail");
    let mut head = [0; 4];
    tail.stdout.take().expect("a pipe").read_exact(&mut head).expect("the start of a recording");
    assert_eq!(head[0], 0x0a);
    let status = wait(&mut tail, PATIENCE).expect("a tail that nobody reads ends");
    assert_eq!(status.code(), Some(0));
    // It ends also where nothing comes that it could fail to write.
    live.signal(rustix::process::Signal::STOP);
    let mut tail = sandbox.command("bayplan", &["tail", &live.pid().to_string()]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().expect("a tail");
    let mut pipe = tail.stdout.take().expect("a pipe");
    pipe.read_exact(&mut head).expect("the start of a recording");
    let mut portion = vec![0; 1 << 16];
    let quiet = Instant::now() + Duration::from_millis(300);
    while Instant::now() < quiet && pipe.read(&mut portion).expect("a pipe") == portion.len() {}
    drop(pipe);
    assert!(wait(&mut tail, PATIENCE).expect("it ends").success());
    live.signal(rustix::process::Signal::CONT);
    assert_eq!(live.stop().0, Some(0));
}

#[test]
fn what_cannot_be_is_said() {
    let sandbox = Sandbox::new();
    let full = File::options().write(true).open("/dev/full").expect("a device that is full");
    let live = LiveRun::start(&sandbox, &[]);
    let mut tail = sandbox.command("bayplan", &["tail", &live.pid().to_string()]);
    let output = tail.stdout(full).stderr(Stdio::piped()).spawn().and_then(Child::wait_with_output);
    let output = output.expect("a tail");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("standard output cannot be written"), "{words}");
    assert_eq!(live.stop().0, Some(0));

    let text = sandbox.path("text");
    fs::write(&text, "no recording\n".repeat(1000)).expect("a file");
    let ended = from_file(&sandbox, &["report", "-"], &text);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("standard input"), "{ended:?}");
    let ended = from_file(&sandbox, &["report", "-"], "/dev/null".as_ref());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = from_file(&sandbox, &["report", "-"], "/dev/zero".as_ref());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = sandbox.bayplan(&["tail", "nothing-of-that-name"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

/// As over ssh: what is watched comes through a pipe, keys come from the terminal.
#[test]
fn a_run_is_watched_through_a_pipe() {
    let sandbox = Sandbox::new();
    let live = LiveRun::start(&sandbox, &[]);
    let tmux = Tmux::new(&sandbox, 100, 30);
    let shell = tmux.open("PS1='$ ' ENV= exec sh");
    tmux.wait(&shell, "prompt", PATIENCE, |screen| screen.contains('$'));
    let bayplan = binary("bayplan");
    tmux.line(&shell, &format!("{b} tail {} | {b} top -", live.pid(), b = bayplan.display()));
    let number = |screen: &str| {
        let (_, rest) = screen.lines().next()?.split_once("   run ")?;
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        digits.replace(',', "").parse::<u64>().ok()
    };
    let watched = |screen: &str| screen.contains("● live") && number(screen).is_some();
    let (screen, _) = tmux.wait(&shell, "live run", PATIENCE, watched);
    let first = number(&screen);
    tmux.wait(&shell, "later run", PATIENCE, |screen| number(screen) > first);
    tmux.keys(&shell, &["2"]);
    tmux.wait(&shell, "bay plan", PATIENCE, |screen| screen.contains("arena \"activations\""));
    assert_eq!(live.stop().0, Some(0));
    tmux.wait(&shell, "word of the end", PATIENCE, |screen| screen.contains("○ ended"));
    tmux.keys(&shell, &["q"]);
    tmux.wait(&shell, "end of the viewer", PATIENCE, |screen| !screen.contains("bayplan ▸"));
    // A pipe that carries nothing is no recording: that is an error, and is said as one.
    let mut command: Command = sandbox.command("bayplan-tui", &["-", "--text"]);
    let ended = run(command.stdin(Stdio::null()));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("standard input cannot be read"), "{ended:?}");
    // Nor is one that carries nothing for a while, of which nothing is told meanwhile.
    let mut command = sandbox.command("bayplan-tui", &["-", "--text"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = command.spawn().expect("a viewer");
    thread::sleep(Duration::from_secs(1));
    drop(waiting.stdin.take());
    let output = waiting.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{output:?}");
}
