//! Journals that are damaged, cut, lost, displaced or planted: it is said, and nothing is made worse.

#[path = "common/journal.rs"]
mod journal;
#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use admire::config::StudyConfig;
use admire::study::{
    self as study_of, Completed, Event, Resumed, Study, StudyError,
    journal::{Line, parse},
};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use journal::{check, journal, run, stdout};
use study::{Fixture, GOOD, chained, code, stderr};

const WAIT: Duration = Duration::from_secs(60);

/// The committed journal of the present format.
fn sample() -> String {
    fs::read_to_string("tests/fixtures/journal-v11.jsonl").unwrap()
}

fn config(f: &Fixture) -> StudyConfig {
    StudyConfig::load(&f.path("study.toml"), &[]).unwrap()
}

/// A study of two trials that has ended.
fn ended() -> Fixture {
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    f.json("optimize", &["-q"]);
    f
}

/// The numbers of the lines that are damaged.
fn damaged(bytes: &[u8]) -> Vec<usize> {
    match parse(PathBuf::from("journal.jsonl"), bytes.to_vec()) {
        Err(StudyError::Damaged { line, .. }) => vec![line],
        Err(other) => panic!("{other}"),
        Ok(None) => Vec::new(),
        Ok(Some(contents)) => {
            let bad = |line: &Line| line.entry.is_err().then_some(line.number);
            contents.lines.iter().filter_map(bad).collect()
        }
    }
}

/// All commands say what is wrong with a study, and change nothing.
fn refused(f: &Fixture, reason: &str) {
    let before = (fs::read(f.path("run/journal.jsonl")).ok(), fs::read(f.path("run/trials/0001/result.json")).ok());
    for (name, arguments) in [
        ("status", &[][..]),
        ("best", &[]),
        ("export", &[]),
        ("optimize", &["--set", "budget.trials=3"]),
        ("suggest", &[]),
        ("suggest", &["--dry-run"]),
        ("tell", &["--trial", "1", "--loss", "1"]),
    ] {
        let output = f.run(name, arguments);
        let said = stderr(&output);
        assert!(code(&output) == Some(1) && said.contains(reason), "{name}: {said}");
        assert!(said.contains("journal.jsonl") && said.contains("restore"), "{name}: {said}");
    }
    for name in ["compact", "export", "check"] {
        assert_eq!(code(&run(f, name, &[])), Some(1), "{name}");
    }
    let after = (fs::read(f.path("run/journal.jsonl")).ok(), fs::read(f.path("run/trials/0001/result.json")).ok());
    assert_eq!(after, before);
}

#[test]
fn the_checksums_are_those_of_the_documentation() {
    assert_eq!(chained(sample().lines()), sample());
    assert_eq!(damaged(sample().as_bytes()), Vec::<usize>::new());
}

#[test]
fn every_bit_that_flips_is_found() {
    let text: String = sample().split_inclusive('\n').take(5).collect();
    let (mut bytes, mut line) = (text.into_bytes(), 1);
    for i in 0..bytes.len() {
        let newline = bytes[i] == b'\n';
        for bit in 0..8 {
            bytes[i] ^= 1 << bit;
            let found = damaged(&bytes);
            assert_eq!(found.first(), Some(&line), "bit {bit} of byte {i}");
            // One that makes a newline makes two lines of one.
            assert!(found.len() <= 2, "{found:?}: bit {bit} of byte {i}");
            bytes[i] ^= 1 << bit;
        }
        line += usize::from(newline);
    }
}

