//! A pipe that is read ahead by a thread of its own, so that whoever takes from it never waits.

use std::io::{self, ErrorKind, IsTerminal, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::error::RecordError;
use crate::stream::PORTION;

/// Portions that wait to be taken; then the pipe waits, and whoever fills it.
const AHEAD: usize = 16;

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// No more will come.
    End,
}

type Tell = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

pub(crate) struct Pipe {
    portions: Receiver<io::Result<Vec<u8>>>,
    /// What was taken from there and not yet handed out.
    rest: Option<io::Result<Vec<u8>>>,
    tell: Tell,
}

impl Pipe {
    /// Standard input, if something is piped in.
    pub(crate) fn standard_input() -> Result<Self, RecordError> {
        if io::stdin().is_terminal() {
            return Err(RecordError::NothingPiped);
        }
        Self::new(io::stdin()).map_err(RecordError::io("start the thread that reads", "standard input"))
    }

    fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, portions) = sync_channel(AHEAD);
        let tell = Tell::default();
        let told = Arc::clone(&tell);
        let work = move || {
            read_ahead(input, &sender, &told);
            // The end is news, too: it can be seen once the sender is gone.
            drop(sender);
            arrived(&told);
        };
        thread::Builder::new().name("bayplan-pipe".to_owned()).spawn(work)?;
        Ok(Self { portions, rest: None, tell })
    }

    pub(crate) fn tell_of_arrivals(&self, tell: impl Fn() + Send + Sync + 'static) {
        if self.tell.set(Box::new(tell)).is_ok() {
            // Something may have come before.
            arrived(&self.tell);
        }
    }

    /// Waits until there is something to take, or nothing will come.
    pub(crate) fn wait(&mut self) {
        if self.rest.is_none() {
            self.rest = self.portions.recv().ok();
        }
    }

    pub(crate) fn read(&mut self, portion: &mut [u8]) -> io::Result<Arrived> {
        let next = match self.rest.take() {
            Some(rest) => rest,
            None => match self.portions.try_recv() {
                Ok(next) => next,
                Err(TryRecvError::Empty) => return Ok(Arrived::Nothing),
                Err(TryRecvError::Disconnected) => return Ok(Arrived::End),
            },
        };
        let mut bytes = next?;
        let taken = bytes.len().min(portion.len());
        portion[..taken].copy_from_slice(&bytes[..taken]);
        if taken < bytes.len() {
            bytes.drain(..taken);
            self.rest = Some(Ok(bytes));
        }
        Ok(Arrived::Bytes(taken))
    }
}

fn read_ahead(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>, tell: &Tell) {
    let mut portion = vec![0; PORTION];
    loop {
        let (next, goes_on) = match input.read(&mut portion) {
            Ok(0) => return,
            Ok(read) => (Ok(portion[..read].to_vec()), true),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => (Err(error), false),
        };
        if sender.send(next).is_err() || !goes_on {
            return;
        }
        arrived(tell);
    }
}

fn arrived(tell: &Tell) {
    if let Some(tell) = tell.get() {
        tell();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_comes_is_told_and_taken_without_waiting() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pipe = Pipe::new(reader).unwrap();
        let (told, news) = channel();
        pipe.tell_of_arrivals(move || told.send(()).unwrap());
        let mut portion = [0; 4];
        assert_eq!(pipe.read(&mut portion).unwrap(), Arrived::Nothing);
        let patience = Duration::from_secs(20);
        news.recv_timeout(patience).unwrap();
        writer.write_all(b"recording").unwrap();
        news.recv_timeout(patience).unwrap();
        pipe.wait();
        let mut all = Vec::new();
        while let Arrived::Bytes(count) = pipe.read(&mut portion).unwrap() {
            all.extend_from_slice(&portion[..count]);
        }
        assert_eq!(all, b"recording");
        drop(writer);
        news.recv_timeout(patience).unwrap();
        pipe.wait();
        assert_eq!(pipe.read(&mut portion).unwrap(), Arrived::End);
    }

    #[test]
    fn a_pipe_that_breaks_is_an_error_once_and_then_its_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut pipe = Pipe::new(Broken).unwrap();
        pipe.wait();
        assert_eq!(pipe.read(&mut [0; 4]).unwrap_err().to_string(), "broken");
        pipe.wait();
        assert_eq!(pipe.read(&mut [0; 4]).unwrap(), Arrived::End);
    }
}
