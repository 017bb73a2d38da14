//! OpenTelemetry metrics, sent by OTLP: protobuf over HTTP, version 1 of the protocol.
//!
//! ```text
//! every 10 s, and once at the end     POST URL, application/x-protobuf     200: taken · 429, 502 to 504: later
//!                                                                          anything else: told to people once
//! ```
//! What is sent are sums since the session began, so that what was not taken is made good by what comes next.

mod messages;
mod request;
mod send;
#[cfg(test)]
mod tests;

pub use send::Receiver;
pub(crate) use send::Sending;
