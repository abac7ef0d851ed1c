//! What the answers of many studies add up to, and how it is printed.

use std::fmt;

use admire::optimizer::Gain;
use admire::problem::mean_and_error;

use super::study::{Answers, Kept, Kind, Statement};

/// Half the width of central intervals of 50 % and 90 %, in standard deviations.
const CENTRAL: [f64; 2] = [0.674_489_750_196, 1.644_853_626_951];
/// The bounds that hold in every regime: the least coverage of each, and the most of the second where there is signal.
const LEAST: [f64; 2] = [0.44, 0.86];
const MOST: f64 = 0.97;
/// A probability from which a statement counts as sure.
const SURE: f64 = 0.95;
/// The limits of the classes of stated probabilities.
const CLASSES: [f64; 9] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, f64::INFINITY];

/// What probabilities are stated of: gains of the recommendation and of random mixtures in single metrics, guards on a random mixture, and the
/// guard under which a mixture is recommended.
const CLAIMS: [&str; 4] = ["gain", "metric gain", "guards", "guard, rec."];

/// In which way a coverage is outside of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is too small.
    TooSure,
    /// It is too large.
    IdlyWide,
}

/// One kind of statement.
#[derive(Clone, Debug, Default)]
struct Coverage {
    statements: usize,
    covered: [usize; 2],
    /// The sum of widths of 90 % intervals.
    width: f64,
    /// The sum of errors, truth less mean, in stated standard deviations.
    bias: f64,
}

/// Stated probabilities of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    statements: usize,
    held: usize,
}

/// What is collected of many studies at one stage.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    regrets: Vec<f64>,
    coverage: [Coverage; Kind::NAMED.len()],
    /// The sum of log scores of the predictions at the target.
    score: f64,
    /// Studies that are sure of a gain, and such statements with those that are false.
    sure: usize,
    sure_statements: Class,
    /// Of [`CLAIMS`].
    classes: [[Class; CLASSES.len() - 1]; CLAIMS.len()],
}

/// What a statement says on whether there is a gain: with which probability there is, or there is none, whichever is larger; and
/// whether it is so. A gain of exactly 0 makes both false. `None` where it says nothing: of a mixture against itself.
fn claim(statement: &Statement) -> Option<(f64, bool)> {
    let better = Gain { mean: statement.mean, sd: statement.sd }.probability();
    let holds = if better > 0.5 { statement.truth > 0.0 } else { statement.truth < 0.0 };
    (statement.sd > 0.0).then_some((better.max(1.0 - better), holds))
}

impl Class {
    fn add(&mut self, holds: bool) {
        self.statements += 1;
        self.held += usize::from(holds);
    }

    fn absorb(&mut self, other: Self) {
        self.statements += other.statements;
        self.held += other.held;
    }
}

impl Tally {
    /// Adds a study.
    pub fn add(&mut self, answers: &Answers) {
        self.regrets.push(answers.regret);
        let mut sure = false;
        for statement in &answers.statements {
            let Statement { kind, mean, sd, .. } = *statement;
            assert!(mean.is_finite() && sd.is_finite() && sd >= 0.0, "{statement:?}");
            let error = (statement.truth - statement.mean).abs();
            let coverage = &mut self.coverage[kind as usize];
            coverage.statements += 1;
            coverage.width += 2.0 * CENTRAL[1] * sd;
            coverage.bias += if sd > 0.0 { (statement.truth - mean) / sd } else { 0.0 };
            for (covered, half) in coverage.covered.iter_mut().zip(CENTRAL) {
                *covered += usize::from(error <= half * sd);
            }
            if kind == Kind::Target {
                self.score -= 0.5 * ((error / sd).powi(2) + std::f64::consts::TAU.ln()) + sd.ln();
            }
            if matches!(kind, Kind::Gain | Kind::MetricGain)
                && let Some((probability, holds)) = claim(statement)
            {
                self.claimed(usize::from(kind == Kind::MetricGain), probability, holds);
                if kind == Kind::Gain && probability > SURE {
                    sure = true;
                    self.sure_statements.add(holds);
                }
            }
        }
        self.sure += usize::from(sure);
        for (claim, kept) in
            answers.kept.iter().map(|kept| (2, kept)).chain(answers.recommended_kept.iter().map(|kept| (3, kept)))
        {
            let Kept { probability, holds } = *kept;
            self.claimed(claim, probability.max(1.0 - probability), holds == (probability > 0.5));
        }
    }

    /// Adds a statement that was made with this probability, at least 1/2, to the classes of [`CLAIMS`]`[claim]`.
    fn claimed(&mut self, claim: usize, probability: f64, holds: bool) {
        let class = CLASSES[1..].iter().position(|limit| probability < *limit).unwrap_or_default();
        self.classes[claim][class].add(holds);
    }

