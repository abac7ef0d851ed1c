//! What trials report on their way, and what follows from it, through the built program.

#[path = "common/queue.rs"]
mod queue;
#[path = "common/study.rs"]
mod study;

use std::collections::BTreeSet;
use std::fs;

use admire::config::StudyConfig;
use admire::problem::RunId;
use admire::study::Study;
use nix::sys::signal::Signal;
use queue::Queued;
use serde_json::Value;
use study::{Fixture, code, signal, stderr, until};

/// A function of a trainer: `reports N` tells N times how far it is, of 100 tokens, with a loss that falls towards 1 more than what
/// it is in the end, which depends on the weight of `a` and on the seed.
const REPORTS: &str = r#"
reports() {
    i=0; while [ $i -lt "$1" ]; do
        i=$((i + 1))
        awk -v i=$i -v n="$1" -v a="$A" -v t=$ADMIRE_TRIAL_ID \
            'BEGIN { printf "{\"step\": %d, \"tokens\": %f, \"trial\": %d, \"metrics\": {\"loss\": %f, \"lr\": 0.1}}\n", i, 100 * i / n, t, a + n / i }'
    done
}
A=$(awk -v a="$2" -v seed="$4" 'BEGIN { print 2 * (a - 0.4) ^ 2 + 0.02 * sin(seed) }')
"#;
const END: &str = r#"printf '{"loss": %s}' "$A" > "$1""#;

/// A study whose runs take 100 tokens.
fn fixture(script: &str, launcher: &str, extra: &str) -> Fixture {
    let f = Fixture::new(&format!("{REPORTS}\n{script}"), launcher, extra);
    take_tokens(&f);
    f
}

