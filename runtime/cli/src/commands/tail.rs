//! `bayplan tail`.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bayplan::Places;
use bayplan_record::{Start, Tail, TailError};

use crate::args::{TailFrom, TailOptions};
use crate::exit::{Failure, Outcome};

/// Between two looks at a recording that grows: recorders write some sixty times a second.
const POLL: Duration = Duration::from_millis(16);

pub(crate) fn tail(options: &TailOptions) -> Outcome {
    if io::stdout().is_terminal() {
        return Err(Failure::usage(
            "tail writes the bytes of a recording, which a terminal cannot show: pipe them on, as in \
             `ssh HOST bayplan tail RUN | bayplan top -`, or into a file",
        ));
    }
    let start = match options.from {
        TailFrom::Start => Start::Beginning,
        TailFrom::Latest => Start::Latest,
    };
    let source = bayplan_record::open(&options.recording, &Places::from_env())?;
    let mut tail = Tail::open(source, start)?;
    // Bytes go on in the portions in which they are read: they are not gathered once more.
    let mut out = io::stdout().lock();
    loop {
        let more =
            match tail.copy(&mut out).and_then(|more| out.flush().map(|()| more).map_err(TailError::Write)) {
                Ok(more) => more,
                // Whoever read has seen enough.
                Err(TailError::Write(e)) if e.kind() == ErrorKind::BrokenPipe => break,
                Err(TailError::Write(e)) => {
                    return Err(Failure::new(format!("standard output cannot be written: {e}")));
                }
                Err(TailError::Read(e)) => return Err(e.into()),
            };
        if !more || reader_is_gone(&out) {
            break;
        }
        if !tail.wait() {
            thread::sleep(POLL);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether nobody will ever read what is written: seen without writing, since a run that does nothing writes nothing.
fn reader_is_gone(out: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(out, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().contains(PollFlags::ERR)
}
