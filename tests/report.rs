//! The report: one page that needs nothing, says what was found, and works in a browser.

#[path = "common/browser.rs"]
mod browser;
#[path = "common/study.rs"]
mod study;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use browser::Browser;
use html5gum::{DefaultEmitter, Token, Tokenizer};
use serde_json::{Value, json};
use study::{Fixture, GOOD, code, stderr};

/// A domain and a metric that a page must not act on.
const HOSTILE: &str = "</style><script>alert(1)</script>&\"'";

/// Two metrics; the third trial fails. Loss is best with half of `a`.
const TRAINER: &str = r#"[ "$3" = 3 ] && exit 1
awk -v a="$2" -v s="$4" -v out="$1" -v name="$METRIC" 'BEGIN {
  x = (a - 0.5) ^ 2 + 1 + (s % 100) / 10000; y = 2 - a
  printf "{\"metrics\": {\"loss\": %.6f, \"%s\": %.6f}}", x, name, y > (out ".tmp") }'
mv "$1.tmp" "$1""#;

/// A finished study with names that are markup, and its page.
fn hostile() -> (Fixture, PathBuf) {
    let metric = HOSTILE.replace('\'', "");
    // As awk's `-v` reads it, and what that makes of it as JSON does.
    let escaped = metric.replace('"', "\\\\\\\"");
    let f = Fixture::new(TRAINER, &format!("env = {{ METRIC = '''{escaped}''' }}\nslots = 1"), "[budget]\ntrials = 18");
    f.edit("name = \"c\"", &format!("name = '''{HOSTILE}'''\ntokens = 2e6"));
    f.edit("name = \"a\"", "name = \"a\"\ntokens = 1e6\nmax = 0.55");
    f.edit("name = \"b\"", "name = \"b\"\ntokens = 3e6\nprior = 1.0");
    f.edit("metric = \"loss\"", &format!("metrics = {{ loss = 1.0, '{}' = 0.1 }}", metric));
    f.edit("[objective]", "[limits]\ntarget_tokens = 1e6\n[objective]");
    // Mixtures that are trained at both sizes, one of which fails at one of them.
    for size in ["small", "large"] {
        for mixture in ["a=0.5,b=0.5", "a=0.3,b=0.7", "a=0.2,b=0.8", "a=0.1,b=0.9"] {
            f.json("suggest", &["--fidelity", size, "--mixture", mixture]);
        }
    }
    let done = f.run("optimize", &["--quiet"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let page = f.path("page.html");
    let done = f.run("report", &["--out", page.to_str().unwrap(), "--compare", "trial:2"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), page.display().to_string());
    (f, page)
}

type Element = (String, BTreeMap<String, String>);

/// The page's elements (with attributes) in order, and the text outside of scripts and styles.
fn parse(page: &str) -> (Vec<Element>, String) {
    const VOID: [&str; 3] = ["meta", "br", "input"];
    let (mut elements, mut text, mut open) = (Vec::new(), String::new(), Vec::<String>::new());
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for Ok(token) in Tokenizer::new_with_emitter(page, emitter) {
        match token {
            Token::StartTag(tag) => {
                let name = string(&tag.name);
                let attributes = tag.attributes.iter().map(|(k, v)| (string(k), string(v))).collect();
                if !tag.self_closing && !VOID.contains(&name.as_str()) {
                    open.push(name.clone());
                }
                elements.push((name, attributes));
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(string(&tag.name)), "{text}"),
            Token::String(s) if !open.iter().any(|e| e == "script" || e == "style") => text += &string(&s),
            Token::Error(error) => panic!("{error:?} after {text}"),
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    (elements, text)
}

#[test]
fn one_page_that_needs_nothing_and_escapes_everything() {
    let (_f, path) = hostile();
    let page = fs::read_to_string(path).unwrap();
    let (elements, text) = parse(&page);
    let of = |name: &str| elements.iter().filter(|(n, _)| n == name).collect::<Vec<_>>();
    assert_eq!((of("html").len(), of("script").len(), of("style").len(), of("link").len()), (1, 3, 1, 0));
    for (name, attributes) in &elements {
        for (key, value) in attributes {
            let address = ["src", "href", "xlink:href", "action", "data", "srcset"].contains(&key.as_str());
            assert!(!address || value.starts_with('#'), "<{name} {key}={value}> is fetched");
            assert!(!key.starts_with("on"), "<{name} {key}={value}> runs");
        }
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    // Names appear as they are written, nowhere as markup.
    assert!(text.contains(HOSTILE), "{text}");
    assert!(!page.contains("<script>alert"));

    // Pictures have names and descriptions for those who cannot see them.
    let pictures = of("svg").into_iter().filter(|(_, a)| a.get("role").is_some_and(|r| r == "img"));
    let ids: Vec<&String> = elements.iter().filter_map(|(_, a)| a.get("id")).collect();
    let mut count = 0;
    for (_, attributes) in pictures {
        count += 1;
        let labels: Vec<&str> = attributes["aria-labelledby"].split(' ').collect();
        assert!(labels.len() == 2 && labels.iter().all(|l| ids.contains(&&(*l).to_owned())), "{attributes:?}");
    }
    // Best so far and its last tenth, two sizes predicted, three effects, the triangle, a trade-off, mixtures at both sizes.
    assert_eq!(count, 10);
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "an id appears twice: {ids:?}");

    for said in [
        "Against uniform",
        "Against prior",
        "Against natural",
        "Against trial 2",
        "probability of being better",
        "Within noise",
        "Epochs",
        "18 trials",
        "exit status: 1",
        "a ≤ 0.55",
        ", written 20",
        "Limited by",
        "its max",
        "Ran for",
    ] {
        assert!(text.contains(said), "{said} is missing in\n{text}");
    }
}

#[test]
fn a_study_without_results_has_a_report_too() {
    let f = Fixture::new(GOOD, "", "");
    assert!(f.run("suggest", &[]).status.success());
    assert!(f.run("report", &[]).status.success());
    let (_, text) = parse(&fs::read_to_string(f.path("run/report.html")).unwrap());
    assert!(text.contains("No trial has finished yet") && text.contains("nothing is recommended"), "{text}");
    assert!(text.contains("There is no model of the runs yet"), "{text}");

    // What cannot be compared is a mistake on the command line.
    f.write("other.json", r#"{"weights": {"a": 0.5, "x": 0.5}}"#);
    for (what, said) in
        [("trial:9", "no trial 9"), ("other.json", "`x` is no domain"), ("@study.toml", "expected JSON")]
    {
        let done = f.run("report", &["--compare", what]);
        assert_eq!(code(&done), Some(2), "{}", stderr(&done));
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
    }
    f.write("other.json", r#"{"a": 0.25, "b": 0.75}"#);
    assert!(f.run("tell", &["--trial", "1", "--loss", "1"]).status.success());
    assert!(f.run("report", &["--compare", "other.json"]).status.success());
    let page = fs::read_to_string(f.path("run/report.html")).unwrap();
    let (_, text) = parse(&page);
    assert!(text.contains("Against other") && text.contains("75.0 %"), "{text}");
    // Before anything else it says what the answer rests on.
    let (head, rest) = page.split_once("<main>").unwrap();
    assert!(head.contains("no run is complete at large") && !rest.contains("no run is complete at large"), "{text}");
}

#[test]
fn odd_studies_have_reports() {
    let single = "[[domain]]\nname = \"b\"\n[[domain]]\nname = \"c\"\n";
    for (name, loss, edit) in [
        ("constant", "1.5", None),
        ("zero", "0", None),
        ("huge", "${3}e300", None),
        ("largest", "-1.7e308", None),
        ("tiny", "1.00000000000000${3}", None),
        ("outlier", "$( [ $3 = 4 ] && echo 1e30 || echo 1.$3 )", None),
        ("one domain", "1.$3", Some((single, ""))),
        ("free", "1.$3", Some(("cost = 1.0", "cost = 1e-300"))),
        ("maximized", "1.$3", Some(("metric = \"loss\"", "metric = \"loss\"\ndirection = \"maximize\""))),
    ] {
        let script = format!("printf '{{\"loss\": %s}}' \"{loss}\" > \"$1.tmp\" && mv \"$1.tmp\" \"$1\"");
        let f = Fixture::new(&script, "", "[budget]\ntrials = 8");
        if let Some((from, to)) = edit {
            f.edit(from, to);
        }
        let searched = f.run("optimize", &["-q"]);
        // What is beyond reckoning has diverged, and then nothing is known.
        let expected = if ["huge", "largest"].contains(&name) { 1 } else { 0 };
        assert_eq!(code(&searched), Some(expected), "{name}: {}", stderr(&searched));
        let done = f.run("report", &[]);
        assert!(done.status.success(), "{name}: {}", stderr(&done));
        let page = fs::read_to_string(f.path("run/report.html")).unwrap();
        let (elements, text) = parse(&page);
        // Of one mixture there is one trial at each size.
        let trials = if name == "one domain" { "2 trials" } else { "8 trials" };
        assert!(text.contains(trials), "{name}: {text}");
        for (element, attributes) in &elements {
            let place = |(key, value): (&String, &String)| {
                ["points", "d", "x", "y", "cx", "cy", "width", "height"].contains(&key.as_str())
                    && value.contains(['N', 'i'])
            };
            assert!(!attributes.iter().any(place), "{name}: <{element} {attributes:?}>");
        }
    }
}

#[test]
fn the_recommendation_is_readable_in_a_terminal_and_plain_elsewhere() {
    let (f, _) = hostile();
    let plain = String::from_utf8(f.run("best", &[]).stdout).unwrap();
    for said in [
        "Recommended mixture for large",
        "domain",
        "epochs",
        "█",
        "against uniform",
        "better with probability",
        "runs) correlates",
        "`a` ≤ 0.55",
    ] {
        assert!(plain.contains(said), "{said} is missing in\n{plain}");
    }
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let with = |key: &str, value: &str| {
        let output = f.command("best").env("CLICOLOR_FORCE", "1").env(key, value).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // Colours change nothing that is said, and bars alone have them.
    let coloured = with("TERM", "xterm");
    let mut bars = coloured.split("\u{1b}[36m").skip(1);
    assert!(bars.all(|bar| bar.starts_with(|first| ('▉'..='▏').contains(&first) || first == '█')), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[36m█"), "{coloured:?}");
    assert_eq!(coloured.replace("\u{1b}[36m", "").replace("\u{1b}[0m", ""), plain);
    assert_eq!(with("NO_COLOR", "1"), plain);

    let gain = &f.json("best", &[])["against_uniform"];
    assert!(gain["mean"].as_f64().unwrap() > 0.0 && gain["probability"].as_f64().unwrap() > 0.5, "{gain}");
}

/// Texts whose contrast with what is behind them is too low to read (WCAG 2.2 AA: 4.5).
const FAINT: &str = r#"
const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = e => { for (; e; e = e.parentElement) {
  const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; }
  return [255, 255, 255]; };
return [...document.querySelectorAll("body *")].filter(e => !e.closest("script") &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length)
  .map(e => { const style = getComputedStyle(e), ink = parse(e.tagName === "text" ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(e))]; const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [ratio, e.textContent.trim()]; })
  .filter(([ratio]) => ratio < 4.5).map(([ratio, text]) => ratio.toFixed(2) + " " + text);"#;

/// Labels of pictures that are cut off or cover each other. (A logarithmic axis labels 1 twice, which nobody sees.)
const CLUTTER: &str = r#"
const bad = [];
for (const svg of document.querySelectorAll("figure svg")) {
  const frame = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll("text")];
  const boxes = texts.map(t => t.getBoundingClientRect());
  boxes.forEach((a, i) => {
    const name = svg.querySelector("title").textContent + ": " + texts[i].textContent.trim();
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
      bad.push(name + " is cut off");
    boxes.slice(i + 1).forEach((b, j) => {
      const same = Math.abs(a.left - b.left) < 1 && texts[i].textContent === texts[i + 1 + j].textContent;
      if (!same && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
        bad.push(name + " covers " + texts[i + 1 + j].textContent.trim());
    });
  });
}
return bad;"#;

/// The values of a column of the table of trials, as shown.
fn column(browser: &Browser, index: usize) -> Vec<String> {
    let cells = browser.script(&format!(
        "return [...document.querySelector('#all-trials').tBodies[0].rows].map(r => r.cells[{index}].textContent.trim())"
    ));
    serde_json::from_value(cells).unwrap()
}

#[test]
fn it_works_in_a_browser() {
    let Some(browser) = Browser::start() else { return };
    let (f, page) = hostile();
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    fs::create_dir_all(&shots).unwrap();
    fs::copy(&page, shots.join("report.html")).unwrap();
    browser.open(&page);
    ready(&browser);
    for (name, width, theme, medium) in [
        ("light", 1200, "light", "screen"),
        ("dark", 1200, "dark", "screen"),
        ("phone", 375, "light", "screen"),
        ("phone-dark", 320, "dark", "screen"),
        ("print", 800, "light", "print"),
    ] {
        browser.look(width, theme, medium);
        browser.screenshot(&shots.join(format!("{name}.png")));
        assert_eq!(browser.script(FAINT), json!([]), "{name}: too faint");
        assert_eq!(browser.script(CLUTTER), json!([]), "{name}");
        let wide = browser.script(&format!("return document.documentElement.scrollWidth - {width}"));
        assert!(medium == "print" || wide.as_f64().unwrap() <= 0.0, "{name}: {wide} pixels too wide");
    }

    // With many domains, and a picture of strategies.
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/tiny-lm-runs.csv");
    let mut replay = std::process::Command::new(env!("CARGO_BIN_EXE_admire"));
    replay.args(["replay", "--strategy", "random,regression", "--seeds", "3", "--out", "out", "--runs"]).arg(runs);
    assert!(replay.current_dir(f.root.path()).output().unwrap().status.success());
    browser.open(&f.path("out/report.html"));
    for (name, width, theme) in [("replay", 1200, "light"), ("replay-phone", 375, "dark")] {
        browser.look(width, theme, "screen");
        browser.screenshot(&shots.join(format!("{name}.png")));
        assert_eq!(browser.script(FAINT), json!([]), "{name}: too faint");
        assert_eq!(browser.script(CLUTTER), json!([]), "{name}");
    }

    browser.open(&page);
    browser.look(1200, "light", "screen");
    let press = |index: usize| {
        browser.script(&format!(
            "const head = document.querySelector('#all-trials').tHead.rows[0].cells[{index}];
             head.querySelector('button').click(); return head.getAttribute('aria-sort')"
        ))
    };
    let values =
        |index: usize| -> Vec<f64> { column(&browser, index).iter().filter_map(|text| text.parse().ok()).collect() };
    assert_eq!(press(4), Value::from("ascending"));
    let objectives = values(4);
    assert!(objectives.len() == 17 && objectives.is_sorted(), "{objectives:?}");
    // What has none comes last, whichever way.
    assert_eq!(column(&browser, 4).last().unwrap(), "");
    assert_eq!(press(4), Value::from("descending"));
    assert!(values(4).iter().rev().is_sorted());
    assert_eq!(column(&browser, 4).last().unwrap(), "");
    assert_eq!(press(1), Value::from("ascending"));
    let sizes = column(&browser, 1);
    assert!(sizes.iter().rev().is_sorted(), "small comes before large: {sizes:?}");
    assert_eq!(press(0), Value::from("ascending"));
    assert_eq!(values(0), (1..=18).map(f64::from).collect::<Vec<_>>());

    assert_eq!(browser.console(), Vec::<String>::new());
}

/// A study of imported runs with two metrics (one spans orders of magnitude), a bound, a group and both kinds of guards.
fn explored(kernel: &str, warp: &str, objective: &str) -> Fixture {
    let guards = "[limits]\nsmallest_weight = 0.02\n[[group]]\nname = \"bc\"\ndomains = [\"b\", \"c\"]\nmax = 0.85\n\
                  [[guard]]\nmetric = \"perplexity\"\nno_worse_than = \"uniform\"\ntolerance = \"20%\"\n\
                  [[guard]]\nmetric = 'loss'\nat_most = 1.35\n";
    let f = Fixture::new(GOOD, "", &format!("[optimizer]\nkernel = \"{kernel}\"\nwarp = \"{warp}\"\n{guards}"));
    f.edit("name = \"b\"", "name = \"b\"\nmax = 0.5");
    f.edit("metric = \"loss\"", objective);
    let mut runs = String::from("run_id,fidelity,w:a,w:b,w:c,y:loss,y:perplexity\n");
    let mixtures: [(f64, f64); 8] =
        [(0.2, 0.3), (0.5, 0.4), (0.8, 0.1), (0.3, 0.1), (0.4, 0.3), (0.6, 0.3), (0.25, 0.5), (0.9, 0.1)];
    for (i, (a, b)) in mixtures.into_iter().enumerate() {
        let (size, up) = if i % 3 == 2 { ("large", 0.0) } else { ("small", 0.1) };
        let (loss, perplexity) = (1.0 + up + (a - 0.5) * (a - 0.5) + 0.1 * b, (6.0 * a + up).exp());
        runs += &format!("{i},{size},{a},{b},{:.2},{loss:.4},{perplexity:.3}\n", 1.0 - a - b);
    }
    f.write("runs.csv", &runs);
    assert!(f.run("import", &["--from", "wide", "runs.csv"]).status.success());
    let done = f.run("report", &["--out", "page.html"]);
    assert!(done.status.success(), "{}", stderr(&done));
    f
}

/// Waits for the explorer of the page.
fn ready(browser: &Browser) {
    study::until("the explorer", || browser.script("return document.getElementById('explorer-wait').hidden") == true);
}

/// The numbers behind the explorer's tables: one row per value, then per guard.
fn shown(browser: &Browser) -> Vec<Vec<f64>> {
    let numbers = browser.script(
        "return [...document.querySelectorAll('#explorer-values tbody tr, #explorer-guards tbody tr')].map(row =>
           [...row.querySelectorAll('td')].flatMap(cell => Object.values(cell.dataset).map(Number)))",
    );
    serde_json::from_value(numbers).unwrap()
}

/// What `predict` says of a mixture, as [`shown`] has it.
fn predicted(f: &Fixture, mixture: &str) -> Vec<Vec<f64>> {
    let said = &f.json("predict", &[mixture, "--against", "recommended"])["mixtures"][0];
    let row = |of: &dyn Fn(&Value) -> Value| {
        let numbers = ["expected", "gain"].map(|what| of(&said[what]));
        numbers.iter().flat_map(|v| [v["mean"].as_f64().unwrap(), v["sd"].as_f64().unwrap()]).collect::<Vec<_>>()
    };
    let metrics = ["loss", "perplexity"].map(|metric| row(&|v| v["metrics"][metric].clone()));
    let guards = said["guards"].as_array().unwrap().iter().map(|guard| vec![guard["probability"].as_f64().unwrap()]);
    [row(&|v| v["objective"].clone())].into_iter().chain(metrics).chain(guards).collect()
}

#[test]
fn the_explorer_predicts_what_predict_does_and_keeps_bounds_and_groups() {
    let Some(browser) = Browser::start() else { return };
    let worst = "aggregate = \"worst\"
metrics = { loss = 1.0, perplexity = 0.02 }";
    let kinds = [
        (
            "rbf",
            "sqrt",
            &*format!(
                "{worst}
relative_to = \"uniform\""
            ),
        ),
        ("matern52", "log", worst),
        ("spectral-mixture", "sqrt", "metrics = { loss = 1.0, perplexity = 0.001 }"),
    ];
    let studies = kinds.map(|(kernel, warp, objective)| explored(kernel, warp, objective));
    for (f, (kernel, _, objective)) in studies.iter().zip(kinds) {
        // No trial has this mixture.
        browser.open(&f.path("page.html#mix=a:0.35,b:0.27,c:0.38"));
        ready(&browser);
        let (page, program) = (shown(&browser), predicted(f, "a=0.35,b=0.27,c=0.38"));
        assert_eq!(page.len(), 5);
        for (page, program) in page.iter().flatten().zip(program.iter().flatten()) {
            assert!(
                (page - program).abs() <= 1e-6 * program.abs().max(1.0),
                "{kernel} {objective}: {page} for {program}"
            );
        }
    }

    let weights = || -> Vec<f64> {
        let fields = browser
            .script("return [...document.querySelectorAll('#explorer-weights [type=number]')].map(f => +f.value)");
        serde_json::from_value(fields).unwrap()
    };
    let type_in = |id: &str, value: &str| {
        browser.script(&format!(
            "const field = document.getElementById('explorer-weight-{id}'); field.value = {value};
             for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind))"
        ));
        weights()
    };
    // The others make room in proportion; `b` has no more than a half, and `b` and `c` together no more than 85 %.
    assert_eq!(type_in("0", "48"), [48.0, 21.6, 30.4]);
    assert_eq!(type_in("1", "90"), [30.6, 50.0, 19.4]);
    assert_eq!(type_in("0", "5"), [15.0, 50.0, 35.0]);
    // What is held stays.
    browser.script("document.querySelector('[data-domain=\"1\"] [type=checkbox]').click()");
    assert_eq!(type_in("0", "20"), [20.0, 50.0, 30.0]);
    assert_eq!(type_in("0", "90"), [50.0, 50.0, 0.0]);
    // By keyboard; the address has what is shown, and what is a link leads there.
    let range = browser.ask("/element", &json!({"using": "css selector", "value": "[data-domain='0'] [type=range]"}));
    let id = range.as_object().unwrap().values().next().unwrap().as_str().unwrap();
    browser.ask(&format!("/element/{id}/value"), &json!({"text": "\u{e012}"}));
    assert_eq!(weights(), [49.9, 50.0, 0.1]);
    let summary = browser.script("return document.getElementById('explorer-summary').textContent");
    assert!(summary.as_str().unwrap().contains("a weight is too small to be used"), "{summary}");
    let limits = browser.script("return document.getElementById('limits').textContent");
    assert!(limits.as_str().unwrap().contains("Every weight is 0 or at least 2.0 %."), "{limits}");
    assert_eq!(
        browser.script("return [location.hash, document.getElementById('explorer-link').hash]"),
        json!(["#mix=a:0.499,b:0.5,c:0.001", "#mix=a:0.499,b:0.5,c:0.001"])
    );
    // A frozen group moves as one.
    let freeze = "group=[{name='ab', domains=['a', 'b'], freeze={a=3, b=1}}]";
    let [.., f] = studies;
    assert!(f.run("report", &["--out", "page.html", "--set", freeze]).status.success());
    browser.open(&f.path("page.html"));
    ready(&browser);
    assert_eq!(type_in("0", "30"), [30.0, 10.0, 60.0]);
    assert_eq!(type_in("2", "20"), [60.0, 20.0, 20.0]);
    assert_eq!(type_in("1", "5"), [15.0, 5.0, 80.0]);
    assert_eq!(browser.console(), Vec::<String>::new());
}
