use super::*;
use crate::keys::Action;

fn wrong(text: &str) -> (String, String) {
    let (at, what) = Config::read(text).unwrap_err();
    let (line, column) = place(text, at);
    (format!("{line}:{column}"), what)
}

#[test]
fn what_is_printed_is_read_back_as_the_same() {
    let mine = "theme = \"mine\"\ncolor = \"256\"\nascii = true\n[keys]\nquit = [\"f10\", \"ctrl-c\"]\npeak = []\n\
        search = [\"\\\\\"]\norder = '\"'\nlive = [\"f5\", \"alt-g\", \"G\"]\n\
        [themes.mine]\nbase = \"light\"\nalarm = \"#880000\"\ntensor-2 = \"#123456 dark-gray\"\n[themes.dark]\nfaint = \"#aaaaaa gray\"\n";
    for text in ["", mine] {
        let config = Config::read(text).unwrap();
        let printed = config.to_string();
        assert_eq!(Config::read(&printed).unwrap_or_else(|wrong| panic!("{wrong:?}\n{printed}")), config);
    }
    let config = Config::read(mine).unwrap();
    assert_eq!(config.keys.name(Action::Live), "f5");
    assert_eq!((config.palette(false).alarm.0, config.palette(true).ground), (0x88, palette::LIGHT.ground));
    assert!(config.keys.keys(Action::Peak).is_empty());
    assert_eq!(Config::read("").unwrap(), Config::default());
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_is_allowed() {
    for (text, place, words) in [
        ("\nthem = 1", "2:1", "there is no setting \"them\"; there are theme, color"),
        ("theme = \"solar\"", "1:9", "there is no theme \"solar\"; there are auto, dark, light"),
        ("theme = 1", "1:9", "theme is text"),
        ("color = \"8\"", "1:9", "one of auto, always, never, 16, 256, true"),
        ("ascii = \"no\"", "1:9", "true or false"),
        ("[keys]\nquti = \"q\"", "2:1", "there is no action \"quti\"; there are quit, runs, help"),
        ("[keys]\nquit = [\"Ctrl-q\"]", "2:9", "there is no key \"Ctrl-q\"; a key is a single character"),
        ("[keys]\npause = \"p\"", "2:9", "the key p does both pause and peak"),
        ("[keys]\npause = [\"f9\"]\npeak = [\"f8\", \"f9\"]", "3:15", "the key f9 does both pause and peak"),
        ("[keys]\npause = [\"f9\", \"f9\"]", "2:16", "the key f9 is given to pause twice"),
        ("[keys]\npause = 3", "2:9", "pause is a key in quotes"),
        ("[keys]\nquit = []", "2:8", "quit needs a key"),
        ("[keys]\nquit = \"ctrl-m\"", "2:8", "use enter"),
        ("[themes.mine]\nalarm = \"red\"", "2:9", "\"red\" is no colour; write \"#rrggbb\""),
        ("[themes.mine]\nalarm = \"#ff0000 vermilion\"", "2:9", "light-red"),
        ("[themes.mine]\nalrm = \"#ff0000\"", "2:1", "there are base, ground"),
        ("[themes.mine]\nbase = \"mine\"", "2:8", "\"dark\" or \"light\""),
        ("[themes.auto]", "1:9", "cannot be called"),
        ("[themes.\"a\\u001b[2J\"]", "1:9", "cannot be called \"a\\x1b[2J\""),
        ("ascii = true\nascii = false", "2:1", "duplicate"),
        ("theme = ", "1:9", ""),
    ] {
        let (at, what) = wrong(text);
        assert_eq!(at, place, "{text}: {what}");
        assert!(what.contains(words), "{text}: {what}");
    }
}

#[test]
fn columns_are_characters() {
    assert_eq!(wrong("# äöü\nascii = \"ä\" # ä\n").0, "2:9");
    assert_eq!(wrong("themes = { \"ä\" = {} }").0, "1:12");
    let many: String = (0..101).map(|number| format!("[themes.t{number}]\n")).collect();
    assert_eq!(wrong(&many).1, "there are more than 100 themes");
}

#[test]
fn the_file_that_is_named_must_be_there_the_own_one_need_not() {
    let home = tempfile::tempdir().unwrap();
    let var = |name: &str| (name == "HOME").then(|| home.path().into());
    assert_eq!(Config::load(None, var).unwrap(), Config::default());
    let named = home.path().join("none.toml");
    assert!(Config::load(Some(&named), var).unwrap_err().to_string().contains("none.toml"));
    assert!(Config::load(Some(home.path()), var).unwrap_err().to_string().contains("no file"));
    let own = home.path().join(".config/bayplan/top.toml");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "theme = \"light\"").unwrap();
    assert_eq!(Config::load(None, var).unwrap().theme, "light");
    std::fs::write(&own, "theme = \"lihgt\"").unwrap();
    let error = Config::load(None, var).unwrap_err().to_string();
    assert!(error.contains("top.toml:1:9: there is no theme"), "{error}");
    std::fs::write(&own, vec![b'#'; MAX_LEN as usize + 1]).unwrap();
    assert!(Config::load(None, var).unwrap_err().to_string().contains("1 MiB"));
    std::fs::write(&own, [0xff, 0xfe]).unwrap();
    assert!(Config::load(None, var).is_err());
    let elsewhere = |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.path().join("none").into());
    assert_eq!(Config::load(None, elsewhere).unwrap(), Config::default());
}
