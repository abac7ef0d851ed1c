//! What limits the weights.

use maud::{Markup, html};

use crate::text::percent;

/// Bounds, caps and groups.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One per domain, in the order they are shown.
    pub domains: Vec<LimitRow>,
    /// One per group.
    pub groups: Vec<GroupRow>,
    /// Every weight is 0 or at least this.
    pub smallest: Option<f64>,
    /// Every weight is a multiple of this.
    pub step: Option<f64>,
}

/// What limits a domain.
#[derive(Clone, Debug)]
pub struct LimitRow {
    /// Name.
    pub name: String,
    /// The smallest and the largest weight that the config states.
    pub stated: (f64, f64),
    /// The largest weight that its tokens allow.
    pub cap: Option<f64>,
    /// The smallest and the largest weight that all bounds together leave it.
    pub reach: (f64, f64),
    /// What keeps it from more, in words.
    pub limited_by: Vec<String>,
}

/// A group of domains.
#[derive(Clone, Debug)]
pub struct GroupRow {
    /// Name.
    pub name: String,
    /// Names of its domains.
    pub domains: Vec<String>,
    /// The smallest and the largest sum of their weights.
    pub bounds: (f64, f64),
    /// The sum in the recommended mixture.
    pub recommended: f64,
}

impl Limits {
    pub(super) fn render(&self) -> Markup {
        let caps = self.domains.iter().any(|domain| domain.cap.is_some());
        html! {
            div.scroll {
                table {
                    caption { "Weights" }
                    thead {
                        tr {
                            th scope="col" { "Domain" }
                            @for title in ["Min", "Max"] { th.number scope="col" { (title) } }
                            @if caps { th.number scope="col" { "Cap by tokens" } }
                            th.number scope="col" { "Possible" }
                            th scope="col" { "Limited by" }
                        }
                    }
                    tbody { @for domain in &self.domains { (domain.render(caps)) } }
                }
            }
            @if !self.groups.is_empty() { (self.groups()) }
            @if let Some(smallest) = self.smallest { p { "Every weight is 0 or at least " (percent(smallest)) "." } }
            @if let Some(step) = self.step { p { "Every weight is a multiple of " (percent(step)) "." } }
        }
    }

    fn groups(&self) -> Markup {
        html! {
            div.scroll {
                table {
                    caption { "Sums of weights" }
                    thead {
                        tr {
                            th scope="col" { "Group" }
                            @for title in ["Min", "Max", "Recommended"] { th.number scope="col" { (title) } }
                            th scope="col" { "Domains" }
                        }
                    }
                    tbody {
                        @for group in &self.groups {
                            tr {
                                th scope="row" { (group.name) }
                                td.number { (percent(group.bounds.0)) }
                                td.number { (percent(group.bounds.1)) }
                                td.number { (percent(group.recommended)) }
                                td.text { (group.domains.join(", ")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl LimitRow {
    fn render(&self, caps: bool) -> Markup {
        html! {
            tr {
                th scope="row" { (self.name) }
                td.number { (percent(self.stated.0)) }
                td.number { (percent(self.stated.1)) }
                @if caps { td.number { @if let Some(cap) = self.cap { (percent(cap)) } } }
                td.number { (percent(self.reach.0)) " – " (percent(self.reach.1)) }
                td { (self.limited_by.join(", ")) }
            }
        }
    }
}
