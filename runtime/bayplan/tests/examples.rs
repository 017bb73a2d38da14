//! The examples, run: the README shows what they print.

mod outputs {
    include!("../examples/outputs/outputs.rs");

    #[test]
    fn the_readme_shows_what_it_prints() {
        let vulkan = Device::open(&bayplan::DeviceOptions::default()).expect("a Vulkan device");
        for device in [Device::host(), vulkan] {
            let text = report(&device).unwrap_or_else(|e| panic!("{}: {e}", device.name()));
            assert_eq!(super::shown("outputs"), text, "{}", device.name());
        }
    }
}

mod shapes {
    include!("../examples/shapes/shapes.rs");

    #[test]
    fn the_readme_shows_what_it_prints() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/digits.onnx");
        let text = report(file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(super::shown("shapes"), text);
    }
}

mod quickstart {
    include!("../examples/quickstart/quickstart.rs");

    #[test]
    fn it_runs() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::env::set_current_dir(root).expect("the folder of the workspace");
        main().expect("the example runs");
    }
}

/// The README's block of that language.
fn shown(language: &str) -> &'static str {
    let readme = include_str!("../../../README.md");
    let block = readme.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("README.md has no block {language}"))
}
