//! Every rule of the machine's tables, in a world without processes, files and time. And the driver with a mock backend.

mod ending;
mod world;

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::driver::Driver;
use super::machine::{Adopted, Attempt, Input};
use super::signals::Signals;
use super::{Ended, RunError};
use crate::launcher::mock::Mock;
use crate::launcher::{End, Facts, News, Outcome};
use crate::problem::{Handle, Launch};
use crate::study::{Event, Plan, Purpose, StopReason, Study};
use world::{World, config, launcher, study};

#[test]
fn slots_are_filled_one_answer_after_the_other() {
    let mut study = study("slots = 3", "");
    let mut w = World::new(&mut study, vec![]);
    for n in 1..=3 {
        assert_eq!(w.running.len(), n - 1);
        w.answer();
    }
    assert_eq!((w.running.as_slice(), w.question.is_some()), (&[(1, 1), (2, 1), (3, 1)][..], false));
    w.passes(Duration::from_secs(1));
    assert!(w.question.is_none(), "no slot is free");
    w.completes(2);
    w.answer();
    assert_eq!(w.running, [(1, 1), (3, 1), (4, 1)]);
    assert_eq!(w.told[0], "study_started");
}

#[test]
fn what_ends_while_the_optimizer_thinks_is_journalled_after_its_answer() {
    let mut study = study("slots = 2", "");
    let mut w = World::new(&mut study, vec![]);
    w.answer();
    assert!(w.question.is_some());
    w.completes(1);
    assert_eq!(w.journal, ["suggested 1", "launched 1"]);
    w.answer();
    assert_eq!(w.journal[2..4], ["suggested 2", "launched 2"]);
    // The slot of trial 1 counted as taken until now.
    assert_eq!(w.journal[4..], ["completed 1"]);
    assert!(w.question.is_some());
    // Whoever wants to end waits for no answer.
    w.completes(2);
    w.on(Input::Interrupted);
    assert_eq!(w.journal[5..], ["completed 2", "halted"]);
    assert!(w.was_interrupted());
}

#[test]
fn the_first_interruption_waits_and_the_second_kills() {
    let mut study = study("slots = 2", "");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    w.on(Input::Interrupted);
    assert_eq!((w.kills, w.running.len()), (0, 2));
    w.completes(1);
    assert!(w.question.is_none() && w.end.is_none(), "nothing more is launched");
    w.on(Input::Interrupted);
    assert_eq!(w.kills, 1);
    w.ends(2, End::Killed, None);
    assert_eq!(w.journal[w.journal.len() - 3..], ["completed 1", "interrupted 2", "halted"]);
    assert!(w.was_interrupted());
    assert_eq!(w.told[w.told.len() - 2..], ["trial_interrupted", "study_interrupted"]);
}

#[test]
fn a_failed_trial_is_tried_as_often_as_allowed() {
    let mut study = study("slots = 1\nretries = 2", "[budget]\ntrials = 2");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    for attempt in 1..=3 {
        assert_eq!(w.running, [(1, attempt)]);
        w.fails(1);
    }
    w.answers();
    assert_eq!(w.running, [(2, 1)]);
    // What was lost through no fault of its own costs no retry.
    for attempt in 1..=4 {
        assert_eq!(w.running, [(2, attempt)]);
        w.ends(2, End::Lost("preempted".into()), None);
    }
    w.completes(2);
    assert_eq!((w.finished(), w.count("failed 1"), w.count("interrupted 2")), (StopReason::Trials, 3, 4));
}

#[test]
fn a_diverged_trial_is_tried_again_only_where_that_is_configured() {
    for (retries, attempts) in [(0, 1), (1, 2)] {
        let mut study = study(&format!("slots = 1\nretry_diverged = {retries}"), "");
        let mut w = World::new(&mut study, vec![]);
        w.answer();
        for _ in 0..attempts {
            w.ends(1, End::Exited(None), Some(Ok(Outcome::Diverged("loss is NaN".into()))));
        }
        assert_eq!((w.count("diverged 1"), w.running.len()), (attempts, 0));
    }
}