#[test]
fn lines_that_are_deleted_doubled_or_moved_are_named() {
    let text = sample();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for i in 0..lines.len() {
        let named = |what: &str, lines: Vec<&str>, expected: usize| {
            let found = damaged(lines.concat().as_bytes());
            assert_eq!(found.first(), Some(&expected), "line {} {what}", i + 1);
            assert!(found.len() <= 3, "line {} {what}: {found:?}", i + 1);
        };
        named("doubled", [&lines[..=i], &lines[i..]].concat(), i + 2);
        if i + 1 < lines.len() {
            named("deleted", [&lines[..i], &lines[i + 1..]].concat(), i + 1);
            named("moved", [&lines[..i], &[lines[i + 1], lines[i]], &lines[i + 2..]].concat(), i + 1);
            // From a study that is the same up to here.
            let other = chained(lines[..=i].iter().map(|line| line.replace("{\"time\":1", "{\"time\":2")));
            let other = other.lines().last().unwrap().to_owned() + "\n";
            named("replaced", [&lines[..i], &[&*other], &lines[i + 1..]].concat(), if i == 0 { 2 } else { i + 1 });
        }
    }
    // What is damaged in two places is named twice.
    let mut twice = lines.clone();
    let (first, second) = (lines[20].replace(":1", ":2"), lines[60].replace(":1", ":2"));
    (twice[20], twice[60]) = (&first, &second);
    assert_eq!(damaged(twice.concat().as_bytes()), [21, 61]);
}

#[test]
fn only_the_beginning_of_a_line_is_torn() {
    let text: String = sample().split_inclusive('\n').take(3).collect();
    let second = text.find('\n').unwrap() + 1;
    let torn = |text: &str| {
        let contents = parse(PathBuf::from("journal.jsonl"), text.as_bytes().to_vec()).unwrap();
        contents.map(|contents| (contents.lines.iter().all(|line| line.entry.is_ok()), contents.torn))
    };
    for end in 1..text.len() {
        let (number, begins) = (text[..end].lines().count(), text[..end].ends_with('\n'));
        let expected = (end >= second).then_some((true, (!begins).then_some(number)));
        assert_eq!(torn(&text[..end]), expected, "{end}");
    }
    // Zeros are what some file systems leave of a line after a power cut.
    assert_eq!(torn(&(text.clone() + "\0\0\0")), Some((true, Some(4))));
    assert_eq!(torn(&(text.clone() + "{\"time\":1\0\0\0")), Some((true, Some(4))));
    assert_eq!(torn(&(text.clone() + "oops")), Some((false, None)));
    assert_eq!(torn(&(text.clone() + "{\"time\":1}oops")), Some((false, None)));
}

#[test]
fn damage_is_said_by_every_command() {
    let f = ended();
    let good = journal(&f);
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let completed = lines.iter().position(|line| line.contains("\"completed\"")).unwrap();
    let start = lines[completed].find("\"loss\":").unwrap() + 7;
    let mut digit = lines[completed].to_owned();
    digit.replace_range(start..=start, if digit.as_bytes()[start] == b'0' { "1" } else { "0" });
    let joined = good.strip_suffix('\n').unwrap().to_owned() + "\u{b}";
    for (text, line, reason) in [
        ([&lines[..completed], &[&*digit], &lines[completed + 1..]].concat().concat(), completed, "checksum is wrong"),
        ([&lines[..completed], &lines[completed + 1..]].concat().concat(), completed, "a line is missing"),
        ([&lines[..=completed], &lines[completed..]].concat().concat(), completed + 1, "doubled"),
        (good.replacen("\"format\":11", "\"format\":8", 1), 0, "checksum is wrong"),
        (good.replacen("\"format\":11", "\"format\":0", 1), 0, "checksum is wrong"),
        (chained(good.replacen("\"format\":11", "\"format\":3", 1).lines()), 0, "which format 3 does not have"),
        (joined, lines.len() - 1, "does not end with `seq` and `crc`"),
    ] {
        f.write("run/journal.jsonl", &text);
        refused(&f, &format!("line {}: damaged journal: ", line + 1));
        assert!(stderr(&f.run("status", &[])).contains(reason), "{}", stderr(&f.run("status", &[])));
        if line > 0 {
            let (found, sound) = check(&f);
            assert!(!sound && found["problems"].as_array().unwrap().len() == 1, "{found}");
            assert_eq!(found["problems"][0]["line"], line + 1, "{found}");
        }
    }
    f.write("run/journal.jsonl", &good);
    assert!(check(&f).1);
}

