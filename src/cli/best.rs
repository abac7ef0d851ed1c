use crate::problem::{Direction, FidelityId, Mixture, Prediction};
use clap::Args;
use serde_json::{Value, json};

use super::{ConfigArgs, Format, text};
use crate::advice::{self, Answer};
use crate::optimizer::{Agreement, Gain};
use crate::report::{Align, Table, bar};
use crate::study::{Purpose, StopReason, Study, Trial, TrialState};
use crate::text::{Uncertain, number, probability};

/// Terminal columns of a weight of 1.
const BAR: usize = 20;

/// Show the recommended mixture
#[derive(Debug, Args)]
pub struct BestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &BestArgs) -> anyhow::Result<u8> {
    let study = Study::read(args.config.load()?)?;
    super::warn(study.warnings());
    print(&study, args.format, None)?;
    Ok(0)
}

/// Prints what a study recommends, and why it stopped where it did.
pub(super) fn print(study: &Study, format: Format, stopped: Option<StopReason>) -> anyhow::Result<()> {
    let (config, spent) = (study.config(), study.spent());
    let fidelity = &config.fidelities[config.fidelities.target()].name;
    let Answer { mixture, caveats } = &advice::answer(study)?;
    let evidence = study.evidence();
    let points = [(mixture.clone(), config.fidelities.target())];
    let optimizer = advice::optimizer(study);
    let expected = optimizer.predict(&evidence, &points).and_then(|p| p.first().copied());
    let sizes = optimizer.agreement(&evidence).map(|sizes| SizeAgreement::all(study, &sizes)).unwrap_or_default();
    let gain = optimizer.gains(&evidence, mixture, &[config.space.uniform()]).and_then(|g| g.first().copied());
    let measured = measured(study);
    let comparison = study.stopped().and_then(|_| Comparison::new(study, mixture));
    if format == Format::Json {
        let mut object = json!({
            "fidelity": fidelity,
            "weights": study.named(mixture),
            "caveats": caveats.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "expected": expected,
            "against_uniform":
                gain.map(|g| json!({"mean": g.mean, "sd": g.sd, "probability": g.probability()})),
            "measured": measured.map(|(trial, loss)| json!({"trial": trial.id, "loss": loss})),
            "spent": spent,
            "sizes": sizes.iter().map(SizeAgreement::json).collect::<Vec<_>>(),
        });
        if let Some(reason) = stopped {
            object["stopped"] = json!(reason);
            object["confirm"] = comparison.map_or(Value::Null, |c| c.json());
        }
        data!("{object}");
        return Ok(());
    }
    for caveat in caveats {
        outln!("Note: {caveat}.\n");
    }
    outln!("Recommended mixture for {fidelity}\n");
    show_weights(study, mixture);
    outln!("");
    if let Some(e) = expected {
        outln!("expected objective  {}", uncertain(e));
    }
    if let Some(gain) = gain {
        let (shown, p) = (uncertain_gain(gain), probability(gain.probability()));
        let interval = shown.signed_interval();
        outln!(
            "against uniform     gains {} (90 % interval {interval}); better with probability {p}",
            shown.signed_mean()
        );
    }
    if let Some((trial, loss)) = measured {
        outln!("best measured       {} (trial {})", number(loss, 5), trial.id);
    }
    for (i, size) in sizes.iter().enumerate() {
        outln!("{:18}  {}", if i == 0 { "other sizes" } else { "" }, size.words(fidelity));
    }
    let (cost, trials) = (text::cost(study, spent.cost), text::counted(spent.trials, "trial"));
    outln!("spent               cost {cost} in {trials}");
    for bound in config.space.tight_bounds(mixture) {
        outln!("meets the bound     {bound}");
    }
    if let Some(reason) = stopped {
        outln!("stopped             {}", advice::why(study, reason));
    }
    if let Some(c) = comparison {
        outln!("confirmed           {}", c.words());
    }
    Ok(())
}

/// A prediction, to be shown.
pub(super) fn uncertain(prediction: Prediction) -> Uncertain {
    Uncertain { mean: prediction.mean, sd: prediction.sd }
}

/// A gain, to be shown.
pub(super) fn uncertain_gain(gain: Gain) -> Uncertain {
    Uncertain { mean: gain.mean, sd: gain.sd }
}

/// How far a fidelity other than the target can be trusted, and whether it is worth its cost.
struct SizeAgreement<'a> {
    fidelity: &'a str,
    runs: usize,
    correlation: f64,
    /// What one run here teaches about the target per unit cost, relative to what a run at the target does.
    worth: Option<f64>,
}

impl<'a> SizeAgreement<'a> {
    fn all(study: &'a Study, sizes: &[Agreement]) -> Vec<Self> {
        let (fidelities, evidence) = (&study.config().fidelities, study.evidence());
        let target = fidelities.target();
        let per_cost = |m: FidelityId| sizes[m].information / evidence.costs[m];
        let others = fidelities.iter().filter(|(m, _)| *m != target);
        others
            .map(|(m, fidelity)| Self {
                fidelity: &fidelity.name,
                runs: evidence.observations.iter().filter(|o| o.fidelity == m).count(),
                correlation: sizes[m].correlation,
                worth: Some(per_cost(m) / per_cost(target)).filter(|worth| worth.is_finite()),
            })
            .collect()
    }