#[test]
fn too_many_failures_end_the_study_once_nothing_runs() {
    let launcher = "slots = 2\nretries = 0\nmax_failure_rate = 0.5";
    let mut study = study(launcher, "[optimizer]\ninitial = 8");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    for trial in 1..=5 {
        assert!(w.end.is_none());
        w.fails(trial);
        if trial < 5 {
            w.answers();
        }
    }
    assert!(w.end.is_none() && w.question.is_none() && w.running == [(6, 1)], "trial 6 is waited for");
    w.completes(6);
    let Some(Err(RunError::FailureRate { failed, finished, reason, .. })) = &w.end else { panic!("{:?}", w.end) };
    assert_eq!((*failed, *finished, reason.as_str()), (5, 5, "it broke"));
    assert_eq!(w.journal.last().unwrap(), "halted");
    assert_eq!(w.told.last(), Some(&"study_failed"));
}

#[test]
fn an_interruption_kills_what_a_failing_study_waits_for() {
    let mut study = study("slots = 2\nretries = 0\nmax_failure_rate = 0.0", "[optimizer]\ninitial = 8");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    for trial in 1..=5 {
        w.fails(trial);
        if trial < 5 {
            w.answers();
        }
    }
    w.on(Input::Interrupted);
    assert_eq!(w.kills, 1);
    w.ends(6, End::Killed, None);
    assert!(w.was_interrupted());
}

#[test]
fn failures_while_an_interruption_is_waited_for_change_nothing() {
    let mut study = study("slots = 2\nretries = 0\nmax_failure_rate = 0.0", "[optimizer]\ninitial = 8");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    for trial in 1..=4 {
        w.fails(trial);
        w.answers();
    }
    w.on(Input::Interrupted);
    w.fails(5);
    assert!(w.end.is_none());
    w.completes(6);
    assert!(w.was_interrupted());
}

#[test]
fn attempts_that_come_to_nothing_do_not_go_on_for_ever() {
    let mut study = study("slots = 1\nretries = 100", "[budget]\ncost = 3.5");
    let mut w = World::new(&mut study, vec![]);
    w.answer();
    let mut attempts = 0;
    while w.end.is_none() {
        w.fails(1);
        attempts += 1;
    }
    assert!(matches!(&w.end, Some(Err(RunError::Fruitless { .. }))), "{:?}", w.end);
    let small = w.machine.study.config().fidelities.find("small");
    let cost = if Some(w.machine.study.trials()[0].fidelity) == small { 1 } else { 4 };
    assert_eq!(attempts, 4_usize.div_ceil(cost), "as many as the budget allows, and one");
}

#[test]
fn a_complete_trial_forgives_what_came_to_nothing_before() {
    let mut study = study("slots = 1\nretries = 100", "[budget]\ncost = 20.0\n[optimizer]\ntarget_only = true");
    let mut w = World::new(&mut study, vec![]);
    for trial in 1..=2 {
        w.answers();
        // Five attempts at the target would be as dear as the budget allows.
        for _ in 0..4 {
            w.fails(trial);
        }
        w.completes(trial);
        assert!(w.end.is_none(), "{:?}", w.end);
    }
}

#[test]
fn what_cannot_be_started_waits_for_growing_pauses() {
    let mut study = study("slots = 2", "");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    let refused = |w: &mut World<'_>, trial| w.ends(trial, End::NotStarted("no queue".into()), None);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        refused(&mut w, 1);
        refused(&mut w, 2);
        assert!(w.running.is_empty() && w.question.is_none());
        let pause = w.machine.wakes().expect("it is tried again") - w.now;
        w.passes(pause - Duration::from_millis(1));
        assert!(w.running.is_empty());
        w.passes(Duration::from_millis(1));
        assert_eq!(w.running, [(1, 1), (2, 1)], "the same attempts");
        assert_eq!(w.machine.wakes(), None);
        pauses.push(pause);
    }
    assert!(pauses.windows(2).all(|p| p[0] < p[1]), "{pauses:?}");
    assert_eq!(w.told.iter().filter(|event| **event == "trial_not_started").count(), 1);
    // One that starts ends the pauses; while there are any, nothing new is decided on.
    w.on(Input::Started((1, 1, Handle::of(&serde_json::json!({"mock": 1})))));
    w.completes(2);
    assert!(w.question.is_some());
    assert!(w.journal.contains(&"submitted 1".to_owned()));
}

