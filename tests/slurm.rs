//! The loop through a real Slurm of one node, see `tests/slurm/start.sh`. Without a Slurm that answers, every test here
//! says so and passes, unless `ADMIRE_TEST_SLURM` is set.

#[path = "common/queue.rs"]
mod queue;
#[path = "common/study.rs"]
mod study;

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use queue::{FORGETFUL, Queued, WAITS};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use study::{GOOD, code, signal, until};

fn slurm(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// A study whose trials are jobs; `None` where there is no Slurm.
fn fixture(script: &str, launcher: &str, extra: &str) -> Option<Queued> {
    if !slurm("scontrol", &["ping"]).contains("is UP") {
        assert!(std::env::var_os("ADMIRE_TEST_SLURM").is_none(), "no Slurm answers");
        eprintln!("skipped: no Slurm answers here; tests/slurm/start.sh starts one");
        return None;
    }
    Some(Queued::real(script, launcher, extra))
}

/// The state of a job, as Slurm remembers it.
fn state(id: &str) -> String {
    slurm("squeue", &["--noheader", "--states=all", "--format=%T", "--jobs", id])
}

#[test]
fn a_study_completes_through_the_queue() {
    let launcher = "slots = 3\npartition = \"main\"\ntime = \"10\"\ndirectives = [\"--mem=0\", \"--comment='a b'\"]\n\
                    fidelity = { large = [\"--time=20\"] }\nenv = { ODD = '''it's \"$HOME\" `id` <b> \\''' }";
    let script = format!("printf '%s\\n' \"$ODD\" >> ledger; pwd >> places; {GOOD}");
    let Some(q) = fixture(&script, launcher, "[budget]\ntrials = 6") else { return };
    q.finish();
    assert_eq!((q.count("launched"), q.count("submitted"), q.count("completed")), (6, 6, 6));
    assert_eq!(q.0.of("launched")[0]["job"], "admire-t-1-1");
    assert_eq!(q.0.lines("ledger"), [r#"it's "$HOME" `id` <b> \"#; 6]);
    assert!(q.0.lines("places").iter().all(|place| *place == q.0.root.path().display().to_string()));
    assert!(q.0.of("completed").iter().all(|e| e["duration"].is_number()));
    for event in q.0.of("suggested") {
        let limit = if event["fidelity"] == "small" { "TimeLimit=00:10:00" } else { "TimeLimit=00:20:00" };
        let launched = q.job(event["trial"].as_u64().unwrap());
        let job = slurm("scontrol", &["show", "job", &launched]);
        assert!(job.contains(limit) && job.contains("Comment=a b") && job.contains("Partition=main"), "{job}");
    }
}

#[test]
fn a_training_error_counts_as_a_failure() {
    let script = "echo \"$3 $4 $ADMIRE_ATTEMPT\" >> ledger; echo oops >&2; exit 3";
    let Some(q) = fixture(script, "retries = 1", "[budget]\ntrials = 1") else { return };
    let said = q.end_in_vain();
    let failed = q.0.of("failed");
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|e| e["reason"] == "the command ended with exit status: 3"), "{said}");
    let ran = q.0.lines("ledger");
    assert!(ran[0].strip_suffix(" 1").is_some() && ran[0].strip_suffix('1') == ran[1].strip_suffix('2'), "{ran:?}");
    assert!(q.0.path("run/trials/0001/stderr.1.log").exists());
}

#[test]
fn a_job_beyond_its_time_limit_has_failed() {
    // A minute is the shortest limit there is.
    let Some(q) = fixture("exec sleep 1000", "retries = 0\ntime = \"1\"", "[budget]\ntrials = 1") else { return };
    q.end_in_vain();
    assert!(q.0.of("failed")[0]["reason"].as_str().unwrap().contains("TIMEOUT"));
    assert_eq!(state(&q.job(1)), "TIMEOUT");
    let log = fs::read_to_string(q.0.path("run/trials/0001/stderr.log")).unwrap();
    assert!(log.contains("DUE TO TIME LIMIT"), "{log}");
}

#[test]
fn a_trial_beyond_its_time_out_is_cancelled() {
    let Some(q) = fixture("exec sleep 1000", "retries = 0\ntimeout = 1", "[budget]\ntrials = 1") else { return };
    q.end_in_vain();
    assert_eq!(q.0.of("failed")[0]["reason"], "timed out after 1 s");
    assert_eq!(state(&q.job(1)), "CANCELLED");
}

#[test]
fn a_job_that_somebody_cancels_has_failed() {
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "retries = 1", "[budget]\ntrials = 1") else { return };
    let mut child = q.start();
    until("the trainer", || q.0.lines("ledger").len() == 1);
    slurm("scancel", &[&q.job(1)]);
    until("the second attempt", || q.count("submitted") == 2);
    q.0.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(q.0.of("failed")[0]["reason"], "the job was cancelled");
    assert_eq!(q.count("completed"), 1);
}

