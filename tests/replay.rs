//! `admire replay` through the built binary, on small logs with a known best mixture.

#[path = "common/bench.rs"]
mod bench;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::Bench;
use serde_json::Value;

/// Twelve mixtures of two domains, logged at both sizes; the loss is `(a − 0.3)²`, shifted at the small size. The best
/// target run is `big-4` (a = 0.3).
fn rows() -> (Vec<String>, Vec<[String; 7]>) {
    let header = ["run_id", "fidelity", "params", "cost", "w:a", "w:b", "y:loss"].map(String::from).to_vec();
    let mut rows = Vec::new();
    for (fidelity, params, cost, shift) in [("small", "1e6", "0.01", 1.0), ("big", "1e9", "1", 0.0)] {
        for i in 0..12 {
            let a = (i as f64 * 7.0 % 12.0) / 10.0 / 1.2;
            let loss = (a - 0.3) * (a - 0.3) + shift;
            rows.push([
                format!("{fidelity}-{i}"),
                fidelity.into(),
                params.into(),
                cost.into(),
                a.to_string(),
                (1.0 - a).to_string(),
                loss.to_string(),
            ]);
        }
    }
    (header, rows)
}

fn text(header: &[String], rows: &[[String; 7]], order: [usize; 7]) -> String {
    let line = |cells: &[String]| order.map(|i| cells[i].clone()).join(",") + "\n";
    line(header) + &rows.iter().map(|row| line(row)).collect::<String>()
}

fn log() -> String {
    let (header, rows) = rows();
    text(&header, &rows, [0, 1, 2, 3, 4, 5, 6])
}

/// Only durations may differ between two replays of the same thing.
fn without_times(mut json: Value) -> Value {
    for strategy in json["strategies"].as_array_mut().unwrap() {
        strategy["suggest_ms"] = Value::Null;
    }
    json
}

const BASELINES: [&str; 3] = ["--strategy", "random", "regression"];

#[test]
fn the_document_has_the_promised_shape_and_numbers() {
    let json =
        Bench::new().json(&log(), &[&BASELINES[..], &["--seeds", "3", "--budget", "12", "--at", "0.5,12"]].concat());
    let losses: Vec<f64> = rows().1[12..].iter().map(|row| row[6].parse().unwrap()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = losses.iter().sum::<f64>() / 12.0;
    let sd = (losses.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / 12.0).sqrt();
    let near = |value: &Value, expected: f64| assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value}");

    assert_eq!(json["target"]["fidelity"], "big");
    assert_eq!(json["target"]["candidates"], 12);
    near(&json["target"]["best"], best);
    near(&json["target"]["sd"], sd);
    near(&json["tolerance"], 0.1);
    let random = &json["strategies"][0];
    assert_eq!((&random["name"], &random["seeds"]), (&"random".into(), &3.into()));
    assert_eq!(random["first"].as_array().unwrap().len(), 3);
    assert_eq!(random["first"], random["stay"], "the best run seen never gets worse");
    near(&random["regret"][0]["cost"], 0.5);
    near(&random["regret"][0]["mean"], (mean - best) / sd);
    near(&random["regret"][1]["mean"], 0.0);
    assert!(random["suggest_ms"]["median"].is_number() && random["suggest_ms"]["max"].is_number());
    assert!(json["saving_vs_single_fidelity"].is_null());
    assert_eq!(json["strategies"][1]["name"], "regression");
}

#[test]
fn a_budget_below_every_price_buys_nothing() {
    let json = Bench::new().json(&log(), &["--strategy", "random", "--seeds", "1", "--budget", "0.5"]);
    let random = &json["strategies"][0];
    assert_eq!(random["first"], serde_json::json!([null]));
    assert!(random["suggest_ms"]["median"].is_null());
}