fn take_tokens(f: &Fixture) {
    for params in ["1e3", "1e4"] {
        f.edit(&format!("params = {params}\n"), &format!("params = {params}\ntokens = 100\n"));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How far the reports in the journal of a trial are, in tokens.
fn places(f: &Fixture, trial: u64) -> Vec<f64> {
    let of_trial = f.of("progress").into_iter().filter(|event| event["trial"] == trial);
    of_trial.map(|event| event["tokens"].as_f64().unwrap()).collect()
}

#[test]
fn reports_are_journalled_thinned_and_exported_and_damaged_ones_are_said_once() {
    let damage = r#"printf 'nonsense\n\000\377\n{"step": 1}\n{"tokens": 1, "trial": 99, "loss": 1}\n' >> "$ADMIRE_PROGRESS_FILE""#;
    let script = format!("reports 50 >> \"$ADMIRE_PROGRESS_FILE\"\n{damage}\n{END}");
    let f = fixture(&script, "", "[budget]\ntrials = 2");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let odd = |trial| stderr(&output).matches(&format!("trial {trial}: a report on the way does not count")).count();
    assert_eq!([odd(1), odd(2)], [1, 1], "{}", stderr(&output));
    for trial in 1..=2 {
        let kept = places(&f, trial);
        assert!(kept.len() == 20 && kept[0] == 2.0 && kept[19] > 95.0, "{kept:?}");
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "{kept:?}");
        let file = fs::read(f.path(&format!("run/trials/000{trial}/progress.jsonl"))).unwrap();
        assert!(text(&file).lines().count() > 50, "the file keeps all");
    }
    let lines = text(&f.run("export", &["--curves"]).stdout);
    let mut lines = lines.lines();
    assert_eq!(lines.next(), Some("curve_of,state,fidelity,params,step,tokens,w:a,w:b,w:c,y:loss,y:lr"));
    assert!(lines.next().unwrap().starts_with("1,complete,small,1000,1,2,"));
    assert_eq!(lines.count(), 39);
    assert_eq!(code(&f.run("report", &[])), Some(0));
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert!(page.contains("id=\"curves\"") && page.contains("trial 1 came to"));
}

#[test]
fn a_running_trial_shows_how_far_it_is_and_is_followed_by_the_next_admire() {
    let script = format!(
        "reports 10 | head -n 4 >> \"$ADMIRE_PROGRESS_FILE\"\nwhile [ ! -e go ]; do sleep 0.02; done\n\
         reports 10 | tail -n 6 | sed 's/^/[rank 0] admire: /'\n{END}"
    );
    let f = fixture(&script, "", "[budget]\ntrials = 1");
    let mut first = f.start("optimize");
    until("reports", || places(&f, 1).len() == 4);
    let status = f.json("status", &[]);
    let running = &status["running"][0];
    assert_eq!((&running["share_done"], running["curve"].as_array().unwrap().len()), (&0.4.into(), 4), "{status}");
    assert!(running["curve"][3]["objective"].as_f64().unwrap() > 2.4, "{status}");
    let screen = text(&f.run("status", &[]).stdout);
    assert!(screen.contains("on the way") && screen.contains("40.0 %") && screen.contains('█'), "{screen}");
    signal(&first, Signal::SIGKILL);
    first.wait().unwrap();
    f.write("go", "");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    // Nothing twice, and the rest from stdout.
    assert_eq!(places(&f, 1), (1..=10).map(|i| 10.0 * f64::from(i)).collect::<Vec<_>>());
    assert_eq!((f.of("completed").len(), f.of("interrupted").len()), (1, 0));
}

#[test]
fn a_report_on_the_way_is_the_result_of_a_command_that_ends_with_it_and_of_no_other() {
    // Whoever reports on stdout alone ends with the result, as ever.
    let f = fixture("reports 5 | sed 's/^/admire: /'", "", "[budget]\ntrials = 1");
    assert_eq!(code(&f.run("optimize", &[])), Some(0));
    let loss = |event: &Value| event["metrics"]["loss"].as_f64().unwrap();
    let (completed, reports) = (f.of("completed"), f.of("progress"));
    assert_eq!(loss(&completed[0]), loss(&reports[4]));

    // A progress file alone is no result.
    let f = fixture("reports 5 > \"$ADMIRE_PROGRESS_FILE\"", "retries = 0", "[budget]\ntrials = 1");
    assert_eq!(code(&f.run("optimize", &[])), Some(1));
    assert!(f.of("failed")[0]["reason"].as_str().unwrap().contains("no result"));

    // Where nobody saw how a command ended, what it said on its way is no result: it starts again.
    let script = format!(
        "if [ $ADMIRE_ATTEMPT = 1 ]; then reports 10 | head -n 4 | sed 's/^/admire: /'; touch said\n\
         while [ ! -e go ]; do sleep 0.02; done; touch gone; exit 0; fi\nreports 10 > \"$ADMIRE_PROGRESS_FILE\"\n{END}"
    );
    let f = fixture(&script, "", "[budget]\ntrials = 1");
    let mut first = f.start("optimize");
    until("reports", || places(&f, 1).len() == 4);
    signal(&first, Signal::SIGKILL);
    first.wait().unwrap();
    f.write("go", "");
    until("the end", || f.path("gone").exists());
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!((f.of("completed").len(), &f.of("interrupted")[0]["cause"]), (1, &"unseen".into()));
    // The second attempt began anew: its curve is that of the trial.
    let shown = text(&f.run("export", &["--curves"]).stdout);
    assert_eq!((shown.lines().count(), places(&f, 1).len()), (11, 14));
}

#[test]
fn tell_takes_reports_on_the_way_alone_and_with_the_result() {
    let f = fixture("", "", "");
    f.json("suggest", &["-n", "2"]);
    let report = |tokens: u32| format!("{{\"tokens\": {tokens}, \"loss\": {}}}\n", 3.0 - f64::from(tokens) / 100.0);
    f.write("progress", &(report(10) + "{\"tokens\": 20}\n" + &report(30)));
    let tell = |arguments: &[&str]| f.run("tell", &[&["--trial", "1"], arguments].concat());
    for _ in 0..2 {
        let output = tell(&["--progress", "progress"]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("progress, line 2 and 0 others do not count: it lacks loss"));
        assert_eq!(places(&f, 1), [10.0, 30.0]);
    }
    f.write("progress", &(report(10) + &report(30) + &report(60)));
    assert_eq!(code(&tell(&["--progress", "progress", "--loss", "2.1"])), Some(0));
    assert_eq!((places(&f, 1), f.of("completed").len()), (vec![10.0, 30.0, 60.0], 1));
    // Once it has finished there is nothing to add; and something has to be told.
    assert_eq!(code(&tell(&["--progress", "progress", "--loss", "2.1"])), Some(0));
    assert_eq!(places(&f, 1).len(), 3);
    assert_eq!(code(&tell(&[])), Some(2));
    assert_eq!(code(&tell(&["--loss", "1", "--failed"])), Some(2));
    let trials: BTreeSet<String> = f.of("progress").iter().map(|event| event["trial"].to_string()).collect();
    assert_eq!(trials, BTreeSet::from(["1".to_owned()]));
}

/// Complete runs first; then trial 6, whose curve is far above all others, and which would never end by itself.
const HOPELESS: &str = r#"
if [ $ADMIRE_TRIAL_ID = 6 ] && [ $ADMIRE_ATTEMPT = 1 ]; then
    trap 'touch ended; exit 0' TERM
    A=3; reports 10 | head -n 4 | sed 's/^/admire: /'
    while :; do sleep 0.05; done
fi
while [ $ADMIRE_TRIAL_ID = 7 ] && [ ! -e ended ]; do sleep 0.05; done
reports 10 > "$ADMIRE_PROGRESS_FILE"
"#;

/// What a search has to be for trial 6 to be hopeless: what ends it has to pay for another trial.
const STOPS_EARLY: &str = "[budget]\ntrials = 8\n[optimizer]\ntarget_only = true\ninitial = 5\nstop_early = true";

#[test]
fn a_hopeless_trial_is_ended_and_costs_what_it_used() {
    let f = fixture(&format!("{HOPELESS}\n{END}"), "slots = 2", STOPS_EARLY);
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let (stopping, stopped) = (f.of("trial_stopping"), f.of("trial_stopped"));
    assert_eq!((stopping.len(), stopped.len(), &stopping[0]["trial"]), (1, 1, &6.into()), "{stopping:?}");
    assert_eq!((&stopping[0]["share"], f.path("ended").exists()), (&0.4.into(), true));
    assert!(stopping[0]["probability"].as_f64().unwrap() < 0.05, "{stopping:?}");
    // What it said last, and that it ended with 0, make no result of it. Trials 7 and 8 end in either order.
    let completed: BTreeSet<u64> = f.of("completed").iter().map(|event| event["trial"].as_u64().unwrap()).collect();
    assert_eq!((completed, f.of("failed").len()), (BTreeSet::from([1, 2, 3, 4, 5, 7, 8]), 0));
    let said = stderr(&output);
    assert!(said.contains("trial 6 is ended after 40.0 % of its tokens: its end is expected at"), "{said}");
    assert!(said.contains("trial 6 was ended early, after 40.0 % of its tokens; large, attempt 1, cost 1.6"), "{said}");
    let status = f.json("status", &["--trials"]);
    assert_eq!((&status["trials"]["stopped"], &status["trials"]["failed"]), (&1.into(), &0.into()));
    assert_eq!((&status["spent"]["cost"], &status["list"][5]["state"]), (&(7.0 * 4.0 + 1.6).into(), &"stopped".into()));
    // Its end, by its curve, is evidence like a result of that value; its mixture is not tried again.
    let study = Study::read(StudyConfig::load(&f.path("study.toml"), &[]).unwrap()).unwrap();
    let estimated = &study.evidence().observations[5];
    assert_eq!((estimated.run, study.evidence().observations.len()), (RunId::Trial(6), 8));
    assert!((estimated.metrics[0] - 3.0).abs() < 1e-4 && estimated.se[0].unwrap() < 1e-4, "{estimated:?}");
    let ran = study.trial(6).unwrap().ran();
    assert!(ran.is_some_and(|seconds| seconds > 0.0) && ran == stopped[0]["duration"].as_f64(), "{ran:?}: {stopped:?}");
    assert_eq!(code(&f.run("report", &[])), Some(0));
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert!(page.contains("ended early: its end is expected at") && page.contains("Ended early"));
}

#[test]
fn a_hopeless_job_is_cancelled() {
    let script = HOPELESS.replace("[ ! -e ended ]", "! grep -q trial_stopped run/journal.jsonl");
    let launcher = "slots = 2\npoll = \"1s\"";
    let q = Queued::stub(&format!("{REPORTS}\n{script}\n{END}"), launcher, STOPS_EARLY);
    take_tokens(&q.0);
    let said = q.finish();
    assert!(said.contains("trial 6 was ended early, after 40.0 % of its tokens"), "{said}");
    assert_eq!([q.count("trial_stopped"), q.count("completed"), q.count("failed")], [1, 7, 0]);
    let job = fs::read_to_string(q.0.path(&format!("queue/{}/state", q.job(6)))).unwrap();
    assert!(job.contains("CANCELLED"), "{job}");
}

#[test]
fn without_stop_early_nothing_is_ended() {
    // It goes on after a while, and fails.
    let script = HOPELESS.replace("while :; do sleep 0.05; done", "sleep 3; touch ended; exit 1");
    let extra = STOPS_EARLY.replace("stop_early = true", "");
    let f = fixture(&format!("{script}\n{END}"), "slots = 2\nretries = 0", &extra);
    assert_eq!(code(&f.run("optimize", &[])), Some(0));
    assert_eq!((f.of("trial_stopping").len(), f.of("failed").len()), (0, 1));
}

#[test]
fn a_trial_that_was_to_be_ended_when_admire_died_is_ended_by_the_next_one() {
    let slow = HOPELESS.replace("trap 'touch ended; exit 0' TERM", "trap 'touch asked; [ -e go ] && exit 0' TERM");
    let f = fixture(&format!("{slow}\n{END}"), "slots = 2\nretries = 0", STOPS_EARLY);
    f.edit("grace = \"1s\"", "grace = \"60s\"");
    let mut first = f.start("optimize");
    until("the decision", || f.path("asked").exists());
    signal(&first, Signal::SIGKILL);
    first.wait().unwrap();
    assert_eq!((f.of("trial_stopping").len(), f.of("trial_stopped").len()), (1, 0), "the journal has it first");
    f.write("go", "");
    f.write("ended", "");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!((f.of("trial_stopping").len(), f.of("trial_stopped").len(), f.of("interrupted").len()), (1, 1, 0));
}

/// Trial 6 has bad luck until it is nearly at its end, and so has trial 7, which comes to its end. The end of trial 6 is then worth
/// its cost. When it is continued, it waits until the test lets it go on.
const RESUMES: &str = r#"
LUCK=0; case $ADMIRE_TRIAL_ID in 6 | 7) LUCK=0.2;; esac
report() {
    awk -v a="$A" -v share=$1 -v luck=$2 \
        'BEGIN { printf "{\"tokens\": %d, \"loss\": %f}\n", 100 * share, a + 1 / share - 1 + luck }' >> "$ADMIRE_PROGRESS_FILE"
}
if [ "$5" ]; then
    echo "$5 $ADMIRE_CONTINUE_FROM $(cat "$ADMIRE_TRIAL_DIR/checkpoint") $4 $(grep -o '"continue_from": 90' $ADMIRE_MIXTURE_FILE)" >> continued
    while [ ! -e go ]; do sleep 0.05; done