#[test]
fn a_requeued_job_is_the_same_attempt() {
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "retries = 0", "[budget]\ntrials = 1") else { return };
    let mut child = q.start();
    until("the trainer", || q.0.lines("ledger").len() == 1);
    slurm("scontrol", &["requeue", &q.job(1)]);
    until("the queue to have it back", || state(&q.job(1)) == "PENDING");
    // Slurm would hold it back for two minutes; within the second it would refuse what it has just revoked.
    slurm("scontrol", &["update", &format!("JobId={}", q.job(1)), "StartTime=now+2"]);
    until("the trainer again", || q.0.lines("ledger").len() == 2);
    q.0.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let ran = q.0.lines("ledger");
    assert_eq!(ran[0], ran[1]);
    assert_eq!((q.count("launched"), q.count("submitted"), q.count("completed")), (1, 1, 1));
}

#[test]
fn lost_nodes_and_preemption_are_not_the_trials_fault() {
    for lost in ["NODE_FAIL", "PREEMPTED"] {
        let script = format!("echo \"$4 $ADMIRE_ATTEMPT\" >> ledger; {GOOD}");
        let Some(q) = fixture(&script, "retries = 0", "[budget]\ntrials = 1") else { return };
        q.fake("squeue", &format!("squeue \"$@\" | sed '/admire-t-1-1|/s/|COMPLETED|/|{lost}|/'"));
        let said = q.finish();
        assert!(said.contains(lost), "{said}");
        assert_eq!((q.count("interrupted"), q.count("failed"), q.count("completed")), (1, 0, 1), "{said}");
        let ran = q.0.lines("ledger");
        assert_eq!(ran[0].split(' ').next(), ran[1].split(' ').next());
    }
}

#[test]
fn after_a_crash_jobs_are_taken_over() {
    let extra = "[budget]\ntrials = 3";
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "slots = 3", extra) else { return };
    q.orphan(3);
    let status = String::from_utf8(q.0.run("status", &[]).stdout).unwrap();
    assert!(status.contains(&format!("job {}", q.job(3))), "{status}");
    // The names in the journal count, not those that new jobs would get.
    let mut renamed = q.command();
    renamed.args(["--set", "study.name='renamed'"]);
    let child = q.spawn(renamed);
    // One for the config that has changed, one for the run itself.
    until("the next run", || q.count("resumed") == 2);
    q.0.write("go", "");
    q.wait(child, 0);
    assert_eq!((q.count("launched"), q.count("submitted"), q.count("completed")), (3, 3, 3));
    assert_eq!(q.0.lines("ledger").len(), 3);
}

#[test]
fn jobs_are_taken_over_when_trials_now_run_locally() {
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "slots = 1", "[budget]\ntrials = 2") else { return };
    q.orphan(1);
    q.0.edit("kind = \"slurm\"", "kind = \"local\"");
    q.0.write("go", "");
    q.finish();
    assert_eq!((q.count("submitted"), q.count("started"), q.count("completed")), (1, 1, 2));
    assert_eq!(q.0.lines("ledger").len(), 2);
}

