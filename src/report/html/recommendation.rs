//! What the study recommends, and what that is worth.

use maud::{Markup, html};

use super::bar::bar;
use crate::text::{Uncertain, number, percent, probability};

/// The recommended mixture.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// Name of the target fidelity.
    pub target: String,
    /// What has to be said before anything else: sentences without a full stop.
    pub caveats: Vec<String>,
    /// The objective expected there.
    pub expected: Option<Uncertain>,
    /// By how much the best mixture of all is expected to be better still.
    pub regret: Option<f64>,
    /// The best trial there: its name and its objective.
    pub measured: Option<(String, f64)>,
    /// What training it again has shown: a sentence for each mixture that it was compared with.
    pub confirmed: Vec<String>,
    /// How surely each guard holds, a sentence each.
    pub guards: Vec<String>,
    /// One per domain, in the order they are shown.
    pub domains: Vec<DomainRow>,
    /// The bounds that it meets, in words.
    pub bounds: Vec<String>,
    /// Against other mixtures.
    pub comparisons: Vec<Comparison>,
}

/// A domain of the recommended mixture.
#[derive(Clone, Debug)]
pub struct DomainRow {
    /// Name.
    pub name: String,
    /// Weight.
    pub weight: f64,
    /// Between what the weight may move without costing more than one run's noise.
    pub within_noise: Option<(f64, f64)>,
    /// How often the target run sees the domain's data.
    pub epochs: Option<f64>,
}

/// The recommendation against another mixture.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the other mixture is.
    pub name: String,
    /// Its weights, in the order of the domains.
    pub weights: Vec<f64>,
    /// By how much the recommendation is better, in the objective's unit, and how probably it is at all.
    pub gain: Option<(Uncertain, f64)>,
    /// What that gain is worth, in words.
    pub meaning: Vec<String>,
}

impl Recommendation {
    pub(super) fn render(&self) -> Markup {
        html! {
            @for caveat in &self.caveats { p.caveat role="note" { "Note: " (caveat) "." } }
            p.lede {
                "Train " strong { (self.target) } " on the mixture below."
                @if let Some(expected) = self.expected {
                    " The objective is expected at " strong { (expected) } "."
                }
            }
            @if let Some((trial, value)) = &self.measured {
                p { "The best trial at " (self.target) " so far measured " (number(*value, 5)) " (" (trial) ")." }
            }
            @if let Some(regret) = self.regret {
                p { "The best of all mixtures is expected to be better still by " (number(regret, 2)) "." }
            }
            @for guard in &self.guards { p { "Guard: " (guard) "." } }
            @for confirmed in &self.confirmed { p { "Confirmed: " (confirmed) "." } }
            (self.weights())
            (self.comparisons())
        }
    }

    fn weights(&self) -> Markup {
        let epochs = self.domains.iter().any(|d| d.epochs.is_some());
        let stretch = self.domains.iter().any(|d| d.within_noise.is_some());
        html! {
            div.scroll {
                table.weights {
                    caption { "The recommended mixture" }
                    thead {
                        tr {
                            th scope="col" { "Domain" }
                            th.number scope="col" { "Weight" }
                            th.wide scope="col" aria-hidden="true" {}
                            @if stretch { th.number scope="col" { "Within noise" } }
                            @if epochs { th.number scope="col" { "Epochs" } }
                            @for other in &self.comparisons { th.number scope="col" { (other.name) } }
                        }
                    }
                    tbody {
                        @for (i, domain) in self.domains.iter().enumerate() {
                            tr {
                                th scope="row" { (domain.name) }
                                td.number { (percent(domain.weight)) }
                                td.wide aria-hidden="true" { (bar(domain.weight, domain.within_noise)) }
                                @if stretch {
                                    td.number {
                                        @if let Some((low, high)) = domain.within_noise {
                                            (percent(low)) " – " (percent(high))
                                        }
                                    }
                                }
                                @if epochs { td.number { @if let Some(e) = domain.epochs { (number(e, 3)) } } }
                                @for other in &self.comparisons { td.number { (percent(other.weights[i])) } }
                            }
                        }
                    }
                }
            }
            @if stretch {
                p.note {
                    "Within noise: where each weight alone can go, the others making room in proportion, before "
                    "the expected objective is worse by more than the noise of one run. The line on each bar is that stretch."
                }
            }
            @if !self.bounds.is_empty() {
                p { "Bounds that it meets:" }
                ul { @for bound in &self.bounds { li { (bound) } } }
            }
        }
    }

    fn comparisons(&self) -> Markup {
        html! {
            h3 { "Against other mixtures" }
            div.cards {
                @for other in &self.comparisons {
                    div.card {
                        h4 { "Against " (other.name) }
                        @if let Some((gain, p)) = other.gain {
                            p.big { (probability(p)) }
                            p { "probability of being better" }
                            p {
                                "Expected gain " strong { (gain.signed_mean()) } ", 90 % interval " (gain.signed_interval()) "."
                            }
                            @if !other.meaning.is_empty() { ul { @for m in &other.meaning { li { (m) } } } }
                        } @else {
                            p { "Not known before there are trials." }
                        }
                    }
                }
            }
        }
    }
}
