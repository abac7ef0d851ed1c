//! `admire import` through the built binary: files of other projects as logged runs, and as what a study learns from.

#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
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
        "2 runs (2 at 1M), 2 domains, 2 metrics; 1 had weights that do not sum to 1 and was renormalized; 1 without web",
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
fn tables_of_trackers() {
    let files = Files::new(&[
        (
            "mlflow.csv",
            "run_id,experiment_id,status,artifact_uri,metrics.admire.cost,metrics.admire.objective,metrics.loss,\
             params.fidelity,params.params,params.seed,params.weights.code,params.weights.web,tags.admire.trial\n\
             a1,0,FINISHED,/x,0.5,2.5,2.5,1M,1000000.0,5,0.25,0.75,1\nb2,0,FAILED,/x,0.1,,9.0,1M,1000000.0,6,0.5,0.5,2\n",
        ),
        (
            "wandb.csv",
            "Name,State,Notes,User,Tags,Created,Runtime,fidelity,params,purpose,seed,weights.code,weights.web,_step,\
             admire.cost,admire.objective,loss\n\
             trial-1,finished,-,me,complete,2026-11-27,41,1M,1000000,search,5,0.25,0.75,20,0.5,2.5,2.5\n\
             trial-2,failed,-,me,failed,2026-11-27,9,1M,1000000,search,6,0.5,0.5,20,0.1,,9.0\n",
        ),
    ]);
    for (format, id) in [("mlflow", "a1"), ("wandb", "trial-1")] {
        let (text, said) = files.csv(&["--from", format, &format!("{format}.csv")]);
        let expected = "run_id,fidelity,params,tokens,cost,w:code,w:web,y:loss\n";
        assert_eq!(text, format!("{expected}{id},1M,1000000,,0.5,0.25,0.75,2.5\n"), "{said}");
        assert!(said.contains("left out runs that have not finished: 1 failed"), "{said}");
    }
}

