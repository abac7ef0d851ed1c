//! `admire import` through the built binary: files of other projects as logged runs, and as what a study learns from.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use study::{Fixture, GOOD, code, stderr};
use tempfile::TempDir;

/// A folder with files to import.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = TempDir::new().unwrap();
        files.iter().for_each(|(name, text)| fs::write(root.path().join(name), text).unwrap());
        Self(root)
    }

    fn import(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_admire"));
        command.arg("import").args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// The CSV that comes out of an import that must succeed, and what is said about it.
    fn csv(&self, arguments: &[&str]) -> (String, String) {
        let output = self.import(arguments);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
    }

    /// What is said of an import that must be refused as wrong input.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.import(arguments);
        assert_eq!(code(&output), Some(2), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        stderr(&output)
    }
}

/// Rows by run id, cells by column.
type Rows = BTreeMap<String, BTreeMap<String, String>>;

fn rows(text: &str) -> Rows {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut rows = Rows::new();
    for record in reader.records() {
        let row: BTreeMap<_, _> =
            header.iter().map(str::to_owned).zip(record.unwrap().iter().map(str::to_owned)).collect();
        assert!(rows.insert(row["run_id"].clone(), row).is_none());
    }
    rows
}

/// Every cell of `expected` is there, numbers up to a relative `tolerance` by the column's first letter; and nothing else
/// but empty tokens.
fn assert_same(got: &Rows, expected: &Rows, tolerance: fn(char) -> f64) {
    assert!(got.keys().eq(expected.keys()));
    for (id, row) in expected {
        assert_eq!(got[id].len(), row.len() + 1, "{id}");
        assert_eq!(got[id]["tokens"], "");
        for (column, cell) in row {
            let (a, b) = (&got[id][column], cell);
            if let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) {
                let off = tolerance(column.chars().next().unwrap());
                assert!((a - b).abs() <= off * b.abs().max(1.0), "{id}, {column}: {a} instead of {b}");
            } else {
                assert_eq!(a, b, "{id}, {column}");
            }
        }
    }
}

/// The published runs as they are, and as they should come out; `None` where they are not at hand.
fn published(name: &str) -> Option<(String, Rows)> {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    let Ok(expected) = fs::read_to_string(data.join(name)) else {
        eprintln!("skipped: {} is not there", data.join(name).display());
        return None;
    };
    Some((data.join("raw").display().to_string(), rows(&expected)))
}

#[test]
fn the_runs_of_regmix_come_out_as_published() {
    let Some((raw, expected)) = published("pile.csv") else { return };
    let pair = |size: &str, set: &str, file: &str| {
        format!("{size}={raw}/{set}_mixture_{file}.csv,{raw}/{set}_pile_loss_{file}.csv")
    };
    let (small, middle, large) = (pair("1M", "train", "1m"), pair("60M", "test", "60m"), pair("1B", "test", "1B"));
    let costs = ["--cost", "1M=0.001", "--cost", "60M=0.06", "--cost", "1B=1"];
    let arguments = [&["--from", "regmix", &small, &middle, &large], &costs[..]].concat();
    let (text, said) = Files::new(&[]).csv(&arguments);
    assert!(said.contains("832 runs (64 at 1B, 512 at 1M, 256 at 60M), 17 domains, 13 metrics"), "{said}");
    assert!(said.contains("not used: metric/avg"), "{said}");
    // The published file has ten digits of the weights, and nine of the losses.
    assert_same(&rows(&text), &expected, |_| 1e-9);

    // More runs at a size that is there already: their numbers begin again, their names do not.
    let more = pair("1M", "test", "1m");
    let (text, _) = Files::new(&[]).csv(&["--from", "regmix", &small, &more]);
    assert_eq!(rows(&text).len(), 768);
}

#[test]
fn the_runs_of_admire_come_out_as_published() {
    let Some((raw, expected)) = published("ift.csv") else { return };
    let (text, said) = Files::new(&[]).csv(&["--from", "admire", &format!("{raw}/admire_ift_runs.csv")]);
    assert!(said.contains("not used: metric_avg_id+ood, metric_avg_id, metric_avg_ood"), "{said}");
    // The published file has six digits of the costs.
    assert_same(&rows(&text), &expected, |column| if column == 'c' { 1e-6 } else { 1e-9 });
}

const MIXTURES: &str = "index,train_the_pile_web,train_the_pile_code\n0,0.6,0.399\n1,0.25,0.75\n2,1,0\n";
const LOSSES: &str = "metric/the_pile_code_val_loss,index,metric/avg,metric/the_pile_web_val_loss\r\n\
                      2.5,1,9,3.5\r\n2.25,0,9,nan\r\n1,7,9,1\r\n";