else
    report 0.5 $LUCK; report 0.9 $LUCK; echo $4 > "$ADMIRE_TRIAL_DIR/checkpoint"
    if [ $ADMIRE_TRIAL_ID = 6 ]; then while :; do sleep 0.05; done; fi
fi
report 1 0
"#;

#[test]
fn a_trial_that_was_ended_is_continued_where_its_rest_is_worth_more_than_a_new_one() {
    let f = fixture(&format!("{RESUMES}\n{END}"), "slots = 1\nresumable = true", STOPS_EARLY);
    f.edit("\"{seed}\"]", "\"{seed}\", \"{continue_from}\"]");
    let mut first = f.start("optimize");
    until("the rest of trial 6", || f.path("continued").exists());
    // Whoever goes on with the study finds it as any other attempt.
    signal(&first, Signal::SIGKILL);
    first.wait().unwrap();
    let status = f.json("status", &[]);
    assert_eq!((&status["running"][0]["trial"], &status["running"][0]["attempt"]), (&6.into(), &2.into()), "{status}");
    assert_eq!(status["spent"]["cost"], 6.0 * 4.0 + 0.9 * 4.0, "{status}");
    f.write("go", "");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(["trial_stopped", "trial_continued", "completed", "interrupted"].map(|e| f.of(e).len()), [1, 1, 8, 0]);
    // It was told where it goes on, in its folder and with its seed, and costs no more than any other run.
    let seed = f.of("suggested")[5]["seed"].to_string();
    assert_eq!(f.lines("continued"), [format!("90 90 {seed} {seed} \"continue_from\": 90")]);
    assert_eq!((places(&f, 6), f.json("status", &[])["spent"]["cost"].clone()), (vec![50.0, 90.0, 100.0], 32.0.into()));
    let reason = f.of("trial_continued")[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("its end is expected at") && reason.contains("the best new trial"), "{reason}");
    let shown = text(&f.run("status", &["--trials"]).stdout);
    assert!(shown.contains("continued after 90.0 % of its tokens"), "{shown}");
    assert_eq!(code(&f.run("report", &[])), Some(0));
    assert!(fs::read_to_string(f.path("run/report.html")).unwrap().contains("continued after 90.0 % of its tokens"));
}

