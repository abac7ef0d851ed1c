//! Running trials that are ended early, and continued.

use super::suggest;
use super::world::{World, study};
use crate::launcher::End;
use crate::problem::{Completed, Progress, RunId};
use crate::runner::machine::Input;
use crate::study::{Ending, Event, Study};

/// Five trials are complete, whose ends are 1 less than they were halfway; the sixth runs, and has reported.
fn halfway(w: &mut World<'_>) {
    for trial in 1..=5 {
        w.answers();
        w.reports(trial, 50.0, trial as f64 + 1.0);
        assert!(w.weighing.is_none(), "nobody knows what its curve says");
        w.completes(trial);
    }
    w.answers();
    w.reports(6, 50.0, 9.0);
}

const STOPS_EARLY: &str = "[optimizer]\nstop_early = true\ntarget_only = true\ninitial = 5";

#[test]
fn a_hopeless_trial_is_ended_after_that_is_journalled() {
    let mut study = study("slots = 1", STOPS_EARLY);
    let mut w = World::new(&mut study, vec![]);
    halfway(&mut w);
    w.weighs(None);
    assert!(w.weighing.is_none() && w.ends_asked.is_empty(), "only what is new is weighed");
    w.reports(6, 60.0, 9.0);
    let [running] = &w.weighing.as_ref().unwrap().1[..] else { panic!("{:?}", w.weighing) };
    assert_eq!(running.share_done, 0.6);
    w.weighs(Some(6));
    assert_eq!((w.journal.last().unwrap().as_str(), w.ends_asked.as_slice()), ("trial_stopping 6", &[6][..]));
    w.reports(6, 70.0, 9.0);
    assert!(w.weighing.is_none(), "it is being ended");
    // However it ends: without a result it is stopped, and its slot is free.
    w.ends(6, End::Failed("out of memory".into()), None);
    assert_eq!((w.count("trial_stopped 6"), w.count("failed"), w.question.is_some()), (1, 0, true));
    assert!(w.told.ends_with(&["trial_stopping", "trial_stopped"]));
    // What it had trained on in the end.
    assert!((w.machine.study.spent().cost - (5.0 * 4.0 + 0.7 * 4.0)).abs() < 1e-9);
}

#[test]
fn a_trial_that_comes_to_its_end_all_the_same_is_complete() {
    let mut study = study("slots = 1", STOPS_EARLY);
    let mut w = World::new(&mut study, vec![]);
    halfway(&mut w);
    w.weighs(Some(6));
    w.completes(6);
    assert_eq!((w.count("completed 6"), w.count("trial_stopped")), (1, 0));
}

#[test]
fn what_is_interrupted_ends_nothing_for_being_hopeless() {
    let mut study = study("slots = 1", STOPS_EARLY);
    let mut w = World::new(&mut study, vec![]);
    halfway(&mut w);
    w.on(Input::Interrupted);
    w.weighs(Some(6));
    assert_eq!((w.count("trial_stopping"), w.ends_asked.len()), (0, 0));
    // And without the key, nothing is weighed.
    let mut study = study_without();
    let mut w = World::new(&mut study, vec![]);
    halfway(&mut w);
    assert!(w.weighing.is_none());
}

fn study_without() -> Study {
    study("slots = 1", &STOPS_EARLY.replace("stop_early = true", "stop_early = false"))
}

/// Trial 6 was ended after 60 % of its tokens.
fn ended_early(w: &mut World<'_>) {
    halfway(w);
    w.reports(6, 60.0, 9.0);
    w.weighs(None);
    w.reports(6, 70.0, 9.0);
    w.weighs(Some(6));
    w.ends(6, End::Killed, None);
}

#[test]
fn a_trial_that_was_ended_is_continued_in_place_of_a_new_one_after_that_is_journalled() {
    let mut study = study("slots = 1\nresumable = true", STOPS_EARLY);
    let mut w = World::new(&mut study, vec![]);
    ended_early(&mut w);
    let [stopped] = &w.question.as_ref().unwrap().1[..] else { panic!("{:?}", w.question) };
    assert_eq!((stopped.end.run, stopped.share_done), (RunId::Trial(6), 0.7));
    w.continues(6);
    assert_eq!((w.count("suggested"), w.running.as_slice()), (6, &[(6, 2)][..]));
    let last: Vec<&str> = w.journal.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!((last, w.told.last()), (vec!["launched 6", "trial_continued 6"], Some(&"trial_continued")));
    // It has to say something new before it can be ended again; what it had said stays.
    w.reports(6, 70.0, 9.0);
    assert!(w.weighing.is_none());
    w.reports(6, 80.0, 9.0);
    assert_eq!(w.weighing.as_ref().map(|(_, running)| running[0].share_done), Some(0.8));
    w.weighs(Some(6));
    w.ends(6, End::Killed, None);
    assert!((w.machine.study.spent().cost - (5.0 * 4.0 + 0.8 * 4.0)).abs() < 1e-9);
    w.continues(6);
    w.completes(6);
    assert_eq!((w.count("completed 6"), w.machine.study.spent().cost), (1, 6.0 * 4.0));
}

#[test]
fn no_trial_is_continued_that_cannot_be_or_whose_rest_the_budget_does_not_pay_for() {
    // Five trials are complete, and trial 6 was ended after 70 % of its tokens: 22.8 are spent, and its rest costs 1.2.
    let may_be_continued = |launcher: &str, cost: f64| {
        let mut study = study(launcher, &format!("[budget]\ncost = {cost}"));
        for trial in 1..=6 {
            suggest(&mut study, trial);
            let loss = |more: f64| [("loss".to_owned(), trial as f64 + more)].into();
            let progress = Progress { step: None, tokens: Some(70.0), metrics: loss(1.0) };
            study.assume(Event::Progress { trial, attempt: 1, progress }).unwrap();
            let outcome = Completed { metrics: loss(0.0), ..Completed::default() };
            let ending = Ending { share: 0.7, probability: 0.0, reason: String::new() };
            let ends = match trial {
                6 => vec![
                    Event::TrialStopping { trial, ending },
                    Event::TrialStopped { trial, share: 0.7, duration: None },
                ],
                _ => vec![Event::Completed { trial, outcome }],
            };
            ends.into_iter().for_each(|event| study.assume(event).unwrap());
        }
        World::new(&mut study, vec![]).question.expect("a small trial can be paid for").1.len()
    };
    assert_eq!(may_be_continued("slots = 1", 24.0), 0);
    assert_eq!(may_be_continued("slots = 1\nresumable = true", 24.0), 1);
    assert_eq!(may_be_continued("slots = 1\nresumable = true", 23.9), 0);
}