#[test]
fn the_folder_of_mlflow_is_a_table_of_its_runs() {
    let files = Files::new(&[]);
    let write = |path: &str, text: &str| {
        let path = files.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (experiment, stage) in [("1", "active"), ("2", "active"), ("3", "deleted")] {
        let meta = format!("experiment_id: '{experiment}'\nlifecycle_stage: {stage}\nname: 'sweep {experiment}'\n");
        write(&format!("mlruns/{experiment}/meta.yaml"), &meta);
    }
    for (run, start, status, stage) in [
        ("1/b", 2, 3, "active"),
        ("1/a", 10, 3, "active"),
        ("1/c", 3, 3, "deleted"),
        ("2/d", 4, 3, "active"),
        ("2/e", 5, 4, "active"),
        ("3/f", 6, 3, "active"),
    ] {
        let id = &run[2..];
        let meta = format!(
            "experiment_id: '{}'\nlifecycle_stage: {stage}\nrun_id: {id}\nstart_time: {start}\nstatus: {status}\n",
            &run[..1]
        );
        write(&format!("mlruns/{run}/meta.yaml"), &meta);
        write(&format!("mlruns/{run}/params/weights.web"), "1");
        // A metric that was logged again, with a slash in its name; the last step counts, wherever it is.
        write(&format!("mlruns/{run}/metrics/eval/web"), "7 2.5 20\n5 9 10\n6 3.5 20\n");
    }
    let all = &["--from", "mlflow", "1M=mlruns"];
    let (text, said) = files.csv(all);
    let header = "run_id,fidelity,params,tokens,cost,w:web,y:eval/web\n";
    let row = |id: &str| format!("{id},1M,1000000,,,1,2.5\n");
    assert_eq!(text, format!("{header}{}{}{}", row("b"), row("d"), row("a")), "{said}");
    assert!(said.contains("left out runs that have not finished: 1 failed"), "{said}");
    let of_one = files.csv(&[all, &["--where", "experiment=sweep 2"][..]].concat()).0;
    assert_eq!(of_one, format!("{header}{}", row("d")));
    assert_eq!(files.csv(&["--from", "mlflow", "1M=mlruns/2"]).0, of_one);
    let none = files.refused(&["--from", "mlflow", "1M=mlruns/2/d"]);
    assert!(none.contains("mlruns/2/d: no run of MLflow is in it"), "{none}");
    assert!(files.refused(&["--from", "wide", "1M=mlruns"]).contains("this is a folder"));
}

/// A file of this repository for tests.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn the_database_of_mlflow_is_a_table_of_its_runs() {
    let files = Files::new(&[("text.db", "SQLite format 3\0, and then none")]);
    let database = rusqlite::Connection::open(files.0.path().join("mlflow.db")).unwrap();
    database.execute_batch(&fs::read_to_string(fixture("mlflow.sql")).unwrap()).unwrap();
    let (text, said) = files.csv(&["--from", "mlflow", "mlflow.db"]);
    let id = |letter: &str| letter.repeat(32);
    let header = "run_id,fidelity,params,tokens,cost,w:code,w:web,y:eval/web,y:loss\n";
    let rows = |of: &[(&str, &str)]| {
        let row = |(letter, cells): &(&str, &str)| format!("{},60M,60000000,,,{cells}\n", id(letter));
        header.to_owned() + &of.iter().map(row).collect::<String>()
    };
    let (a, b, f) = (("a", "0.3,0.7,4.1,3.1"), ("b", "0.6,0.4,,"), ("f", "0.5,0.5,,"));
    assert_eq!(text, rows(&[a, b, f]), "{said}");
    for part in ["not used: experiment, tags.team\n", "left out runs that have not finished: 1 failed, 1 running\n"] {
        assert!(said.contains(part), "{said}");
    }
    // As MLflow is told of it.
    let sweep = &["--from", "mlflow", "sqlite:///mlflow.db", "--where", "experiment=sweep", "--where", "tags.team=a"];
    assert_eq!(files.csv(sweep).0, rows(&[a, b]));
    let none = files.refused(&["--from", "mlflow", "mlflow.db", "--where", "experiment=gone"]);
    assert!(none.contains("no row has experiment=gone; there are other sweep, sweep"), "{none}");

    // What a server writes meanwhile is not waited for.
    database.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM latest_metrics WHERE key = 'loss'").unwrap();
    assert!(!files.csv(&["--from", "mlflow", "mlflow.db"]).0.contains("y:loss"));
    for (change, part) in [
        ("UPDATE runs SET lifecycle_stage = 'deleted'", "no run is in this database of MLflow that is not deleted"),
        ("DROP TABLE latest_metrics", "no such table: latest_metrics; if it is of an old MLflow: mlflow db upgrade"),
    ] {
        database.execute_batch(change).unwrap();
        let said = files.refused(&["--from", "mlflow", "mlflow.db"]);
        assert!(said.contains("mlflow.db: ") && said.contains(part), "{said}");
    }
    for (store, part) in [
        (
            "text.db",
            "text.db: cannot be read as a database of MLflow: file is not a database; restore it from a backup",
        ),
        ("postgresql://host/mlflow", "write the runs of a server or of another database as CSV first"),
    ] {
        let said = files.refused(&["--from", "mlflow", store]);
        assert!(said.contains(part), "{said}");
    }
    assert!(files.refused(&["--from", "wide", "mlflow.db"]).contains("admire import --from mlflow"));
}

