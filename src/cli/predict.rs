//! `admire predict`: what the model expects of mixtures that the user names.

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::mixture::{NamedMixture, named};
use super::{ConfigArgs, Format, best, text};
use crate::advice::{self, GuardReport};
use crate::optimizer::{Gain, PerMetric};
use crate::problem::{FidelityId, Metric, Mixture, Prediction};
use crate::report::{Align, Table};
use crate::study::Study;
use crate::text::{Uncertain, probability};

/// Predict what training on a mixture would give
///
/// Nothing is trained or recorded. With --set, bounds and weights of metrics can be other than the study's.
#[derive(Debug, Args)]
#[command(after_help = "Example: admire predict web=0.7,code=0.3 --against uniform")]
pub struct PredictArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Any of recommended, uniform, prior, trial:7, weights like web=0.5,code=0.5 (other domains get none), or @FILE, a JSON file
    /// with weights by domain
    #[arg(value_name = "MIXTURE", default_value = "recommended")]
    mixtures: Vec<String>,
    /// Also show by how much each of them is better than this mixture
    #[arg(long, value_name = "MIXTURE")]
    against: Option<String>,
    /// Predict at this fidelity instead of the target
    #[arg(long, value_name = "NAME")]
    fidelity: Option<String>,
    /// Show the intervals of what a single run would measure, its noise included
    #[arg(long)]
    noise: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<u8> {
    let study = args.config.ask()?;
    super::warn(study.warnings());
    let config = study.config();
    let fidelity = match &args.fidelity {
        Some(name) => super::fidelity(config, name)?,
        None => config.fidelities.target(),
    };
    let (evidence, optimizer) = (study.evidence(), advice::optimizer(&study));
    let basis = advice::basis(&study, fidelity)?;
    let mixtures = args.mixtures.iter().map(|text| named(&study, &optimizer, "predict", text));
    let mixtures = mixtures.collect::<anyhow::Result<Vec<NamedMixture>>>()?;
    let against = args.against.as_ref().map(|text| named(&study, &optimizer, "--against", text)).transpose()?;
    let chosen = mixtures.iter().chain(&against).flat_map(|named| &named.caveats);
    let mut caveats: Vec<String> = Vec::new();
    for caveat in basis.iter().chain(chosen).map(ToString::to_string) {
        // The recommendation may be named twice.
        if !caveats.contains(&caveat) {
            caveats.push(caveat);
        }
    }

    let asked: Vec<Mixture> = mixtures.iter().map(|named| named.mixture.clone()).collect();
    let no_model = "the model cannot be fitted to the runs of the study, so nothing is predicted";
    let expected = optimizer.expectations(&evidence, &asked, fidelity).context(no_model)?;
    let mut gains = Vec::new();
    if let Some(against) = &against {
        gains = optimizer.advantages(&evidence, &against.mixture, &asked, fidelity).context(no_model)?;
    }
    let answers = mixtures.iter().zip(expected).enumerate().map(|(i, (named, expected))| Predicted {
        named,
        expected,
        // Guards are about the target.
        guards: match fidelity == config.fidelities.target() {
            true => advice::guards(&study, &optimizer, &named.mixture, false),
            false => Vec::new(),
        },
        gain: gains.get(i).map(|gain| PerMetric {
            objective: -gain.objective,
            metrics: gain.metrics.iter().map(|gain| -*gain).collect(),
        }),
    });
    let answers: Vec<Predicted> = answers.collect();
    let page = Page { study: &study, fidelity, against: against.as_ref(), noise: args.noise };
    match args.format {
        Format::Json => data!("{}", page.json(&answers, &caveats)),
        Format::Table => page.show(&answers, &caveats),
    }
    Ok(0)
}

/// What is expected of a mixture, and its gain over the mixture that it is compared with.
struct Predicted<'a> {
    named: &'a NamedMixture,
    expected: PerMetric<Prediction>,
    guards: Vec<GuardReport>,
    gain: Option<PerMetric<Gain>>,
}

/// What the answers for all mixtures have in common.
struct Page<'a> {
    study: &'a Study,
    fidelity: FidelityId,
    against: Option<&'a NamedMixture>,
    /// Whether intervals are those of one run.
    noise: bool,
}