#[test]
fn jobs_that_ended_meanwhile_are_taken_as_they_are() {
    for forgotten in [false, true] {
        let script = format!("{WAITS}[ $3 = 1 ] || exit 5; {GOOD}");
        let Some(q) = fixture(&script, "slots = 2\nretries = 0", "[budget]\ntrials = 2") else { return };
        q.orphan(2);
        q.0.write("go", "");
        until("their end", || state(&q.job(1)) == "COMPLETED" && state(&q.job(2)) == "FAILED");
        if forgotten {
            q.fake("squeue", FORGETFUL);
        }
        q.finish();
        assert_eq!(q.0.of("failed")[0]["reason"], "the command ended with exit status: 5");
        assert_eq!((q.count("launched"), q.count("completed"), q.count("failed")), (2, 1, 1));
        assert_eq!(q.0.lines("ledger").len(), 2);
    }
}

#[test]
fn a_crash_around_the_submission_neither_loses_nor_doubles_a_job() {
    let kill = "kill -KILL $PPID; while kill -0 $PPID; do sleep 0.05; done 2>/dev/null";
    for (before, meanwhile) in [(true, ""), (false, "runs"), (false, "ends"), (false, "is forgotten")] {
        let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "", "[budget]\ntrials = 1") else { return };
        q.fake(
            "sbatch",
            &if before { kill.to_owned() } else { format!("sbatch \"$@\" >{:?}; {kill}", q.0.path("job")) },
        );
        assert_eq!(code(&q.run()), None, "it should have been killed");
        q.unfake("sbatch");
        assert_eq!((q.count("launched"), q.count("submitted")), (1, 0));
        if !before {
            until("the trainer", || q.0.lines("ledger").len() == 1);
        }
        if ["ends", "is forgotten"].contains(&meanwhile) {
            q.0.write("go", "");
            // The exit code is there a moment before Slurm takes the job for over.
            until("its end", || state(fs::read_to_string(q.0.path("job")).unwrap().trim()) == "COMPLETED");
        }
        if meanwhile == "is forgotten" {
            q.fake("squeue", FORGETFUL);
        }
        let mut child = q.start();
        until("the job to be found", || q.count("resumed") == 1 && (meanwhile != "runs" || q.count("submitted") == 1));
        q.0.write("go", "");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{meanwhile}");
        // One that was never submitted is launched again; one that runs gets its number into the journal.
        let expected = (1 + usize::from(before), usize::from(before || meanwhile == "runs"));
        assert_eq!((q.count("launched"), q.count("submitted")), expected, "{meanwhile}");
        assert_eq!((q.0.lines("ledger").len(), q.count("completed")), (1, 1), "{meanwhile}");
    }
}

#[test]
fn a_submission_that_outlives_a_crash_is_waited_for() {
    let Some(q) = fixture(&format!("echo >> ledger; {GOOD}"), "", "[budget]\ntrials = 1") else { return };
    let go = q.0.path("go");
    q.fake("sbatch", &format!("kill -KILL $PPID; while [ ! -e {go:?} ]; do sleep 0.05; done; exec sbatch \"$@\""));
    assert_eq!(code(&q.run()), None, "it should have been killed");
    q.unfake("sbatch");
    let mut child = q.start();
    until("the next run", || q.count("resumed") == 1);
    q.0.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!((q.0.lines("ledger").len(), q.count("launched"), q.count("completed")), (1, 1, 1));
}

#[test]
fn killed_at_six_moments_nothing_is_lost_or_repeated() {
    let script = format!("echo \"$3\" >> ledger; sleep 0.3; {GOOD}");
    let Some(q) = fixture(&script, "slots = 3", "[budget]\ntrials = 12") else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..6 {
        let more = q.0.events().len() + rng.random_range(1..=9);
        let mut child = q.start();
        until("the journal to grow", || q.0.events().len() >= more || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
    }
    q.finish();
    let mut ran: Vec<u64> = q.0.lines("ledger").iter().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=12).collect::<Vec<u64>>());
    assert_eq!((q.count("completed"), q.count("failed")), (12, 0));
}

