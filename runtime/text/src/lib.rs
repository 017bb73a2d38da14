//! Text for people: escaping, byte sizes, counts and durations.
