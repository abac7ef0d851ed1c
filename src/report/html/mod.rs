//! The report: one HTML file that needs nothing else.
//!
//! Everything here takes plain values and returns markup. What a user named (domains, trials, errors) only ever gets into
//! the page through [`maud`], which escapes it, or as text of a picture, which `plotters` escapes.

mod bar;
mod costs;
mod effects;
mod figure;
mod metrics;
mod model;
mod progress;
mod recommendation;
mod ternary;
mod trials;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use costs::{Costs, Failure, SizeCosts};
pub use effects::{EffectCurve, Effects};
pub use figure::DrawError;
pub use metrics::{MetricRow, Metrics};
pub use model::{LeftOut, Model, SizeModel};
pub use progress::{Progress, Step};
pub use recommendation::{Comparison, DomainRow, Recommendation};
pub use ternary::{Cell, Ternary};
pub use trials::{TrialRow, Trials};
pub use words::Uncertain;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");
/// Nothing is fetched, even if something of the page asked for it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page about one study.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the study.
    pub study: String,
    /// Version of the program.
    pub version: &'static str,
    /// What the study is about and how far it is: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// What it recommends.
    pub recommendation: Recommendation,
    /// How it got there.
    pub progress: Progress,
    /// What changing a weight does; `None` before there is a model.
    pub effects: Option<Effects>,
    /// The whole space, where there are three domains and a model.
    pub ternary: Option<Ternary>,
    /// Which metrics gain and lose, where there are several.
    pub metrics: Option<Metrics>,
    /// How far the model can be trusted; `None` before there is one.
    pub model: Option<Model>,
    /// What was spent where, and what went wrong.
    pub costs: Costs,
    /// Every trial.
    pub trials: Trials,
}

impl Report {
    /// The page.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn render(&self) -> Result<String, DrawError> {
        let mut sections = vec![
            Section::new("recommendation", "Recommendation", self.recommendation.render()),
            Section::new("progress", "Progress", self.progress.render()?),
        ];
        if let Some(effects) = &self.effects {
            let ternary = self.ternary.as_ref().map(Ternary::render).transpose()?;
            let content = html! { (effects.render()?) @if let Some(ternary) = ternary { (ternary) } };
            sections.push(Section::new("effects", "What each weight does", content));
        }
        if let Some(metrics) = &self.metrics {
            sections.push(Section::new("metrics", "Which metrics gain and lose", metrics.render()));
        }
        if let Some(model) = &self.model {
            sections.push(Section::new("model", "How far the model can be trusted", model.render()?));
        }
        sections.push(Section::new("costs", "Costs and failures", self.costs.render()));
        sections.push(Section::new("trials", "All trials", self.trials.render()));
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "admire " (self.version) };
                    title { (self.study) " – mixture report" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.kicker { "Mixture report" }
                        h1 { (self.study) }
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
    fn new(id: &'static str, title: &'static str, content: Markup) -> Self {
        Self { id, title, content }
    }

    fn link(&self) -> Markup {
        html! { a href={ "#" (self.id) } { (self.title) } }
    }

    fn render(&self) -> Markup {
        let title = format!("{}-title", self.id);
        html! { section id=(self.id) aria-labelledby=(title) { h2 id=(title) { (self.title) } (self.content) } }
    }
}
