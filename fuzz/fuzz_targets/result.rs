//! A result file, or a report on the way. What completes a trial has a finite number for every metric of the objective, nothing that is not
//! finite anywhere, and names that can be exported; and it survives the journal.

#![no_main]

use admire::launcher::protocol::{self, Outcome};
use admire::problem::{Aggregate, Direction, Metric, Objective};
use admire::study::{Entry, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for names in [&["loss"][..], &["arxiv", "github"]] {
        let metrics = names.iter().map(|name| Metric { name: (*name).into(), weight: 1.0 }).collect();
        let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Mean);
        match protocol::parse(text, &objective) {
            Ok(Outcome::Completed(outcome, _)) => {
                assert!(names.iter().all(|name| outcome.metrics.contains_key(*name)), "{outcome:?}");
                assert!(outcome.metrics.values().all(|y| y.is_finite()), "{outcome:?}");
                assert!(outcome.se.values().chain(&outcome.cost).all(|x| x.is_finite() && *x >= 0.0), "{outcome:?}");
                let entry = Entry { time: 0.0, event: Event::Completed { trial: 1, outcome } };
                let line = serde_json::to_string(&entry).unwrap();
                assert!(!line.contains('\n'));
                assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
            }
            Ok(Outcome::Diverged(why)) => assert!(!why.is_empty()),
            Err(reason) => assert!(!reason.is_empty()),
        }
        if let Ok(Some(progress)) = protocol::parse_progress(text, &objective, 1) {
            assert!(progress.step.or(progress.tokens).is_some_and(|place| place >= 0.0), "{progress:?}");
            let entry = Entry { time: 0.0, event: Event::Progress { trial: 1, attempt: 1, progress } };
            assert_eq!(serde_json::from_str::<Entry>(&serde_json::to_string(&entry).unwrap()).unwrap(), entry);
        }
    }
});