#[test]
fn a_submission_that_only_seems_to_fail_is_found() {
    let Some(q) = fixture(&format!("echo >> ledger; {GOOD}"), "retries = 0", "[budget]\ntrials = 2") else { return };
    q.fake(
        "sbatch",
        "[ -e lost ] && exec sbatch \"$@\"\nsbatch \"$@\" >/dev/null; touch lost\n\
         echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
    );
    let said = q.finish();
    assert!(said.contains("cannot submit: sbatch: error: Batch job submission failed: Socket timed out"), "{said}");
    assert_eq!((q.0.lines("ledger").len(), q.count("completed"), q.count("failed")), (2, 2, 0), "{said}");
}

#[test]
fn a_job_that_slurm_refuses_is_submitted_after_the_repair() {
    let launcher = "retries = 0\npartition = \"nowhere\"";
    let Some(q) = fixture(GOOD, launcher, "[budget]\ntrials = 1") else { return };
    let child = q.start();
    until("two refusals", || q.count("interrupted") == 2);
    signal(&child, Signal::SIGINT);
    q.wait(child, 130);
    let reason = q.0.of("interrupted")[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("cannot submit: sbatch: error: invalid partition specified: nowhere"), "{reason}");
    q.0.edit("nowhere", "main");
    q.finish();
    assert_eq!((q.count("submitted"), q.count("completed"), q.count("failed")), (1, 1, 0));
}

#[test]
fn a_submission_that_turns_up_late_does_not_train() {
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "retries = 0", "[budget]\ntrials = 1") else { return };
    q.fake(
        "sbatch",
        "[ -e asked ] && sbatch \"$@\" && sbatch \"$@\" >late && exit\ntouch asked\n\
         echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
    );
    let child = q.start();
    let late = || q.0.lines("run/trials/0001/late").first().map(|id| state(id)).unwrap_or_default();
    until("the end of one job", || {
        let running = q.0.lines("ledger").len() == 1 && q.count("submitted") > 0;
        running && [late(), state(&q.job(1))].iter().any(|s| s == "COMPLETED" || s == "CANCELLED")
    });
    q.0.write("go", "");
    q.wait(child, 0);
    assert_eq!((q.0.lines("ledger").len(), q.count("completed"), q.count("failed")), (1, 1, 0));
}

