//! What goes wrong between `admire` and Slurm, with scripts in place of Slurm's programs.

#[path = "common/queue.rs"]
mod queue;
#[path = "common/study.rs"]
mod study;

use std::fs;

use nix::sys::signal::Signal;
use queue::{FORGETFUL, Queued, WAITS};
use study::{GOOD, alive, signal, until};

const TIMED_OUT: &str =
    "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";

fn one_trial(script: &str) -> Queued {
    Queued::stub(script, "slots = 1\nretries = 0\npoll = \"1s\"", "[budget]\ntrials = 1")
}

fn reasons(q: &Queued) -> Vec<String> {
    let interrupted = q.0.of("interrupted");
    assert!(interrupted.iter().all(|e| e["cause"] == "not_started" && e["attempt"] == 1), "{interrupted:?}");
    interrupted.iter().map(|e| e["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_refused_trial_is_tried_again_and_costs_nothing() {
    let q = one_trial(GOOD);
    q.0.write("queue/refusal", "sbatch: error: QOSGrpSubmitJobsLimit\nsbatch: error: job submit limit\n");
    let child = q.start();
    until("three refusals", || q.0.lines("queue/refused").len() == 3);
    fs::remove_file(q.0.path("queue/refusal")).unwrap();
    q.wait(child, 0);
    let refused = "cannot submit: sbatch: error: QOSGrpSubmitJobsLimit; sbatch: error: job submit limit";
    assert_eq!(reasons(&q), [refused; 3]);
    let said = q.0.lines("log").join("\n");
    assert_eq!(said.matches(refused).count(), 1, "{said}");
    assert!(said.contains("is tried again after growing pauses"), "{said}");
    assert_eq!((q.count("failed"), q.count("completed"), &q.0.of("launched")[3]["attempt"]), (0, 1, &1.into()));
}

#[test]
fn a_refused_study_ends_at_once_when_interrupted() {
    for missing in [false, true] {
        let q = one_trial(GOOD);
        let mut command = q.command();
        if missing {
            q.fake("squeue", "exit 0");
            command.env("PATH", q.0.path("bin"));
        } else {
            q.0.write("queue/refusal", "sbatch: error: Batch job submission failed: Protocol authentication error");
        }
        let child = q.spawn(command);
        until("a few refusals", || q.count("interrupted") == 4);
        signal(&child, Signal::SIGINT);
        q.wait(child, 130);
        let expected = if missing { "cannot run sbatch" } else { "authentication error" };
        assert!(reasons(&q).iter().all(|reason| reason.contains(expected)), "{:?}", reasons(&q));
        let obstacle = if missing { "bin/squeue" } else { "queue/refusal" };
        fs::remove_file(q.0.path(obstacle)).unwrap();
        q.finish();
        assert_eq!((q.count("completed"), q.count("failed")), (1, 0));
    }
}

#[test]
fn an_interrupt_does_not_wait_for_an_sbatch_that_hangs() {
    let q = one_trial(GOOD);
    q.fake("sbatch", "sleep 1000 & echo $$ $! > pids.tmp; mv pids.tmp pids; wait");
    let pids = || fs::read_to_string(q.0.path("run/trials/0001/pids"));
    let child = q.start();
    until("sbatch", || pids().is_ok());
    signal(&child, Signal::SIGINT);
    q.wait(child, 130);
    assert!(q.0.lines("log").join("\n").contains("the next run finds out whether admire-t-1-1 is"));
    until("its end", || pids().unwrap().split_whitespace().all(|pid| !alive(pid)));
    q.unfake("sbatch");
    q.finish();
    assert_eq!(reasons(&q), ["it was never submitted"]);
    assert_eq!((q.count("launched"), q.count("submitted"), q.count("completed")), (2, 1, 1));
}

#[test]
fn a_job_that_seemed_to_be_refused_is_taken_even_when_it_is_over() {
    // The second attempt: files of the first are not to be overwritten either.
    let script = format!("echo $ADMIRE_ATTEMPT | tee -a ledger; [ $ADMIRE_ATTEMPT = 2 ] || exit 3; {GOOD}");
    let q = Queued::stub(&script, "slots = 1\nretries = 1\npoll = \"1s\"", "[budget]\ntrials = 1");
    let lost = format!("sbatch \"$@\" >/dev/null; until [ -e exit.txt ]; do sleep 0.01; done; {TIMED_OUT}");
    q.fake("sbatch", &format!("[ -e exit.1.txt ] || exec sbatch \"$@\"\n{lost}"));
    q.finish();
    assert_eq!(q.0.lines("ledger"), ["1", "2"]);
    assert_eq!((q.count("submitted"), q.count("interrupted"), q.count("completed")), (2, 1, 1));
    let said = |attempt: &str| q.0.lines(&format!("run/trials/0001/stdout{attempt}.log"));
    assert_eq!((said(".1"), said("")), (vec!["1".to_owned()], vec!["2".to_owned()]));
}

#[test]
fn of_two_jobs_of_an_attempt_one_trains() {
    let claimed = "until [ -s job.1.txt ]; do sleep 0.01; done";
    for (submit, jobs) in [
        // The first turns up after the second.
        (format!("sbatch \"$@\"; {claimed}; sbatch \"$@\" >/dev/null"), vec![1]),
        (format!("sbatch \"$@\"; {claimed}; HOLD=1 sbatch \"$@\" >/dev/null"), vec![1]),
        // Just before it, and it runs.
        (format!("sbatch \"$@\" >/dev/null; {claimed}; sbatch \"$@\""), vec![2, 1]),
        (format!("sbatch \"$@\" >/dev/null; {claimed}; HOLD=1 sbatch \"$@\""), vec![2, 1]),
    ] {
        let q = one_trial(&format!("{WAITS}{GOOD}"));
        q.fake("sbatch", &format!("[ -e asked ] || {{ touch asked; {TIMED_OUT}; }}\n{submit}"));
        let child = q.start();
        let over = |id: &str| fs::read_to_string(q.0.path("queue").join(id).join("state")).unwrap_or_default();
        until("one job", || {
            let states = [over("1"), over("2")];
            q.count("submitted") == jobs.len() && states.iter().any(|s| s == "COMPLETED\n" || s == "CANCELLED\n")
        });
        q.0.write("go", "");
        q.wait(child, 0);
        let submitted: Vec<u64> = q.0.of("submitted").iter().map(|e| e["id"].as_u64().unwrap()).collect();
        assert_eq!(submitted, jobs, "{submit}");
        assert_eq!((q.0.lines("ledger").len(), q.count("completed"), q.count("failed")), (1, 1, 0), "{submit}");
    }
}

#[test]
fn numbers_of_jobs_may_begin_again() {
    let script = format!("echo $3 >> ledger; while [ ! -e go.$3 ] && [ -e ledger ]; do sleep 0.05; done; {GOOD}");
    let q = Queued::stub(&script, "slots = 2\nretries = 0\npoll = \"1s\"", "[budget]\ntrials = 3");
    let child = q.start();
    until("two trainers", || q.0.lines("ledger").len() == 2 && q.count("submitted") == 2);
    // The controller forgets its jobs, which go on.
    fs::rename(q.0.path("queue"), q.0.path("forgotten")).unwrap();
    fs::create_dir_all(q.0.path("queue/1")).unwrap();
    q.0.write("go.1", "");
    until("job 2 again", || q.0.of("submitted").iter().filter(|e| e["id"] == 2).count() == 2);
    q.0.write("go.3", "");
    until("its end", || q.count("completed") == 2);
    q.0.write("go.2", "");
    q.wait(child, 0);
    assert_eq!((q.0.lines("ledger").len(), q.count("completed"), q.count("failed")), (3, 3, 0));
}

#[test]
fn only_the_latest_record_of_the_job_itself_counts() {
    for (known, duration) in [(true, serde_json::json!(9.0)), (false, serde_json::Value::Null)] {
        let q = one_trial(GOOD);
        q.fake("squeue", FORGETFUL);
        let dir = q.0.path("run/trials/0001");
        let mut accounts = format!(
            "1|FAILED|00:00:07|another|{0}\n1|CANCELLED by 0|00:00:07|admire-t-1-1|/\n2|FAILED|00:00:07|admire-t-1-1|{0}\n",
            dir.display()
        );
        if known {
            for (state, elapsed) in [("NODE_FAIL", "00:00:05"), ("COMPLETED", "00:00:09")] {
                accounts += &format!("1|{state}|{elapsed}|admire-t-1-1|{}\n", dir.display());
            }
        }
        q.0.write("queue/accounts", &accounts);
        q.finish();
        assert_eq!((q.count("completed"), q.count("failed"), q.count("interrupted")), (1, 0, 0));
        assert_eq!(q.0.of("completed")[0]["duration"], duration);
    }
}

#[test]
fn a_queue_that_does_not_answer_is_said_once() {
    let q = one_trial(&format!("{WAITS}{GOOD}"));
    let child = q.start();
    until("the trainer", || q.0.lines("ledger").len() == 1 && q.count("submitted") == 1);
    q.0.write("queue/down", "");
    let said = |words: &str| q.0.lines("log").iter().filter(|line| line.contains(words)).count();
    until("a warning", || said("cannot look at the jobs (slurm_load_jobs error: Unable to contact") == 1);
    q.0.write("go", "");
    let exit = q.0.path("run/trials/0001/exit.txt");
    until("its end", || exit.exists());
    fs::remove_file(q.0.path("queue/down")).unwrap();
    q.wait(child, 0);
    assert_eq!((said("cannot look at the jobs"), said("the jobs can be looked at again")), (1, 1));
    assert_eq!((q.count("completed"), q.count("interrupted")), (1, 0));
}

#[test]
fn a_job_stays_a_job_when_the_study_goes_on_without_slurm() {
    let q = Queued::stub(&format!("{WAITS}{GOOD}"), "slots = 1\nretries = 0", "[budget]\ntrials = 2");
    q.orphan(1);
    q.0.edit("kind = \"slurm\"", "kind = \"local\"");
    let child = q.start();
    until("the job to be taken over", || q.0.lines("log").iter().any(|line| line.contains("trial 1 is still running")));
    q.0.write("go", "");
    q.wait(child, 0);
    let backends: Vec<_> = q.0.of("launched").into_iter().map(|event| event["backend"].clone()).collect();
    assert_eq!(backends, ["slurm", "local"]);
    assert_eq!(
        (q.count("submitted"), q.count("started"), q.count("completed"), q.0.lines("ledger").len()),
        (1, 1, 2, 2)
    );
}