#[test]
fn a_seal_shows_that_the_tail_is_lost() {
    let f = ended();
    let good = journal(&f);
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let n = lines.len();
    for kept in [5, n - 1] {
        f.write("run/journal.jsonl", &lines[..kept].concat());
        refused(&f, &format!("it ends at event {kept}, but {n} were written: its tail is lost"));
        assert_eq!(check(&f).0["problems"][0]["line"], kept + 1);
    }
    // Not even the last newline.
    f.write("run/journal.jsonl", good.trim_end());
    refused(&f, &format!("it ends at event {}, but {n} were written", n - 1));
    // A copy that went another way.
    f.write("run/journal.jsonl", &chained(lines.iter().map(|line| line.replace("{\"time\":1", "{\"time\":2"))));
    refused(&f, "this is another copy");
    // One of an older format.
    let old = |line: &&str| format!("{}}}\n", study::body(line));
    f.write("run/journal.jsonl", &lines.iter().map(old).collect::<String>().replace("\"format\":11", "\"format\":3"));
    refused(&f, "this is another copy");

    // A seal that is damaged says nothing, as one that is not there.
    let seal = fs::read(f.path("run/journal.seal")).unwrap();
    f.write("run/journal.jsonl", &lines[..n - 1].concat());
    for i in 0..seal.len() {
        let mut flipped = seal.clone();
        flipped[i] ^= 1;
        fs::write(f.path("run/journal.seal"), &flipped).unwrap();
        assert!(Study::read(config(&f)).is_ok(), "byte {i}");
    }
    fs::remove_file(f.path("run/journal.seal")).unwrap();
    assert_eq!(code(&f.run("optimize", &["-q"])), Some(0));
    assert!(f.path("run/journal.seal").exists() && check(&f).1);
    // What was written after the last seal is a crash's.
    let longer = journal(&f) + "{\"time\":1,\"event\":\"resumed\",\"version\":\"0.1.0\"}\n";
    f.write("run/journal.jsonl", &chained(longer.lines()));
    assert!(check(&f).1);
}

#[test]
fn files_of_trials_show_that_the_tail_is_lost() {
    let f = ended();
    let good = journal(&f);
    let second = good.find(&f.of("suggested")[1]["time"].to_string()).unwrap() - "{\"time\":".len();
    f.rewrite(good[..second].lines());
    refused(&f, "it knows 1 trial, but trials/0002 has files: its tail is lost");
    fs::remove_dir_all(f.path("run/trials/0002")).unwrap();
    fs::create_dir(f.path("run/trials/0002")).unwrap();
    assert_eq!(f.json("optimize", &["-q"])["spent"]["trials"], 2);
}

#[test]
fn a_missing_journal_beside_what_it_knew_is_damage() {
    let f = ended();
    let header = journal(&f).find('\n').unwrap();
    let part = journal(&f)[..header].to_owned();
    for seal in [true, false] {
        for text in [None, Some(""), Some("\n"), Some(&*part)] {
            match text {
                None => fs::remove_file(f.path("run/journal.jsonl")).unwrap(),
                Some(text) => f.write("run/journal.jsonl", text),
            }
            refused(&f, if seal { "events were written" } else { "but trials/0001 has files" });
            f.write("run/journal.jsonl", "");
        }
        let _ = fs::remove_file(f.path("run/journal.seal"));
    }
    // What a crash at the very first write leaves is no study yet.
    let f = Fixture::new(GOOD, "", "[budget]\ntrials = 2");
    for text in ["", "\n \n", &part] {
        let _ = fs::remove_dir_all(f.path("run"));
        fs::create_dir_all(f.path("run/trials/0001")).unwrap();
        f.write("run/journal.jsonl", text);
        assert!(stderr(&f.run("status", &[])).contains("no study in"));
        assert_eq!(f.json("optimize", &["-q"])["spent"]["trials"], 2);
        assert!(check(&f).1);
    }
}