#[test]
fn runs_from_elsewhere_that_are_on_their_way_count_by_what_curves_say_of_their_ends() {
    let f = fixture("", "", "");
    // After 40 of 100 tokens, a run is at 2 plus half of its end.
    let row = |run: u32, tokens: u32, end: f64| {
        let (a, loss) = (f64::from(run) / 10.0, if tokens == 100 { end } else { 2.0 + end / 2.0 });
        format!("r{run},large,{tokens},{a},{},0,{loss}\n", 1.0 - a)
    };
    let header = "run_id,fidelity,tokens,w:a,w:b,w:c,y:loss\n";
    let incomplete = row(6, 40, 1.3) + &row(7, 20, 9.0) + &row(7, 40, 0.4);
    let import = |rows: &str| {
        f.write("runs.csv", &format!("{header}{rows}"));
        let output = f.run("import", &["--from", "wide", &f.path("runs.csv").display().to_string()]);
        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    let observed = || {
        let study = Study::read(StudyConfig::load(&f.path("study.toml"), &[]).unwrap()).unwrap();
        study.evidence().observations
    };
    let said = import(&incomplete);
    assert!(said.contains("3 runs imported") && said.contains("3 of them trained on fewer tokens"), "{said}");
    assert!(observed().is_empty(), "nothing is known of the relation of values on the way and ends");
    let complete: String = (0..6).map(|run| row(run, 40, f64::from(run)) + &row(run, 100, f64::from(run))).collect();
    assert!(
        import(&(incomplete.clone() + &complete)).contains("12 runs imported into the study t; 3 were there already")
    );
    let known = observed();
    assert_eq!(known.len(), 8, "each run once: {known:?}");
    let estimates: Vec<_> = known.iter().filter(|o| o.se[0].is_some()).map(|o| (o.run, o.metrics[0])).collect();
    let [(RunId::Imported(1), six), (RunId::Imported(3), seven)] = estimates[..] else { panic!("{estimates:?}") };
    assert!((six - 1.3).abs() < 1e-6 && (seven - 0.4).abs() < 1e-6, "{estimates:?}");
    // Once a run has come to its end, that is what counts.
    import(&(incomplete + &complete + &row(6, 100, 1.5)));
    let ends: Vec<f64> =
        observed().iter().filter(|o| (o.mixture.weights()[0] - 0.6).abs() < 1e-9).map(|o| o.metrics[0]).collect();
    assert_eq!((ends, observed().len()), (vec![1.5], 8));
    assert_eq!(code(&f.run("report", &[])), Some(0));
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    assert!(page.contains("runs.csv, run r7, on its way, after 40 tokens"));
    let exported = text(&f.run("export", &[]).stdout);
    assert!(exported.contains("imported-1,large,10000,40,"), "{exported}");
}

#[test]
fn stop_early_needs_tokens_and_the_knowledge_gradient() {
    let f = Fixture::new("", "", "[optimizer]\nstop_early = true");
    let said = stderr(&f.run("check", &[]));
    assert!(said.contains("optimizer.stop_early") && said.contains("needs `tokens` of fidelities"), "{said}");
    let f = fixture("", "", "[optimizer]\nstop_early = true\nacquisition = \"entropy\"");
    assert!(stderr(&f.run("check", &[])).contains("needs acquisition = \"knowledge-gradient\""));
}