    fn json(&self) -> Value {
        json!({"fidelity": self.fidelity, "runs": self.runs, "correlation": self.correlation, "worth": self.worth})
    }

    fn words(&self, target: &str) -> String {
        let worth = self.worth.map_or_else(String::new, |worth| {
            format!("; a run teaches {} times as much per cost as one at {target}", number(worth, 2))
        });
        let runs = text::counted(self.runs, "run");
        format!("{} ({runs}) correlates {:.2} with {target}{worth}", self.fidelity, self.correlation)
    }
}

/// One line a domain in the config's order, with a bar, and epochs at the target where they are known.
pub(super) fn show_weights(study: &Study, mixture: &Mixture) {
    let config = study.config();
    let epochs = config.target_tokens().map(|tokens| config.space.epochs(mixture, tokens)).unwrap_or_default();
    let mut columns = vec![("domain", Align::Left), ("weight", Align::Right), ("", Align::Bar)];
    columns.extend(epochs.iter().any(Option::is_some).then_some(("epochs", Align::Right)));
    let mut table = Table::new(columns);
    for i in config.domain_order.iter().filter_map(|name| config.space.index(name)) {
        let weight = mixture.weights()[i];
        let mut row = vec![config.space.domains()[i].name.clone(), format!("{weight:.4}"), bar(weight, BAR)];
        row.extend(epochs.get(i).copied().flatten().map(|e| number(e, 3)));
        table.row(row);
    }
    out!("{}", table.fitted(text::width()));
}

/// The best complete trial of the search at the target, among the mixtures that the config allows.
pub(super) fn measured(study: &Study) -> Option<(&Trial, f64)> {
    let (target, sign) = (study.config().fidelities.target(), study.config().objective.sign());
    let allowed = |t: &&Trial| study.config().space.broken_bounds(&t.mixture).is_empty();
    let runs = study.trials().iter().filter(|t| t.searching() && t.fidelity == target).filter(allowed);
    let values = runs.filter_map(|t| Some((t, value(study, t)?)));
    values.min_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
}

pub(super) fn value(study: &Study, trial: &Trial) -> Option<f64> {
    match &trial.state {
        TrialState::Complete(outcome) => study.objective(outcome),
        _ => None,
    }
}

/// The recommended mixture against the uniform one, trained with the same seeds.
pub(super) struct Comparison {
    recommended: Vec<f64>,
    uniform: Vec<f64>,
    /// Differences (recommended − uniform) of runs that share a seed.
    differences: Vec<f64>,
    verdict: &'static str,
}

impl Comparison {
    pub fn new(study: &Study, mixture: &Mixture) -> Option<Self> {
        let uniform = study.config().space.uniform();
        let runs = |purpose, mixture| -> Vec<(u32, f64)> {
            let trials = study.confirmations(purpose, mixture);
            trials.filter_map(|t| Some((t.seed, value(study, t)?))).collect()
        };
        let (a, b) = (runs(Purpose::ConfirmRecommended, mixture), runs(Purpose::ConfirmUniform, &uniform));
        let paired = |(seed, y): &(u32, f64)| b.iter().find(|(s, _)| s == seed).map(|(_, z)| y - z);
        let differences: Vec<f64> = a.iter().filter_map(paired).collect();
        if differences.is_empty() {
            return None;
        }
        let (mean, se) = mean_se(&differences);
        let gain = if study.config().objective.direction == Direction::Minimize { -mean } else { mean };
        let verdict = match se {
            None => "not judged: one seed says nothing about noise",
            Some(se) if gain.abs() <= 2.0 * se => "within noise",
            Some(_) if gain > 0.0 => "better",
            Some(_) => "worse",
        };
        let values = |runs: Vec<(u32, f64)>| runs.into_iter().map(|(_, y)| y).collect();
        Some(Self { recommended: values(a), uniform: values(b), differences, verdict })
    }

    fn json(&self) -> Value {
        let side = |values: &[f64]| {
            let (mean, se) = mean_se(values);
            json!({"mean": mean, "se": se, "runs": values.len()})
        };
        json!({"recommended": side(&self.recommended), "uniform": side(&self.uniform),
               "difference": side(&self.differences), "verdict": self.verdict})
    }

    pub fn words(&self) -> String {
        let side = |values: &[f64]| match mean_se(values) {
            (mean, Some(sd)) => Uncertain { mean, sd }.to_string(),
            (mean, None) => number(mean, 5),
        };
        format!(
            "recommended {}, uniform {}, difference {} over {}: {}",
            side(&self.recommended),
            side(&self.uniform),
            side(&self.differences),
            text::counted(self.differences.len(), "seed"),
            self.verdict
        )
    }
}

/// Mean and its standard error (with two or more values).
fn mean_se(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|y| (y - mean).powi(2)).sum();
    (mean, (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt()))
}
