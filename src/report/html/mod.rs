//! The report: one HTML file that needs nothing else.
//!
//! Everything here takes plain values and returns markup. What a user named (domains, trials, errors) only ever gets into
//! the page through [`maud`], which escapes it, or as text of a picture, which `plotters` escapes.

mod figure;
mod progress;
mod recommendation;
mod trials;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use figure::DrawError;
pub use progress::{Progress, Step};
pub use recommendation::{Comparison, DomainRow, Recommendation};
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
    /// Every trial.
    pub trials: Trials,
}

impl Report {
    /// The page.
    ///
    /// # Errors
    /// [`DrawError`]
    pub fn render(&self) -> Result<String, DrawError> {
        let sections = [
            section("recommendation", "Recommendation", &self.recommendation.render()?),
            section("progress", "Progress", &self.progress.render()?),
            section("trials", "Trials", &self.trials.render()),
        ];
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
                    main { @for section in &sections { (section) } }
                    footer { p { "Written by admire " (self.version) ". Weights are shares of the training tokens." } }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    html! { section id=(id) aria-labelledby={ (id) "-title" } { h2 id={ (id) "-title" } { (title) } (content) } }
}
