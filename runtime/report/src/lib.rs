//! Reports on a recording for people and programs.
