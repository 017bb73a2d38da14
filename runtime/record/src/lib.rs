//! Recordings on disk: writing, discovery, following.