#[test]
fn neither_threads_nor_columns_nor_line_ends_change_a_replay() {
    let bench = Bench::new();
    let args = ["--seeds", "3", "--budget", "2", "--format", "json"];
    let (header, rows) = rows();
    let run = |content: &str, threads: &str| {
        let output = bench.replay_on(&bench.write("runs.csv", content), &args, threads);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        without_times(serde_json::from_slice(&output.stdout).unwrap())
    };
    let expected = run(&log(), "1");
    assert_eq!(expected["strategies"].as_array().unwrap().len(), 6);
    assert_eq!(run(&log(), "4"), expected);
    assert_eq!(run(&text(&header, &rows, [6, 5, 4, 3, 2, 1, 0]), "2"), expected);
    assert_eq!(run(&format!("\u{feff}{}", log().replace('\n', "\r\n").replace("big", "\"big\"")), "2"), expected);
}

#[test]
fn out_holds_every_curve_the_document_and_a_picture() {
    let bench = Bench::new();
    let file = bench.write("runs.csv", &log());
    let output = bench.replay(&file, &[&BASELINES[..], &["--seeds", "2", "--budget", "3", "--out", "result"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("12 candidates at big") && table.contains("median of 2 seeds"), "{table}");
    let read = |name: &str| fs::read_to_string(bench.0.path().join("result").join(name)).unwrap();
    let curves = read("curves.csv");
    assert_eq!(curves.lines().next(), Some("strategy,seed,cost,fidelity,run_id,recommended,regret,expected_regret"));
    // Three target runs, or all twelve small ones, with each of two seeds.
    assert_eq!(curves.lines().count(), 1 + 2 * 3 + 2 * 12);
    assert!(serde_json::from_str::<Value>(&read("runs.json")).unwrap()["strategies"].is_array());
    assert!(read("regret.svg").starts_with("<svg"));
    let page = read("report.html");
    for said in ["What the search would have cost", "regression", "Recommendation", "big-4", "24 trials"] {
        assert!(page.contains(said), "{said} is not in the report");
    }
}

/// Two metrics that follow mixing laws of two domains at the small size. Three parameters a metric: four runs give the laws, and with
/// them the best of the target runs, which are too dear to be bought.
#[test]
fn log_linear_laws_find_the_best_mixture_once_they_are_determined() {
    let bench = Bench::new();
    let log = |sign: f64| {
        let mut csv = "run_id,fidelity,params,cost,w:a,w:b,y:one,y:two\n".to_owned();
        for (fidelity, params, cost, floor) in [("small", "1e6", "0.01", 1.0), ("big", "1e9", "1", 0.0)] {
            for i in 0..12 {
                let a = (i as f64 * 7.0 % 12.0) / 12.0;
                let (one, two) = (sign * (floor + (-3.0 * a).exp()), sign * (floor + (2.0 * a - 1.0).exp()));
                csv += &format!("{fidelity}-{i},{fidelity},{params},{cost},{a},{},{one},{two}\n", 1.0 - a);
            }
        }
        csv
    };
    let recommended = |sign: f64, direction: &str, out: &str| {
        let file = bench.write(&format!("{out}.csv"), &log(sign));
        let args = ["--strategy", "log-linear", "--seeds", "4", "--budget", "0.9", "--direction", direction];
        let output = bench.replay(&file, &[&args[..], &["--out", out]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(bench.0.path().join(out).join("curves.csv")).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let losses = recommended(1.0, "minimize", "losses");
    assert_eq!(losses.len(), 4 * 12);
    for playback in losses.chunks(12) {
        assert!(playback[..3].iter().all(|run| *run == playback[0]), "three runs change nothing: {playback:?}");
        // 3 exp(−3a) = 2 exp(2a − 1) at a = 0.28; the nearest are 3/12.
        assert!(playback[3..].iter().all(|run| run == "big-9"), "{playback:?}");
    }
    assert_eq!(recommended(-1.0, "maximize", "scores"), losses, "the best are the same whatever the sign is");
}

#[test]
fn several_slots_buy_no_run_twice_and_no_more_than_the_budget() {
    let bench = Bench::new();
    let file = bench.write("runs.csv", &log());
    let curves = |slots: &str| {
        let args =
            ["--strategy", "admire", "random", "--seeds", "2", "--budget", "4", "--slots", slots, "--out", slots];
        let output = bench.replay(&file, &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(bench.0.path().join(slots).join("curves.csv")).unwrap();
        text.lines().skip(1).map(|line| line.split(',').map(String::from).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let (one, four) = (curves("1"), curves("4"));
    for playback in four.chunk_by(|a, b| a[..2] == b[..2]) {
        let spent: Vec<f64> = playback.iter().map(|row| row[2].parse().unwrap()).collect();
        assert!(spent.is_sorted() && spent.last().unwrap() <= &4.0, "{spent:?}");
        let runs: std::collections::HashSet<&String> = playback.iter().map(|row| &row[4]).collect();
        assert_eq!(runs.len(), playback.len(), "{playback:?}");
        // Whoever searches has an opinion of its recommendation, whoever buys at random has none.
        assert!(playback.iter().all(|row| row[7].is_empty() == (row[0] == "random")), "{playback:?}");
    }
    let of = |rows: &[Vec<String>], strategy: &str| -> Vec<String> {
        rows.iter().filter(|row| row[0] == strategy).map(|row| row[4].clone()).collect()
    };
    assert_eq!(
        of(&one, "random"),
        of(&four, "random"),
        "runs of equal cost end in the order in which they were bought"
    );
    assert_ne!(of(&one, "admire"), of(&four, "admire"), "with runs under way less is known at each choice");
}

#[test]
fn diverged_runs_are_skipped_and_sloppy_weights_renormalized() {
    let bench = Bench::new();
    let mut lines: Vec<String> = log().lines().map(String::from).collect();
    lines[1] = "small-0,small,1e6,0.01,0.5,0.5,NaN".into();
    lines[2] = "small-1,small,1e6,0.01,0.5,0.5,".into();
    lines[3] = "small-2,small,1e6,0.01,0.45,0.45,1.0".into();
    let file = bench.write("runs.csv", &lines.join("\n"));
    let output = bench.replay(&file, &["--strategy", "random", "--seeds", "1"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("skipped 2 runs") && stderr.contains("line 2"), "{stderr}");
    assert!(stderr.contains("1 run do") && stderr.contains("line 4: 0.900"), "{stderr}");
}

#[test]
fn a_metric_of_few_runs_does_not_hide_the_others() {
    let bench = Bench::new();
    // Another metric in 2 of 24 runs, and a third that one run lacks.
    let extra = |i: usize| if i % 12 == 5 { "0.5" } else { "" };
    let third = |i: usize| if i == 14 { "" } else { "0" };
    let log = log();
    let lines = log.lines().skip(1).enumerate().map(|(i, line)| format!("{line},{},{}\n", extra(i), third(i)));
    let content = log.lines().next().unwrap().to_owned() + ",y:extra,y:third\n" + &lines.collect::<String>();
    let file = bench.write("runs.csv", &content);
    let common = ["--strategy", "random", "--seeds", "1", "--format", "json"];
    let replay = |more: &[&str]| {
        let output = bench.replay(&file, &[&common[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["target"]["candidates"].clone(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (candidates, said) = replay(&[]);
    assert_eq!(candidates, 11);
    for part in [
        "not part of the objective, because most runs lack it: \"extra\" (in 2 of 24); --set objective.metric=",
        "skipped 1 run without a finite value of \"third\", a part of the objective; --set objective.metric=… says what to go by (first: ",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let (candidates, said) = replay(&["--set", "objective.metric=\"loss\""]);
    assert_eq!((candidates, said.as_str()), (12.into(), ""));
}

#[test]
fn runs_that_did_not_finish_or_are_of_another_size_are_skipped_and_no_cost_is_none() {
    let bench = Bench::new();
    let mut lines: Vec<String> = log().lines().map(|line| line.to_owned() + ",finished,1e9").collect();
    lines[0] = lines[0].replace("finished,1e9", "status,tokens");
    lines[14] = lines[14].replace("finished", "crashed");
    lines[15] = lines[15].replace("1e9,1,", "1e9,0,");
    lines[16] = lines[16].replace("finished,1e9", "finished,5e8");
    let file = bench.write("runs.csv", &lines.join("\n"));
    let config = "domain = [{ name = \"a\" }, { name = \"b\" }]\n\
                  fidelity = [{ name = \"small\", cost = 0.01 }, { name = \"big\", cost = 2, tokens = 1e9 }]\n";
    bench.write("study.toml", config);
    let output =
        bench.replay(&file, &["--config", "study.toml", "--strategy", "random", "--seeds", "1", "--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in [
        "left out runs that have not finished: 1 crashed",
        "1 run states a cost of 0, which counts as none",
        "skipped 1 run at \"big\" with other tokens than the config's 1e9 (first: runs.csv, line 17)",
    ] {
        assert!(
            said.replace(&bench.0.path().display().to_string(), "").replace("/runs.csv", "runs.csv").contains(part),
            "{said}"
        );
    }
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["target"]["candidates"], 10);
    // Nine runs state 1, one takes the config's 2.
    assert!((json["target"]["cost"].as_f64().unwrap() - 1.1).abs() < 1e-12);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_its_place() {
    let bench = Bench::new();
    let line = |n: usize, with: &str| {
        let mut lines: Vec<String> = log().lines().map(String::from).collect();
        lines[n] = with.into();
        lines.join("\n")
    };
    bench.refuses("", &[], &["bad.csv", "empty"]);
    bench.refuses(log().lines().next().unwrap(), &[], &["bad.csv", "no rows"]);
    bench.refuses(&line(0, "run_id,size,params,cost,w:a,w:b,y:loss"), &[], &["\"fidelity\" is missing"]);
    bench.refuses(&line(0, "run_id,fidelity,params,cost,w:a,w:a,y:loss"), &[], &["\"w:a\" appears twice"]);
    bench.refuses(&line(0, "run_id,fidelity,params,cost,a,b,y:loss"), &[], &["no domain weight column"]);
    bench.refuses(&line(0, "run_id,fidelity,params,cost,w:a,w:b,loss"), &[], &["no metric column"]);
    bench.refuses(&line(2, "x,small,1e6,0.01,0.5,0.5,2.x"), &[], &["line 3", "\"y:loss\"", "2.x"]);
    bench.refuses(&line(2, "x,small,1e6,-1,0.5,0.5,2"), &[], &["line 3", "\"cost\"", "0 or more"]);
    bench.refuses(&line(2, "x,small,0,1,0.5,0.5,2"), &[], &["line 3", "\"params\"", "positive"]);
    bench.refuses(&line(2, "x,small,1e6,0.01,0,0,2"), &[], &["line 3", "sum to 0"]);
    bench.refuses(&line(2, "x,small,1e6,0.01,-1,2,2"), &[], &["line 3", "\"w:a\"", "-1"]);
    bench.refuses(&line(2, "x,small"), &[], &["bad.csv, line 3", "2 cells"]);
    // Lines are counted as editors do.
    let blank = line(2, "\n\nx,small");
    for text in [&blank, &blank.replace('\n', "\r\n"), &format!("\u{feff}{blank}"), &blank.replace('\n', "\r")] {
        bench.refuses(text, &[], &["bad.csv, line 5", "2 cells"]);
    }
    bench.refuses(&log(), &["--strategy", "admirer"], &["unknown strategy", "did you mean \"admire\""]);
    bench.refuses(&log(), &["--candidates", "0"], &["0 candidates"]);
    bench.refuses(&log(), &["--set", "objective.metric=\"los\""], &["\"los\"", "did you mean \"loss\""]);
    bench.refuses(&log().replace("big,1e9,1", "big,1e9,").replace(",1e9,", ",,"), &[], &["cost"]);
    let diverged: String = log()
        .lines()
        .map(|l| {
            if l.starts_with("big") { l.rsplit_once(',').unwrap().0.to_owned() + ",nan\n" } else { l.to_owned() + "\n" }
        })
        .collect();
    bench.refuses(&diverged, &[], &["no usable run at the target", "big"]);
    let missing = bench.replay(Path::new("nowhere.csv"), &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nowhere.csv"));
}

#[test]
fn logs_without_costs_are_priced_by_size() {
    let bench = Bench::new();
    let priceless: String =
        log().replace("params,cost,", "params,").replace("1e6,0.01,", "1e6,").replace("1e9,1,", "1e9,");
    let json = bench.json(&priceless, &["--strategy", "random", "--seeds", "1", "--budget", "12"]);
    assert_eq!(json["target"]["cost"], 1.0);
    assert_eq!(json["target"]["fidelity"], "big");
}

#[test]
fn the_published_logs_replay_as_published() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    if !data.exists() {
        eprintln!("skipped: {} is missing", data.display());
        return;
    }
    let bench = Bench::new();
    for (file, args, best) in [
        ("pile.csv", &["--candidates", "48"][..], 2.111309),
        ("ift.csv", &["--candidates", "60", "--direction", "maximize"][..], f64::NAN),
    ] {
        let common = ["--strategy", "random", "--seeds", "2", "--format", "json"];
        let output = bench.replay(&data.join(file), &[args, &common].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = json["target"]["best"].as_f64().unwrap();
        assert!(best.is_nan() || (found - best).abs() < 1e-6, "{found}");
        assert_eq!(json["target"]["candidates"], args[1].parse::<u64>().unwrap());
    }
}

#[test]
fn the_shipped_sweep_of_tiny_models_replays() {
    let bench = Bench::new();
    let runs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/tiny-lm-runs.csv"));
    let strategies = ["--strategy", "admire", "--strategy", "random", "--seeds", "40", "--budget", "2"];
    let output = bench.replay(runs, &[&strategies[..], &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["target"]["fidelity"], "600k");
    assert_eq!(json["target"]["candidates"], 14);
    let last_regret = |i: usize| {
        let regret = json["strategies"][i]["regret"].as_array().unwrap();
        regret.last().unwrap()["mean"].as_f64().unwrap()
    };
    assert!(last_regret(0) < last_regret(1), "two target runs' worth of small runs say more than two target runs");
}

#[test]
fn a_search_that_gains_less_than_asked_for_stops() {
    let bench = Bench::new();
    let replay = |runs: &Path, arguments: &[&str]| -> Value {
        let always = ["--strategy", "admire", "--seeds", "3", "--format", "json"];
        let output = bench.replay(runs, &[&always[..], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["strategies"][0].take()
    };
    let runs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/tiny-lm-runs.csv"));
    let costs = |strategy: &Value, key: &str| -> Vec<Option<f64>> {
        strategy[key].as_array().unwrap().iter().map(Value::as_f64).collect()
    };
    let never = replay(runs, &["--budget", "2", "--set", "budget.gain=1e-300"]);
    assert_eq!(costs(&never, "stopped"), [None; 3]);
    let at_once = replay(runs, &["--budget", "2", "--set", "budget.gain=1e9"]);
    assert!(costs(&at_once, "stopped").iter().all(|cost| cost.is_some_and(|cost| cost < 2.0)), "{at_once}");

    let pile = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/pile.csv"));
    if !pile.exists() {
        eprintln!("skipped: {} is not there", pile.display());
        return;
    }
    let budget = ["--candidates", "48", "--budget", "0.3"];
    let whole = replay(pile, &budget);
    let stopped = replay(pile, &[&budget[..], &["--set", "budget.gain=0.2"]].concat());
    for (stay, stopped) in costs(&whole, "stay").into_iter().zip(costs(&stopped, "stopped")) {
        let (stay, stopped) = (stay.unwrap(), stopped.unwrap());
        assert!(stay <= stopped && stopped <= 3.0 * stay, "settled at {stay}, stopped at {stopped}");
    }
}

#[test]
fn an_ablation_plays_every_combination_of_what_it_varies() {
    let bench = Bench::new();
    let runs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/tiny-lm-runs.csv"));
    let common = ["--candidates", "10", "--seeds", "1", "--budget", "0.3", "--at", "0.3"];
    let ablate =
        |factors: &[&str]| bench.replay(runs, &[&common[..], &["--format", "json", "--ablate"], factors].concat());
    let output = ablate(&["warp", "structure"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["factors"], serde_json::json!(["warp", "structure"]));
    let rows = json["rows"].as_array().unwrap();
    let levels: std::collections::BTreeSet<String> = rows.iter().map(|row| row["levels"].to_string()).collect();
    assert_eq!((rows.len(), levels.len()), (6, 6));
    for row in rows {
        assert!(row["result"]["regret"][0]["mean"].as_f64().unwrap() >= 0.0);
        let coverage = |share: &str| row["result"]["calibration"][share].as_f64().unwrap();
        assert!(coverage("coverage50") <= coverage("coverage90"));
    }
    let output = ablate(&["wrap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("warp"));
}

/// The small runs, known from an older study in which `b` had another name and a domain `c` was drawn in some runs.
#[test]
fn a_search_may_know_the_runs_of_an_older_study() {
    let bench = Bench::new();
    let config = |name: &str, domains: &str| {
        let launcher = "[launcher]\ncommand = [\"true\", \"{mixture_file}\"]";
        let sizes = "[[fidelity]]\nname = \"small\"\nparams = 1e6\ncost = 0.01\n[[fidelity]]\nname = \"big\"\nparams = 1e9\ncost = 1";
        let study = format!("[study]\nname = \"{name}\"\ndir = \"{name}\"");
        bench.write(
            &format!("{name}.toml"),
            &format!("{study}\n{domains}\n{sizes}\n{launcher}\n[objective]\nmetric = \"loss\"\n"),
        )
    };
    let old = config("old", "[[domain]]\nname = \"a\"\n[[domain]]\nname = \"z\"\n[[domain]]\nname = \"c\"");
    config("new", "[[domain]]\nname = \"a\"\n[[domain]]\nname = \"b\"\nwas = \"z\"");
    let log = log();
    let small = log.lines().filter(|line| !line.starts_with("big")).map(|line| {
        let c = if line.starts_with("run_id") {
            "w:c"
        } else if line.starts_with("small-3") {
            "0.1"
        } else {
            "0"
        };
        format!("{line},{c}\n").replace("w:b", "w:z")
    });
    let small = bench.write("small.csv", &small.collect::<String>());
    let import = Command::new(env!("CARGO_BIN_EXE_admire"))
        .args(["import", "--from", "wide"])
        .args([&small, Path::new("--config"), &old])
        .current_dir(bench.0.path())
        .output()
        .unwrap();
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let first = |more: &[&str]| {
        let options =
            ["--config", "new.toml", "--strategy", "admire,single-fidelity", "--seeds", "4", "--budget", "0.01"];
        let json = bench.json(&log, &[&options, more].concat());
        json["strategies"].as_array().unwrap().iter().map(|s| s["first"].clone()).collect::<Vec<_>>()
    };
    // With one small run nothing is known, but for what the old ones say. A strategy that sees target runs alone does not learn from them.
    let (with, without) = (first(&["--fork", "old"]), first(&[]));
    assert_eq!(with[0], serde_json::json!([0.01, 0.01, 0.01, 0.01]));
    assert!(without[0].as_array().unwrap().iter().filter(|cost| cost.is_null()).count() > 1, "{without:?}");
    assert_eq!(with[1], without[1]);
}