#[test]
fn slurm_may_be_out_of_reach_for_a_while() {
    let Some(q) = fixture(GOOD, "retries = 0", "[budget]\ntrials = 1") else { return };
    q.fake(
        "squeue",
        "echo >> calls; n=$(wc -l <calls); [ $n = 1 ] || [ $n -gt 4 ] && exec squeue \"$@\"\n\
         echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    );
    let said = q.finish();
    assert_eq!(said.matches("cannot look at the jobs (slurm_load_jobs error: Unable to contact").count(), 1, "{said}");
    assert_eq!(q.count("completed"), 1);
}

#[test]
fn interrupting_drains_and_interrupting_twice_cancels() {
    let Some(q) = fixture(&format!("{WAITS}{GOOD}"), "slots = 1", "[budget]\ntrials = 3") else { return };
    let mut child = q.start();
    until("the trainer", || q.0.lines("ledger").len() == 1);
    // Two signals of one kind may merge into one while pending: repeat until it is over.
    until("the end", || {
        signal(&child, Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(state(&q.job(1)), "CANCELLED");
    assert_eq!((q.count("interrupted"), q.count("failed")), (1, 0));

    let mut child = q.start();
    until("the trainer again", || q.0.lines("ledger").len() == 2);
    signal(&child, Signal::SIGINT);
    q.0.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((q.count("launched"), q.count("completed")), (2, 1));
    q.finish();
    assert_eq!((q.count("launched"), q.count("completed"), q.count("failed")), (4, 3, 0));
}

#[test]
fn accounts_say_how_forgotten_jobs_ended() {
    let answer = |state: &str| {
        format!(
            "for a; do case $a in --jobs=*) ids=${{a#--jobs=}};; esac; done\n\
             for id in $(echo \"$ids\" | tr , ' '); do echo \"$id|{state}|00:00:07|admire-t-1-1|$PWD/run/trials/0001\"; echo \"$id.batch|{state}||n|\"; done"
        )
    };
    for (sacct, outcome) in [
        (answer("COMPLETED"), "completed"),
        (answer("CANCELLED by 0"), "the job was cancelled"),
        (answer("OUT_OF_MEMORY"), "the job ran out of memory (OUT_OF_MEMORY)"),
        (answer("OUT_OF_ME+"), "the job ran out of memory (OUT_OF_MEMORY)"),
        (answer("TIMEOUT"), "the job ran into its time limit (TIMEOUT)"),
        (answer("NODE_FAIL"), "its node failed (NODE_FAIL)"),
        // They lag, know nothing, or are not there: what the job has written decides.
        (answer("RUNNING"), "completed"),
        (answer("REQUEUED"), "completed"),
        ("exit 0".into(), "completed"),
        ("echo 'Slurm accounting storage is disabled' >&2; exit 1".into(), "completed"),
        ("echo garbage; echo '|||'; kill -9 $$".into(), "completed"),
    ] {
        let Some(q) = fixture(GOOD, "retries = 0", "[budget]\ntrials = 1") else { return };
        q.fake("squeue", FORGETFUL);
        // A lost node would be asked about for ever.
        q.fake("sacct", &format!("[ -e asked ] && exit 1\ntouch asked\n{sacct}"));
        if ["completed", "its node failed (NODE_FAIL)"].contains(&outcome) {
            q.finish()
        } else {
            q.end_in_vain()
        };
        let events = q.0.events();
        let end =
            events.iter().find(|e| ["completed", "failed", "interrupted"].contains(&e["event"].as_str().unwrap()));
        let end = end.unwrap();
        let text = end["reason"].as_str().or(end["event"].as_str()).unwrap();
        assert_eq!(text, outcome, "{sacct}");
        if outcome.contains("memory") {
            assert_eq!(end["duration"], 7.0);
        }
    }
}

#[test]
fn a_job_that_slurm_has_lost_died_unseen() {
    // So that the script of the job cannot note how it ended.
    let script = format!("echo $ADMIRE_ATTEMPT >> ledger; [ $ADMIRE_ATTEMPT = 2 ] || kill -9 $PPID $$; {GOOD}");
    let Some(q) = fixture(&script, "retries = 0", "[budget]\ntrials = 1") else { return };
    q.fake("squeue", "squeue \"$@\" | grep -v '|admire-t-1-1|' || true");
    q.finish();
    let interrupted = q.0.of("interrupted");
    assert_eq!((interrupted.len(), &interrupted[0]["cause"]), (1, &"unseen".into()));
    assert_eq!((q.count("launched"), q.count("completed"), q.count("failed")), (2, 1, 0));
    assert_eq!(q.0.lines("ledger"), ["1", "2"]);
}

#[test]
fn check_tries_a_job() {
    let script = format!("echo $SLURM_JOB_NAME > ledger; {GOOD}");
    let Some(q) = fixture(&script, "time = \"10\"", "") else { return };
    let checked = q.0.json("check", &["--trial", "-q"]);
    assert_eq!((&checked["trial"]["state"], &checked["trial"]["result"]), (&"complete".into(), &"file".into()));
    assert_eq!(q.0.lines("ledger"), ["admire-t-check-1-1"]);
    assert!(!q.0.path("run").exists() && !q.0.path("run.check-1").exists());
}
