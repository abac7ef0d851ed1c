//! The loop through a queue whose programs the config states: the recipes of docs/queues.md, on scripts that stand in for
//! Slurm's programs and, where they answer, on a real Slurm and a real Grid Engine.

#[path = "common/queue.rs"]
mod queue;
#[path = "common/recipe.rs"]
mod recipe;
#[path = "common/study.rs"]
mod study;

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use queue::{Queued, WAITS};
use recipe::{answers, recipe};
use study::{Fixture, GOOD, code, signal, stderr, until};

const ONE: (&str, &str) = ("slots = 1\nretries = 0\npoll = \"1s\"", "[budget]\ntrials = 1");

/// Jobs are known by their names.
fn by_name() -> String {
    recipe("Slurm")
}

/// Jobs are known by their ids.
fn by_id() -> String {
    let recipe = recipe("Slurm").replace("format=%T\", \"--name={job}", "format=%T\", \"--jobs={id}");
    recipe.replace("\"--name={job}", "\"{id}")
}

fn one_trial(script: &str, programs: &str) -> Queued {
    Queued::stub(script, ONE.0, ONE.1).stated(programs)
}

fn trained(q: &Queued) -> usize {
    q.0.lines("ledger").len()
}

/// A study on every queue that answers here.
fn everywhere(script: &str, launcher: &str, extra: &str) -> Vec<Queued> {
    let mut all = vec![
        Queued::stub(script, launcher, extra).stated(&by_name()),
        Queued::stub(script, launcher, extra).stated(&by_id()),
    ];
    for heading in ["Slurm", "Grid Engine"] {
        if answers(heading) {
            all.push(Queued::real(script, launcher, extra).stated(&recipe(heading)));
        }
    }
    all
}

#[test]
fn every_recipe_is_a_valid_config() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/queues.md")).unwrap();
    let f = Fixture::new("", "", "");
    let config = fs::read_to_string(f.path("study.toml")).unwrap();
    let (config, _) = config
        .replace("small", "60M")
        .replace("large", "1B")
        .split_once("[launcher]")
        .map(|(head, tail)| (head.to_owned(), tail.to_owned()))
        .unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 7);
    for block in blocks {
        f.write("study.toml", &format!("{config}{block}"));
        let output = f.run("check", &[]);
        assert_eq!(code(&output), Some(0), "{block}{}", stderr(&output));
    }
}