#[test]
fn the_folder_of_weights_and_biases_is_a_table_of_its_runs() {
    // Written offline by wandb 0.31; what it noted of the machine is taken out.
    let (ended, failed) = ("offline-run-20261127_212602-q7nbykzs", "offline-run-20261127_212611-qomsivfe");
    let log = |folder: &str| fs::read(fixture(&format!("wandb/{folder}/run-{}.wandb", &folder[28..]))).unwrap();
    let files = Files::new(&[]);
    let write = |folder: &str, log: &[u8]| {
        let folder = files.0.path().join("wandb").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("run-{}.wandb", folder.display().to_string().rsplit('-').next().unwrap())), log)
            .unwrap();
    };
    let import = || files.csv(&["--from", "wandb", "wandb"]);
    write(ended, &log(ended));
    write(failed, &log(failed));
    // Killed, or not over yet, sent to a server or not.
    write("offline-run-20261127_212700-killed", &log(ended)[..1200]);
    write("run-20261127_212700-begun", &log(ended)[..7]);
    std::os::unix::fs::symlink(failed, files.0.path().join("wandb/latest-run")).unwrap();
    let (text, said) = import();
    let whole = "run_id,fidelity,params,tokens,cost,w:code,w:web,y:bad,y:best,y:eval/web,y:inf,y:loss,y:nested.a\n\
                 q7nbykzs,60M,60000000,,0.5,0.3,0.7,,1.5,4,,2.8,2\n";
    assert_eq!(text, whole, "{said}");
    for part in [
        "wandb: not used: config.late, config.lr, config.tag, run.group, run.name, run.project\n",
        "wandb: left out runs that have not finished: 1 failed, 2 incomplete\n",
    ] {
        assert!(said.contains(part), "{said}");
    }
    // One run, by its folder and by its log.
    let one = format!("wandb/{ended}");
    assert_eq!(files.csv(&["--from", "wandb", &one]).0, whole);
    assert_eq!(files.csv(&["--from", "wandb", &format!("{one}/run-q7nbykzs.wandb")]).0, whole);
    let without = files.csv(&["--from", "wandb", "wandb", "--where", "run.name=mix", "--drop", "summary.nested.*"]).0;
    assert!(without.contains("q7nbykzs") && !without.contains("nested"), "{without}");

    // A run that was resumed, and killed then, has not ended.
    write("offline-run-20261127_220000-q7nbykzs", &log(ended)[..1200]);
    let said = files.refused(&["--from", "wandb", "wandb"]);
    assert!(said.contains("no run has finished (1 failed, 3 incomplete)"), "{said}");
    fs::remove_dir_all(files.0.path().join("wandb/offline-run-20261127_220000-q7nbykzs")).unwrap();

    // A damaged log costs its run, and no other one.
    let mut damaged = log(ended);
    damaged[1000] ^= 1;
    write("run-20261127_212600-damaged", &damaged);
    let (text, said) = import();
    assert_eq!(text, whole);
    assert!(said.contains("run-damaged.wandb: damaged after 9 records; what comes then is not read"), "{said}");
    let none = files.refused(&["--from", "wandb", "."]);
    assert!(none.contains("no run of Weights & Biases is in it; name the folder `wandb`"), "{none}");
    let none = files.refused(&["--from", "wandb", "wandb/run-20261127_212700-begun"]);
    assert!(none.contains("no run in it has ended (1 run, killed or not over yet)"), "{none}");
    assert!(files.refused(&["--from", "wide", &format!("{one}/run-q7nbykzs.wandb")]).contains("import --from wandb"));
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

