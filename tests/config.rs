//! Config files: what is read, what is refused and how, and the commands `init` and `check`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use admire::config::{ConfigError, JobState, LauncherKind, StudyConfig, TEMPLATE, check_placeholders};

const SMALL: &str = r#"
[[domain]]
name = "web"
[[domain]]
name = "code"
max = 0.5
[[fidelity]]
name = "1M"
cost = 0.1
[[fidelity]]
name = "1B"
cost = 1
"#;

fn parse(text: &str, overrides: &[&str]) -> Result<StudyConfig, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    StudyConfig::parse(Path::new("dir/study.toml"), text, &overrides)
}

fn refusal(text: &str, overrides: &[&str]) -> String {
    parse(text, overrides).expect_err("a refusal").to_string()
}

#[test]
fn defaults_fill_a_small_config() {
    let config = parse(SMALL, &[]).unwrap();
    assert_eq!((config.name.as_str(), config.seed), ("study", 0));
    assert_eq!(config.dir, Path::new("admire-runs/study"));
    assert_eq!(config.domain_order, ["web", "code"]);
    assert_eq!(config.objective.metrics[0].name, "loss");
    assert_eq!(config.fidelities[config.fidelities.target()].name, "1B");
    assert!(config.launcher.is_none() && config.confirm.is_none());
}

#[test]
fn the_template_and_the_example_are_valid() {
    assert_eq!(parse(TEMPLATE, &[]).unwrap().space.dim(), 3);
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/pretrain.toml"));
    let config = StudyConfig::load(path, &[]).unwrap();
    assert_eq!((config.space.dim(), config.space.polytope().groups().len(), config.fidelities.len()), (17, 2, 3));
    let enron = config.space.index("enron_emails").unwrap();
    assert!((config.space.polytope().reach()[enron].1 - 0.064).abs() < 1e-12);
}

#[test]
fn the_config_in_the_readme_is_valid() {
    let readme = include_str!("../README.md");
    let config = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(parse(config, &[]).unwrap().space.dim(), 3);
}

