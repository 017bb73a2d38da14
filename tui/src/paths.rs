//! Paths that are typed, and what they can go on with.

use std::path::Path;

use crate::about;

/// Most entries of a folder that are looked at, and most that are told.
const MOST_LOOKED_AT: usize = 20_000;
const MOST: usize = 200;

/// What a path can go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The path as it would be typed; that of a folder to look into ends with a slash.
    pub(crate) text: String,
    /// Whether it is a recording: a file, or the folder of its segments.
    pub(crate) is_recording: bool,
}

/// Whether what is typed is a path: it begins with `/`, `./`, `../` or `~`, leads through folders, or names a file of a
/// recording.
pub(crate) fn is_path(text: &str) -> bool {
    let is_file = Path::new(text).extension().is_some_and(|what| what == "bptrace");
    is_file || text == "~" || text.contains('/')
}

/// The path that is meant, with the folder of the user in place of `~`.
pub(crate) fn expand(text: &str) -> String {
    let home = || std::env::var("HOME").unwrap_or_default();
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => home() + rest,
        _ => text.to_owned(),
    }
}

/// Whether a file is one of the segments of a recording, by its name: `0001.bptrace`.
pub(crate) fn is_segment(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

/// The recordings in the folder of a path whose names begin as it ends, and the folders there, in the order of their names.
/// What begins with a dot is told only to who types one. Names that are no text cannot be typed and are left out.
pub(crate) fn recordings(text: &str) -> Vec<Found> {
    let text = if text == "~" { "~/" } else { text };
    let (folder, begin) = text.rsplit_once('/').map_or(("", text), |(folder, begin)| (folder, begin));
    let typed = if text.contains('/') { format!("{folder}/") } else { String::new() };
    let looked_at = if typed.is_empty() { ".".to_owned() } else { expand(&typed) };
    let entries = Path::new(&looked_at).read_dir().into_iter().flatten().flatten().take(MOST_LOOKED_AT);
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(begin) && (begin.starts_with('.') || !name.starts_with('.')))
        .collect();
    names.sort_unstable();
    let found = names.into_iter().filter_map(|name| {
        let path = Path::new(&looked_at).join(&name);
        if !path.is_dir() {
            let is_recording = path.is_file() && path.extension().is_some_and(|what| what == "bptrace");
            return is_recording.then(|| Found { text: format!("{typed}{name}"), is_recording });
        }
        let is_recording = about::files(&path).iter().any(|file| is_segment(file));
        let slash = if is_recording { "" } else { "/" };
        Some(Found { text: format!("{typed}{name}{slash}"), is_recording })
    });
    found.take(MOST).collect()
}

/// A path with as much added as all that it can go on with have in common; none where that is nothing.
pub(crate) fn complete(text: &str) -> Option<String> {
    let found = recordings(text);
    let (first, rest) = found.split_first()?;
    let common = rest.iter().fold(first.text.as_str(), |common, found| {
        let same = common.chars().zip(found.text.chars()).take_while(|(a, b)| a == b);
        &common[..same.map(|(c, _)| c.len_utf8()).sum()]
    });
    (common.len() > text.len()).then(|| common.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_path_or_words() {
        for text in ["/", "./", "../a", "~", "~/", "runs/x", "x.bptrace"] {
            assert!(is_path(text), "{text}");
        }
        for text in ["", "minilm", "4711", "run:3", "~x", "."] {
            assert!(!is_path(text), "{text}");
        }
        assert_eq!((expand("~x"), expand("/~/a")), ("~x".to_owned(), "/~/a".to_owned()));
        assert!(!expand("~/a").starts_with('~') && expand("~/a").ends_with("/a"));
    }

    #[test]
    fn a_path_goes_on_with_the_recordings_and_folders_there() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().to_str().unwrap();
        for name in ["run-é1.bptrace", "run-è2.bptrace", "notes.txt", ".hidden.bptrace"] {
            std::fs::write(temp.path().join(name), "").unwrap();
        }
        for name in ["runs", "run-s", ".dark"] {
            std::fs::create_dir(temp.path().join(name)).unwrap();
        }
        std::fs::write(temp.path().join("run-s/0001.bptrace"), "").unwrap();
        std::fs::write(temp.path().join("runs/own.bptrace"), "").unwrap();
        let texts = |begin: &str| {
            let found = recordings(&format!("{folder}/{begin}"));
            let tell = |found: Found| (found.text[folder.len() + 1..].to_owned(), found.is_recording);
            found.into_iter().map(tell).collect::<Vec<_>>()
        };
        let all = [("run-s", true), ("run-è2.bptrace", true), ("run-é1.bptrace", true), ("runs/", false)];
        assert_eq!(texts(""), all.map(|(text, is)| (text.to_owned(), is)));
        assert_eq!(texts("."), [(".dark/".to_owned(), false), (".hidden.bptrace".to_owned(), true)]);
        assert!(texts("notes").is_empty() && texts("none/such/").is_empty());
        // As far as they agree, and never within a sign: both accents begin with one byte.
        let completed = |begin: &str| {
            complete(&format!("{folder}/{begin}")).map(|text| text[folder.len() + 1..].to_owned())
        };
        assert_eq!(completed("r"), Some("run".to_owned()));
        assert_eq!(completed("run-"), None);
        assert_eq!(completed("run-é"), Some("run-é1.bptrace".to_owned()));
        assert_eq!(completed("runs"), Some("runs/".to_owned()));
        assert_eq!(completed("runs/"), Some("runs/own.bptrace".to_owned()));
        assert_eq!(completed("xyz"), None);
    }
}