#[test]
fn files_that_are_no_csv_say_what_they_are() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let header = "run_id,fidelity,w:a,y:loss\n";
    for (bytes, part) in [
        (b"".to_vec(), "the file is empty"),
        (b"\xef\xbb\xbf\n \n".to_vec(), "the file is empty"),
        (header.replace(',', ";").into(), "separated by semicolons"),
        (b"run_id;fidelity;\"w:a,b\";y:loss\nr;1M;0,5;2,5\n".to_vec(), "separated by semicolons"),
        (header.replace(',', "\t").into(), "separated by tabs"),
        (header.replace(',', "|").into(), "separated by vertical bars"),
        (header.replace(',', " ").into(), "separated by spaces"),
        ([b"\xff\xfe", &utf16(header)[..]].concat(), "this is UTF-16"),
        (utf16(header), "this is UTF-16"),
        (b"run_id,fidelity,w:caf\xe9,y:loss\n".to_vec(), "this is not UTF-8"),
        (b"PK\x03\x04\x14\0\x06\0..[Content_Types].xml".to_vec(), "an Excel workbook"),
        (b"PK\x03\x04..mimetypeapplication/vnd.oasis.opendocument.spreadsheet".to_vec(), "an OpenDocument spreadsheet"),
        (b"PK\x03\x04..archive/data.pkl".to_vec(), "a file of PyTorch"),
        (b"PK\x03\x04..runs.csv".to_vec(), "a ZIP archive; unpack it"),
        (b"\x80\x04\x95\x0b\0".to_vec(), "a Python pickle"),
        (b":W&B\xe1\xbe\0".to_vec(), "of Weights & Biases; write it as CSV with admire import --from wandb"),
        (b"\x18\0\0\0\0\0\0\0\xa3\x7fK\"\t\0\0\x80\x1a\x0dbrain.Event:2".to_vec(), "an event file of TensorBoard"),
        (b"SQLite format 3\0".to_vec(), "of MLflow: admire import --from mlflow"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), "an old Excel workbook"),
        (b"PAR1\x15\x04".to_vec(), "a Parquet file"),
        (b"\x1f\x8b\x08\0".to_vec(), "compressed with gzip"),
        (b"{\"run_id\": 1}\n{\"run_id\": 2}\n".to_vec(), "this is JSON"),
        (b"[\n {\"loss\": NaN}\n]".to_vec(), "this is JSON"),
        (b"\n<!DOCTYPE html>\n<html>".to_vec(), "this is HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n".to_vec(), "git lfs pull"),
    ] {
        let files = Files::new(&[]);
        fs::write(files.0.path().join("runs.csv"), bytes).unwrap();
        let said = files.refused(&["--from", "wide", "1M=runs.csv"]);
        assert!(said.contains("error: runs.csv") && said.contains(part), "{part}: {said}");
    }
    let folder = Files::new(&[]);
    fs::create_dir(folder.0.path().join("wandb")).unwrap();
    assert!(folder.refused(&["--from", "wide", "1M=wandb"]).contains("error: wandb: this is a folder"));
    // Commas in quotes separate nothing, nor do semicolons there.
    let files = Files::new(&[("runs.csv", "run_id,fidelity,w:a,\"y:loss;x;y;z;v\"\nr,1M,1,2\n")]);
    assert!(files.csv(&["--from", "wide", "runs.csv"]).0.contains("y:loss;x;y;z;v"));

    let doremi = ["--from", "doremi", "1M=domains.json", "--metric", "loss=2"];
    let json = r#"{"train_domain_weights": {"web": 0.5, "code": 0.5}}"#;
    let files = Files::new(&[("domains.json", &format!("\u{feff}{json}"))]);
    assert!(files.csv(&doremi).0.ends_with("domains,1M,1000000,,,0.5,0.5,2\n"));
    fs::write(files.0.path().join("domains.json"), utf16(json)).unwrap();
    assert!(files.refused(&doremi).contains("this is UTF-16"));
}

#[test]
fn an_index_is_the_same_with_and_without_a_point() {
    let mixtures = "index,train_a,train_b\n1,0.5,0.5\n20,0.25,0.75\n";
    let files = Files::new(&[
        ("m.csv", mixtures),
        ("l.csv", "index,metric/x\n20.0,2\n1.00,3\n"),
        ("twice.csv", "index,metric/x\n1,2\n1.0,3\n"),
        ("others.csv", "index,metric/x\nrun-1,2\nrun-20,3\n"),
    ]);
    let (text, said) = files.csv(&["--from", "regmix", "1M=m.csv,l.csv"]);
    assert!(text.contains("1M-1,1M,1000000,,,0.5,0.5,3\n1M-20,1M,1000000,,,0.25,0.75,2\n"), "{text}");
    assert!(!said.contains("partner"), "{said}");
    let said = files.refused(&["--from", "regmix", "1M=m.csv,twice.csv"]);
    assert!(said.contains("twice.csv: two rows have the run_id \"1.0\""), "{said}");
    let said = files.refused(&["--from", "regmix", "1M=m.csv,others.csv"]);
    assert!(
        said.contains("no row has the run_id of one in others.csv; there is \"1\" here, \"run-1\" there"),
        "{said}"
    );
}

