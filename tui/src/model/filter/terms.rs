//! The terms of a search as people are told of them: what fits what was typed so far.

/// A term as it is typed, with what it keeps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// What completion puts there.
    pub(crate) start: &'static str,
    /// As it is typed, with a value.
    pub(crate) example: &'static str,
    /// What it keeps.
    pub(crate) about: &'static str,
}

const fn hint(start: &'static str, example: &'static str, about: &'static str) -> Hint {
    Hint { start, example, about }
}

/// Every term.
pub(crate) const HINTS: &[Hint] = &[
    hint("peak", "live at peak", "alive at the peak of its arena"),
    hint("size>", "size>1MiB", "larger; also < <= >= ="),
    hint("op:", "op:MatMul", "such ops, and the tensors that they write or read; op:97 is that op"),
    hint("life>", "life>10", "lives during more ops"),
    hint("top ", "top 20", "the largest, of what else is asked for"),
    hint("at:", "at:97", "alive at that op; at:90..100 at one of 90 to 100"),
    hint("type:", "type:f16", "of that type"),
    hint("kind:", "kind:weight", "activation, input, output, weight, constant, scratch"),
    hint("addr:", "addr:4MiB..5MiB", "touches those bytes, or addr:0x400000"),
    hint("never freed", "never freed", "lives to the end of the program"),
    hint("deviates", "deviates", "not where or when it was planned"),
    hint("in place", "in place", "took over the bytes of another"),
    hint("born<", "born<100", "born before that op"),
    hint("dies>=", "dies>=20", "dies at that op or later"),
    hint("offset<", "offset<4MiB", "begins below"),
    hint("arena:", "arena:weights", "in an arena of that name"),
    hint("name:", "name:conv1", "its name, or that of the op that makes it, holds that: as the word alone"),
    hint("not ", "not kind:weight", "what the term leaves out"),
    hint("and ", "peak and size>1MiB", "both, as the terms side by side"),
    hint("or ", "peak or size>1MiB", "one or the other"),
];

/// The word that is being typed.
fn typed(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or(text)
}

/// The terms that begin as the last word does; all of them where none is being typed.
pub(crate) fn hints(text: &str) -> Vec<&'static Hint> {
    let typed = typed(text).to_lowercase();
    let fits = |hint: &&Hint| {
        hint.start.starts_with(&typed) || hint.example.starts_with(&typed) || {
            // A term whose value is being typed stays in sight.
            let end = hint.start.trim_end_matches(['<', '>', '=']);
            end.len() < hint.start.len() && typed.starts_with(end)
                || hint.start.ends_with(':') && typed.starts_with(hint.start)
        }
    };
    HINTS.iter().filter(fits).collect()
}

/// The text with the word that is being typed made the first term that begins so; none where none does.
pub(crate) fn complete(text: &str) -> Option<String> {
    let typed = typed(text);
    let small = typed.to_lowercase();
    let hint = HINTS.iter().find(|hint| hint.start.len() > small.len() && hint.start.starts_with(&small))?;
    (!typed.is_empty()).then(|| format!("{}{}", &text[..text.len() - typed.len()], hint.start))
}