#[test]
fn pairs_are_matched_by_name_and_index() {
    let files = Files::new(&[("m.csv", MIXTURES), ("l.csv", LOSSES), ("twice.csv", "index,metric/a\n0,1\n0,2\n")]);
    let (text, said) = files.csv(&["--from", "regmix", "1M=m.csv,l.csv", "--tokens", "1M=1e9"]);
    let web = 0.6 / 0.999;
    let expected = format!(
        "run_id,fidelity,params,tokens,cost,w:code,w:web,y:code,y:web\n\
         1M-0,1M,1000000,1000000000,,{},{web},2.25,\n1M-1,1M,1000000,1000000000,,0.75,0.25,2.5,3.5\n",
        0.399 / 0.999
    );
    assert_eq!(text, expected);
    for part in [
        "m.csv, l.csv: 2 rows have no partner in the other file; skipped",
        "not used: metric/avg",
        "2 runs (2 at 1M), 2 domains, 2 metrics; 1 had weights that do not sum to 1 and were renormalized; 1 lack a metric",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = files.refused(&["--from", "regmix", "1M=l.csv,m.csv"]);
    assert!(
        said.contains("l.csv: there are no weights in it; of a pair, the file of the mixtures comes first"),
        "{said}"
    );
    let said = files.refused(&["--from", "regmix", "1M=m.csv,twice.csv"]);
    assert!(said.contains("twice.csv: two rows have the run_id \"0\""), "{said}");
    let said = files.refused(&["--from", "regmix", "m.csv,l.csv"]);
    assert!(said.contains("expected SIZE=MIXTURES,RESULTS"), "{said}");
}

#[test]
fn olmix_and_doremi() {
    let files = Files::new(&[
        ("ratios.csv", ",run,name,index,dclm,arxiv\n0,hz,s-0,0,0.5,0.5\n1,pj,s-1,1,0.75,0.25\n"),
        ("metrics.csv", "Unnamed: 0,run,name,index,arc_bpb\n1,pj,s-1,1,1.5\n0,hz,s-0,0,1.25\n"),
        (
            "doremi.json",
            r#"{"train_domain_weights": {"Wiki": 0.25, "Pile-CC": 0.75}, "eval_domain_weights": {"Wiki": 1}}"#,
        ),
        ("other.json", r#"{"weights": {}}"#),
    ]);
    let (text, _) = files.csv(&["--from", "olmix", "30M=ratios.csv,metrics.csv", "-q"]);
    let expected = "run_id,fidelity,params,tokens,cost,w:arxiv,w:dclm,y:arc_bpb\n\
                    hz,30M,30000000,,,0.5,0.5,1.25\npj,30M,30000000,,,0.25,0.75,1.5\n";
    assert_eq!(text, expected);

    let (text, _) = files.csv(&["--from", "doremi", "280M=doremi.json", "--metric", "loss=2.53"]);
    let expected =
        "run_id,fidelity,params,tokens,cost,w:Pile-CC,w:Wiki,y:loss\ndoremi,280M,280000000,,,0.75,0.25,2.53\n";
    assert_eq!(text, expected);
    assert!(files.refused(&["--from", "doremi", "1M=doremi.json"]).contains("say it with --metric"));
    let said = files.refused(&["--from", "doremi", "1M=other.json", "--metric", "loss=2"]);
    assert!(said.contains("other.json: there is no object `train_domain_weights`"), "{said}");
}

#[test]
fn anybodys_tables_with_a_map_of_columns() {
    let files = Files::new(&[
        ("wide.csv", "id,size,share_web,share_code,val,secs\nr1,small,30,70,2.5,9\nr2,small,50,50,2.25,9\n"),
        (
            "long.csv",
            "id,name,value\nr1,share_web,0.25\nr1,val,2.5\nr2,share_code,1\nr1,share_code,0.75\nr2,val,2\nr2,x,1\n",
        ),
        ("names.csv", "run_id,fidelity,\"w:a=b\",y:loss\n1,1M,1,2\n"),
    ]);
    let map = ["--map", "run_id=id", "--map", "w:*=share_*", "--map", "y:loss=val"];
    let wide = [&["--from", "wide", "wide.csv", "--map", "fidelity=size", "--params", "small=1e6"], &map[..]].concat();
    let (text, said) = files.csv(&wide);
    let expected = "run_id,fidelity,params,tokens,cost,w:code,w:web,y:loss\n\
                    r1,small,1000000,,,0.7,0.3,2.5\nr2,small,1000000,,,0.5,0.5,2.25\n";
    assert_eq!(text, expected);
    assert!(said.contains("wide.csv: not used: secs"), "{said}");

    let long = [&["--from", "long", "10M=long.csv"], &map[..]].concat();
    let (text, said) = files.csv(&long);
    let expected = "run_id,fidelity,params,tokens,cost,w:code,w:web,y:loss\n\
                    r1,10M,10000000,,,0.75,0.25,2.5\nr2,10M,10000000,,,1,0,2\n";
    assert_eq!(text, expected);
    assert!(said.contains("not used: x"), "{said}");

    for (arguments, part) in [
        (&["--from", "wide", "long.csv"][..], "does not say at which size"),
        (&["--from", "long", "1M=wide.csv"], "no column is the name"),
        (&["--from", "wide", "names.csv"], "give the domain another with --map w:NAME=COLUMN"),
        (&["--from", "wide", "wide.csv", "--map", "weight=x"], "is none of run_id"),
        (&["--from", "wide", "wide.csv", "--map", "w:*=x"], "one `*` on both sides"),
        (&["--from", "wide", "nothing.csv"], "cannot read nothing.csv"),
    ] {
        let said = files.refused(arguments);
        assert!(said.contains(part), "{said}");
    }
}

/// Runs at both sizes whose loss is `(a − 0.3)² + b`, and 1 more at the small one; one that diverged, and one at a size of
/// its own.
fn earlier() -> String {
    let mut text = "run_id,fidelity,w:a,w:b,w:c,y:loss,y:other\n".to_owned();
    for i in 0..12 {
        let a = f64::from(i) / 12.0;
        let b = f64::from(i % 3) / 3.0 * (1.0 - a);
        let (size, more) = [("small", 1.0), ("large", 0.0)][i as usize % 2];
        text += &format!("r{i},{size},{a},{b},{},{},1\n", 1.0 - a - b, (a - 0.3) * (a - 0.3) + b + more);
    }
    text + "nan,large,1,0,0,nan,1\nhuge,huge,1,0,0,1,1\n"
}

#[test]
fn a_study_learns_from_what_is_imported_at_no_cost() {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    f.write("runs.csv", &earlier());
    let blind = f.json("suggest", &["--dry-run", "-n", "4"]);
    assert!(blind["trials"].as_array().unwrap().iter().all(|t| t["expected"].is_null()));

    let runs = f.path("runs.csv").display().to_string();
    let import = |more: &[&str]| f.run("import", &[&["--from", "wide", &runs], more].concat());
    let output = import(&[]);
    assert_eq!((code(&output), output.stdout.len()), (Some(0), 0), "{}", stderr(&output));
    for part in [
        "12 runs imported into the study t",
        "1 left out, at \"huge\", which is no fidelity of the config",
        "1 left out, without a finite value for every metric of the objective",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    // Imported twice, from wherever: known already.
    assert!(stderr(&import(&[])).contains("0 runs imported into the study t; 12 were there already"));
    let status = f.json("status", &[]);
    assert_eq!((&status["imported"], &status["spent"]["trials"]), (&12.into(), &0.into()));
    assert_eq!(status["spent"]["cost"], 0.0);

    // Evidence replaces the initial design, and the optimum is known before anything was trained.
    let seeing = f.json("suggest", &["--dry-run"]);
    assert!(seeing["trials"][0]["expected"]["mean"].is_f64(), "{seeing}");
    let best = f.json("best", &[]);
    let weight = |name: &str| best["weights"][name].as_f64().unwrap();
    assert!((weight("a") - 0.3).abs() < 0.15 && weight("b") < 0.15, "{best}");
    let result = f.json("optimize", &["-q"]);
    assert_eq!((&result["spent"]["trials"], &result["stopped"]), (&2.into(), &"trials".into()));

    // What a study exports is what another imports.
    let csv = f.path("exported.csv").display().to_string();
    assert_eq!(code(&f.run("export", &["--out", &csv])), Some(0));
    let other = Fixture::new(GOOD, "", "");
    let output = other.run("import", &["--from", "wide", &csv]);
    assert!(stderr(&output).contains("14 runs imported into the study t"), "{}", stderr(&output));
}

#[test]
fn what_does_not_fit_a_study_is_refused_and_begins_none() {
    let f = Fixture::new(GOOD, "", "");
    f.write("metric.csv", "run_id,fidelity,w:a,y:los\n1,large,1,2\n");
    f.write("domain.csv", "run_id,fidelity,w:a,w:web,y:loss\n1,large,0.5,0.5,2\n");
    f.write("size.csv", "run_id,fidelity,w:a,y:loss\n1,big,1,2\n");
    for (file, part) in [
        ("metric.csv", "metric \"loss\" of the objective is not in it; did you mean \"los\"? (--map y:loss=COLUMN)"),
        ("domain.csv", "no run fits the config: 1 with weight on \"web\", which is no domain of the config"),
        ("size.csv", "no run fits the config: 1 at \"big\", which is no fidelity of the config"),
    ] {
        let output = f.run("import", &["--from", "wide", &f.path(file).display().to_string()]);
        assert_eq!(code(&output), Some(2));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
        assert!(!f.path("run").exists());
    }
    // A domain that the runs do not have got no weight, and a name can be translated.
    let output =
        f.run("import", &["--from", "wide", &f.path("metric.csv").display().to_string(), "--map", "y:loss=y:los"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(f.of("imported")[0]["weights"], serde_json::json!({"a": 1.0, "b": 0.0, "c": 0.0}));
    assert_eq!(f.of("imported")[0]["source"], "metric.csv, run 1");
}
