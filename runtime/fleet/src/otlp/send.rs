//! Sends requests to a receiver, from a thread that nobody waits for but at the end, and there not for long.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bayplan_text::escape;
use prost::Message;
use ureq::Agent;
use ureq::http::Uri;

use super::messages::ExportResponse;
use super::request::request;
use crate::error::FleetError;
use crate::fleet::Over;
use crate::watched::Watched;

/// Between two requests.
const EVERY: Duration = Duration::from_secs(10);
/// How long a request may take while the run goes on, and at its end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are looked at.
const MAX_ANSWER: u64 = 64 << 10;
/// Most characters of an answer's words that are shown.
const MAX_WORDS: usize = 200;

/// Where OpenTelemetry metrics go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    url: String,
}

impl Receiver {
    /// A receiver at a URL such as `http://127.0.0.1:4318`. Without a path it is the protocol's own, `/v1/metrics`.
    ///
    /// # Errors
    /// This is no `http` URL. Encryption is not built in: a collector on this machine forwards to others.
    pub fn new(url: &str) -> Result<Self, FleetError> {
        let refuse = |reason: &str| FleetError::Url { url: url.to_owned(), reason: reason.to_owned() };
        let uri: Uri = url.parse().map_err(|_| refuse("this is no URL such as http://127.0.0.1:4318"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(refuse(
                    "encryption is not built in; send to a collector on this machine, which forwards",
                ));
            }
            _ => {
                return Err(refuse("this is no URL that begins with http://, such as http://127.0.0.1:4318"));
            }
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(refuse("it names no host"));
        }
        let path = if matches!(uri.path(), "" | "/") { "/v1/metrics" } else { "" };
        Ok(Self { url: format!("{}{path}", if path.is_empty() { url } else { url.trim_end_matches('/') }) })
    }

    /// The URL that requests go to.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Sends the figures of a run as it goes on.
pub(crate) struct Sending {
    over: Over,
    thread: Option<JoinHandle<()>>,
    outcome: Arc<Mutex<Outcome>>,
    receiver: Receiver,
}

/// What became of the requests.
#[derive(Default)]
struct Outcome {
    sent: u64,
    failed: u64,
    /// Why the last request was not taken; `None` if it was.
    last: Option<String>,
    /// Points that were refused one by one, and why.
    refused: Option<String>,
}

impl Sending {
    pub(crate) fn start(receiver: Receiver, watched: Watched) -> Result<Self, FleetError> {
        let (over, outcome) = (Over::default(), Arc::new(Mutex::new(Outcome::default())));
        let (told, url, note) = (over.clone(), receiver.url.clone(), Arc::clone(&outcome));
        let send = move || {
            let agent = agent();
            loop {
                // The last request is sent when all is known.
                let last = told.wait(EVERY);
                let result =
                    watched.tell(|told| request(told, now())).and_then(|body| post(&agent, &url, &body));
                note.lock().unwrap_or_else(PoisonError::into_inner).note(result);
                if last {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("bayplan-otlp".to_owned()).spawn(send);
        Ok(Self { over, thread: Some(thread.map_err(FleetError::Thread)?), outcome, receiver })
    }

    /// Sends the last figures and answers what to tell people, if not all was taken.
    pub(crate) fn finish(mut self) -> Option<String> {
        self.stop();
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.words(&self.receiver.url)
    }

    fn stop(&mut self) {
        self.over.tell();
        if let Some(thread) = self.thread.take() {
            // It ends by itself, no later than its request; that it panicked was printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Outcome {
    fn note(&mut self, result: Result<Option<String>, String>) {
        match result {
            Ok(refused) => {
                self.sent += 1;
                self.last = None;
                if refused.is_some() {
                    self.refused = refused;
                }
            }
            Err(why) => {
                self.failed += 1;
                self.last = Some(why);
            }
        }
    }

    fn words(&self, url: &str) -> Option<String> {
        let url = escape(url);
        match (&self.last, &self.refused) {
            (Some(why), _) => Some(format!(
                "the last metrics were not taken by {url}: {why} ({} of {} requests were)",
                self.sent,
                self.sent + self.failed
            )),
            (None, Some(why)) => Some(format!("{url} refused some metrics: {why}")),
            (None, None) => None,
        }
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("bayplan/", env!("CARGO_PKG_VERSION")))
        .build();
    config.into()
}

/// Sends a request. Answers what was refused of it, if that was some.
fn post(agent: &Agent, url: &str, body: &[u8]) -> Result<Option<String>, String> {
    let sent = agent.post(url).content_type("application/x-protobuf").send(body);
    let mut answer = sent.map_err(|e| shown(&e.to_string()))?;
    let status = answer.status();
    let read = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
    if !status.is_success() {
        // What an answer of an error says is of no fixed form; often it is a sentence.
        let words = shown(&String::from_utf8_lossy(&read.unwrap_or_default()));
        return Err(format!("it answered {status}{}{words}", if words.is_empty() { "" } else { ": " }));
    }
    let refused = read.ok().and_then(|bytes| ExportResponse::decode(&*bytes).ok()).unwrap_or_default();
    let refused = refused.partial_success.filter(|partial| partial.rejected_data_points > 0);
    Ok(refused
        .map(|partial| format!("{} points: {}", partial.rejected_data_points, shown(&partial.error_message))))
}

/// Words from elsewhere, made fit to be shown.
fn shown(words: &str) -> String {
    let cut: String = words.trim().chars().take(MAX_WORDS).collect();
    escape(&cut).to_string()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
