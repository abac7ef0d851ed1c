use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ConfigArgs, UsageError, WriterArgs, text};
use crate::exchange::{self, ImportFormat, Input, InputFile, Options, Rule};
use crate::input;
use crate::runs::RunLog;
use crate::study::Study;

/// Read runs that were trained elsewhere
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Whose files
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: ImportFormat,
    /// [SIZE=]FILE, or [SIZE=]MIXTURES,RESULTS where a format has two files; SIZE names the fidelity
    #[arg(required = true, value_name = "[SIZE=]FILE[,FILE]")]
    files: Vec<String>,
    /// Which column is what, e.g. --map w:web=share_web or --map 'w:*=share_*'; repeatable, the first that fits counts
    #[arg(long, value_name = "TARGET=COLUMN")]
    map: Vec<Rule>,
    /// Leave columns out, e.g. --drop 'eval_avg*'; repeatable
    #[arg(long, value_name = "COLUMN")]
    drop: Vec<String>,
    /// A result that is not in the files (DoReMi's have none), e.g. --metric loss=2.53; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = metric)]
    metric: Vec<(String, f64)>,
    /// Parameters of a size, e.g. --params small=1e6; repeatable; not needed for names like 60M
    #[arg(long, value_name = "SIZE=NUMBER", value_parser = named)]
    params: Vec<(String, f64)>,
    /// Training tokens of a size; repeatable
    #[arg(long, value_name = "SIZE=NUMBER", value_parser = named)]
    tokens: Vec<(String, f64)>,
    /// Cost of a run at a size; repeatable
    #[arg(long, value_name = "SIZE=NUMBER", value_parser = named)]
    cost: Vec<(String, f64)>,
    /// Write the runs to this CSV; stdout if left out and there is no study
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Into the study of this config, which learns from them as from its own, at no cost
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a key of the config; the value is TOML
    #[arg(long, value_name = "KEY.PATH=VALUE", requires = "config")]
    set: Vec<String>,
    /// Where the study's files are; overrides study.dir
    #[arg(long, value_name = "DIR", requires = "config")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    writer: WriterArgs,
}

/// `NAME=NUMBER`, which may be NaN or infinite: the run has diverged.
fn metric(text: &str) -> Result<(String, f64), String> {
    let (name, number) = text.rsplit_once('=').ok_or("expected NAME=NUMBER")?;
    Ok((name.to_owned(), input::number(number).ok_or(format!("\"{number}\" is not a number"))?))
}

/// `NAME=NUMBER`.
fn named(text: &str) -> Result<(String, f64), String> {
    metric(text)
        .and_then(|(name, x)| if x.is_finite() { Ok((name, x)) } else { Err(format!("{x} is not a finite number")) })
}

pub(super) fn run(args: &ImportArgs) -> anyhow::Result<u8> {
    let format = args.from;
    let inputs = args.files.iter().map(|text| input(text, format)).collect::<Result<Vec<_>, _>>()?;
    let imported = exchange::import(format, &inputs, &args.options())?;
    imported.notes.iter().for_each(|note| tracing::info!("{note}"));
    if args.out.is_some() || args.config.is_none() {
        super::deliver(&exchange::write_runs(&imported.log)?, args.out.as_deref())?;
    }
    if let Some(config) = &args.config {
        let config = ConfigArgs { config: config.clone(), set: args.set.clone(), dir: args.dir.clone() };
        learn(&imported.log, &config, &args.writer)?;
    }
    Ok(0)
}

/// Records the runs in a study, which begins with them where there is none.
fn learn(log: &RunLog, config: &ConfigArgs, writer: &WriterArgs) -> anyhow::Result<()> {
    let config = config.load()?;
    // Looked at, and tried, before the study is opened: a mistake must not begin one.
    let evidence = exchange::evidence(log, &config)?;
    Study::peek(config.clone())?.imports(evidence.runs.iter().cloned())?;
    let runs = evidence.runs.len();
    let mut study = Study::open(config, writer.wait)?;
    super::warn(study.warnings());
    let known = study.outliers();
    let new = study.import(evidence.runs)?;
    super::warn(&study.outliers_since(&known));
    let left_out: String = evidence.dropped.iter().map(|(why, n)| format!("; {n} left out, {why}")).collect();
    let known = if new < runs { format!("; {} were there already", runs - new) } else { String::new() };
    let new = text::counted(new, "run");
    tracing::info!("{new} imported into the study {}{known}{left_out}", study.config().name);
    Ok(())
}

impl ImportArgs {
    fn options(&self) -> Options {
        let table = |list: &[(String, f64)]| -> BTreeMap<String, f64> { list.iter().cloned().collect() };
        Options {
            rules: self.drop.iter().map(|column| Rule::drop(column)).chain(self.map.iter().cloned()).collect(),
            metrics: self.metric.clone(),
            params: table(&self.params),
            tokens: table(&self.tokens),
            cost: table(&self.cost),
        }
    }
}

/// `[SIZE=]FILE[,FILE]`; an existing file may have any name.
fn input(text: &str, format: ImportFormat) -> anyhow::Result<Input> {
    let (size, files) = match text.split_once('=') {
        Some((size, files)) if !Path::new(text).exists() => (Some(size.to_owned()), files),
        _ => (None, text),
    };
    let files: Vec<&str> = if format.files() == 1 { vec![files] } else { files.split(',').collect() };
    if format.files() == 2 && (files.len() != 2 || size.is_none()) {
        let expected = "expected SIZE=MIXTURES,RESULTS, as in 1M=mixtures.csv,losses.csv";
        return Err(UsageError(format!("`{text}`: {expected}")).into());
    }
    let files = files.into_iter().map(|file| InputFile::read(Path::new(file))).collect::<Result<_, _>>()?;
    Ok(Input { size: size.filter(|s| !s.is_empty()), files })
}
