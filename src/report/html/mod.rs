//! The report: one HTML file that needs nothing else.
//!
//! Everything here takes plain values and returns markup. What a user named (domains, trials, errors) only ever gets into
//! the page through [`maud`], which escapes it, or as text of a picture, which `plotters` escapes.

mod bar;
mod calibration;
mod costs;
mod curves;
mod effects;
mod explorer;
mod figure;
mod limits;
mod metrics;
mod progress;
mod recommendation;
mod regret;
mod sizes;
mod ternary;
mod tradeoffs;
mod trials;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use calibration::{Calibration, CoverageRow, SizeRecord};
pub use costs::{Costs, Failure, SizeCosts};
pub use curves::{Curve, Curves, Fate, SizeCurves};
pub use effects::{EffectCurve, Effects};
pub use explorer::{Exploration, ExploredDomain, ExploredGroup, ExploredGuard, ExploredThreshold, Explorer};
pub use figure::DrawError;
pub use limits::{GroupRow, LimitRow, Limits};
pub use metrics::{MetricRow, Metrics};
pub use progress::{Progress, Step};
pub use recommendation::{Comparison, DomainRow, Recommendation};
pub use regret::{Regret, StrategyRow};
pub use sizes::{SizeRow, Sizes};
pub use ternary::{Cell, Ternary};
pub use tradeoffs::{TradeoffCurve, Tradeoffs};
pub use trials::{TrialRow, Trials};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");
/// Nothing is fetched, even if something of the page asked for it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page.
#[derive(Clone, Debug)]
pub struct Report {
    /// What kind of report it is.
    pub kind: &'static str,
    /// What it is about: the name of a study.
    pub title: String,
    /// Version of the program.
    pub version: &'static str,
    /// When it was written.
    pub date: String,
    /// What has to be known before anything else is read: sentences without a full stop.
    pub banner: Vec<String>,
    /// What was asked and how far that is: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// What is said, in this order.
    pub parts: Vec<Part>,
}

/// A section of a page.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Part {
    Recommendation(Recommendation),
    Explorer(Explorer),
    Limits(Limits),
    Progress(Progress),
    Curves(Curves),
    Calibration(Calibration),
    Regret(Regret),
    Effects(Effects),
    Metrics(Metrics),
    Sizes(Sizes),
    Tradeoffs(Tradeoffs),
    Costs(Costs),
    Trials(Trials),
}

impl Part {
    fn section(&self) -> Result<Section, DrawError> {
        let (id, title, content) = match self {
            Self::Recommendation(part) => ("recommendation", "Recommendation", part.render()),
            Self::Explorer(part) => ("explorer", "What would another mixture give?", part.render()),
            Self::Limits(part) => ("limits", "What limits the weights", part.render()),
            Self::Progress(part) => ("progress", "Progress", part.render()?),
            Self::Curves(part) => ("curves", "What trials reported on their way", part.render()?),
            Self::Calibration(part) => ("calibration", "Calibration", part.render()?),
            Self::Regret(part) => ("regret", "What the search would have cost", part.render()?),
            Self::Effects(part) => ("effects", "What each weight does", part.render()?),
            Self::Metrics(part) => ("metrics", "Which metrics gain and lose", part.render()),
            Self::Sizes(part) => ("sizes", "Do small sizes speak for the target?", part.render()?),
            Self::Tradeoffs(part) => ("tradeoffs", "How much of the gain for how much of the change", part.render()?),
            Self::Costs(part) => ("costs", "Costs and failures", part.render()),
            Self::Trials(part) => ("trials", "All trials", part.render()),
        };
        Ok(Section { id, title, content })
    }
}

impl Report {
    /// The page, each kind of part at most once.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn render(&self) -> Result<String, DrawError> {
        let sections = self.parts.iter().map(Part::section).collect::<Result<Vec<_>, _>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "admire " (self.version) };
                    title { (self.title) " – " (self.kind) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.kicker { (self.kind) ", written " (self.date) }
                        h1 { (self.title) }
                        @for sentence in &self.banner { p.banner role="note" { "Note: " (sentence) "." } }
                        dl.facts { @for (name, value) in &self.facts { div { dt { (name) } dd { (value) } } } }
                    }
                    nav aria-label="Sections" { ul { @for section in &sections { li { (section.link()) } } } }
                    main { @for section in &sections { (section.render()) } }
                    footer { p { "Written by admire " (self.version) ". Weights are shares of the training tokens." } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        Ok(page.into_string())
    }
}

/// A part of the page that can be linked to.
struct Section {
    id: &'static str,
    title: &'static str,
    content: Markup,
}

impl Section {
    fn link(&self) -> Markup {
        html! { a href={ "#" (self.id) } { (self.title) } }
    }

    fn render(&self) -> Markup {
        let title = format!("{}-title", self.id);
        html! { section id=(self.id) aria-labelledby=(title) { h2 id=(title) { (self.title) } (self.content) } }
    }
}
