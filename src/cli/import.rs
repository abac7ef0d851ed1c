use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ConfigArgs, UsageError, WriterArgs, text};
use crate::config::StudyConfig;
use crate::exchange::{self, ImportFormat, Input, Options, Rule, Where};
use crate::input;
use crate::problem::RunId;
use crate::runs::RunLog;
use crate::study::{Learned, Study};

/// Read runs that were trained elsewhere
#[derive(Debug, Args)]
#[command(after_help = "Example: admire import --from wide runs.csv --out logged.csv")]
pub struct ImportArgs {
    /// Whose files
    #[arg(long, value_enum, value_name = "FORMAT", required_unless_present = "withdraw")]
    from: Option<ImportFormat>,
    /// [SIZE=]FILE, or [SIZE=]MIXTURES,RESULTS where a format has two files; SIZE names the fidelity. For --withdraw without
    /// --from: names of runs as `admire export` writes them, e.g. imported-3
    #[arg(required = true, value_name = "[SIZE=]FILE[,FILE]")]
    files: Vec<String>,
    /// Which column is what, e.g. --map w:web=share_web or --map 'w:*=share_*'; repeatable, the first that fits counts
    #[arg(long, value_name = "TARGET=COLUMN")]
    map: Vec<Rule>,
    /// Leave columns out, e.g. --drop 'eval_avg*'; repeatable
    #[arg(long, value_name = "COLUMN")]
    drop: Vec<String>,
    /// Only rows of which a column has this value, e.g. --where state=finished; repeatable: several values of one column are
    /// alternatives, several columns must all fit
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    only: Vec<Where>,
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
    correction: Correction,
    #[command(flatten)]
    writer: WriterArgs,
}

/// What becomes of runs that a study has imported before.
#[derive(Debug, Args)]
struct Correction {
    /// Runs that the study knows with other values are corrected: these take their place
    #[arg(long, requires = "config", group = "corrects")]
    replace: bool,
    /// Take these runs back: the study no longer learns from them
    #[arg(long, requires = "config", group = "corrects", conflicts_with = "out")]
    withdraw: bool,
    /// Why they are replaced or withdrawn
    #[arg(long, value_name = "TEXT", requires = "corrects")]
    reason: Option<String>,
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
    let Some(format) = args.from else {
        let runs = args.files.iter().map(|name| named_run(name)).collect::<Result<Vec<_>, _>>()?;
        args.withdraw(|_| Ok(runs.clone()))?;
        return Ok(0);
    };
    let inputs = args.files.iter().map(|text| input(text, format)).collect::<Result<Vec<_>, _>>()?;
    let imported = exchange::import(format, &inputs, &args.options())?;
    imported.notes.iter().for_each(|note| tracing::info!("{note}"));
    if args.correction.withdraw {
        args.withdraw(|study| Ok(study.known(&exchange::evidence(&imported.log, study.config())?.runs)?))?;
        return Ok(0);
    }
    if args.out.is_some() || args.config.is_none() {
        super::deliver(&exchange::write_runs(&imported.log)?, args.out.as_deref())?;
    }
    if let Some(config) = args.study() {
        args.learn(&imported.log, config.load()?)?;
    }
    Ok(0)
}

/// A run by its name in the study, `imported-3`.
fn named_run(name: &str) -> Result<RunId, UsageError> {
    let number = name.strip_prefix("imported-").and_then(|number| number.parse().ok());
    let wrong =
        || UsageError(format!("`{name}` is no name of a run, like imported-3; for the runs of a file add --from"));
    number.map(RunId::Imported).ok_or_else(wrong)
}

impl ImportArgs {
    /// The study that is told of the runs.
    fn study(&self) -> Option<ConfigArgs> {
        let config = self.config.clone()?;
        Some(ConfigArgs { config, set: self.set.clone(), dir: self.dir.clone() })
    }

    /// Records the runs in a study, which begins with them where there is none.
    fn learn(&self, log: &RunLog, config: StudyConfig) -> anyhow::Result<()> {
        let reason = self.correction.reason.as_deref().unwrap_or("imported again with other values");
        let replacing = Some(reason).filter(|_| self.correction.replace);
        // Looked at, and tried, before the study is opened: a mistake must not begin one.
        let evidence = exchange::evidence(log, &config)?;
        Study::peek(config.clone())?.imports(evidence.runs.iter().cloned(), replacing)?;
        let runs = evidence.runs.len();
        let on_their_way = evidence.runs.iter().filter(|run| run.tokens.is_some()).count();
        let mut study = Study::open(config, self.writer.wait)?;
        super::warn(study.warnings());
        let known = study.outliers();
        let Learned { new, replaced } = study.import(evidence.runs, replacing)?;
        super::warn(&study.outliers_since(&known));
        let left_out: String = evidence.dropped.iter().map(|(why, n)| format!("; {n} left out, {why}")).collect();
        let replaced = if replaced > 0 { format!(", {replaced} of them in place of others") } else { String::new() };
        let known = if new < runs { format!("; {} were there already", runs - new) } else { String::new() };
        let new = text::counted(new, "run");
        let on_their_way = match on_their_way {
            0 => String::new(),
            n => format!(
                "; {n} of them trained on fewer tokens than a run at their fidelity, and count by what curves say of their ends \
                 (docs/curves.md)"
            ),
        };
        tracing::info!(
            "{new} imported into the study {}{replaced}{known}{on_their_way}{left_out}",
            study.config().name
        );
        Ok(())
    }

    /// Takes runs back that the study has.
    fn withdraw(&self, runs: impl Fn(&Study) -> anyhow::Result<Vec<RunId>>) -> anyhow::Result<()> {
        let Some(config) = self.study() else { return Ok(()) };
        let config = config.load()?;
        // Looked for before the study is opened: a mistake must not begin one.
        let runs = runs(&Study::read(config.clone())?)?;
        let mut study = Study::open(config, self.writer.wait)?;
        super::warn(study.warnings());
        let withdrawn = study.withdraw(runs, self.correction.reason.as_deref().unwrap_or("taken back"))?;
        tracing::info!("{} withdrawn from the study {}", text::counted(withdrawn, "run"), study.config().name);
        Ok(())
    }

    fn options(&self) -> Options {
        let table = |list: &[(String, f64)]| -> BTreeMap<String, f64> { list.iter().cloned().collect() };
        Options {
            rules: self.drop.iter().map(|column| Rule::drop(column)).chain(self.map.iter().cloned()).collect(),
            only: self.only.clone(),
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
    let files = files.into_iter().map(|file| format.read(Path::new(file))).collect::<Result<_, _>>()?;
    Ok(Input { size: size.filter(|s| !s.is_empty()), files })
}