#[test]
fn identifiers_are_not_metrics_where_a_rule_takes_every_column() {
    let files = Files::new(&[
        ("ratios.csv", "run,mixture_id,web,code\na,4,0.5,0.5\nb,9,0.3,0.7\nc,5,0.8,0.2\n"),
        ("metrics.csv", "n,run,arc,seed,sha,x,rank_id\n0,a,1.7,1,d3,1,0.5\n1,b,1.6,1,e4,3,0.25\n2,c,1.8,2,f5,2,1\n"),
    ]);
    let olmix = ["--from", "olmix", "30M=ratios.csv,metrics.csv"];
    let (text, said) = files.csv(&olmix);
    // What could be a metric stays one, and is named.
    assert!(text.starts_with("run_id,fidelity,params,tokens,cost,w:code,w:web,y:arc,y:rank_id\n"), "{text}");
    let left_out = ["mixture_id", "n", "seed", "sha", "x"].map(|name| format!("{name} (looks like an identifier)"));
    for part in [&left_out.join(", "), "taken for domains: web, code (", "taken for metrics: arc, rank_id (--drop"] {
        assert!(said.contains(part), "{said}");
    }
    let (text, _) = files.csv(&[&olmix[..], &["--map", "y:seed=seed", "--drop", "rank_id"]].concat());
    assert!(text.lines().next().unwrap().ends_with("w:web,y:arc,y:seed"), "{text}");
}

#[test]
fn runs_that_have_not_finished_are_left_out() {
    let files = Files::new(&[
        (
            "wide.csv",
            "run_id,fidelity,State,w:a,y:loss\n1,1M,finished,1,2\n2,1M,Crashed,1,9\n3,1M,,1,3\n4,1M,RUNNING,1,9\n",
        ),
        ("ratios.csv", "run,status,web\na,,1\nb,,1\nc,,1\n"),
        ("metrics.csv", "run,status,arc\na,COMPLETED,1.5\nb,CANCELLED by 1000,9\nc,OUT_OF_MEMORY,9\n"),
        ("long.csv", "run_id,name,value\n1,w:a,1\n1,y:loss,2\n2,w:a,1\n2,y:loss,9\n2,state,failed\n"),
        ("ax.csv", "run_id,trial_status,w:a,y:loss\n1,COMPLETED,1,2\n2,EARLY_STOPPED,1,9\n3,PRUNED,1,9\n"),
        ("none.csv", "run_id,fidelity,state,w:a,y:loss\n1,1M,killed,1,2\n"),
    ]);
    for (arguments, ids, part) in [
        (["--from", "wide", "wide.csv"], &["1", "3"][..], "left out runs that have not finished: 1 crashed, 1 running"),
        (["--from", "olmix", "1M=ratios.csv,metrics.csv"], &["a"], "1 cancelled, 1 out_of_memory"),
        (["--from", "long", "1M=long.csv"], &["1"], "1 failed"),
        (["--from", "wide", "1M=ax.csv"], &["1"], "1 early_stopped, 1 pruned"),
    ] {
        let (text, said) = files.csv(&arguments);
        assert!(rows(&text).keys().eq(ids) && said.contains(part), "{text}{said}");
    }
    let (text, said) = files.csv(&["--from", "wide", "wide.csv", "--drop", "State"]);
    assert!(rows(&text).len() == 4 && !said.contains("finished"), "{said}");
    assert!(files.refused(&["--from", "wide", "none.csv"]).contains("none.csv: no run has finished (1 killed)"));
}

