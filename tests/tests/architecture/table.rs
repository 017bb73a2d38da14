//! The tables of ARCHITECTURE.md: fenced blocks `arrows` and `forbidden`, and the checks against them.

use std::collections::{BTreeMap, BTreeSet};

/// Room to the rooms, or crates, it is connected with.
pub(crate) type Map = BTreeMap<String, BTreeSet<String>>;

/// Stands for every room.
pub(crate) const ANY: &str = "*";

/// One line of the `forbidden` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub(crate) room: String,
    pub(crate) crates: BTreeSet<String>,
    pub(crate) reason: String,
}

/// The lines of the fenced block with info string `name`, each with its line number.
pub(crate) fn block<'a>(document: &'a str, name: &str) -> Result<Vec<(usize, &'a str)>, String> {
    let mut found: Option<Vec<(usize, &str)>> = None;
    let mut inside = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (line.trim().strip_prefix("```"), inside) {
            (Some(info), None) => {
                inside = Some(info.trim() == name);
                if info.trim() == name && found.replace(Vec::new()).is_some() {
                    return Err(format!("line {number}: a second block `{name}`"));
                }
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) if !line.trim().is_empty() => {
                found.as_mut().expect("set at the fence").push((number, line.trim()));
            }
            _ => {}
        }
    }
    if inside == Some(true) {
        return Err(format!("block `{name}` is not closed"));
    }
    found.ok_or_else(|| format!("no block `{name}`"))
}

/// Reads `room -> room room…` lines.
pub(crate) fn arrows(lines: &[(usize, &str)]) -> Result<Map, String> {
    let mut map = Map::new();
    for (number, line) in lines {
        let (room, targets) = line
            .split_once("->")
            .ok_or_else(|| format!("line {number}: expected `room -> room…`, found `{line}`"))?;
        let targets = targets.split_whitespace().map(String::from).collect();
        if map.insert(room.trim().to_string(), targets).is_some() {
            return Err(format!("line {number}: a second line for `{}`", room.trim()));
        }
    }
    Ok(map)
}

/// Reads `room : crate crate…  reason` lines; two spaces divide the crates from the reason.
pub(crate) fn forbidden(lines: &[(usize, &str)]) -> Result<Vec<Forbidden>, String> {
    let read = |(number, line): &(usize, &str)| {
        let (room, rest) = line
            .split_once(':')
            .ok_or_else(|| format!("line {number}: expected `room : crate…`, found `{line}`"))?;
        let (crates, reason) = rest.trim().split_once("  ").unwrap_or((rest, ""));
        let crates: BTreeSet<String> = crates.split_whitespace().map(String::from).collect();
        if crates.is_empty() {
            return Err(format!("line {number}: no crate is named"));
        }
        Ok(Forbidden { room: room.trim().to_string(), crates, reason: reason.trim().to_string() })
    };
    lines.iter().map(read).collect()
}

/// What is wrong with the actual arrows, and with the table itself.
pub(crate) fn check_arrows(allowed: &Map, actual: &Map) -> Vec<String> {
    let mut wrong = Vec::new();
    for (room, targets) in actual {
        let Some(allowed) = allowed.get(room) else {
            wrong.push(format!("room `{room}` has no line in the block `arrows` of ARCHITECTURE.md"));
            continue;
        };
        for target in targets.iter().filter(|t| !allowed.contains(*t) && !allowed.contains(ANY)) {
            wrong.push(format!(
                "`{room}` imports `{target}`, which ARCHITECTURE.md does not allow: remove the dependency, or move \
                 what both need to a room below both"
            ));
        }
    }
    for (room, targets) in allowed {
        for name in targets.iter().chain([room]).filter(|n| *n != ANY && !actual.contains_key(*n)) {
            wrong.push(format!("the line of `{room}` names `{name}`, which is not a room"));
        }
    }
    wrong.extend(
        circle(allowed).map(|path| format!("the allowed arrows run in a circle: {}", path.join(" -> "))),
    );
    wrong
}

/// A circle in the arrows, if there is one.
fn circle(arrows: &Map) -> Option<Vec<&str>> {
    fn visit<'a>(
        room: &'a str,
        arrows: &'a Map,
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = path.iter().position(|p| *p == room) {
            return Some(path[start..].iter().copied().chain([room]).collect());
        }
        if done.contains(room) {
            return None;
        }
        path.push(room);
        let found =
            arrows.get(room).and_then(|targets| targets.iter().find_map(|t| visit(t, arrows, path, done)));
        path.pop();
        done.insert(room);
        found
    }
    let (mut path, mut done) = (Vec::new(), BTreeSet::new());
    arrows.keys().find_map(|room| visit(room, arrows, &mut path, &mut done))
}

