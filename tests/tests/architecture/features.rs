//! The README's table of what other viewers can do: each "yes" of bayplan names a test, and that test is there.

/// The head of the table's last columns.
const OURS: &str = "bayplan";
const TEST: &str = "test";

/// A row that claims something: what, and the tests that it names, each `path::function`.
pub(crate) struct Claim {
    pub(crate) feature: String,
    pub(crate) says: String,
    pub(crate) tests: Vec<String>,
}

/// The rows of the table, the first whose last two heads are `bayplan` and `test`.
pub(crate) fn claims(document: &str) -> Result<Vec<Claim>, String> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = document.lines().skip_while(|line| {
        let head = cells(line);
        !(head.len() > 2 && head[head.len() - 2] == OURS && head[head.len() - 1] == TEST)
    });
    let columns =
        lines.next().map(cells).ok_or("there is no table whose last columns are bayplan and test")?.len();
    let rows = lines.skip(1).take_while(|line| line.trim_start().starts_with('|'));
    rows.map(|line| {
        let row = cells(line);
        if row.len() != columns {
            return Err(format!("{} cells instead of {columns}: {line}", row.len()));
        }
        let tests = row[columns - 1].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Ok(Claim { feature: row[0].clone(), says: row[columns - 2].clone(), tests })
    })
    .collect()
}

/// What is wrong with the claims; `source` gives a file of the repository.
pub(crate) fn check(claims: &[Claim], source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for Claim { feature, says, tests } in claims {
        if says == "yes" && tests.is_empty() {
            wrong.push(format!("{feature}: says yes and names no test"));
        }
        for test in tests {
            let Some((path, name)) = test.rsplit_once("::") else {
                wrong.push(format!("{feature}: {test} is not written path::test"));
                continue;
            };
            match source(path) {
                None => wrong.push(format!("{feature}: there is no file {path}")),
                Some(text) if !is_test(&text, name) => {
                    wrong.push(format!("{feature}: {path} has no test {name}"));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// Whether a source has a test of that name.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let at = lines.iter().position(|line| line.starts_with(&head));
    at.is_some_and(|at| {
        lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).any(|line| *line == "#[test]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text\n\n| what | Tracy | bayplan | test |\n|---|---|---|---|\n| zoom | yes | yes | `a.rs::zooms` |\n| fly | no | no | |\n\nend\n| other |\n";
    const SOURCE: &str = "#[test]\n#[cfg(unix)]\nfn zooms() {}\nfn helps() {}\n";

    fn wrong(table: &str) -> Vec<String> {
        check(&claims(table).unwrap(), |path| (path == "a.rs").then(|| SOURCE.to_owned()))
    }

    #[test]
    fn a_yes_must_name_a_test_that_is_there() {
        assert_eq!(claims(TABLE).unwrap().len(), 2);
        assert!(wrong(TABLE).is_empty());
        assert_eq!(wrong(&TABLE.replace("`a.rs::zooms`", "")), ["zoom: says yes and names no test"]);
        assert_eq!(wrong(&TABLE.replace("::zooms", "::helps")), ["zoom: a.rs has no test helps"]);
        assert_eq!(wrong(&TABLE.replace("a.rs", "b.rs")), ["zoom: there is no file b.rs"]);
        assert!(claims("| a | b |").is_err());
        assert!(claims(&TABLE.replace("| fly | no |", "| fly |")).is_err());
    }
}
