//! A server of metrics: a port, on this machine alone unless more is asked for.
//!
//! It does the least that a scraper needs of HTTP/1.1: one request for a connection, answered and closed. Whoever hangs, sends
//! nonsense or comes in great numbers costs a thread for some seconds, and the run nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::address;
use crate::error::FleetError;
use crate::request::{Asked, MAX_HEAD, OK, Request, Status, TOO_LARGE, UNAVAILABLE, parse};

/// Connections that are answered at a time.
const CONNECTIONS: usize = 16;
/// How long a connection may take, from its first byte to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that are read on behind a request.
const MAX_DRAINED: usize = 1 << 20;
/// Between two tries where the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers metrics: `true` asks for the format of OpenMetrics, else Prometheus' own; `Err` says why there are none.
pub(crate) type Metrics = Arc<dyn Fn(bool) -> Result<String, String> + Send + Sync>;

/// A port that is listened on; what is asked before a run is followed waits.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on an address such as `127.0.0.1:9464`; port 0 takes a free one. `open` consents to an address that other
    /// machines may reach: metrics have no password and no encryption.
    ///
    /// # Errors
    /// The word is no address and port; other machines may reach it, without consent; the port is taken or not allowed.
    pub fn bind(word: &str, open: bool) -> Result<Self, FleetError> {
        let address = address::parse(word, open)?;
        let fail = |reason| FleetError::Listen { address, reason };
        let listener = TcpListener::bind(address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from a thread of its own until what comes back is dropped.
    pub(crate) fn serve(self, metrics: Metrics) -> Result<Serving, FleetError> {
        let (stop, stopped) = UnixStream::pair().map_err(FleetError::Thread)?;
        let name = "bayplan-metrics".to_owned();
        let run = move || self.accept(&stopped, &metrics);
        let thread = thread::Builder::new().name(name).spawn(run).map_err(FleetError::Thread)?;
        Ok(Serving { stop: Some(stop), thread: Some(thread) })
    }

    fn accept(&self, stopped: &UnixStream, metrics: &Metrics) {
        let busy = Arc::new(AtomicUsize::new(0));
        loop {
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
            // Interrupted by a signal is as good as woken for nothing.
            let _ = poll(&mut ready, None);
            if !ready[1].revents().is_empty() {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.take(stream, &busy, metrics),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // Too many open files, say: others close theirs.
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Answers a connection in a thread of its own, if not too many are at it.
    fn take(&self, stream: TcpStream, busy: &Arc<AtomicUsize>, metrics: &Metrics) {
        let local = self.address.ip().is_loopback();
        if busy.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            busy.fetch_sub(1, Ordering::AcqRel);
            // It was not asked what it wants: a connection that is closed is tried again.
            return;
        }
        let (done, metrics) = (Busy(Arc::clone(busy)), Arc::clone(metrics));
        let answer = move || {
            let _done = done;
            // A client that goes away or takes too long is its own problem.
            let _ = Connection::new(stream).and_then(|own| own.answer(local, &metrics));
        };
        // Without a thread the connection is closed.
        let _ = thread::Builder::new().name("bayplan-scrape".to_owned()).spawn(answer);
    }
}

/// Counts a connection until it is dropped.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A server that answers; dropped, it does no longer.
pub(crate) struct Serving {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The other end of a pair that is gone can be read.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One connection, with the time that it has.
struct Connection {
    stream: TcpStream,
    until: Instant,
}

impl Connection {
    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { stream, until: Instant::now() + PATIENCE })
    }

    fn answer(mut self, local: bool, metrics: &Metrics) -> std::io::Result<()> {
        let request = self.request(local)?;
        let plain = "text/plain; charset=utf-8";
        let (status, kind, body) = match request.asked {
            Asked::Metrics { open_metrics } => match metrics(open_metrics) {
                Ok(text) => (OK, crate::prometheus::content_type(open_metrics), text),
                Err(why) => (UNAVAILABLE, plain, why + "\n"),
            },
            Asked::Root => (OK, plain, "The metrics of a bayplan run: /metrics\n".to_owned()),
            Asked::Refused(status) => (status, plain, format!("{}\n", status.1)),
        };
        self.write(&head(status, kind, body.len()))?;
        if !request.head {
            self.write(body.as_bytes())?;
        }
        self.stream.shutdown(std::net::Shutdown::Write)?;
        self.drain()
    }

    /// Reads on what a client still sends, within bounds: what it sent and nobody read would take the answer from it.
    fn drain(&mut self) -> std::io::Result<()> {
        let (mut portion, mut read) = ([0; 4096], 0);
        while read < MAX_DRAINED {
            self.stream.set_read_timeout(Some(self.left()?.min(PAUSE)))?;
            match self.stream.read(&mut portion)? {
                0 => return Ok(()),
                more => read += more,
            }
        }
        Ok(())
    }

    fn request(&mut self, local: bool) -> std::io::Result<Request> {
        let (mut head, mut portion) = (Vec::new(), [0; 1024]);
        while head.len() <= MAX_HEAD {
            self.stream.set_read_timeout(Some(self.left()?))?;
            let read = self.stream.read(&mut portion)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            head.extend_from_slice(&portion[..read]);
            if let Some(request) = parse(&head, local) {
                return Ok(request);
            }
        }
        Ok(Request { asked: Asked::Refused(TOO_LARGE), head: false })
    }

    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The time that is left to it.
    fn left(&self) -> std::io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn head((number, words): Status, kind: &str, length: usize) -> Vec<u8> {
    let allow = if number == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {number} {words}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving() -> (SocketAddr, Serving) {
        let server = Server::bind("127.0.0.1:0", false).expect("a port");
        let address = server.address();
        let metrics: Metrics = Arc::new(|open| if open { Err("none".into()) } else { Ok("peak 1\n".into()) });
        (address, server.serve(metrics).expect("a thread"))
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    #[test]
    fn a_request_is_answered_and_the_connection_closed() {
        let (address, serving) = serving();
        let answer = ask(address, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\npeak 1\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nContent-Length: 7\r\n"), "{answer}");
        let head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n") && head.contains("Content-Length: 7"), "{head}");
        let none = ask(address, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
        assert!(none.starts_with("HTTP/1.1 503 ") && none.ends_with("none\n"), "{none}");
        assert!(ask(address, "PUT / HTTP/1.1\r\n\r\n").contains("\r\nAllow: GET, HEAD\r\n"));
        drop(serving);
        assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
    }

    /// Who says more than is listened to, or asks for what there is not, is answered all the same.
    #[test]
    fn whoever_says_too_much_is_answered() {
        let (address, _serving) = serving();
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(500_000));
        assert!(ask(address, &long).starts_with("HTTP/1.1 431 "));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5_000));
        assert!(ask(address, &many).starts_with("HTTP/1.1 431 "));
        let body = format!("POST /metrics HTTP/1.1\r\nContent-Length: 300000\r\n\r\n{}", "z".repeat(300_000));
        assert!(ask(address, &body).starts_with("HTTP/1.1 405 "));
        assert!(ask(address, "GET /secret HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        let root = ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(root.starts_with("HTTP/1.1 200 ") && root.contains("/metrics"), "{root}");
        assert!(!root.to_lowercase().contains("access-control"), "pages from elsewhere may not read it");
    }

    #[test]
    fn who_hangs_keeps_nobody_from_an_answer() {
        let (address, _serving) = serving();
        let hanging: Vec<TcpStream> = (0..CONNECTIONS - 1)
            .map(|n| {
                let mut stream = TcpStream::connect(address).expect("it listens");
                stream.write_all(&b"GET /metr"[..n % 9]).expect("it reads");
                stream
            })
            .collect();
        assert!(ask(address, "GET /metrics HTTP/1.1\r\n\r\n").contains("peak 1"));
        drop(hanging);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_that_names_it() {
        let taken = Server::bind("127.0.0.1:0", false).expect("a port");
        let refused = Server::bind(&taken.address().to_string(), false).expect_err("it is taken");
        assert!(
            !refused.is_usage() && refused.to_string().contains(&taken.address().to_string()),
            "{refused}"
        );
    }
}