/// Which rooms have a forbidden crate in their tree; `tree` maps each room to every crate it is built from, with the
/// way by which it came.
pub(crate) fn check_forbidden(
    rules: &[Forbidden],
    tree: &BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for rule in rules {
        if rule.room != ANY && !tree.contains_key(&rule.room) {
            wrong.push(format!("the block `forbidden` names `{}`, which is not a room", rule.room));
        }
        for (room, crates) in tree.iter().filter(|(room, _)| rule.room == ANY || rule.room == **room) {
            for name in rule.crates.iter().filter_map(|c| crates.get(c).map(|way| (c, way))) {
                wrong.push(format!("`{room}` is built with `{}` ({}), but {}", name.0, name.1, rule.reason));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
text
```arrows
low ->
high -> low
top -> *
```
```rust
low -> nonsense
```
```forbidden
low : heavy slow  it stays small
* : openssl-sys
```
";

    fn map(rows: &[(&str, &[&str])]) -> Map {
        rows.iter().map(|(k, v)| (k.to_string(), v.iter().map(ToString::to_string).collect())).collect()
    }

    #[test]
    fn reads_both_blocks() {
        let read = arrows(&block(DOCUMENT, "arrows").unwrap()).unwrap();
        assert_eq!(read, map(&[("low", &[]), ("high", &["low"]), ("top", &["*"])]));
        let rules = forbidden(&block(DOCUMENT, "forbidden").unwrap()).unwrap();
        assert_eq!(rules[0].crates, ["heavy", "slow"].map(String::from).into());
        assert_eq!((rules[0].reason.as_str(), rules[1].room.as_str()), ("it stays small", "*"));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let cases = [
            ("nothing", "no block `arrows`"),
            ("```arrows\na ->\n", "block `arrows` is not closed"),
            ("```arrows\n```\n```arrows\n```\n", "line 3: a second block `arrows`"),
        ];
        for (document, expect) in cases {
            assert_eq!(block(document, "arrows").unwrap_err(), expect);
        }
        assert_eq!(arrows(&[(4, "a b")]).unwrap_err(), "line 4: expected `room -> room…`, found `a b`");
        assert_eq!(arrows(&[(1, "a -> b"), (2, "a ->")]).unwrap_err(), "line 2: a second line for `a`");
        assert_eq!(forbidden(&[(7, "a :")]).unwrap_err(), "line 7: no crate is named");
        assert_eq!(forbidden(&[(7, "a")]).unwrap_err(), "line 7: expected `room : crate…`, found `a`");
    }

    /// Every actual set of arrows here breaks one rule, but for the first.
    #[test]
    fn finds_arrows_that_are_not_allowed() {
        let allowed = map(&[("low", &[]), ("high", &["low"]), ("top", &["*"])]);
        let check = |actual: &[(&str, &[&str])], expect: &[&str]| {
            let wrong = check_arrows(&allowed, &map(actual));
            assert_eq!(wrong.len(), expect.len(), "{wrong:?}");
            for (wrong, expect) in wrong.iter().zip(expect) {
                assert!(wrong.contains(expect), "{wrong}");
            }
        };
        check(&[("low", &[]), ("high", &["low"]), ("top", &["low", "high"])], &[]);
        check(&[("low", &["high"]), ("high", &[]), ("top", &[])], &["`low` imports `high`"]);
        check(&[("low", &[]), ("high", &[]), ("top", &[]), ("new", &[])], &["room `new` has no line"]);
        check(&[("low", &[]), ("high", &["low"])], &["names `top`, which is not a room"]);
    }

    #[test]
    fn finds_a_circle_in_the_table() {
        let table = map(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
        assert_eq!(circle(&table), Some(vec!["b", "c", "b"]));
        assert_eq!(circle(&map(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])), None);
    }

    #[test]
    fn finds_forbidden_crates() {
        let rules = forbidden(&block(DOCUMENT, "forbidden").unwrap()).unwrap();
        let tree = |room: &str, found: &str| {
            BTreeMap::from([
                ("low".to_string(), BTreeMap::new()),
                (room.to_string(), BTreeMap::from([(found.to_string(), format!("{room} -> x -> {found}"))])),
            ])
        };
        assert_eq!(check_forbidden(&rules, &tree("high", "heavy")), Vec::<String>::new());
        let wrong = check_forbidden(&rules, &tree("low", "slow"));
        assert_eq!(wrong, ["`low` is built with `slow` (low -> x -> slow), but it stays small"]);
        assert_eq!(check_forbidden(&rules, &tree("high", "openssl-sys")).len(), 1);
        assert_eq!(check_forbidden(&rules[..1], &BTreeMap::new()).len(), 1);
    }
}