#[test]
fn runs_of_another_size_than_the_configs_are_left_out_unless_they_are_on_their_way_to_it() {
    let f = Fixture::new(GOOD, "", "");
    f.edit("params = 1e4", "params = 1e4\ntokens = 2e9");
    f.edit("name = \"small\"\nparams = 1e3", "name = \"1K\"\nparams = 1.2e3");
    f.write(
        "runs.csv",
        // Without params, those of `1K` are read off its name, which is no contradiction.
        "run_id,fidelity,params,tokens,w:a,y:loss\n1,large,10200,2.05e9,1,2\n2,large,,1e9,1,2\n3,large,2e4,,1,2\n\
         4,large,2e4,1e9,1,2\n5,1K,,,1,2\n6,1K,1800,,1,2\n7,large,,4e9,1,2\n8,10k steps,9900,1e9,1,2\n9,5k steps,,1e9,1,2\n",
    );
    let output = f.run("import", &["--from", "wide", &f.path("runs.csv").display().to_string()]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    for part in [
        "4 runs imported",
        "2 of them trained on fewer tokens than a run at their fidelity",
        "1 left out, at \"large\" with other tokens than the config's 2e9",
        "2 left out, at \"large\" with other params than the config's 1e4",
        "1 left out, at \"5k steps\", which is no fidelity of the config",
        "1 left out, at \"1K\" with other params than the config's 1.2e3",
    ] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    let recorded: Vec<_> =
        f.of("imported").iter().map(|run| ["source", "fidelity", "tokens"].map(|key| run[key].clone())).collect();
    let run = |id: u32, fidelity: &str, tokens: Value| [format!("runs.csv, run {id}").into(), fidelity.into(), tokens];
    let way = || Value::from(1e9);
    let expected =
        [run(1, "large", Value::Null), run(2, "large", way()), run(5, "1K", Value::Null), run(8, "large", way())];
    assert_eq!(recorded, expected);
}

#[test]
fn runs_of_one_name_with_other_tokens_or_params_are_fidelities_of_their_own() {
    let log = "run_id,fidelity,params,tokens,w:a,w:b,y:loss\n\
               r1,60M,,1e9,0.5,0.5,3\nr1,60M,,2e9,0.5,0.5,2.5\nr2,60M,,1.02e9,0.25,0.75,3.5\nr2,60M,,2e9,0.25,0.75,2.75\n\
               r3,60M,9e7,2e9,0.75,0.25,2\nr4,1B,,2e9,0.5,0.5,2\n";
    let files = Files::new(&[
        ("log.csv", &log.replace(",9e7,", ",,")),
        ("params.csv", &log.replace("60M,,", "60M,6e7,")),
        ("priced.csv", &log.replace(",9e7,", ",6e7,").replace("60M,,", "60M,6e7,").replace("1B,,", "1B,1e9,")),
        ("ratios.csv", "run,a,b\nr1,0.5,0.5\nr2,0.25,0.75\nr3,1,0\n"),
        ("metrics.csv", "run,trained,x\nr1,1e9,3\nr1,2e9,2.5\nr2,2e9,2.75\nr9,2e9,1\n"),
        ("long.csv", "run_id,tokens,name,value\nr,1e9,w:a,1\nr,1e9,y:x,3\nr,2e9,w:a,1\nr,2e9,y:x,2.5\n"),
    ]);
    let (text, said) = files.csv(&["--from", "wide", "log.csv", "--cost", "60M@1B=0.1", "--cost", "60M@2B=0.2"]);
    let named =
        "runs at \"60M\" state different tokens; each size is a fidelity of its own: 60M@1B (2 runs), 60M@2B (3 runs)";
    assert!(said.contains(named) && said.contains("6 runs (1 at 1B, 2 at 60M@1B, 3 at 60M@2B)"), "{said}");
    // Sizes that are nearly the same are one, and a name like 60M still says how many parameters there are.
    assert!(text.contains("r2,60M@1B,60000000,1020000000,0.1,0.25,0.75,3.5\n"), "{text}");
    let (text, said) = files.csv(&["--from", "wide", "params.csv"]);
    let named_both = "different params and tokens; each size is a fidelity of its own: 60M@60M@1B (2 runs), 60M@60M@2B (2 \
                      runs), 60M@90M@2B (1 run)";
    assert!(said.contains(named_both) && text.contains("r3,60M@90M@2B,90000000,"), "{said}");

    let (text, _) = files.csv(&["--from", "olmix", "1M=ratios.csv,metrics.csv", "--map", "tokens=trained"]);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), 3, "{text}");
    assert!(rows[1].starts_with("r1,1M@2B,1000000,2000000000,,0.5,0.5,2.5"), "{text}");
    let said = files.refused(&["--from", "olmix", "1M=ratios.csv,metrics.csv"]);
    assert!(said.contains("two rows have the run_id \"r1\"") && said.contains("--map tokens=COLUMN"), "{said}");
    let (text, _) = files.csv(&["--from", "long", "1M=long.csv"]);
    assert!(text.contains("r,1M@1B,") && text.contains("r,1M@2B,"), "{text}");

    // A log can be replayed as it is.
    let mut replay = Command::new(env!("CARGO_BIN_EXE_admire"));
    replay.args(["replay", "--runs", "priced.csv", "--seeds", "1", "--strategy", "random"]).current_dir(files.0.path());
    let output = replay.output().unwrap();
    assert!(code(&output) == Some(0) && stderr(&output).contains(named), "{}", stderr(&output));
}