#[test]
fn a_study_completes_and_a_training_error_is_a_failure() {
    let script = format!("printf '%s\\n' \"$ODD\" >> ledger; [ $3 != 2 ] || exit 3; {GOOD}");
    let launcher = "slots = 3\nretries = 0\npoll = \"1s\"\nenv = { ODD = '''it's \"$HOME\" `id` <b> \\''' }";
    for q in everywhere(&script, launcher, "[budget]\ntrials = 3") {
        let said = q.finish();
        assert_eq!((q.count("submitted"), q.count("completed"), q.count("failed")), (3, 2, 1), "{said}");
        assert_eq!(q.0.of("failed")[0]["reason"], "the command ended with exit status: 3");
        assert_eq!(q.0.lines("ledger"), [r#"it's "$HOME" `id` <b> \"#; 3]);
        let name = q.0.of("launched")[0]["job"].as_str().unwrap().to_owned();
        assert!(name.starts_with("admire-t-1-1-") && q.0.of("submitted")[0]["id"].is_string(), "{name}");
        assert!(q.0.of("completed").iter().all(|event| event["duration"].is_number()));
    }
}

#[test]
fn jobs_are_taken_over_after_a_crash_and_cancelled_when_asked_to() {
    for q in everywhere(&format!("{WAITS}{GOOD}"), "slots = 2\nretries = 0\npoll = \"1s\"", "[budget]\ntrials = 2") {
        q.orphan(2);
        let mut child = q.start();
        until("the jobs to be taken over", || {
            q.0.lines("log").iter().filter(|l| l.contains("still running")).count() == 2
        });
        until("the end", || {
            signal(&child, Signal::SIGINT);
            child.try_wait().unwrap().is_some()
        });
        assert_eq!(child.wait().unwrap().code(), Some(130), "{:#?}", q.0.lines("log"));
        assert_eq!((q.count("submitted"), q.count("interrupted"), trained(&q)), (2, 2, 2));
        let child = q.start();
        until("the trainers again", || trained(&q) == 4);
        q.0.write("go", "");
        q.wait(child, 0);
        assert_eq!((q.count("submitted"), q.count("completed"), q.count("failed"), trained(&q)), (4, 2, 0, 4));
    }
}

#[test]
fn a_job_whose_submission_outlived_admire_is_found() {
    for programs in [by_name(), by_id()] {
        let q = one_trial(&format!("{WAITS}{GOOD}"), &programs);
        q.fake("sbatch", "sbatch \"$@\"; while [ ! -e answered ]; do sleep 0.02; done");
        let mut child = q.start();
        until("the trainer", || trained(&q) == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(q.count("submitted"), 0);
        // As if the job still waited.
        fs::remove_file(q.0.path("run/trials/0001/job.1.txt")).unwrap();
        let child = q.start();
        until("it to wait", || {
            q.0.lines("log").iter().any(|line| line.contains("waiting for the submission of admire-t-1-1"))
        });
        q.0.write("answered", "");
        until("the job to be taken over", || q.0.lines("log").iter().any(|line| line.contains("still running")));
        q.0.write("go", "");
        q.wait(child, 0);
        assert_eq!((q.count("launched"), q.count("completed"), trained(&q)), (1, 1, 1), "{:#?}", q.0.lines("log"));
    }
}

#[test]
fn a_submission_that_only_seems_to_fail_trains_once() {
    let claimed = "until [ -s run/trials/0001/job.1.txt ]; do sleep 0.02; done";
    for (programs, submit) in [
        // It has begun before the next try, so that there is none.
        (by_name(), format!("sbatch \"$@\" >/dev/null; {claimed}; exit 1")),
        (by_id(), format!("sbatch \"$@\" >/dev/null; {claimed}; exit 1")),
        // It turns up just before the next try's job, or after it.
        (
            by_id(),
            format!(
                "[ -e asked ] || {{ touch asked; exit 1; }}; sbatch run/trials/0001/job.1/1.sh >/dev/null; {claimed}; sbatch \"$@\""
            ),
        ),
        (
            by_id(),
            format!(
                "[ -e asked ] || {{ touch asked; exit 1; }}; sbatch \"$@\"; {claimed}; sbatch run/trials/0001/job.1/1.sh >/dev/null"
            ),
        ),
    ] {
        let q = one_trial(&format!("{WAITS}{GOOD}"), &programs);
        q.fake("sbatch", &submit);
        let child = q.start();
        until("the trainer", || trained(&q) == 1 && q.count("submitted") == 1);
        q.0.write("go", "");
        q.wait(child, 0);
        assert_eq!((trained(&q), q.count("completed"), q.count("failed")), (1, 1, 0), "{submit}");
    }
}

#[test]
fn a_job_of_unknown_id_is_left_in_the_queue() {
    let q = one_trial(&format!("{WAITS}{GOOD}"), &by_id());
    q.fake("sbatch", "sbatch \"$@\" >/dev/null; until [ -s run/trials/0001/job.1.txt ]; do sleep 0.02; done; exit 1");
    let mut child = q.start();
    until("the trainer", || trained(&q) == 1 && q.count("submitted") == 1);
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert!(q.0.lines("log").iter().any(|line| line.contains("its id is not known; cancel it by hand")));
    q.0.write("go", "");
    q.finish();
    assert_eq!((trained(&q), q.count("launched"), q.count("completed")), (1, 2, 1));
}

#[test]
fn a_job_whose_id_cannot_be_read_is_not_submitted_again() {
    for (print, shown) in [("echo 'Job <1> is submitted to queue <normal>.'", "<normal>."), ("true", "(nothing)")] {
        let q = one_trial(&format!("{WAITS}{GOOD}"), &by_id());
        q.fake("sbatch", &format!("HOLD=1 sbatch \"$@\" >/dev/null; {print}"));
        let child = q.start();
        until("a few refusals", || q.count("interrupted") == 3);
        let reasons: Vec<String> = q.0.of("interrupted").iter().map(|event| event["reason"].to_string()).collect();
        assert!(reasons.iter().all(|reason| reason.contains("is no id") && reason.contains(shown)), "{reasons:?}");
        assert_eq!(fs::read_dir(q.0.path("queue")).unwrap().count(), 1);
        q.unfake("sbatch");
        fs::remove_file(q.0.path("run/trials/0001/job.1/1.out")).unwrap();
        until("the trainer", || trained(&q) == 1);
        q.0.write("go", "");
        q.wait(child, 0);
        assert_eq!((trained(&q), q.count("completed")), (1, 1));
    }
}

#[test]
fn a_queue_that_fails_or_says_new_words_is_waited_for() {
    let q = one_trial(&format!("{WAITS}{GOOD}"), &by_id());
    let child = q.start();
    let said = |words: &str| q.0.lines("log").iter().filter(|line| line.contains(words)).count();
    until("the trainer", || trained(&q) == 1 && q.count("submitted") == 1);
    q.0.write("queue/down", "");
    until("a warning", || said("cannot look at the jobs (slurm_load_jobs error") == 1);
    fs::remove_file(q.0.path("queue/down")).unwrap();
    until("an answer", || said("the jobs can be looked at again") == 1);
    q.fake("squeue", "echo STAGE_OUT");
    until("a new word", || said("prints `STAGE_OUT`, of which launcher.states has no word") == 1);
    q.unfake("squeue");
    q.0.write("go", "");
    q.wait(child, 0);
    assert_eq!((q.count("completed"), q.count("interrupted"), said("cannot look"), said("STAGE_OUT")), (1, 0, 1, 1));
}

#[test]
fn what_a_job_has_written_decides_where_the_queue_does_not_say() {
    for status in ["exit 0", "echo 'no such job' >&2; exit 1"] {
        let q = one_trial(&format!("{WAITS}{GOOD}"), &by_id());
        let child = q.start();
        until("the trainer", || trained(&q) == 1 && q.count("submitted") == 1);
        q.fake("squeue", status);
        q.0.write("go", "");
        until("the result", || q.count("completed") == 1);
        q.wait(child, 0);
        assert_eq!((trained(&q), q.count("completed"), q.count("interrupted")), (1, 1, 0), "{status}");
    }
}

#[test]
fn a_lost_job_is_no_failure_and_a_killed_one_is() {
    for (state, outcome) in
        [("NODE_FAIL", "the job was lost (NODE_FAIL)"), ("TIMEOUT", "the job failed; see stderr.log")]
    {
        let script = format!("echo $ADMIRE_ATTEMPT >> ledger; [ $ADMIRE_ATTEMPT = 2 ] || exec sleep 1000; {GOOD}");
        let q = Queued::stub(&script, "slots = 1\nretries = 1\npoll = \"1s\"", ONE.1).stated(&by_name());
        let child = q.start();
        until("the trainer", || trained(&q) == 1 && q.count("submitted") == 1);
        Command::new("kill").args(["-KILL", "--", &format!("-{}", q.0.lines("queue/1/pid")[0])]).status().unwrap();
        q.0.write("queue/1/state", state);
        q.wait(child, 0);
        let failed = state == "TIMEOUT";
        let end = &q.0.of(if failed { "failed" } else { "interrupted" })[0];
        assert_eq!((end["reason"].as_str(), q.0.lines("ledger")), (Some(outcome), vec!["1".into(), "2".into()]));
        assert_eq!((q.count("failed"), q.count("completed")), (usize::from(failed), 1));
    }
}

#[test]
fn a_trial_beyond_its_time_out_is_cancelled() {
    let q = one_trial("exec sleep 1000", &by_id());
    q.0.edit("retries = 0", "retries = 0\ntimeout = 1");
    q.end_in_vain();
    assert_eq!(q.0.of("failed")[0]["reason"], "timed out after 1 s");
    assert_eq!(q.0.lines("queue/1/state"), ["CANCELLED"]);
}

#[test]
fn jobs_cannot_be_taken_over_without_their_programs() {
    let q = one_trial(&format!("{WAITS}{GOOD}"), &by_name());
    q.orphan(1);
    let config = fs::read_to_string(q.0.path("study.toml")).unwrap();
    let keys = config.find("submit =").unwrap()..config.find("[budget]").unwrap();
    let mut local = config.clone();
    local.replace_range(keys, "");
    q.0.write("study.toml", &local.replace("kind = \"queue\"", "kind = \"local\"").replace("poll = \"1s\"", ""));
    let output = q.run();
    assert!(
        code(&output) != Some(0) && stderr(&output).contains("set launcher.kind = \"queue\""),
        "{}",
        stderr(&output)
    );
    q.0.write("study.toml", &config);
    q.0.write("go", "");
    q.finish();
    assert_eq!((q.count("launched"), q.count("completed"), trained(&q)), (1, 1, 1));
}

#[test]
fn check_shows_how_a_job_is_submitted() {
    let q = one_trial(GOOD, &by_name());
    q.0.edit("[launcher.states]", "fidelity = { small = ['--mem=1G', 'a b'] }\n[launcher.states]");
    let first = q.0.json("check", &["-q"])["first_trial"].clone();
    let submit: Vec<&str> = first["submit"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!((submit[0], &submit[4..6]), ("sbatch", &["--mem=1G", "a b"][..]));
    assert!(submit[6].ends_with("trials/0001/job.1/1.sh"), "{submit:?}");
    assert!(first["script"].as_str().unwrap().contains("export ADMIRE_TRIAL_ID='1'"));
    q.0.edit("\"{script}\"", "\"--wrap={command}\"");
    let submit = q.0.json("check", &["-q"])["first_trial"]["submit"][6].as_str().unwrap().to_owned();
    assert!(submit.starts_with("--wrap=sh '/") && submit.ends_with("/job.1/1.sh'"), "{submit}");
    let text = String::from_utf8(q.0.run("check", &["-q"]).stdout).unwrap();
    assert!(text.contains("is submitted by:\n  sbatch --parsable --job-name=admire-t-1-1-"), "{text}");
}
