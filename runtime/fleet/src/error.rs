//! What can go wrong before a run is watched, told to people.

use core::fmt;
use std::io;
use std::net::SocketAddr;

use bayplan_record::RecordError;
use bayplan_text::escape;

/// Why a run cannot be watched as it was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum FleetError {
    /// This names no address and port.
    Address {
        /// What was given.
        word: String,
    },
    /// Other machines reach this address, and nobody consented to that.
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// Nothing can listen there.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
    /// This is no URL that metrics can be sent to.
    Url {
        /// What was given.
        url: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The run's recording cannot be followed.
    Recording(RecordError),
    /// A thread could not be started.
    Thread(io::Error),
}

impl FleetError {
    /// Whether what was given is wrong, rather than this machine unable to do it.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::NotLoopback { .. } | Self::Url { .. })
    }
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { word } => {
                write!(f, "{} is no address and port such as 127.0.0.1:9464", escape(word))
            }
            Self::NotLoopback { address } => write!(
                f,
                "other machines may reach {address}, and metrics have no password and no encryption; \
                 listen on 127.0.0.1, or say --metrics-open if that is what you want"
            ),
            Self::Listen { address, reason } => {
                write!(f, "metrics cannot be served on {address}: {reason}; with port 0 a free one is taken")
            }
            Self::Url { url, reason } => {
                write!(f, "metrics cannot be sent to {}: {}", escape(url), escape(reason))
            }
            Self::Recording(e) => write!(f, "the run's recording cannot be followed: {e}"),
            Self::Thread(e) => write!(f, "the thread that follows the run cannot be started: {e}"),
        }
    }
}

impl std::error::Error for FleetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Recording(e) => Some(e),
            Self::Listen { reason: e, .. } | Self::Thread(e) => Some(e),
            _ => None,
        }
    }
}