#[test]
fn a_study_takes_the_sizes_that_its_config_states() {
    let f = Fixture::new(GOOD, "", "");
    f.write(
        "runs.csv",
        "run_id,fidelity,tokens,w:a,w:b,y:loss\n1,large,1e9,1,0,2\n1,large,2e9,1,0,1.5\n2,large,1e9,0,1,3\n",
    );
    let runs = f.path("runs.csv").display().to_string();
    let import = |dir: &str, sets: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        f.run("import", &[&["--from", "wide", &runs, "--dir", dir], &sets[..]].concat())
    };
    let refused = import("any", &[]);
    let said = stderr(&refused);
    let advice = "2 at \"large\", for which the config has to state tokens, or have a fidelity \"large@1B\" instead";
    assert!(code(&refused) == Some(2) && said.contains(advice), "{said}");
    let said = stderr(&import("one", &["fidelity.large.tokens=2e9"]));
    assert!(said.contains("3 runs imported") && said.contains("2 of them trained on fewer tokens"), "{said}");
    let named = r#"fidelity=[{name="large@1B",cost=1},{name="large@2B",cost=2}]"#;
    let said = stderr(&import("both", &[named]));
    assert!(said.contains("3 runs imported into the study t"), "{said}");
    assert!(stderr(&import("both", &[named])).contains("3 were there already"));
}

