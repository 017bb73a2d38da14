//! The example of the library's documentation.

include!("quickstart.rs");
