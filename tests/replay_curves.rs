//! `admire replay` on runs that were logged on their way, through the built binary.

#[path = "common/bench.rs"]
mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bench::Bench;

/// Twelve runs of one size, logged after 1, 2 and 4 billion tokens. The loss falls with tokens; ranks stay.
fn logged_on_the_way(name: impl Fn(usize, u32) -> String) -> String {
    let mut log = "run_id,curve_of,fidelity,params,tokens,cost,w:a,w:b,y:loss\n".to_owned();
    for i in 0..12 {
        let a = (i as f64 * 7.0 % 12.0) / 12.0;
        for tokens in [4, 1, 2] {
            let (loss, cost) = ((a - 0.3).powi(2) + 1.0 / f64::from(tokens), f64::from(tokens) / 4.0);
            log += &format!("{},p{tokens},1e9,{tokens}e9,{cost},{a},{},{loss}\n", name(i, tokens), 1.0 - a);
        }
    }
    log
}

/// The purchases of each strategy and seed in order: the sum spent, and the training run and the billions of tokens that were bought.
fn purchases(bench: &Bench, log: &str, args: &[&str]) -> Vec<Vec<(f64, String, f64)>> {
    let file = bench.write("runs.csv", log);
    let output = bench.replay(&file, &[args, &["--seeds", "2", "--budget", "4", "--out", "out"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("12 runs logged after several numbers of tokens: to go on with one costs the difference"));
    let text = fs::read_to_string(bench.0.path().join("out/curves.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let purchase = |row: &Vec<&str>| {
        let (run, tokens) = (row[4].split('@').next().unwrap(), row[3].trim_start_matches('p'));
        (row[2].parse().unwrap(), run.to_owned(), tokens.parse().unwrap())
    };
    rows.chunk_by(|a, b| a[..2] == b[..2]).map(|rows| rows.iter().map(purchase).collect()).collect()
}

#[test]
fn to_go_on_with_a_run_costs_the_difference() {
    let bench = Bench::new();
    let one = purchases(&bench, &logged_on_the_way(|i, _| format!("{i},")), &["--strategy", "admire,hyperband"]);
    let mut gone_on = 0;
    for playback in &one {
        let (mut reached, mut sum) = (BTreeMap::new(), 0.0);
        for (spent, run, tokens) in playback {
            let before = reached.insert(run, *tokens).unwrap_or(0.0);
            sum += (tokens - before) / 4.0;
            assert!(*tokens > before, "what a run said on its way is known: {playback:?}");
            assert!((sum - spent).abs() < 1e-9, "{playback:?}");
            gone_on += usize::from(before > 0.0);
        }
    }
    assert!(gone_on > 4, "{one:?}");
    // The same, where a column of its own names the run.
    let named = logged_on_the_way(|i, tokens| format!("{i}@{tokens},run {i}"));
    assert_eq!(purchases(&bench, &named, &["--strategy", "hyperband"]), one[2..]);
}

#[test]
fn hyperband_goes_on_with_the_best_third() {
    let bench = Bench::new();
    let log = logged_on_the_way(|i, _| format!("{i},"));
    let loss = |run: &str| (run.parse::<f64>().unwrap() * 7.0 % 12.0 / 12.0 - 0.3).abs();
    for playback in purchases(&bench, &log, &["--strategy", "hyperband"]) {
        let (mut begun, mut complete) = (Vec::new(), Vec::new());
        for (spent, run, tokens) in &playback {
            if *tokens == 1.0 {
                let mut best = begun.iter().take(begun.len() / 3);
                // To go on costs 0.75, and the budget is 4.
                assert!(*spent > 3.5 || best.all(|run| complete.contains(run)), "one of the best waits: {playback:?}");
                begun.push(run);
                begun.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
            } else {
                // Between rungs costs are at least threefold: nothing is bought after 2 billion tokens.
                assert_eq!(*tokens, 4.0);
                let best = begun.iter().position(|run| !complete.contains(run)).unwrap();
                assert_eq!(begun[best], run, "{playback:?}");
                assert!(best < begun.len() / 3, "{playback:?}");
                complete.push(run);
            }
        }
        assert!(complete.len() > 1, "{playback:?}");
    }
}

#[test]
fn curves_as_they_are_exported_are_priced_by_tokens() {
    let bench = Bench::new();
    let (mut runs, mut curves) = (
        "run_id,fidelity,params,tokens,cost,w:a,w:b,y:loss\n".to_owned(),
        "curve_of,state,fidelity,params,step,tokens,w:a,w:b,y:loss\n".to_owned(),
    );
    for i in 1..=6 {
        let (a, b, loss) = (f64::from(i) / 8.0, 1.0 - f64::from(i) / 8.0, f64::from(i % 4));
        runs += &format!("{i},1B,1e9,8e9,10,{a},{b},{loss}\n");
        curves += &format!("{i},complete,1B,1e9,100,2e9,{a},{b},{}\n", loss + 1.0);
    }
    bench.write("curves.csv", &curves);
    let file = bench.write("runs.csv", &runs);
    let args = ["--runs", "curves.csv", "--strategy", "hyperband", "--seeds", "1", "--budget", "30", "--out", "out"];
    let output = bench.replay(&file, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(bench.0.path().join("out/curves.csv")).unwrap();
    let bought: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
    let spent: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(bought[..4], ["1B@2B", "1B@2B", "1B@2B", "1B@8B"]);
    assert_eq!(spent[..4], ["2.5", "5", "7.5", "15"]);
}

/// Every purchase is a row of a run beyond the one that was bought of it before, and costs the difference.
#[test]
fn the_shipped_runs_of_tiny_models_are_bought_row_by_row() {
    type Row = BTreeMap<String, String>;
    let bench = Bench::new();
    // The runs at the target, with what they reported after a fifth and after three fifths of their tokens.
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/tiny-lm-curves"));
    let excerpt = |name: &str, keep: &dyn Fn(&str) -> bool| {
        let text = fs::read_to_string(data.join(name)).unwrap();
        let kept: Vec<&str> = text.lines().enumerate().filter(|(i, line)| *i == 0 || keep(line)).map(|l| l.1).collect();
        bench.write(name, &(kept.join("\n") + "\n"))
    };
    let runs = excerpt("runs.csv", &|line| line.contains(",600k,"));
    let reports =
        excerpt("reports.csv", &|line| [86, 258].iter().any(|step| line.contains(&format!(",600k,598016,{step},"))));
    let rows =
        |path: &Path| -> Vec<Row> { csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect() };
    let number = |row: &Row, column: &str| -> f64 { row[column].parse().unwrap() };
    let on_their_way = rows(&reports);
    // What each run costs up to each of its rows.
    let mut costs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for run in rows(&runs) {
        let (id, cost, tokens) = (&run["run_id"], number(&run, "cost"), number(&run, "tokens"));
        let reported = on_their_way.iter().filter(|row| row["curve_of"] == *id);
        let shares: Vec<f64> = reported.map(|row| cost * number(row, "tokens") / tokens).collect();
        assert_eq!(shares.len(), 2, "run {id}");
        costs.insert(id.clone(), [shares, vec![cost]].concat());
    }
    let strategies = ["--strategy", "admire,hyperband", "--seeds", "1", "--budget", "3", "--out", "out"];
    let metric = ["--set", "objective.metrics.rust=1", "--runs", reports.to_str().unwrap()];
    let output = bench.replay(&runs, &[&metric[..], &strategies[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bought = rows(&bench.0.path().join("out/curves.csv"));
    for playback in bought.chunk_by(|a, b| a["strategy"] == b["strategy"]) {
        let (mut spent, mut reached, mut continued) = (0.0, BTreeMap::new(), 0);
        for purchase in playback {
            let (run, price) = (&purchase["run_id"], number(purchase, "cost") - spent);
            let before = reached.get(run).copied().unwrap_or(0.0);
            assert!(price > 0.0, "{purchase:?}");
            let row = costs[run].iter().find(|cost| (*cost - before - price).abs() < 1e-6);
            let row = row.unwrap_or_else(|| panic!("run {run} has no row that costs {price} after {before}"));
            continued += usize::from(before > 0.0);
            reached.insert(run, *row);
            spent = number(purchase, "cost");
        }
        assert!(continued > 0, "{playback:?}");
    }
}

#[test]
fn a_row_that_costs_no_more_than_one_before_it_is_refused() {
    let free = logged_on_the_way(|i, _| format!("{i},")).replace("2e9,0.5,", "2e9,0.25,");
    let words = ["bad.csv, line 4", "\"cost\"", "had cost 0.25 after fewer tokens", "different names"];
    Bench::new().refuses(&free, &[], &words);
}
