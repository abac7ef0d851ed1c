use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::text::{gain_json, uncertain, uncertain_gain};
use super::{ConfigArgs, Format, text, tradeoff};
use crate::advice::{
    self, Answer, Comparison, Confirmation, Coverage, GuardReport, GuardTest, Record, SizeAgreement, Tradeoff,
};
use crate::optimizer::{Alternative, Gain, Optimizer};
use crate::problem::{Fidelity, FidelityId, Mixture, Prediction, mean_and_error};
use crate::report::{Align, Table, bar};
use crate::study::{Confirmed, StopReason, Study};
use crate::text::{Uncertain, fixed, number, percent, probability};

/// Terminal columns of a weight of 1.
const BAR: usize = 20;

/// Show the recommended mixture
#[derive(Debug, Args)]
#[command(after_help = "Example: admire best --alternatives 2")]
pub struct BestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Also show up to N mixtures that are worse by at most the noise of one run, and differ most from it and one another
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    alternatives: usize,
    /// Also show the best objective as something varies: `distance` from the prior mixture (from the uniform one where no prior is
    /// stated), or the tolerance of the guard on METRIC (without a guard: no worse than on that mixture)
    #[arg(long, value_name = "distance|METRIC")]
    tradeoff: Vec<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &BestArgs) -> anyhow::Result<u8> {
    let study = args.config.ask()?;
    super::warn(study.warnings());
    print(&study, args.format, None, &Extra { alternatives: args.alternatives, tradeoffs: &args.tradeoff })?;
    Ok(0)
}

/// What to show beside the recommendation.
#[derive(Default)]
pub(super) struct Extra<'a> {
    alternatives: usize,
    tradeoffs: &'a [String],
}

/// Prints what a study recommends, with what else is asked for, and why it stopped where it did.
pub(super) fn print(
    study: &Study,
    format: Format,
    stopped: Option<StopReason>,
    extra: &Extra<'_>,
) -> anyhow::Result<()> {
    let (evidence, optimizer, target) =
        (study.evidence(), advice::optimizer(study), study.config().fidelities.target());
    let answer = &advice::answer(study, &optimizer)?;
    let expected = optimizer.predict(&evidence, &[(answer.mixture.clone(), target)]);
    let gains = optimizer.gains(&evidence, &answer.mixture, &[study.config().space.uniform()]);
    let best = Best {
        study,
        answer,
        expected: expected.and_then(|p| p.first().copied()),
        gain: gains.and_then(|g| g.first().copied()),
        guards: advice::guards(study, &optimizer, &answer.mixture, true),
        sizes: other_sizes(study, &optimizer),
        alternatives: (extra.alternatives > 0)
            .then(|| advice::alternatives(study, &optimizer, &answer.mixture, extra.alternatives))
            .flatten(),
        tradeoffs: extra
            .tradeoffs
            .iter()
            .map(|name| advice::tradeoff(study, &optimizer, &answer.mixture, name))
            .collect::<Result<_, _>>()?,
        stopped,
        confirmation: study.stopped().and_then(|_| Confirmation::of(study, &answer.mixture)),
    };
    match format {
        Format::Json => data!("{}", best.json()),
        Format::Table => best.show(),
    }
    Ok(())
}

/// What is known about a recommendation.
struct Best<'a> {
    study: &'a Study,
    answer: &'a Answer,
    expected: Option<Prediction>,
    /// Over the uniform mixture.
    gain: Option<Gain>,
    guards: Vec<GuardReport>,
    sizes: Vec<SizeAgreement>,
    /// Where they are asked for.
    alternatives: Option<Vec<Alternative>>,
    tradeoffs: Vec<Tradeoff>,
    stopped: Option<StopReason>,
    confirmation: Option<Confirmation>,
}