#[test]
fn lines_of_white_space_say_nothing() {
    for format in [3, 7] {
        let f = ended();
        let mut lines = f.lines("run/journal.jsonl");
        if format == 3 {
            fs::remove_file(f.path("run/journal.seal")).unwrap();
            lines = lines.iter().map(|line| format!("{}}}", study::body(line))).collect();
            lines[0] = lines[0].replace("\"format\":11", "\"format\":3");
        }
        f.write("run/journal.jsonl", &format!("\n{}\n \t\r\n{}\n\n  ", lines[0], lines[1..].join("\n")));
        let (found, sound) = check(&f);
        assert!(sound && found["blank"] == json!([1, 3, lines.len() + 3]), "{found}");
        assert!(stdout(&run(&f, "check", &[])).contains("3 lines of white space, the first is line 1"));
        assert_eq!(f.json("status", &[])["trials"]["complete"], 2);
        assert_eq!(f.json("optimize", &["-q", "--set", "budget.trials=3"])["spent"]["trials"], 3);
        assert!(check(&f).1);
        assert_eq!(code(&run(&f, "compact", &["-q"])), Some(0));
        assert_eq!(f.json("status", &[])["trials"]["complete"], 3);
        // A line that is damaged has the number that an editor shows.
        f.write("run/journal.jsonl", &format!("\n\n{}\noops\n", journal(&f).lines().next().unwrap()));
        assert!(stderr(&f.run("status", &[])).contains("line 4"));
    }
}

#[test]
fn mode_and_owner_survive_whatever_replaces_the_journal() {
    for format in [3, 7] {
        let f = ended();
        let old: String = journal(&f).lines().map(|line| format!("{}}}\n", study::body(line))).collect();
        if format == 3 {
            fs::remove_file(f.path("run/journal.seal")).unwrap();
            f.write("run/journal.jsonl", &old.replace("\"format\":11", "\"format\":3"));
        }
        let path = f.path("run/journal.jsonl");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        if chown(&path, Some(1234), Some(4321)).is_err() {
            eprintln!("only the mode is looked at: only root can give files away");
        }
        let look = |name: &str| fs::metadata(f.path(name)).map(|m| (m.mode() & 0o7777, m.uid(), m.gid())).unwrap();
        let before = look("run/journal.jsonl");
        if format == 3 {
            f.json("suggest", &[]);
        } else {
            assert_eq!(code(&run(&f, "compact", &["-q"])), Some(0));
        }
        assert!(f.path("run/journal.jsonl.1.bak").exists());
        assert_eq!((before.0, look("run/journal.jsonl"), look("run/journal.seal")), (0o640, before, before));
    }
}

#[test]
fn a_journal_that_is_displaced_stops_the_study() {
    let trainer = |how: &str| format!("{GOOD}; if [ $3 = 2 ]; then {how}; fi");
    for (how, said) in [
        ("rm -r run", "was removed or moved away"),
        ("mv run elsewhere", "was removed or moved away"),
        ("rm run/journal.jsonl", "was removed or moved away"),
        ("cp run/journal.jsonl copy; mv copy run/journal.jsonl", "was replaced by another file"),
    ] {
        let f = Fixture::new(&trainer(how), "", "[budget]\ntrials = 4");
        let output = f.run("optimize", &[]);
        let text = stderr(&output);
        assert!(code(&output) == Some(1) && text.contains(said) && text.contains("up to trial 2;"), "{how}: {text}");
        assert!(output.stdout.is_empty(), "no recommendation");
        // Nothing is made anew.
        assert!(how.starts_with("cp") || !f.path("run/journal.jsonl").exists(), "{how}");
        assert_eq!(f.path("run").exists(), how.contains("journal"), "{how}");
        let home = if how.starts_with("mv") { "elsewhere" } else { "run" };
        assert!(!f.path(&format!("{home}/trials/0003")).exists() && !f.path(&format!("{home}/journal.seal")).exists());
        if how.starts_with("cp") {
            assert!(check(&f).1);
        }
    }
}

