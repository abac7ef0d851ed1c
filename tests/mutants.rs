//! The list of rules that `just mutants` switches off keeps up with the code.

use std::fs;

use toml::Value;

#[test]
fn every_mutant_has_its_place_in_the_code_and_a_test() {
    let list: toml::Table = fs::read_to_string("tests/mutants/list.toml").unwrap().parse().unwrap();
    let mutants = list["mutant"].as_array().unwrap();
    for mutant in mutants {
        let text = |key: &str| mutant[key].as_str().unwrap();
        let code = fs::read_to_string(text("file")).unwrap();
        assert_eq!(code.matches(text("find")).count(), 1, "{} in {}", text("find"), text("file"));
        assert_ne!(text("find"), text("replace"));
        let test: Vec<&str> = mutant["test"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let (file, name) = match test[..] {
            ["--lib", name] => (None, name),
            ["--test", file, name] => (Some(format!("tests/{file}.rs")), name),
            _ => panic!("{test:?}"),
        };
        // A test of the library stands in any of its files; that there is one, `just mutants` sees.
        if let Some(file) = file {
            assert!(fs::read_to_string(&file).unwrap().contains(&format!("fn {name}")), "{name} in {file}");
        }
    }
}