impl Page<'_> {
    fn metrics(&self) -> &[Metric] {
        &self.study.config().objective.metrics
    }

    fn json(&self, answers: &[Predicted], caveats: &[String]) -> Value {
        let config = self.study.config();
        json!({
            "fidelity": config.fidelities[self.fidelity].name,
            "caveats": caveats,
            "against": self.against.map(|n| json!({"name": n.name, "weights": self.study.named(&n.mixture)})),
            "mixtures": answers.iter().map(|answer| json!({
                "name": answer.named.name,
                "weights": self.study.named(&answer.named.mixture),
                "epochs": self.epochs(&answer.named.mixture),
                "breaks": self.broken(&answer.named.mixture),
                "expected": self.values(&answer.expected, prediction_json),
                "guards": answer.guards.iter().map(best::guard_json).collect::<Vec<_>>(),
                "gain": answer.gain.as_ref().map(|gain| self.values(gain, gain_json)),
            })).collect::<Vec<_>>(),
        })
    }

    /// The objective and the metrics, by name.
    fn values<T: Copy>(&self, values: &PerMetric<T>, json: fn(T) -> Value) -> Value {
        let metrics = self.metrics().iter().zip(&values.metrics).map(|(metric, value)| (&metric.name, json(*value)));
        json!({"objective": json(values.objective), "metrics": metrics.collect::<BTreeMap<_, _>>()})
    }

    /// Epochs at the target, by domain, where they are known.
    fn epochs(&self, mixture: &Mixture) -> Option<BTreeMap<&str, Option<f64>>> {
        let space = &self.study.config().space;
        let epochs = space.epochs(mixture, self.study.config().target_tokens()?);
        Some(space.domains().iter().map(|domain| domain.name.as_str()).zip(epochs).collect())
    }

    fn broken(&self, mixture: &Mixture) -> Vec<String> {
        self.study.config().space.broken_bounds(mixture).iter().map(ToString::to_string).collect()
    }

    fn show(&self, answers: &[Predicted], caveats: &[String]) {
        for caveat in caveats {
            outln!("Note: {caveat}.\n");
        }
        for (i, answer) in answers.iter().enumerate() {
            let (gap, fidelity) = (if i == 0 { "" } else { "\n" }, &self.study.config().fidelities[self.fidelity].name);
            outln!("{gap}Expected of {} at {fidelity}\n", answer.named.name);
            best::show_weights(self.study, &answer.named.mixture);
            outln!("");
            out!("{}", self.table(answer).fitted(text::width()));
            for guard in &answer.guards {
                outln!("guard  {}", best::guard_words(guard));
            }
            for bound in self.broken(&answer.named.mixture) {
                outln!("breaks the bound  {bound}");
            }
        }
    }

    /// The objective, and below it the metrics if there are several.
    fn table(&self, answer: &Predicted) -> Table {
        let interval = if self.noise { "90 % of runs" } else { "90 % interval" };
        let mut columns =
            vec![(String::new(), Align::Left), ("expected".into(), Align::Right), (interval.into(), Align::Right)];
        if let Some(against) = self.against {
            columns.push((format!("gain over {}", against.name), Align::Right));
            columns.extend(["90 % interval", "better with"].map(|title| (title.into(), Align::Right)));
        }
        let mut table = Table::new(columns);
        let gain = answer.gain.as_ref();
        table.row(self.row("objective", answer.expected.objective, gain.map(|gain| gain.objective)));
        if self.metrics().len() > 1 {
            for (j, metric) in self.metrics().iter().enumerate() {
                table.row(self.row(&metric.name, answer.expected.metrics[j], gain.map(|gain| gain.metrics[j])));
            }
        }
        table
    }

    fn row(&self, name: &str, expected: Prediction, gain: Option<Gain>) -> Vec<String> {
        let shown = text::uncertain(expected);
        let range = Uncertain { sd: expected.run_sd().filter(|_| self.noise).unwrap_or(expected.sd), ..shown };
        let mut row = vec![name.to_owned(), shown.mean_words(), range.interval_words()];
        if let Some(gain) = gain {
            let shown = text::uncertain_gain(gain);
            row.extend([shown.signed_mean(), shown.signed_interval(), probability(gain.probability())]);
        }
        row
    }
}

fn prediction_json(p: Prediction) -> Value {
    let run = p.run_sd().map(|sd| Uncertain { mean: p.mean, sd }.interval());
    json!({"mean": p.mean, "sd": p.sd, "noise": p.noise, "interval": text::uncertain(p).interval(), "run_interval": run})
}

fn gain_json(gain: Gain) -> Value {
    let interval = text::uncertain_gain(gain).interval();
    json!({"mean": gain.mean, "sd": gain.sd, "interval": interval, "probability": gain.probability()})
}