#[test]
fn wall_time_ends_the_search_after_what_runs() {
    let mut study = study("slots = 2", "[budget]\nwall_time = \"1h\"");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    w.passes(Duration::from_secs(3599));
    w.completes(1);
    assert!(w.question.is_some());
    w.passes(Duration::from_secs(1));
    // The answer comes too late.
    w.answers();
    assert_eq!((w.count("suggested"), w.running.as_slice()), (2, &[(2, 1)][..]));
    w.fails(2);
    assert_eq!((w.finished(), w.running.len()), (StopReason::WallTime, 0));
    assert!(w.journal.contains(&"stopped".to_owned()) && !w.journal.contains(&"halted".to_owned()));
}

#[test]
fn budgets_count_what_is_under_way() {
    for (budget, reason) in [("cost = 3.5", StopReason::Budget), ("trials = 3", StopReason::Trials)] {
        let mut study = study("slots = 8", &format!("[budget]\n{budget}\n[optimizer]\ninitial = 2"));
        let mut w = World::new(&mut study, vec![]);
        w.answers();
        assert!((1..=3).contains(&w.running.len()), "{:?}", w.running);
        for (trial, _) in w.running.clone() {
            assert!(w.end.is_none());
            w.completes(trial);
            w.answers();
        }
        while let Some((trial, _)) = w.running.first().copied() {
            w.completes(trial);
            w.answers();
        }
        assert_eq!(w.finished(), reason, "{budget}");
        assert!(w.count("completed") <= 3);
    }
}

#[test]
fn a_budget_that_is_committed_is_not_spent() {
    let mut study = study("slots = 2", "[budget]\ncost = 1.5");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    assert_eq!((w.running.as_slice(), w.end.is_none()), (&[(1, 1)][..], true));
    // It was cheaper than expected: there is room for another one.
    w.completes_at(1, Some(0.25));
    w.answers();
    assert_eq!(w.running, [(2, 1)]);
    w.completes_at(2, Some(1.0));
    assert_eq!(w.finished(), StopReason::Budget);
}

#[test]
fn the_recommendation_is_confirmed_before_the_end() {
    let mut study = study("slots = 2", "[budget]\ntrials = 2\n[confirm]\nseeds = 2");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    w.completes(1);
    w.completes(2);
    let mut confirmed = 0;
    while let Some((trial, _)) = w.running.first().copied() {
        assert!(w.end.is_none());
        w.completes(trial);
        confirmed += 1;
    }
    assert_eq!((confirmed, w.finished()), (4, StopReason::Trials));
    assert_eq!(w.count("stopped"), 1, "{:?}", w.journal);
}

#[test]
fn a_search_without_a_complete_run_recommends_nothing() {
    let mut study = study("slots = 1\nretries = 0\nmax_failure_rate = 1.0", "[budget]\ntrials = 1");
    let mut w = World::new(&mut study, vec![]);
    w.answers();
    w.fails(1);
    assert!(matches!(&w.end, Some(Err(RunError::NothingComplete { reason: StopReason::Trials, .. }))), "{:?}", w.end);
}

/// A trial at the target.
fn suggest(study: &mut Study, trial: u64) {
    let mixture = study.config().space.uniform();
    let suggested = study.suggestion(&Plan {
        mixture: &mixture,
        fidelity: study.config().fidelities.target(),
        purpose: Purpose::Search,
        seed_index: trial,
        expected: None,
        offered: &[],
        incumbent: None,
    });
    study.assume(suggested).unwrap();
}

/// A study whose first two trials were running when `admire` was killed; of neither the journal has a handle.
fn left_running(study: &mut Study) -> Vec<Facts> {
    for trial in 1..=2 {
        suggest(study, trial);
        let (backend, job) = (Some("mock".into()), Some(format!("t-{trial}-1")));
        study.assume(Event::Launched { trial, attempt: 1, backend, job, result: None }).unwrap();
    }
    study.trials().iter().map(|trial| super::facts(study, trial, Path::new("/study"))).collect()
}