#[test]
fn every_problem_is_reported_with_line_key_and_advice() {
    let text = "[study]\nsede = 3\n[[domain]]\nname = \"web\"\nmin = 0.5\nmax = 0.2\n[[domain]]\nname = \"web\"\nmax = \"big\"\n\
                [[group]]\nname = \"g\"\ndomains = [\"wbe\"]\n[[fidelity]]\nname = \"a\"\ncost = 0\n[bugdet]\ntrials = 3\n";
    let text = refusal(text, &[]);
    for expected in [
        "7 problems",
        "line 2: study.sede: unknown key `sede`; did you mean `seed`?",
        "line 5: domain[0].min: min = 0.5 is above max = 0.2",
        "line 8: domain[1].name: `web` appears twice",
        "line 9: domain[1].max: expected a number between 0 and 1, not the string \"big\"",
        "line 12: group[0].domains: unknown domain `wbe`; did you mean `web`?",
        "line 15: fidelity[0].cost: expected a number above 0, not the integer 0",
        "bugdet: unknown key `bugdet`; did you mean `budget`?",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn what_domains_were_is_refused_where_it_cannot_be() {
    let with = |domains: &[&str]| {
        let domains: String =
            domains.iter().map(|keys| format!("[[domain]]\n{}\n", keys.replace("; ", "\n"))).collect();
        refusal(&format!("{domains}[[fidelity]]\nname = \"x\""), &[])
    };
    for (domains, expected) in [
        (
            &["name = 'a'; was = 'b'; split_of = 'c'"][..],
            "line 4: domain[0].split_of: `was` and `split_of` exclude one another",
        ),
        (&["name = 'a'; share = 0.5"], "line 3: domain[0].share: is the share of which old domain? Add `split_of`"),
        (&["name = 'a'; share = 2; split_of = 'b'"], "share: expected a number above 0 and at most 1"),
        (
            &["name = 'a'; merge_of = { b = 1 }"],
            "line 3: domain[0].merge_of: needs at least two old domains; of one, say `was`",
        ),
        (&["name = 'a'; merge_of = { b = 1, c = 0 }"], "merge_of.c: expected a number above 0"),
        (&["name = 'a'; merge_of = ['b', 'c']"], "expected a table such as { arxiv = 0.3, books = 0.7 }"),
        (
            &["name = 'a'; was = 'old'", "name = 'b'; merge_of = { old = 1, c = 1 }"],
            "line 6: domain[1].merge_of: `old` has become `a` already; only parts (`split_of`) share an old domain",
        ),
        (
            &["name = 'a'; was = 'b'", "name = 'b'"],
            "line 3: domain[0].was: `b` is a domain of this config itself; say there",
        ),
        (&["name = 'a'; revised = 1"], "line 3: domain[0].revised: expected true or false"),
        (&["name = 'a'; was = 'a'"], "line 3: domain[0].was: is the name that it has; leave it out"),
        (
            &["name = 'a'; was = 'b'", "name = 'b'; was = 'c'", "name = 'c'; was = 'a'", "name = 'd'; was = 'e'"],
            "line 3: domain[0].was: b, c, a were renamed in a circle; if names were swapped",
        ),
        (
            &["name = 'a'; split_of = 'w'; tokens = 1e9", "name = 'b'; split_of = 'w'"],
            "line 7: domain[1].split_of: the share of `b` is not known; state `share` for all parts of `w`, or for none and",
        ),
        (
            &["name = 'a'; split_of = 'w'; share = 0.5", "name = 'b'; split_of = 'w'; tokens = 1e9"],
            "the share of `b` is not known",
        ),
        (
            &["name = 'a'; split_of = 'w'; share = 0.5", "name = 'b'; split_of = 'w'; share = 0.4"],
            "line 4: domain[0].share: the shares of the parts of `w` sum to 0.9, not to 1",
        ),
    ] {
        let said = with(domains);
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn a_freeze_that_nothing_can_keep_is_refused() {
    let with = |more: &str| {
        let domains = "[[domain]]\nname = 'a'\nmax = 0.1\n[[domain]]\nname = 'b'\nmin = 0.3\nprior = 1\n[[domain]]\nname = 'c'\n\
                       tokens = 2e9\n[[fidelity]]\nname = 'x'\n";
        refusal(&format!("{domains}{more}"), &[])
    };
    let group = |freeze: &str| with(&format!("[[group]]\nname = 'g'\ndomains = ['a', 'b']\nfreeze = {freeze}"));
    for (freeze, expected) in [
        (
            "'never'",
            "line 16: group[0].freeze: expected \"prior\", \"recommended of DIR\" or a table of ratios such as",
        ),
        ("'prior'", "line 16: group[0].freeze: `a` states no `prior`; state it, or give the ratios"),
        ("{ a = 1 }", "`b` has no ratio; add one, or take it out of `domains`"),
        ("{ a = 1, bb = 1 }", "`bb` is no domain of this group; did you mean \"b\"?"),
        ("{ a = 0, b = 0 }", "needs at least one ratio above 0"),
        ("{ a = 1, b = 0 }", "the ratio of `b` is 0, but its min is 0.3; change one of them"),
        (
            "{ a = 1, b = 1 }",
            "min = 0.3 of `b` asks for a total of at least 0.6, and max = 0.1 of `a` for at most 0.2; relax one of them, or",
        ),
        ("'recommended of old'", "the study in old cannot be looked at here; state the ratios"),
    ] {
        assert!(group(freeze).contains(expected), "{expected} in {}", group(freeze));
    }
    let capped = "[limits]\ntarget_tokens = 100e9\nmax_epochs = 4\n[[group]]\nname = 'g'\ndomains = ['b', 'c']\nfreeze = { b = 1, c = 1 }";
    assert!(
        with(capped).contains("and token cap = 0.08 of `c` for at most 0.16; relax one of them"),
        "{}",
        with(capped)
    );
    let two = "[[group]]\nname = 'g'\ndomains = ['b', 'c']\nfreeze = { b = 1, c = 1 }\n[[group]]\nname = 'h'\ndomains = ['c', 'a']\n\
               freeze = { a = 1, c = 1 }\n[limits]\nstep = 0.1";
    let said = with(two);
    assert!(
        said.contains("line 20: group[1].freeze: shares a domain with `g`, which is frozen too; thaw one of them"),
        "{said}"
    );
    assert!(
        said.contains("line 22: limits.step: rounds weights, which changes the ratios of a frozen [[group]]"),
        "{said}"
    );
    // Only all bounds together exclude it.
    let most = "[[group]]\nname = 'g'\ndomains = ['b', 'c']\nmax = 0.6\nfreeze = { b = 2, c = 1 }";
    let error = parse(
        &format!(
            "[[domain]]\nname = 'a'\nmax = 0.3\n[[domain]]\nname = 'b'\nmax = 0.2\n[[domain]]\nname = 'c'\n{most}\n[[fidelity]]\nname = 'x'"
        ),
        &[],
    );
    let ConfigError::Infeasible { source, .. } = error.unwrap_err() else { panic!("feasible") };
    let expected = "the largest weights sum to only 0.5";
    let said = source.to_string();
    assert!(said.contains("group `g` is frozen at b : c = 0.6667 : 0.3333") && !said.contains(expected), "{said}");
}

#[test]
fn wrong_configs_are_refused() {
    let with = |more: &str| refusal(&format!("{SMALL}\n{more}"), &[]);
    assert!(refusal("", &[]).contains("there are no domains"));
    assert!(refusal("", &[]).contains("there are no fidelities"));
    assert!(refusal("domain = 3", &[]).contains("write [[domain]]"));
    assert!(refusal("a = [", &[]).contains("line 1: not valid TOML"));
    assert!(with("[[fidelity]]\nname = \"x\"").contains("`x` has no cost but others do"));
    assert!(with("[[fidelity]]\nname = \"x\"\ncost = nan").contains("expected a number above 0"));
    assert!(with("[[domain]]\nname = \"a=b\"").contains("separate names"));
    assert!(with("[[domain]]\nname = 'x'\nfamily = ''").contains("line 16: domain[2].family: the name is empty"));
    assert!(with("[[domain]]\nname = 'x'\nfamily = 3").contains("line 16: domain[2].family: expected a string"));
    assert!(
        with("[launcher]\nkind = \"pbs\"\ncommand = [\"x\"]")
            .contains("is not one of \"local\", \"slurm\", \"queue\", \"ray\"")
    );
    assert!(with("[launcher]\ncommand = ['x', \"a\\u0000\"]").contains("NUL"));
    assert!(with("[launcher]\ncommand = ['x']\nenv = { A = \"\\u0000\" }").contains("NUL"));
    assert!(with("[launcher]").contains("needs the training command"));
    assert!(with("[launcher]\ncommand = [\"x\", \"{mixturefile}\"]").contains("did you mean `{mixture_file}`?"));
    assert!(with("[launcher]\ncommand = [\"x\", \"{w.cod}\"]").contains("did you mean `{w.code}`?"));
    assert!(with("[limits]\nmax_epochs = 4").contains("needs limits.target_tokens"));
    let unknown = with("[limits]\nmatch_repetition = true");
    let expected = "line 15: limits.match_repetition: needs `tokens` in every [[domain]] and [[fidelity]]; domain `web`, \
                    domain `code`, fidelity `1M`, fidelity `1B` have none";
    assert!(unknown.contains(expected), "{unknown}");
    assert!(with("[objective]\nmetric = \"a\"\nmetrics = { b = 1 }").contains("exclude one another"));
    assert!(with("[objective]\nmetrics = { b = 0 }").contains("no metric has a weight"));
    assert!(with("[optimizer]\nkernel = \"matern\"").contains("is not one of \"spectral-mixture\""));
    assert!(with("[budget]\nwall_time = \"soon\"").contains("is not a length of time"));
    assert!(with("[budget]\nwall_time = -1").contains("expected a number of seconds"));
    assert!(with("[replay]\nstrategies = [\"luck\"]").contains("unknown strategy `luck`"));
    let missing = StudyConfig::load(Path::new("no/such.toml"), &[]).unwrap_err();
    assert!(matches!(missing, ConfigError::Read { .. }) && missing.to_string().contains("admire init"));
}

#[test]
fn infeasible_bounds_are_their_own_kind() {
    for set in ["domain.web.max=0.4", "group=[{name='g', domains=['code'], min=0.6}]"] {
        assert!(matches!(parse(SMALL, &[set]), Err(ConfigError::Infeasible { .. })), "{set}");
    }
}

#[test]
fn weights_that_cannot_be_asked_for_are_refused() {
    let limits = |keys: &str| refusal(&format!("{SMALL}[limits]\n{keys}\n"), &[]);
    for (keys, said) in [
        ("smallest_weight = 1", "line 14: limits.smallest_weight: expected a number above 0 and below 1"),
        ("step = 0", "line 14: limits.step: expected a number above 0 and below 1"),
        ("step = 0.03", "line 14: limits.step: no whole number of steps of 0.03 makes 1; take one such as 0.01"),
        ("step = 0.00001", "of at least 0.0001"),
        (
            "smallest_weight = 0.6",
            "line 14: limits.smallest_weight: is more than max = 0.5 of `code`, which could only get no weight; lower this",
        ),
        ("step = 0.1\nsmallest_weight = 0.55", "line 15: limits.smallest_weight: is more than max = 0.5 of `code`"),
    ] {
        assert!(limits(keys).contains(said), "{keys}: {}", limits(keys));
    }
    // No whole number of steps lies within these bounds.
    let sets = ["domain.web.max=0.55", "domain.code.max=0.48", "limits.step=0.1"];
    let Err(ConfigError::Infeasible { source, .. }) = parse(SMALL, &sets) else { panic!("feasible") };
    let said =
        "each weight must be a multiple of 0.1 (limits.step), but `code` ≤ 0.48, `web` ≤ 0.55. Lower these limits";
    assert!(source.to_string().contains(said), "{source}");
    let both = parse(SMALL, &["limits.smallest_weight=0.012", "limits.step=0.005"]).unwrap().space.granularity();
    assert_eq!(both.least(), 0.015, "the smallest weight is a multiple of the step");
}

#[test]
fn overrides_are_applied_before_validation() {
    let sets = ["budget.trials=20", "fidelity.1M.cost=0.25", "domain.0.max=0.9", "objective.metric='\"x\"'"];
    let config = parse(SMALL, &sets[..3]).unwrap();
    assert_eq!((config.budget.trials, config.fidelities.list()[0].cost), (Some(20), Some(0.25)));
    assert_eq!(config.space.domains()[1].max, 0.9);
    assert_eq!(parse(SMALL, &["objective.metric=\"x\""]).unwrap().objective.metrics[0].name, "x");
    assert!(refusal(SMALL, &["budget.trails=20"]).contains("--set budget.trails=20: budget.trails: unknown key"));
    assert!(refusal(SMALL, &["budget"]).contains("expected KEY.PATH=VALUE"));
    assert!(refusal(SMALL, &["objective.metric=x"]).contains("quote strings twice"));
    assert!(refusal(SMALL, &["fidelity.2M.cost=1"]).contains("no entry named or numbered `2M`"));
    assert!(refusal(SMALL, &["domain.web.name.x=1"]).contains("not a table"));
}

#[test]
fn durations_take_numbers_and_units() {
    for (text, seconds) in [("90", 90), ("\"90s\"", 90), ("\"10m\"", 600), ("\"1h 30m\"", 5400), ("\"7d\"", 604_800)] {
        let config = parse(SMALL, &[&format!("budget.wall_time={text}")]).unwrap();
        assert_eq!(config.budget.wall_time, Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn placeholders_and_braces() {
    assert_eq!(check_placeholders("a{trial}{{x}}{w.web}", &["web"], false), Ok(()));
    assert_eq!(check_placeholders("{epochs.web}{unique_tokens.web}", &["web"], true), Ok(()));
    let unmatched = check_placeholders("{unique_tokens.web}", &["web"], false).unwrap_err();
    assert!(unmatched.contains("`{unique_tokens.web}` is known only with limits.match_repetition = true"));
    let misspelled = check_placeholders("{epoch.web}", &["web"], true).unwrap_err();
    assert!(misspelled.contains("did you mean `{epochs.web}`?"), "{misspelled}");
    assert!(check_placeholders("{trial", &[], false).unwrap_err().contains("a single `{`"));
    assert!(check_placeholders("}", &[], false).unwrap_err().contains("a single `}`"));
}

#[test]
fn messages_say_how_it_is_written() {
    let two = "[[domain]]\nname = 'a'\n[[domain]]\nname = 'b'\n[[fidelity]]\nname = 's'\n";
    for (text, expected) in [
        (
            "[domain]\nname = 'a'",
            "line 1: domain: expected an array of tables, not a table; write [[domain]], with double",
        ),
        (
            "[domain]\nname = 'a'\n[domain]\nname = 'b'",
            "line 3: domain: not valid TOML: duplicate key; write [[domain]]",
        ),
        ("domain = ['a', 'b']", "line 1: domain[1]: expected a table, not the string \"b\"; write [[domain]]"),
        (
            &format!("study = 3\n{two}"),
            "line 1: study: expected a table, not the integer 3; write [study] on a line of its own",
        ),
        (
            &format!("{two}max = 0,5"),
            "line 7: max: not valid TOML: unexpected key or value, expected newline, `#`; write 0.5",
        ),
        (&format!("{two}tokens = 400B # bytes?"), "; write 400e9"),
        (
            &format!("{two}tokens = '400B'"),
            "line 7: fidelity[0].tokens: expected a number above 0, not the string \"400B\"; write 400e9, without quotes",
        ),
        (&format!("{two}cost = '4e9'"), "not the string \"4e9\"; write 4e9, without quotes"),
        (
            &format!("{two}[budget]\ntrials = 1e3"),
            "budget.trials: expected an integer of at least 1, not the number 1000; write 1000, without",
        ),
        (&format!("{two}[objective]\nmetrics = {{ web = 0,5 }}"), "write decimals with a point"),
        (
            &format!("{two}[objective]\nmetrics = {{ web = '1', code = 2 }}"),
            "objective.metrics.web: expected a finite number, not the string \"1\"; write 1,",
        ),
        (
            &format!("{two}[objective]\nmetrics = ['web']"),
            "objective.metrics: expected a table such as { web = 1.0, code = 2.0 }, not an array",
        ),
        (
            &format!("{two}[confirm]\nagainst = 'uniform'"),
            "confirm.against: expected an array of \"uniform\", \"prior\" or a table of weights such as { web = 0.6, code = 0.4 }, \
             not the string \"uniform\"; write [\"uniform\"]",
        ),
        (
            &format!("{two}[confirm]\nagainst = ['uniform', 'natural']"),
            "line 8: confirm.against[1]: expected \"uniform\", \"prior\" or a table of weights such as \
             { web = 0.6, code = 0.4 }, not the string \"natural\"",
        ),
        (
            &format!("{two}[confirm]\nagainst = [{{ a = -1, b = 2 }}]"),
            "line 8: confirm.against[0]: expected \"uniform\", \"prior\" or a table of weights",
        ),
        (
            &format!("{two}[confirm]\nagainst = [{{ c = 1 }}]"),
            "line 8: confirm.against: `c` is no domain of this study",
        ),
        (
            &format!("{two}[confirm]\nagainst = [{{ a = 0 }}]"),
            "confirm.against: a mixture needs at least one weight above 0",
        ),
        (
            &format!("{two}[confirm]\nagainst = ['prior']"),
            "confirm.against: no domain states a `prior`: state priors, or",
        ),
        (&format!("{two}[confirm]\nagainst = []"), "confirm.against: is empty; leave it out for the default, or leave"),
        (
            &format!("{two}[launcher]\ncommand = 'python train.py'"),
            "launcher.command: expected an array of strings, not the string \"python train.py\"; write [\"python\", \"train.py\"]",
        ),
        (
            &format!("{two}[launcher]\ncommand = ['train', 3]"),
            "launcher.command[1]: expected a string, not the integer 3; put it into quotes",
        ),
        (
            &format!("{two}[launcher]\ncommand = ['train']\nenv = {{ A = 3 }}"),
            "launcher.env.A: expected a string, not the integer 3; put it into quotes",
        ),
    ] {
        let said = refusal(text, &[]);
        assert!(said.contains(expected), "{text}\n{expected}\n{said}");
        assert!(!said.contains("there are no domains") && !said.contains("needs the training command"), "{said}");
    }
}

#[test]
fn a_count_without_its_exponent_is_refused_where_others_have_theirs() {
    let sized = "[[domain]]\nname = 'web'\ntokens = 50e9\n[[domain]]\nname = 'code'\ntokens = 9e9\n\
                 [[fidelity]]\nname = '1B'\nparams = 1e9\n[limits]\ntarget_tokens = 20e9\n";
    let with = |from: &str, to: &str| parse(&sized.replace(from, to), &[]).map_err(|e| e.to_string());
    let said = with("= 20e9", "= 20").unwrap_err();
    let expected = "dir/study.toml: line 11: limits.target_tokens: 20 tokens, where others are 5e10: is an exponent missing, \
                    as in 20e9?";
    assert_eq!(said, expected);
    assert!(with("= 9e9", "= 9").unwrap_err().contains("line 6: domain[1].tokens: 9 tokens"));
    let small = "params = 1e9\n[[fidelity]]\nname = 'small'\nparams = 60";
    assert!(with("params = 1e9", small).unwrap_err().contains("fidelity[1].params: 60 params, where others are 1e9"));
    // Whoever counts in billions throughout, or has a metric of that name, is understood.
    assert!(with("e9", "").is_ok() && parse(sized, &["objective.metrics={tokens=1}"]).is_ok());
}

#[test]
fn decimal_fractions_are_meant_to_sum_to_one() {
    let pinned = |w: f64| {
        let domain = |name: &str| format!("[[domain]]\nname = '{name}'\nmin = {w}\nmax = {w}\n");
        parse(&format!("{}{}{}[[fidelity]]\nname = 's'\n", domain("a"), domain("b"), domain("c")), &[])
    };
    for w in [0.333333, 0.33333334, 0.333334] {
        let third = pinned(w).unwrap().space.uniform();
        assert!(third.weights().iter().all(|w| (w - 1.0 / 3.0).abs() < 1e-9), "{third:?}");
    }
    let said = |w| match pinned(w) {
        Err(ConfigError::Infeasible { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        said(0.33332).contains("the largest weights sum to only 0.99996: `a` ≤ 0.33332, `b` ≤ 0.33332"),
        "{}",
        said(0.33332)
    );
    assert!(said(0.33334).contains("the smallest weights alone sum to 1.00002: `a` ≥ 0.33334"), "{}", said(0.33334));
}

#[test]
fn the_mixtures_of_a_confirmation_are_settings_like_any_other() {
    let config = parse(SMALL, &["confirm.against=['uniform', { web = 3, code = 1 }, { code = 1 }]"]).unwrap();
    let names: Vec<&str> = config.references.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["uniform", "mixture #1", "mixture #2"], "one that breaks a bound is compared with all the same");
    assert_eq!(config.references[1].mixture.weights(), [0.25, 0.75], "domains are sorted by name");
    let recorded = serde_json::json!(["uniform", {"web": 3, "code": 1}, {"code": 1}]);
    assert_eq!(config.settings["confirm.against"], recorded);
    assert_eq!((config.confirm.unwrap().seeds, config.settings.get("domain.code.max")), (1, Some(&0.5.into())));
}

#[test]
fn paths_in_the_config_are_relative_to_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("configs")).unwrap();
    let text = format!("[study]\ndir = 'files'\n{SMALL}\n[replay]\nruns = ['logs/pile.csv']");
    std::fs::write(root.join("configs/study.toml"), text).unwrap();
    for (command, tried) in [("status", "files"), ("replay", "logs/pile.csv")] {
        let (code, _, stderr) = admire(&root, &[command, "--config", "configs/study.toml"]);
        assert!(code != Some(0) && stderr.contains(root.join(tried).to_str().unwrap()), "{stderr}");
    }
}

#[test]
fn hints_name_the_program_as_it_was_started() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("my admire");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_admire"), &link).unwrap();
    for (program, expected) in
        [("./my admire", "'./my admire'".to_owned()), (link.to_str().unwrap(), format!("'{}'", link.display()))]
    {
        let name = format!("{}.toml", expected.len());
        let output = Command::new(program).current_dir(dir.path()).args(["init", &name]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.ends_with(&format!("then: {expected} check --config {name}\n")), "{stderr}");
    }
}

fn admire(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_admire")).current_dir(dir).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn init_then_check() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| admire(dir.path(), arguments);
    assert_eq!(run(&["init"]).0, Some(0));
    let (code, _, stderr) = run(&["init"]);
    assert!(code == Some(1) && stderr.contains("exists already"), "{stderr}");
    let (code, stdout, _) = run(&["check", "--config", "study.toml"]);
    assert!(code == Some(0) && stdout.contains("token cap") && stdout.contains("target"), "{stdout}");
    let (code, stdout, _) = run(&["check", "--config", "study.toml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, json["domains"]["books"]["max"].as_f64()), (Some(0), Some(0.8)));
    assert_eq!(run(&["check", "--config", "none.toml"]).0, Some(2));
    assert_eq!(run(&["check", "--config", "study.toml", "--set", "domain.web.mx=1"]).0, Some(2));
    let (code, _, stderr) =
        run(&["check", "--config", "study.toml", "--set", "domain.web.max=0.1", "--set", "domain.books.max=0.1"]);
    assert!(code == Some(3) && stderr.contains("sum to only 0.7"), "{stderr}");
}

#[test]
fn keys_of_one_launcher_are_refused_for_the_other() {
    let with = |kind: &str, more: &str| {
        refusal(&format!("{SMALL}\n[launcher]\nkind = \"{kind}\"\ncommand = [\"x\"]\n{more}"), &[])
    };
    for key in [
        "partition = 'gpu'",
        "account = 'a'",
        "gres = 'gpu:1'",
        "time = '90'",
        "directives = []",
        "fidelity = {}",
        "poll = 60",
    ] {
        assert!(with("local", key).contains("is only for kind = \"slurm\""), "{key}");
    }
    assert!(with("slurm", "grace = 5").contains("is only for kind = \"local\""));
    assert!(with("slurm", "partition = 'a b'").contains("has spaces"));
    assert!(with("slurm", "time = '6h'").contains("no length of time in Slurm's notation"));
    assert!(with("slurm", "time = 90").contains("expected a string"));
    assert!(with("slurm", "env = { 'a.b' = '1' }").contains("cannot be exported"));
    assert!(with("slurm", "fidelity = { 2B = [] }").contains("there is no fidelity `2B`; there are 1M, 1B"));
    assert!(
        with("slurm", "fidelity = { 1B = '--mem=1G' }").contains("launcher.fidelity.1B: expected an array of strings")
    );
    for line in ["mem=1G", "--mem=1G\\n#SBATCH --wait"] {
        assert!(with("slurm", &format!("directives = [\"{line}\"]")).contains("is no option of sbatch"), "{line}");
    }
    for line in ["--job-name=x", "--job=x", "-J x", "-Jx", "--array=1-3", "-o x", "--output x", "--wait", "-M other"] {
        assert!(with("slurm", &format!("directives = ['{line}']")).contains("admire needs for itself"), "{line}");
    }
}

#[test]
fn the_programs_of_a_queue_are_checked_with_their_lines() {
    let keys = |submit: &str, status: &str, cancel: &str, more: &str| {
        let launcher = format!(
            "[launcher]\nkind = 'queue'\ncommand = ['x']\nsubmit = {submit}\nstatus = {status}\ncancel = {cancel}\n{more}"
        );
        format!("{SMALL}\n{launcher}\n")
    };
    let (submit, states) = ("['s', '{script}']", "states = { r = 'running' }");
    let good = |more: &str| keys(submit, "['q', '{id}']", "['d', '{id}']", &format!("{states}\n{more}"));
    let launcher = parse(&good("fidelity = {}"), &[]).unwrap().launcher.unwrap();
    let LauncherKind::Queue(programs) = &launcher.kind else { panic!("no queue") };
    assert_eq!((programs.by_name, programs.states["r"], launcher.slots), (false, JobState::Running, 4));

    let none = refusal(&format!("{SMALL}\n[launcher]\nkind = 'queue'\ncommand = ['x']"), &[]);
    for key in ["submit", "status", "cancel"] {
        assert!(none.contains(&format!("launcher.{key}: needs the program and its arguments, an array: [")), "{none}");
    }
    assert!(none.contains("launcher.states: needs what the words mean that `status` prints"), "{none}");
    let wrong = |submit: &str, status: &str, cancel: &str| refusal(&keys(submit, status, cancel, states), &[]);
    let line = 1 + good("").lines().position(|line| line.starts_with("submit")).unwrap();
    let said = wrong("['s', '{scrpt}']", "['q', '{id}']", "['d', '{id}']");
    assert!(
        said.contains(&format!("line {line}: launcher.submit: `{{scrpt}}` has `scrpt` in braces; known are")),
        "{said}"
    );
    assert!(said.contains("has neither {script} nor {command}"), "{said}");
    assert!(
        wrong("['s', '{script}', 'x{options}']", "['q', '{id}']", "['d', '{id}']").contains("make it one of its own")
    );
    assert!(
        wrong(submit, "['q']", "['d', '{id}']").contains("launcher.status: says of no job: put {id} or {job} into it")
    );
    assert!(wrong(submit, "['q', '{job}']", "['d', '{id}']").contains("use {id} in both, or in none"));
    assert!(wrong(submit, "['awk', '{ print }', '{id}']", "['d', '{id}']").contains("has ` print ` in braces"));
    assert!(refusal(&good("fidelity = { 1B = ['-l'] }"), &[]).contains("put the argument \"{options}\" where"));
    assert!(refusal(&good("grace = 5"), &[]).contains("is only for kind = \"local\""));
    assert!(refusal(&good("gres = 'gpu:1'"), &[]).contains("is only for kind = \"slurm\""));
    let states = |table: &str| refusal(&keys(submit, "['q', '{id}']", "['d', '{id}']", table), &[]);
    let said = states("states = { r = 'runing' }");
    assert!(
        said.contains("launcher.states.r: expected one of \"running\", \"queued\", \"done\", \"failed\", \"lost\""),
        "{said}"
    );
    assert!(states("states = { 'a b' = 'running' }").contains("`a b` is not one word"));
}

#[test]
fn what_a_job_of_ray_asks_for_is_checked_with_its_lines() {
    let with = |more: &str| format!("{SMALL}\n[launcher]\nkind = 'ray'\ncommand = ['x']\n{more}");
    let at = "address = 'http://head:8265/'";
    let keys =
        "entrypoint_num_gpus = 1\nruntime_env = { pip = ['a'] }\nfidelity = { 1B = { entrypoint_num_gpus = 8 } }";
    let launcher = parse(&with(&format!("{at}\n{keys}")), &[]).unwrap().launcher.unwrap();
    let LauncherKind::Ray(ray) = &launcher.kind else { panic!("not Ray") };
    assert_eq!((&*ray.address, launcher.slots), ("http://head:8265", 4));
    assert_eq!(
        (&ray.options["entrypoint_num_gpus"], &ray.options["runtime_env"]["pip"][0]),
        (&1.0.into(), &"a".into())
    );
    assert_eq!(ray.fidelity["1B"]["entrypoint_num_gpus"], 8.0);

    let refused = |more: &str| refusal(&with(more), &[]);
    assert!(
        refused("").contains("launcher.address: needs the address of Ray's dashboard, such as \"http://head:8265\"")
    );
    assert!(refused("address = 'head:8265'").contains("does not begin with http:// or https://"));
    let and = |more: &str| refused(&format!("{at}\n{more}"));
    assert!(and("entrypoint_num_gpus = -1").contains("launcher.entrypoint_num_gpus: expected a number of at least 0"));
    assert!(and("entrypoint_resources = { x = 'y' }").contains("launcher.entrypoint_resources.x: expected a number"));
    assert!(and("runtime_env = 'x'").contains("launcher.runtime_env: expected a table such as"));
    for (environment, place) in [("working_dir = './code'", "./code"), ("py_modules = ['s3://b/x.zip', 'lib']", "lib")]
    {
        let said = and(&format!("fidelity = {{ 1B = {{ runtime_env = {{ {environment} }} }} }}"));
        let advice = "is a place on this machine, and nothing is uploaded from here";
        assert!(said.contains(&format!("fidelity.1B.runtime_env: `{place}` {advice}")), "{said}");
    }
    assert!(
        and("fidelity = { 2B = {} }").contains("launcher.fidelity.2B: there is no fidelity `2B`; there are 1M, 1B")
    );
    assert!(and("fidelity = { 1B = { entrypoint_num_gpu = 8 } }").contains("did you mean `entrypoint_num_gpus`?"));
    assert!(and("fidelity = { 1B = ['--gpus'] }").contains("launcher.fidelity.1B: expected a table"));
    assert!(and("states = {}").contains("is only for kind = \"queue\""));
}

#[test]
fn check_shows_the_script_of_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let launcher =
        "[launcher]\nkind = 'slurm'\ntime = '90'\ncommand = ['./train', \"it's $HOME\", '{w.web}']\nenv = { A = '\"' }";
    std::fs::write(dir.path().join("study.toml"), format!("{SMALL}\n{launcher}")).unwrap();
    let (code, stdout, stderr) = admire(dir.path(), &["check", "--config", "study.toml"]);
    assert!(code == Some(0) && stdout.contains("  #SBATCH --job-name=admire-study-1-1\n"), "{stdout}{stderr}");
    let (_, stdout, _) = admire(dir.path(), &["check", "--config", "study.toml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let script = json["first_trial"]["script"].as_str().unwrap();
    for line in ["#SBATCH --time=90", "export A='\"'", "export ADMIRE_ATTEMPT='1'"] {
        assert!(script.lines().any(|l| l == line), "{script}");
    }
    assert!(script.contains(r#"'./train' 'it'\''s $HOME' '0."#), "{script}");
}

#[test]
fn options_of_slurm_become_directives() {
    let launcher = "[launcher]\nkind = 'slurm'\ncommand = ['x']\npartition = 'gpu,big'\ngres = 'gpu:h100:8'\ntime = '2-12:00:00'\n\
                    directives = ['--wait-all-nodes=1', '--export=NONE', '-N 2']\nfidelity = { 1B = ['--nodes=8'] }";
    let launcher = parse(&format!("{SMALL}\n{launcher}"), &[]).unwrap().launcher.unwrap();
    let LauncherKind::Slurm { directives, fidelity } = launcher.kind else { panic!("not Slurm") };
    let expected = [
        "--partition=gpu,big",
        "--gres=gpu:h100:8",
        "--time=2-12:00:00",
        "--wait-all-nodes=1",
        "--export=NONE",
        "-N 2",
    ];
    assert_eq!(directives, expected);
    assert_eq!((launcher.slots, fidelity["1B"].as_slice()), (4, ["--nodes=8".to_owned()].as_slice()));
}

#[test]
fn a_thousand_domains_are_the_most() {
    let domains: String = (0..1001).map(|i| format!("[[domain]]\nname = \"d{i}\"\n")).collect();
    let sizes = "[[fidelity]]\nname = \"1B\"\n";
    let message = refusal(&format!("{domains}{sizes}"), &[]);
    assert!(message.contains("line 2001: domain[1000]: 1001 domains are more than the 1000"), "{message}");
    let (_, fewer) = domains.split_once("\n[[").unwrap();
    assert_eq!(parse(&format!("[[{fewer}{sizes}"), &[]).unwrap().space.dim(), 1000);
}

#[test]
fn weights_of_metrics_count_relative_to_one_another() {
    let weights = |metrics: &str, aggregate: &str| {
        let sets = [format!("objective={{metrics={metrics}, aggregate={aggregate}}}")];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        parse(SMALL, &sets).map(|config| config.objective.metrics.iter().map(|m| m.weight).collect::<Vec<_>>())
    };
    assert_eq!(weights("{a=3, b=1}", "'mean'").unwrap(), [0.75, 0.25]);
    assert_eq!(weights("{a=-3, b=1}", "'mean'").unwrap(), [-0.75, 0.25], "the sum of absolute values");
    assert_eq!(weights("{a=6, b=2}", "'worst'").unwrap(), [1.5, 0.5]);
    // What sums to 1 but for rounding stays as it is.
    assert_eq!(weights("{a=0.7, b=0.2, c=0.1}", "'mean'").unwrap(), [0.7, 0.2, 0.1]);
}

#[test]
fn what_runs_repeat_follows_from_tokens_and_bounds() {
    let tokens = ["fidelity.1M.tokens=1e9", "fidelity.1B.tokens=20e9", "domain.code.tokens=5e9"];
    let repetition = |more: &[&str]| parse(SMALL, &[&tokens, more].concat()).unwrap().repetition().map(|r| r.0);
    let none = f64::INFINITY;
    // The order is that of the names: code, web.
    assert_eq!(repetition(&[]), Some(vec![vec![5.0, none], vec![0.25, none]]));
    let all = ["domain.web.tokens=40e9", "limits.match_repetition=true"];
    assert_eq!(repetition(&all), Some(vec![vec![0.25, 2.0], vec![0.25, 2.0]]));
    assert_eq!(repetition(&["domain.code.max=0.25"]), None, "no mixture repeats anything");
    assert_eq!(parse(SMALL, &tokens[1..2]).unwrap().repetition(), None, "nothing is known of the data");
}