#[test]
fn a_study_whose_folder_goes_before_a_trial_begins_is_not_made_anew() {
    // The hook runs beside the study, and has its folder removed before the trial's own could be made.
    let f = Fixture::new(GOOD, "setup = [\"rm\", \"-r\", \"run\"]", "[budget]\ntrials = 4");
    let output = f.run("optimize", &[]);
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    assert!(!f.path("run").exists());
}

#[test]
fn what_is_planted_in_the_folder_does_no_harm() {
    // What is a link is not followed, and its target is as it was, also where there was none.
    for name in ["lock", "journal.jsonl"] {
        for target in ["precious", "missing"] {
            let f = Fixture::new(GOOD, "", "[budget]\ntrials = 1");
            f.write("precious", "");
            fs::create_dir(f.path("run")).unwrap();
            symlink(f.path(target), f.path(&format!("run/{name}"))).unwrap();
            let output = f.run("optimize", &[]);
            let said = stderr(&output);
            assert!(code(&output) == Some(1) && said.contains(name) && said.contains("it is a link"), "{said}");
            assert!(f.lines("precious").is_empty() && !f.path("missing").exists());
        }
        // A pipe is not waited for.
        let f = Fixture::new(GOOD, "", "[budget]\ntrials = 1");
        fs::create_dir(f.path("run")).unwrap();
        mkfifo(&f.path(&format!("run/{name}")), Mode::from_bits_truncate(0o600)).unwrap();
        let output = f.run("optimize", &[]);
        assert!(code(&output) == Some(1) && stderr(&output).contains("no regular file"), "{}", stderr(&output));
        fs::remove_file(f.path(&format!("run/{name}"))).unwrap();
        fs::create_dir(f.path(&format!("run/{name}"))).unwrap();
        let output = f.run("optimize", &[]);
        assert!(code(&output) == Some(1) && stderr(&output).contains(name), "{}", stderr(&output));
    }
    // New files are new, whatever lies there.
    let f = ended();
    f.write("precious", "precious");
    for name in ["journal.jsonl.new", "journal.seal.new"] {
        symlink(f.path("precious"), f.path(&format!("run/{name}"))).unwrap();
    }
    symlink(f.path("missing"), f.path("run/journal.jsonl.1.bak")).unwrap();
    assert_eq!(code(&run(&f, "compact", &["-q"])), Some(0));
    assert_eq!((f.lines("precious"), f.path("missing").exists()), (vec!["precious".to_owned()], false));
    assert!(f.path("run/journal.jsonl.2.bak").exists() && check(&f).1);
    // A pipe instead of a seal says nothing.
    fs::remove_file(f.path("run/journal.seal")).unwrap();
    mkfifo(&f.path("run/journal.seal"), Mode::from_bits_truncate(0o600)).unwrap();
    assert!(check(&f).1);
}

#[test]
fn what_contradicts_the_study_is_not_written() {
    let f = ended();
    let before = journal(&f);
    let mut study = Study::open(config(&f), WAIT).unwrap();
    for trial in [1, 9] {
        let outcome = Completed { metrics: BTreeMap::from([("loss".to_owned(), 1.0)]), ..Completed::default() };
        let error = study.record(Event::Completed { trial, outcome }).unwrap_err().to_string();
        assert!(error.starts_with("this cannot be recorded: ") && error.contains("nothing was written"), "{error}");
        assert!(error.contains(if trial == 1 { "had already finished" } else { "never suggested" }), "{error}");
    }
    assert_eq!(journal(&f), before);
}

#[test]
fn a_reader_sees_the_journal_before_or_after_it_is_replaced() {
    let f = ended();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let study = Study::read(config(&f)).unwrap();
                assert_eq!(study.counts().complete, 2);
                reads += 1;
            }
            reads
        });
        for _ in 0..50 {
            let mut study = Study::open(config(&f), WAIT).unwrap();
            (0..3).for_each(|_| study.record(Event::Resumed(Resumed::unchanged())).unwrap());
            drop(study);
            let compacted = study_of::compact(config(&f), WAIT).unwrap();
            fs::remove_file(compacted.backup.unwrap()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let found: Value = check(&f).0;
    assert_eq!(found["problems"], json!([]));
}