#[test]
fn attempts_of_an_earlier_run_are_taken_over() {
    let mut study = study("slots = 2", "[budget]\ntrials = 2");
    let facts = left_running(&mut study);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mock = Mock::new(|_| Box::pin(std::future::pending()));
    let (launcher, mut reports) = launcher(study.config(), mock);
    let running = runtime.block_on(async {
        let (_kill, killed) = tokio::sync::watch::channel(true);
        launcher.run(&facts[0], Some("t-1-1"), killed).await.unwrap();
        reports.recv().await.unwrap().2
    });
    let left = |facts: &Facts| Attempt {
        trial: facts.trial,
        attempt: 1,
        end: End::Exited(None),
        duration: None,
        news: News::default(),
        report: None,
    };
    let mut w = World::new(&mut study, vec![Adopted::Over(left(&facts[1]))]);
    assert_eq!(w.journal, ["resumed"]);
    let launch = Launch { backend: "mock".into(), name: Some("t-1-1".into()), handle: None };
    let found = Box::new(Found(running));
    let adopted = vec![Adopted::Running(facts[0].clone(), launch, found), w.left.pop().unwrap()];
    w.on(Input::Adopted(adopted));
    // The handle was not journalled; the other one died, and starts again.
    assert_eq!(w.journal[1..], ["submitted 1", "interrupted 2", "launched 2"]);
    assert_eq!((w.running.as_slice(), w.told[1]), (&[(1, 1), (2, 2)][..], "trial_adopted"));
    w.completes(1);
    w.completes(2);
    assert_eq!(w.finished(), StopReason::Trials);
}

/// An attempt that is recognized by a handle.
#[derive(Debug)]
struct Found(Handle);

impl crate::launcher::Running for Found {
    fn handle(&self) -> Option<Handle> {
        Some(self.0.clone())
    }

    fn wait(
        self: Box<Self>,
        _: tokio::sync::watch::Receiver<bool>,
    ) -> crate::launcher::BoxFuture<'static, std::io::Result<crate::launcher::Ending>> {
        unreachable!("the world ends it")
    }
}

#[test]
fn an_interruption_while_attempts_are_looked_for_leaves_them_alone() {
    let mut study = study("slots = 2", "");
    let facts = left_running(&mut study);
    let gone = Attempt {
        trial: facts[0].trial,
        attempt: 1,
        end: End::Unknown,
        duration: None,
        news: News::default(),
        report: None,
    };
    let mut w = World::new(&mut study, vec![Adopted::Over(gone)]);
    w.on(Input::Interrupted);
    assert!(w.was_interrupted());
    assert_eq!((w.journal.as_slice(), w.kills), (&["resumed".to_owned(), "halted".to_owned()][..], 0));
}

#[test]
fn the_driver_runs_a_study_on_a_mock_backend() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("run");
    let mut study = Study::open(config(&dir, "slots = 2", "[budget]\ntrials = 4"), Duration::ZERO).unwrap();
    let train = |facts: Facts| async move {
        fs::write(facts.result_file(), format!("{{\"loss\": {}}}", facts.weights["a"])).unwrap();
        End::Exited(None)
    };
    let mock = Mock::new(move |facts| Box::pin(train(facts)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen().unwrap();
        let (launcher, reports) = launcher(study.config(), mock);
        let dir = dir.canonicalize().unwrap();
        Driver::new(&mut study, launcher, reports, &dir, |_| {}).run(&mut signals).await
    });
    assert_eq!(ended.unwrap(), Ended::Finished(StopReason::Trials));
    drop(study);
    // All of it is in the journal.
    let study = Study::read(config(&dir, "slots = 2", "[budget]\ntrials = 4")).unwrap();
    assert_eq!((study.counts().complete, study.stopped().map(|s| s.reason)), (4, Some(StopReason::Trials)));
    let journal = fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"backend\":\"mock\",\"job\":\"t-").count(), 4);
    assert_eq!(journal.matches("\"event\":\"submitted\"").count(), 4);
}
