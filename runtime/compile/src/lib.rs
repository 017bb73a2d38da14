//! Graph and target to a verified program with a memory plan.