impl Best<'_> {
    fn fidelity(&self) -> &str {
        let fidelities = &self.study.config().fidelities;
        &fidelities[fidelities.target()].name
    }

    fn json(&self) -> Value {
        let mut object = json!({
            "fidelity": self.fidelity(),
            "weights": self.study.named(&self.answer.mixture),
            "caveats": self.answer.caveats.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "expected": self.expected,
            "against_uniform": self.gain.map(gain_json),
            "guards": self.guards.iter().map(guard_json).collect::<Vec<_>>(),
            "measured": advice::best_measured(self.study).map(|(trial, loss)| json!({"trial": trial.id, "loss": loss})),
            "spent": self.study.spent(),
            "sizes": self.sizes.iter().map(|size| json!({
                "fidelity": self.study.config().fidelities[size.fidelity].name,
                "runs": size.runs,
                "correlation": size.correlation,
                "worth": size.worth,
            })).collect::<Vec<_>>(),
            "calibration": calibration_json(self.study),
        });
        if let Some(alternatives) = &self.alternatives {
            object["alternatives"] = alternatives.iter().map(|other| alternative_json(self.study, other)).collect();
        }
        if !self.tradeoffs.is_empty() {
            object["tradeoffs"] = self.tradeoffs.iter().map(|t| tradeoff::json(self.study, t)).collect();
        }
        if let Some(reason) = self.stopped {
            object["stopped"] = json!(reason);
            object["confirm"] = json!(self.confirmation.as_ref().map(|c| confirmation_json(self.study, c)));
        }
        object
    }

    fn show(&self) {
        let Self { study, answer, sizes, .. } = self;
        for caveat in &answer.caveats {
            outln!("Note: {caveat}.\n");
        }
        outln!("Recommended mixture for {}\n", self.fidelity());
        show_weights(study, &answer.mixture);
        outln!("");
        if let Some(e) = self.expected {
            outln!("expected objective  {}", uncertain(e));
        }
        if let Some(gain) = self.gain {
            let (shown, p) = (uncertain_gain(gain), probability(gain.probability()));
            let interval = shown.signed_interval();
            outln!(
                "against uniform     gains {} (90 % interval {interval}); better with probability {p}",
                shown.signed_mean()
            );
        }
        show_lines("guards", self.guards.iter().map(guard_words));
        if let Some((trial, loss)) = advice::best_measured(study) {
            outln!("best measured       {} (trial {})", number(loss, 5), trial.id);
        }
        show_lines("other sizes", sizes.iter().map(|size| size_words(study, size)));
        outln!("spent               {}", spent_words(study));
        for bound in study.config().space.tight_bounds(&answer.mixture) {
            outln!("meets the bound     {bound}");
        }
        if let Some(reason) = self.stopped {
            outln!("stopped             {}", advice::why(study, reason));
        }
        if let Some(confirmation) = &self.confirmation {
            show_lines("confirmed", confirmation_words(confirmation));
        }
        match self.alternatives.as_deref() {
            Some([]) => outln!("\nNo other mixture is within one run's noise of the recommendation."),
            Some(alternatives) => show_alternatives(study, alternatives),
            None => {}
        }
        self.tradeoffs.iter().for_each(tradeoff::show);
    }
}

/// One column per alternative.
fn show_alternatives(study: &Study, alternatives: &[Alternative]) {
    outln!("\nAlternatives, worse by at most one run's noise\n");
    let titles = (1..=alternatives.len()).map(|i| (format!("#{i}"), Align::Right));
    let mut table = Table::new([(String::new(), Align::Left)].into_iter().chain(titles));
    let mut row = |title: &str, cell: &dyn Fn(&Alternative) -> String| {
        table.row(std::iter::once(title.to_owned()).chain(alternatives.iter().map(cell)));
    };
    let config = study.config();
    for (name, i) in config.domain_order.iter().filter_map(|name| Some((name, config.space.index(name)?))) {
        row(name, &|other| format!("{:.4}", other.mixture.weights()[i]));
    }
    row("", &|_| String::new());
    row("differs in", &|other| percent(other.distance));
    row("expected", &|other| uncertain(other.expected).to_string());
    row("gain", &|other| uncertain_gain(other.gain).signed());
    row("better with", &|other| probability(other.gain.probability()));
    out!("{}", table.fitted(text::width()));
}

fn alternative_json(study: &Study, alternative: &Alternative) -> Value {
    let Alternative { mixture, distance, expected, gain } = alternative;
    json!({"weights": study.named(mixture), "distance": distance, "expected": expected, "gain": gain_json(*gain)})
}

/// Several lines under one title.
fn show_lines(title: &str, lines: impl IntoIterator<Item = String>) {
    for (i, line) in lines.into_iter().enumerate() {
        outln!("{:18}  {line}", if i == 0 { title } else { "" });
    }
}

/// What the sizes other than the target are worth.
fn other_sizes(study: &Study, optimizer: &Optimizer) -> Vec<SizeAgreement> {
    let sizes = advice::sizes(study.config(), optimizer, &study.evidence()).unwrap_or_default();
    sizes.into_iter().filter(|size| size.fidelity != study.config().fidelities.target()).collect()
}

/// A guard at the recommended mixture, in words.
pub(super) fn guard_words(guard: &GuardReport) -> String {
    let GuardReport { words, state, cost, .. } = guard;
    let cost = cost.map_or_else(String::new, |cost| {
        format!("; without it the objective gains {}", uncertain_gain(cost).signed_mean())
    });
    format!(
        "{words}: expected {}, holds with probability {}{cost}",
        uncertain(state.expected),
        probability(state.probability)
    )
}

/// A guard at the recommended mixture.
pub(super) fn guard_json(guard: &GuardReport) -> Value {
    let GuardReport { words, metric, state, asked, cost } = guard;
    json!({
        "guard": words,
        "metric": metric,
        "expected": state.expected,
        "limit": state.limit,
        "probability": state.probability,
        "asked": asked,
        "needed_tolerance": state.needed,
        "cost": cost.map(|cost| json!({"mean": cost.mean, "sd": cost.sd})),
    })
}

fn size_words(study: &Study, size: &SizeAgreement) -> String {
    let fidelities = &study.config().fidelities;
    let (name, target) = (&fidelities[size.fidelity].name, &fidelities[fidelities.target()].name);
    let worth = size
        .worth
        .map_or_else(String::new, |worth| format!("; information per unit cost: {}× a {target} run", number(worth, 2)));
    let runs = text::counted(size.runs, "run");
    format!("{name} ({runs}) correlates {} with {target}{worth}", fixed(size.correlation, 2))
}

