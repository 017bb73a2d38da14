//! Rules on the source text, checked on tokens: comments, documentation and strings do not count.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file longer than this is to be divided.
pub(crate) const MAX_LINES: usize = 600;

/// What a rule looks for in a token sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pattern {
    /// An identifier by itself, such as `unsafe`.
    Word(&'static str),
    /// `std::NAME`, or NAME within the braces of `std::{…}`.
    StdModule(&'static str),
}

/// Every `.rs` file under `folder`, build outputs and hidden folders left out, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether a file holds generated code, by its name or its folder's.
pub(crate) fn is_generated(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str().to_string_lossy().contains("generated"))
}

/// The tokens of a file.
pub(crate) fn tokens(path: &Path) -> TokenStream {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn parse(text: &str) -> Result<TokenStream, String> {
    TokenStream::from_str(text).map_err(|e| e.to_string())
}

/// The lines on which `pattern` occurs.
pub(crate) fn lines_with(tokens: &TokenStream, pattern: Pattern) -> Vec<usize> {
    let mut lines = Vec::new();
    collect(tokens, pattern, &mut lines);
    lines
}

fn collect(tokens: &TokenStream, pattern: Pattern, lines: &mut Vec<usize>) {
    let list: Vec<TokenTree> = tokens.clone().into_iter().collect();
    for (at, token) in list.iter().enumerate() {
        match (token, pattern) {
            (TokenTree::Ident(word), Pattern::Word(name)) if *word == name => {
                lines.push(word.span().start().line);
            }
            (TokenTree::Ident(word), Pattern::StdModule(name))
                if *word == "std" && is_path(&list[at + 1..]) =>
            {
                match list.get(at + 3) {
                    Some(TokenTree::Ident(module)) if *module == name => {
                        lines.push(module.span().start().line);
                    }
                    Some(TokenTree::Group(group)) => collect(&group.stream(), Pattern::Word(name), lines),
                    _ => {}
                }
            }
            (TokenTree::Group(group), _) => collect(&group.stream(), pattern, lines),
            _ => {}
        }
    }
}

/// Whether the tokens begin with `::`.
fn is_path(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(a), TokenTree::Punct(b), ..] if a.as_char() == ':' && b.as_char() == ':')
}

/// The tokens without items under `#[cfg(test)]`, and the names of the files' modules that are such items.
pub(crate) fn without_tests(tokens: &TokenStream) -> (TokenStream, Vec<String>) {
    let list: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < list.len() {
        if is_cfg_test(&list[at..]) {
            let end = item_end(&list, at + 2);
            modules.extend(outer_module(&list[at + 2..end]));
            at = end;
            continue;
        }
        if let TokenTree::Group(group) = &list[at] {
            let (inner, inner_modules) = without_tests(&group.stream());
            modules.extend(inner_modules);
            kept.push(TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner)));
        } else {
            kept.push(list[at].clone());
        }
        at += 1;
    }
    (kept.into_iter().collect(), modules)
}

/// Whether the tokens begin with `#[cfg(test)]`.
fn is_cfg_test(tokens: &[TokenTree]) -> bool {
    match tokens {
        [TokenTree::Punct(hash), TokenTree::Group(group), ..] if hash.as_char() == '#' => {
            group.delimiter() == Delimiter::Bracket
                && group.stream().to_string().replace(' ', "") == "cfg(test)"
        }
        _ => false,
    }
}

/// The index behind the item that begins at `start`: behind its `;`, or its braces where it may end in them.
fn item_end(list: &[TokenTree], start: usize) -> usize {
    let ends_in_semicolon = list[start..].iter().find_map(|t| match t {
        TokenTree::Ident(word) => match word.to_string().as_str() {
            "pub" | "crate" | "unsafe" | "async" => None,
            word => Some(matches!(word, "use" | "const" | "static" | "type" | "let" | "extern")),
        },
        _ => None,
    });
    for (at, token) in list.iter().enumerate().skip(start) {
        match token {
            TokenTree::Punct(p) if p.as_char() == ';' => return at + 1,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace && ends_in_semicolon != Some(true) => {
                return at + 1;
            }
            _ => {}
        }
    }
    list.len()
}

/// The name in `mod name;`.
fn outer_module(item: &[TokenTree]) -> Option<String> {
    match item {
        [.., TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(end)]
            if *word == "mod" && end.as_char() == ';' =>
        {
            Some(name.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_in_code_alone() {
        let check = |text: &str, pattern: Pattern, expect: &[usize]| {
            assert_eq!(lines_with(&parse(text).unwrap(), pattern), expect, "{text}");
        };
        let word = Pattern::Word("unsafe");
        check("// unsafe\n/// unsafe\nfn f() { \"unsafe\"; r#\"unsafe\"#; 'u'; }", word, &[]);
        check("#![forbid(unsafe_code)]", word, &[]);
        check("fn f<'a>() {\n    g(h![unsafe {}]);\n}", word, &[2]);
        check("use ash::vk;\n", Pattern::Word("ash"), &[1]);
        let module = Pattern::StdModule("fs");
        check("use std::fs;\nuse std::{io,\n fs::File};\nlet x = std::fs::read(p);", module, &[1, 3, 4]);
        check("use crate::fs; let std = fs; core::fs;", module, &[]);
    }

    #[test]
    fn leaves_out_test_items() {
        let check = |text: &str, expect: &[usize], modules: &[&str]| {
            let (kept, found) = without_tests(&parse(text).unwrap());
            assert_eq!(lines_with(&kept, Pattern::Word("std")), expect, "{text}");
            assert_eq!(found, modules, "{text}");
        };
        check("#[cfg(test)]\nextern crate std;\nuse std::a;", &[3], &[]);
        check("#[cfg(test)]\nmod tests {\n use std::a; }\nuse std::b;", &[4], &[]);
        check("#[cfg(test)]\nuse std::{a, b};\nuse std::c;", &[3], &[]);
        check("#[cfg(test)]\npub(crate) mod tests;\nuse std::c;", &[3], &["tests"]);
        check("#[cfg(test)]\n#[path = \"x.rs\"]\nmod checks;\nmod other;", &[], &["checks"]);
        check("impl A {\n #[cfg(test)]\n fn f() -> B { std::x() }\n fn g() { std::y() }\n}", &[4], &[]);
        check("#[cfg(feature = \"x\")]\nuse std::a;", &[2], &[]);
    }
}