#[test]
fn where_chooses_rows() {
    let files = Files::new(&[
        (
            "wide.csv",
            "run_id,fidelity,sweep,step,w:a,y:loss\n1,1M,old,500,1,2\n2,1M,new,500,1,3\n3,1M,newer,500.0,1,4\n4,1M,new,9,1,5\n",
        ),
        ("ratios.csv", "run,a,b\nr1,1,0\nr2,0,1\n"),
        ("metrics.csv", "run,step,x\nr1,1,9\nr1,2,1\nr2,1,8\nr2,2,1\n"),
        ("doremi.json", r#"{"train_domain_weights": {"a": 1}}"#),
    ]);
    let ids = |conditions: &[&str]| {
        let conditions: Vec<&str> = conditions.iter().flat_map(|condition| ["--where", condition]).collect();
        let (text, said) = files.csv(&[&["--from", "wide", "wide.csv"], &conditions[..]].concat());
        (rows(&text).into_keys().collect::<Vec<_>>().concat(), said)
    };
    assert_eq!(ids(&["sweep=new"]).0, "24");
    assert_eq!(ids(&["sweep=new", "sweep=newer"]).0, "234");
    let (chosen, said) = ids(&["sweep=new", "sweep=newer", "step=500"]);
    assert!(chosen == "23" && said.contains("wide.csv: left out by --where: 2 rows"), "{said}");
    // Of a pair, a condition is about the file that has the column.
    let (text, _) = files.csv(&["--from", "olmix", "1M=ratios.csv,metrics.csv", "--where", "step=2", "-q"]);
    assert_eq!(text, "run_id,fidelity,params,tokens,cost,w:a,w:b,y:x\nr1,1M,1000000,,,1,0,1\nr2,1M,1000000,,,0,1,1\n");
    for (arguments, part) in [
        (&["wide", "wide.csv", "--where", "sweep=best"][..], "no row has sweep=best; there are new, newer, old"),
        (
            &["wide", "wide.csv", "--where", "sweeps=new"],
            "no column is called \"sweeps\" (--where); did you mean \"sweep\"?",
        ),
        (&["wide", "wide.csv", "--where", "new"], "expected COLUMN=VALUE"),
        (&["doremi", "1M=doremi.json", "--metric", "x=1", "--where", "a=1"], "has no rows to choose from with --where"),
    ] {
        let said = files.refused(&[&["--from"], arguments].concat());
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn metrics_that_look_like_identifiers_are_named() {
    let header = "run_id,fidelity,w:a,y:loss,y:run_index,y:number,y:correct\n";
    let row = |i: usize| format!("{i},1M,1,{}.5,{},{},{}\n", 2 * i, 7 * i % 5, 97 * i % 41, i / 2);
    let files = Files::new(&[("runs.csv", &(header.to_owned() + &(0..5).map(row).collect::<String>()))]);
    let (text, said) = files.csv(&["--from", "wide", "runs.csv"]);
    let named = "runs.csv: taken for metrics, although they look like identifiers: number, run_index (";
    assert!(text.contains("y:run_index") && said.contains(named), "{said}");
    let (_, said) = files.csv(&["--from", "wide", "runs.csv", "--drop", "y:run_index", "--drop", "y:number"]);
    assert!(!said.contains("look like"), "{said}");
}

#[test]
fn a_run_that_is_known_with_another_result_is_refused() {
    let f = Fixture::new(GOOD, "", "");
    let runs = f.path("runs.csv").display().to_string();
    let import = |text: &str| {
        f.write("runs.csv", &format!("run_id,fidelity,w:a,w:b,y:loss,y:more\n{text}"));
        f.run("import", &["--from", "wide", &runs])
    };
    let first = "1,small,0.5,0.5,2.5,1\n1,large,0.5,0.5,2.25,1\n";
    assert!(stderr(&import(first)).contains("2 runs imported"));
    let before = f.events();
    for (text, changes, corrects) in [
        (first.replace("2.25", "2.75") + "2,small,1,0,3,1\n", "loss 2.25 → 2.75", true),
        (first.replacen("0.5,0.5", "0.25,0.75", 1), "other weights", true),
        ("3,small,1,0,2,1\n3,small,1,0,4,1\n".into(), "loss 2 → 4", false),
    ] {
        let output = import(&text);
        let said = stderr(&output);
        assert!(code(&output) == Some(2) && said.contains(changes) && said.contains("another run_id"), "{said}");
        assert_eq!(said.contains("add --replace"), corrects, "{said}");
        assert_eq!(f.events(), before);
    }
    // The same run with a metric that the study does not use, and one more.
    let output = import(&(first.replace(",1\n", ",7\n") + "2,small,1,0,3,1\n"));
    assert!(stderr(&output).contains("1 run imported into the study t; 2 were there already"), "{}", stderr(&output));
}

#[test]
fn a_study_takes_ten_thousand_runs_from_elsewhere() {
    let f = Fixture::new(GOOD, "", "");
    let rows = (0..=10_000).map(|i| format!("{i},small,{},{},{i}\n", i, 10_000 - i));
    let (header, rows) = ("run_id,fidelity,w:a,w:b,y:loss\n", rows.collect::<Vec<_>>());
    f.write("all.csv", &(header.to_owned() + &rows.concat()));
    f.write("most.csv", &(header.to_owned() + &rows[..10_000].concat()));
    let import = |file: &str| f.run("import", &["--from", "wide", &f.path(file).display().to_string()]);
    let output = import("all.csv");
    assert!(code(&output) == Some(2) && !f.path("run").exists(), "{}", stderr(&output));
    assert!(stderr(&output).contains("all.csv, run 10000 cannot be imported: a study learns from at most 10000 runs"));
    assert!(stderr(&import("most.csv")).contains("10000 runs imported"));
}