/// One line a domain in the config's order, with a bar, and epochs at the target where they are known.
pub(super) fn show_weights(study: &Study, mixture: &Mixture) {
    let config = study.config();
    let epochs = config.target_tokens().map(|tokens| config.space.epochs(mixture, tokens)).unwrap_or_default();
    let mut columns = vec![("domain", Align::Left), ("weight", Align::Right), ("", Align::Bar)];
    columns.extend(epochs.iter().any(Option::is_some).then_some(("epochs", Align::Right)));
    let decimals = config.space.granularity().decimals().max(4);
    let mut table = Table::new(columns);
    for i in config.domain_order.iter().filter_map(|name| config.space.index(name)) {
        let weight = mixture.weights()[i];
        let mut row = vec![config.space.domains()[i].name.clone(), format!("{weight:.decimals$}"), bar(weight, BAR)];
        row.extend(epochs.get(i).copied().flatten().map(|e| number(e, 3)));
        table.row(row);
    }
    out!("{}", table.fitted(text::width()));
}

fn calibration_json(study: &Study) -> Value {
    /// The trials at one fidelity.
    #[derive(Serialize)]
    struct Size<'a> {
        fidelity: &'a str,
        #[serde(flatten)]
        coverage: Coverage,
    }
    let (record, fidelities) = (Record::of(study), &study.config().fidelities);
    let size = |(m, fidelity): (FidelityId, &Fidelity)| {
        Coverage::of(record.at(m)).map(|coverage| json!(Size { fidelity: &fidelity.name, coverage }))
    };
    let judgement = record.judgement(fidelities);
    json!({
        "model": judgement.sureness.name(),
        "judgement": judgement.to_string(),
        "all": Coverage::of(&record.trials),
        "fidelities": fidelities.iter().filter_map(size).collect::<Vec<_>>(),
    })
}

fn confirmation_json(study: &Study, confirmation: &Confirmation) -> Value {
    let side = |values: &[f64]| {
        let (mean, se) = mean_and_error(values);
        json!({"mean": mean, "se": se, "runs": values.len()})
    };
    let difference = |c: &Comparison| json!({"mean": c.difference, "se": c.error, "runs": c.seeds});
    let uniform = confirmation.against.iter().find(|c| c.name == "uniform");
    json!({
        "recommended": side(&confirmation.recommended),
        "uniform": uniform.map(|c| side(&c.runs)),
        "difference": uniform.map(difference),
        "verdict": uniform.map(|c| c.verdict.to_string()),
        "noise": confirmation.noise.map(|noise| json!({"sd": noise.sd, "freedom": noise.freedom})),
        "against": confirmation.against.iter().map(|c| json!({
            "name": c.name,
            "weights": study.named(&c.mixture),
            "measured": side(&c.runs),
            "difference": difference(c),
            "verdict": c.verdict.to_string(),
        })).collect::<Vec<_>>(),
        "guards": confirmation.guards.iter().map(|test| json!({
            "guard": test.words,
            "metric": test.metric,
            "measured": side(&test.measured),
            "slack": test.slack.map(|mean| json!({"mean": mean, "se": test.error})),
            "verdict": test.verdict.to_string(),
        })).collect::<Vec<_>>(),
    })
}

/// What a confirmation has shown, in words: one line per mixture that the recommendation was compared with, and one per guard.
pub(super) fn confirmation_words(confirmation: &Confirmation) -> Vec<String> {
    let shown = |mean, error: Option<f64>| error.map_or(number(mean, 5), |sd| Uncertain { mean, sd }.to_string());
    let side = |values: &[f64]| {
        let (mean, error) = mean_and_error(values);
        shown(mean, error)
    };
    let words = |c: &Comparison| {
        format!(
            "recommended {}, {} {}, difference {} over {}: {}",
            side(&confirmation.recommended),
            c.name,
            side(&c.runs),
            shown(c.difference, c.error),
            text::counted(c.seeds, "seed"),
            c.verdict
        )
    };
    let guard = |test: &GuardTest| {
        let slack =
            test.slack.map_or_else(String::new, |slack| format!(", from the limit {}", shown(slack, test.error)));
        format!("guard {}: measured {}{slack}: {}", test.words, side(&test.measured), test.verdict)
    };
    confirmation.against.iter().map(words).chain(confirmation.guards.iter().map(guard)).collect()
}

/// What a study has spent, in words.
pub(super) fn spent_words(study: &Study) -> String {
    let spent = study.spent();
    let words = |cost, trials| format!("cost {} in {}", text::cost(study, cost), text::counted(trials, "trial"));
    match spent.confirmation {
        Confirmed { trials: 0, .. } => words(spent.cost, spent.trials),
        Confirmed { cost, trials } => {
            format!("{}; confirmation: {}", words(spent.cost, spent.trials), words(cost, trials))
        }
    }
}
