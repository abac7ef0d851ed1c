//! Bars inside tables: as wide as their column, said in numbers beside them.

use maud::{Markup, html};

/// In percent of the width. What is not a number is nowhere.
fn place(share: f64) -> String {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    format!("{:.2}", 100.0 * share)
}

/// A bar from 0 to `share` of the width, with a stretch of it as a line.
pub(super) fn bar(share: f64, stretch: Option<(f64, f64)>) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="0" width="100" height="10" {}
            rect.fill x="0" y="0" width=(place(share)) height="10" {}
            @if let Some((low, high)) = stretch {
                rect.stretch x=(place(low)) y="4" width=(place(high - low)) height="2" {}
            }
        }
    }
}

/// A bar from the middle to `value`, with an interval as a line; `limit` is at the edges.
pub(super) fn centered(value: f64, (low, high): (f64, f64), limit: f64) -> Markup {
    let at = |x: f64| 0.5 + 0.5 * (x / limit).clamp(-1.0, 1.0);
    let (start, end) = (at(value.min(0.0)), at(value.max(0.0)));
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="0" width="100" height="10" {}
            rect.fill x=(place(start)) y="0" width=(place(end - start)) height="10" {}
            rect.stretch x=(place(at(low))) y="4" width=(place(at(high) - at(low))) height="2" {}
            rect.zero x="49.7" y="0" width="0.6" height="10" {}
        }
    }
}