    /// Adds the studies of another tally.
    pub fn absorb(&mut self, other: &Self) {
        self.regrets.extend(&other.regrets);
        for (one, other) in self.coverage.iter_mut().zip(&other.coverage) {
            one.statements += other.statements;
            one.width += other.width;
            one.bias += other.bias;
            one.covered.iter_mut().zip(other.covered).for_each(|(one, other)| *one += other);
        }
        self.score += other.score;
        self.sure += other.sure;
        self.sure_statements.absorb(other.sure_statements);
        for (one, other) in self.classes.iter_mut().flatten().zip(other.classes.iter().flatten()) {
            one.absorb(*other);
        }
    }

    /// A row of the table whose head is [`head`].
    pub fn row(&self, stage: f64, signal: bool) -> String {
        let (regret, error) = mean_and_error(&self.regrets);
        let error = error.map_or("–".into(), |error| format!("{error:.3}"));
        let regret = if signal { format!("{regret:.3}±{error}") } else { "–".into() };
        let cells: String = self.coverage.iter().map(|coverage| coverage.cell(signal)).collect();
        let recommended = &self.coverage[Kind::Recommended as usize];
        let bias = recommended.bias / recommended.statements as f64;
        let score = self.score / self.coverage[Kind::Target as usize].statements as f64;
        let sure = percent(self.sure, self.regrets.len());
        let Class { statements, held } = self.sure_statements;
        format!(
            "{stage:>4} {regret:>11}{bias:>6.2}{cells}{score:>6.2} {sure:>3}% {:>8}",
            format!("{}/{statements}", statements - held)
        )
    }

    /// Each kind of statement that is outside of the bounds, and how.
    pub fn faults(&self, signal: bool) -> Vec<(&'static str, Fault)> {
        let of_kind = |((_, name), coverage): ((Kind, &'static str), &Coverage)| {
            let [half, most] = coverage.faults(signal);
            let most = most.filter(|_| half != most);
            half.into_iter().chain(most).map(move |fault| (name, fault))
        };
        Kind::NAMED.into_iter().zip(&self.coverage).flat_map(of_kind).collect()
    }
}

impl Coverage {
    /// In which way the coverage of 50 % and of 90 % intervals is outside of the bounds.
    fn faults(&self, signal: bool) -> [Option<Fault>; 2] {
        let [half, most] = self.covered.map(|covered| covered as f64 / self.statements as f64);
        let idle = (signal && most > MOST).then_some(Fault::IdlyWide);
        [(half < LEAST[0]).then_some(Fault::TooSure), (most < LEAST[1]).then_some(Fault::TooSure).or(idle)]
    }

    /// Coverage of 50 % and 90 %, each marked where it is outside of the bounds, and the mean width.
    fn cell(&self, signal: bool) -> String {
        if self.statements == 0 {
            return format!("{:>14}", "–");
        }
        let [half, most] = self.faults(signal).map(|fault| fault.map_or(' ', Fault::mark));
        let [at_half, at_most] = self.covered.map(|covered| percent(covered, self.statements));
        format!(" {at_half:>3}{half}{at_most:>3}{most}{:>5}", short(self.width / self.statements as f64))
    }
}

impl Fault {
    fn mark(self) -> char {
        if self == Self::TooSure { '<' } else { '>' }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::TooSure { "too sure" } else { "idly wide" })
    }
}

/// A number in at most five characters.
fn short(x: f64) -> String {
    match x {
        x if x < 10.0 => format!("{x:.2}"),
        x if x < 100.0 => format!("{x:.1}"),
        x => format!("{x:.0}"),
    }
}

fn percent(part: usize, of: usize) -> String {
    if of == 0 { "–".into() } else { format!("{:.0}", 100.0 * part as f64 / of as f64) }
}

/// The head of a table: regret, the mean error of what is expected of the recommended mixture (in stated standard deviations; above zero, the
/// mixture is worse than expected), and for each kind of statement the coverage of 50 % and 90 % intervals and the mean width of the latter.
pub fn head() -> String {
    let names: String = Kind::NAMED.iter().map(|(_, name)| format!("  {name:<12}")).collect();
    let columns = "  50  90  width".repeat(Kind::NAMED.len());
    format!(
        "{:>4} {:>11}{:>6}{names}{:>6} {:>4} {:>8}\n{:22}{columns}",
        "cost", "regret", "bias", "score", "sure", "false", ""
    )
}

/// How many of the stated probabilities of each class were true.
pub fn reliability(tally: &Tally) -> String {
    let mut text = format!("{:<16}", "stated");
    CLAIMS.iter().for_each(|claim| text += &format!("{claim:>16} true"));
    text += "\n";
    for (class, limits) in CLASSES.windows(2).enumerate() {
        let upper = if limits[1] > 1.0 { "1".to_owned() } else { limits[1].to_string() };
        text += &format!("{:<16}", format!("{} to {upper}", limits[0]));
        for classes in &tally.classes {
            let Class { statements, held } = classes[class];
            text += &format!("{statements:>14}{:>5} %", percent(held, statements));
        }
        text += "\n";
    }
    text
}
