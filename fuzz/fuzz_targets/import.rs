//! Files of other projects: the first byte says whose, the last byte 0 divides a pair. What is accepted reads the same after
//! it was written, and a study takes what fits it; the rest is refused with a reason.

#![no_main]

use std::path::Path;
use std::{env, fs, process};

use admire::config::StudyConfig;
use admire::exchange::{ImportFormat, Input, InputFile, Options, evidence, import, write_runs};
use admire::problem::Direction;
use admire::replay::infer_config;
use admire::runs::RunLog;
use admire::study::{Study, StudyError};
use libfuzzer_sys::fuzz_target;

const FORMATS: [ImportFormat; 8] = [
    ImportFormat::Regmix,
    ImportFormat::Admire,
    ImportFormat::Olmix,
    ImportFormat::Doremi,
    ImportFormat::Wide,
    ImportFormat::Long,
    ImportFormat::Mlflow,
    ImportFormat::Wandb,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, content)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(*kind) % FORMATS.len()];
    let file = |text: &[u8]| InputFile { path: "runs.csv".into(), text: text.to_owned() };
    let mut files: Vec<InputFile> = content.rsplitn(format.files(), |byte| *byte == 0).map(file).collect();
    files.reverse();
    if matches!(format, ImportFormat::Mlflow | ImportFormat::Wandb) {
        // It may be the store of a tracker, which is read where it lies.
        let path = env::temp_dir().join(format!("admire-fuzz-{}", process::id()));
        fs::write(&path, content).expect("a folder for temporary files");
        let Ok(file) = format.read(&path) else { return };
        files = vec![file];
    }
    if files.len() != format.files() {
        return;
    }
    let rules = ["run_id=id", "w:*=share_*", "y:loss=val"].map(|rule| rule.parse().expect("a rule")).to_vec();
    let options = Options { rules, metrics: vec![("loss".into(), 2.5)], ..Options::default() };
    let Ok(imported) = import(format, &[Input { size: Some("1M".into()), files }], &options) else { return };

    let log = imported.log;
    let text = write_runs(&log).expect("what was imported can be written");
    let mut again = RunLog::default();
    again.add(Path::new("again.csv"), text.as_bytes()).expect("and read");
    assert_eq!((&again.domains, &again.metrics, again.runs.len()), (&log.domains, &log.metrics, log.runs.len()));
    for (run, again) in log.runs.iter().zip(&again.runs) {
        assert_eq!((&run.id, &run.fidelity, run.params), (&again.id, &again.fidelity, again.params));
        assert!(run.metrics.iter().zip(&again.metrics).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
        assert!(run.weights.iter().zip(&again.weights).all(|(a, b)| (a - b).abs() < 1e-9));
    }
    let Ok((config, _)) = infer_config(&log, Direction::Minimize, true) else { return };
    let config = toml::to_string(&config).expect("a table");
    let Ok(config) = StudyConfig::parse(Path::new("runs.csv"), &config, &["study.dir=\"/nonexistent\"".into()]) else {
        return;
    };
    let Ok(fitting) = evidence(&log, &config) else { return };
    let study = Study::peek(config).expect("no study is there");
    match study.imports(fitting.runs, None) {
        // Two rows may say different things of one run.
        Ok(_) | Err(StudyError::Unfit { .. }) => {}
        Err(error) => panic!("a study takes what fits it: {error}"),
    }
});
