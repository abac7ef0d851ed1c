//! From a parsed document to a validated config.

use crate::text::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Origin, Problem};
use super::export::{DomainFiles, export};
use super::freeze::{Recommended, Sources};
use super::stated::StatedMixture;
use super::tree::{self, Problems, Section};
use super::value::{Node, Value};
use super::{
    Ancestry, Budget, LauncherConfig, LauncherKind, NUL, ReplayConfig, StudyConfig, confirm, freeze, guard, kind,
    lineage, placeholders, repetition,
};
use crate::problem::{
    AcquisitionKind, Aggregate, Direction, Fidelities, Fidelity, Goal, KernelKind, MOST_COMPONENTS, Metric,
    ModelChoice, Objective, OptimizerSettings, Reference, RelativeTo, Structure, Warp, check_domain_name,
    check_folder_name, check_name,
};
use crate::space::{Domain, Granularity, GroupSpec, Limits, MOST_DOMAINS, SearchSpace};

/// The strategies that `replay` can compare.
const STRATEGIES: [&str; 6] = ["admire", "single-fidelity", "random", "regression", "hyperband", "log-linear"];

pub(super) fn build(path: &Path, root: &Node, recommended: Recommended<'_>) -> Result<StudyConfig, ConfigError> {
    let problems = Problems::default();
    let document = Section::new(Some(root), String::new(), &problems);

    let (name, seed, dir) = study(&document, path);
    let (domains, files, ancestry) = domains(&document);
    let names: Vec<&str> = domains.iter().map(|d| d.name.as_str()).collect();
    let fidelities = fidelities(&document);
    let (limits, granularity, match_repetition) = limits(&document, &domains, fidelities.as_ref());
    let groups = groups(&document, &Sources { domains: &domains, lineage: &ancestry.lineage, limits, recommended });
    if granularity.steps.is_some() && groups.iter().any(|group| group.freeze.is_some()) {
        let message = "rounds weights, which changes the ratios of a frozen [[group]]; leave one of them out";
        document.section("limits").report(Some("step"), message);
    }
    let (mut objective, relative_to) = objective(&document, &domains);
    let optimizer = optimizer(&document, fidelities.as_ref());
    let written = guard::read(&document, &domains, &objective, &optimizer);
    let budget = budget(&document, optimizer.acquisition);
    let sizes: Vec<&str> = fidelities.iter().flat_map(Fidelities::list).map(|f| f.name.as_str()).collect();
    let launcher = launcher(&document, &names, &sizes, match_repetition);
    let (confirm, against) = confirm::read(&document, &domains);
    let replay = replay(&document);
    let export = export(&document, files);
    document.finish();
    exponents(root, &problems);

    let domain_order = domains.iter().map(|d| d.name.clone()).collect();
    let invalid = |mut problems: Vec<Problem>| {
        problems.sort_by_key(|p| match p.origin {
            Origin::Line(line) => line,
            Origin::Set(_) => usize::MAX,
        });
        ConfigError::Invalid { path: path.to_owned(), problems }
    };
    let problems = problems.into_inner();
    let Some(fidelities) = fidelities.filter(|_| problems.is_empty()) else { return Err(invalid(problems)) };
    let space = SearchSpace::new(domains, groups, limits)
        .and_then(|space| space.with_granularity(granularity))
        .map_err(|source| ConfigError::Infeasible { path: path.to_owned(), source })?;
    let mut settings = tree::settings(root);
    // As ratios: another study may recommend something else later.
    settings.extend(freeze::settings(&space));
    let guards = guard::guards(written, &space, &mut objective);
    let reference = relative_to.and_then(|to| {
        let mixture = StatedMixture::of_word(to.name())?.mixture(&space).ok()?;
        Some(Reference { to, mixture })
    });
    let objective = objective.relative_to(reference);
    // Without a run of it, what the other runs of a confirmation measure is not known.
    let against = against.into_iter().chain(relative_to.and_then(|to| StatedMixture::of_word(to.name()))).collect();
    let references = confirm::references(against, &space, optimizer.tolerance);
    let path = path.to_owned();
    Ok(StudyConfig {
        path,
        name,
        seed,
        dir,
        space,
        domain_order,
        match_repetition,
        ancestry,
        fidelities,
        objective,
        guards,
        optimizer,
        budget,
        launcher,
        confirm,
        references,
        replay,
        export,
        settings,
    })
}

/// `[study]`: its name, seed and directory.
fn study(document: &Section<'_>, path: &Path) -> (String, u64, PathBuf) {
    let section = document.section("study");
    let stem = path.file_stem().map_or_else(|| "study".into(), |s| s.to_string_lossy().into_owned());
    let name = section.text("name").unwrap_or(stem);
    if let Err(reason) = check_folder_name(&name) {
        section.report(Some("name"), format!("the name {reason}"));
    }
    let seed = section.integer("seed", 0).unwrap_or(0);
    let dir = section.text("dir").map_or_else(|| Path::new("admire-runs").join(&name), PathBuf::from);
    if dir.as_os_str().as_encoded_bytes().contains(&0) {
        section.report(Some("dir"), "has a NUL character in it, which no path can hold");
    }
    section.finish();
    (name, seed, dir)
}

/// Reports counts that lack their exponent: below a thousand, where another of the same kind is above a million.
fn exponents(root: &Node, problems: &Problems) {
    let numbers = root.numbers();
    let places = ["domain[", "fidelity[", "limits."];
    for kind in ["tokens", "params"] {
        let is_count = |key: &str| key.ends_with(kind) && places.iter().any(|place| key.starts_with(place));
        let counts: Vec<_> = numbers.iter().filter(|(key, ..)| is_count(key)).collect();
        let most = counts.iter().map(|(.., count)| *count).fold(0.0, f64::max);
        for (key, origin, count) in counts.into_iter().filter(|(.., count)| *count > 0.0 && *count < 1e3 && most > 1e6)
        {
            let message =
                format!("{count} {kind}, where others are {most:e}: is an exponent missing, as in {count}e9?");
            problems.borrow_mut().push(Problem { origin: origin.clone(), key: key.clone(), message });
        }
    }
}

/// A required `name` that passes `check`, unlike those before it.
fn unique_name(section: &Section<'_>, seen: &mut BTreeSet<String>, check: fn(&str) -> Result<(), String>) -> String {
    let name = section.text("name");
    match &name {
        None if section.present() => section.report(Some("name"), "is missing or no string; give it a name"),
        None => {}
        Some(name) => {
            if let Err(reason) = check(name) {
                section.report(Some("name"), format!("the name {reason}"));
            } else if !seen.insert(name.clone()) {
                section.report(Some("name"), format!("`{name}` appears twice; names must differ"));
            }
        }
    }
    name.unwrap_or_default()
}

fn range(section: &Section<'_>) -> (f64, f64) {
    let (min, max) = (section.share("min").unwrap_or(0.0), section.share("max").unwrap_or(1.0));
    if min > max {
        section.report(Some("min"), format!("min = {min} is above max = {max}; lower min or raise max"));
    }
    (min, max)
}

fn domains(document: &Section<'_>) -> (Vec<Domain>, BTreeMap<String, DomainFiles>, Ancestry) {
    let (mut seen, mut paths, mut files) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let sections = document.sections("domain");
    if document.lacks("domain") {
        document.report(Some("domain"), "there are no domains; add a [[domain]] with a name for each data source");
    }
    if let Some(beyond) = sections.get(MOST_DOMAINS) {
        let n = sections.len();
        beyond.report(
            None,
            format!("{n} domains are more than the {MOST_DOMAINS} that can be searched; merge small ones"),
        );
    }
    let read = |section: &Section<'_>| {
        let name = unique_name(section, &mut seen, check_domain_name);
        let (min, max) = range(section);
        let tokens = section.positive("tokens");
        let prior = section.number("prior", "a number of at least 0", |x| x >= 0.0);
        let family = section.text("family");
        if let Some(Err(reason)) = family.as_deref().map(check_name) {
            section.report(Some("family"), format!("the name {reason}"));
        }
        files.insert(name.clone(), DomainFiles::read(section, &mut paths));
        Domain { name, min, max, tokens, prior, family }
    };
    let domains: Vec<Domain> = sections.iter().map(read).collect();
    let ancestry = lineage::read(&sections, &domains);
    sections.into_iter().for_each(Section::finish);
    (domains, files, ancestry)
}

fn groups(document: &Section<'_>, sources: &Sources<'_>) -> Vec<GroupSpec> {
    let (mut seen, mut groups) = (BTreeSet::new(), Vec::<GroupSpec>::new());
    let known = || sources.domains.iter().map(|domain| domain.name.as_str());
    for section in document.sections("group") {
        let name = unique_name(&section, &mut seen, check_name);
        let domains = section.texts("domains").unwrap_or_default();
        if domains.is_empty() {
            section.report(Some("domains"), "name at least one domain");
        }
        for (i, domain) in domains.iter().enumerate() {
            if known().all(|known| known != domain) {
                let hint = nearest(domain, known()).map(|n| format!("; did you mean `{n}`?"));
                section.report(Some("domains"), format!("unknown domain `{domain}`{}", hint.unwrap_or_default()));
            } else if domains[..i].contains(domain) {
                section.report(Some("domains"), format!("`{domain}` appears twice"));
            }
        }
        let (min, max) = range(&section);
        let mut group = GroupSpec { name, domains, min, max, freeze: None };
        group.freeze = sources.read(&section, &group);
        let overlaps = |other: &&GroupSpec| {
            other.freeze.is_some() && other.domains.iter().any(|name| group.domains.contains(name))
        };
        if let Some(other) = groups.iter().find(overlaps).filter(|_| group.freeze.is_some()) {
            let other = &other.name;
            section.report(
                Some("freeze"),
                format!("shares a domain with `{other}`, which is frozen too; thaw one of them"),
            );
        }
        section.finish();
        groups.push(group);
    }
    groups
}

fn fidelities(document: &Section<'_>) -> Option<Fidelities> {
    let sections = document.sections("fidelity");
    if document.lacks("fidelity") {
        document.report(Some("fidelity"), "there are no fidelities; add a [[fidelity]] for each size that is trained");
    }
    if sections.is_empty() {
        return None;
    }
    let (mut seen, mut targets, mut list) = (BTreeSet::new(), vec![], Vec::<Fidelity>::new());
    for section in &sections {
        let fidelity = Fidelity {
            name: unique_name(section, &mut seen, check_name),
            params: section.positive("params"),
            tokens: section.positive("tokens"),
            cost: section.positive("cost"),
            max_trials: section.count("max_trials", 1),
            initial: section.count("initial", 0),
        };
        if section.bool("target") == Some(true) {
            if let Some(first) = targets.first() {
                section.report(Some("target"), format!("`{first}` is the target already; keep one `target = true`"));
            }
            targets.push(fidelity.name.clone());
        }
        list.push(fidelity);
    }
    // The sections are looked at again: whether a cost is missing depends on the others.
    if list.iter().any(|f| f.cost.is_some()) {
        for (section, fidelity) in sections.iter().zip(&list) {
            if fidelity.cost.is_none() && section.node("cost").is_none() {
                let advice = "state the cost of all fidelities, or of none to learn them from measured durations";
                section.report(Some("cost"), format!("`{}` has no cost but others do; {advice}", fidelity.name));
            }
        }
    }
    sections.into_iter().for_each(Section::finish);
    Some(Fidelities::new(list, targets.first().map(String::as_str)))
}

fn limits(
    document: &Section<'_>,
    domains: &[Domain],
    fidelities: Option<&Fidelities>,
) -> (Option<Limits>, Granularity, bool) {
    let section = document.section("limits");
    let target_tokens = section.positive("target_tokens");
    let max_epochs = section.positive("max_epochs");
    let target_tokens = target_tokens.or_else(|| fidelities.and_then(|f| f.list()[f.target()].tokens));
    if max_epochs.is_some() {
        if target_tokens.is_none() {
            section.report(Some("max_epochs"), "needs limits.target_tokens, or tokens of the target fidelity");
        } else if domains.iter().all(|d| d.tokens.is_none()) {
            section.report(Some("max_epochs"), "caps nothing: no domain states its available `tokens`");
        }
    }
    let granularity = granularity(&section, domains);
    let match_repetition = repetition::read(&section, domains, fidelities);
    section.finish();
    (target_tokens.map(|target_tokens| Limits { target_tokens, max_epochs }), granularity, match_repetition)
}

/// `limits.smallest_weight` and `limits.step`.
fn granularity(section: &Section<'_>, domains: &[Domain]) -> Granularity {
    let share = |key| section.number(key, "a number above 0 and below 1", |x| 0.0 < x && x < 1.0);
    let (smallest, step) = (share("smallest_weight"), share("step"));
    let steps = step.and_then(Granularity::steps_of);
    if let Some(step) = step.filter(|_| steps.is_none()) {
        let remedy = "take one such as 0.01 or 0.005, of at least 0.0001";
        section.report(Some("step"), format!("no whole number of steps of {step} makes 1; {remedy}"));
    }
    let granularity = Granularity { smallest, steps };
    let excluded = domains.iter().find(|domain| domain.max > 0.0 && domain.max < granularity.least());
    if let Some(Domain { name, max, .. }) = excluded {
        let key = if smallest.is_some_and(|smallest| smallest > *max) { "smallest_weight" } else { "step" };
        let why = format!("is more than max = {max} of `{name}`, which could only get no weight");
        section.report(Some(key), format!("{why}; lower this limit, raise max, or set max = 0"));
    }
    granularity
}

/// The objective, and what it is to be compared with.
fn objective(document: &Section<'_>, domains: &[Domain]) -> (Objective, Option<RelativeTo>) {
    let section = document.section("objective");
    let metric = section.text("metric");
    let weights = section.entries("metrics", "{ web = 1.0, code = 2.0 }", "a finite number", Value::number);
    let directions = [("minimize", Direction::Minimize), ("maximize", Direction::Maximize)];
    let direction = section.choice("direction", &directions).unwrap_or(Direction::Minimize);
    let aggregate = section.choice("aggregate", &Aggregate::NAMED).unwrap_or_default();
    let relative_to = section.choice("relative_to", &RelativeTo::NAMED);
    if let Some(problem) = relative_to.and_then(|to| StatedMixture::of_word(to.name())?.problem(domains)) {
        section.report(Some("relative_to"), problem);
    }
    if metric.is_some() && weights.is_some() {
        section.report(Some("metrics"), "`metric` and `metrics` exclude one another; keep one of them");
    }
    if let Some(Err(reason)) = metric.as_deref().map(check_name) {
        section.report(Some("metric"), format!("the name {reason}"));
    }
    for (name, _) in weights.iter().flatten() {
        if let Err(reason) = check_name(name) {
            section.report(Some("metrics"), format!("the name `{name}` {reason}"));
        }
    }
    if weights.as_ref().is_some_and(|w| w.iter().all(|(_, weight)| *weight == 0.0)) {
        section.report(Some("metrics"), "no metric has a weight other than 0");
    }
    section.finish();
    let weights = weights.unwrap_or_else(|| vec![(metric.unwrap_or_else(|| "loss".into()), 1.0)]);
    let metrics = weights.into_iter().filter(|(_, w)| *w != 0.0).map(|(name, weight)| Metric { name, weight });
    (Objective::new(metrics.collect(), direction, aggregate), relative_to)
}

fn optimizer(document: &Section<'_>, fidelities: Option<&Fidelities>) -> OptimizerSettings {
    let section = document.section("optimizer");
    let default = OptimizerSettings::default();
    let components = section.count("components", 1);
    if let Some(components) = components.filter(|c| *c > MOST_COMPONENTS) {
        section.report(
            Some("components"),
            format!("{components} is above {MOST_COMPONENTS}; more components only fit noise"),
        );
    }
    let kernel = section.choice("kernel", &KernelKind::NAMED).or(components.map(|_| KernelKind::SpectralMixture));
    let settings = OptimizerSettings {
        model: ModelChoice {
            kernel: kernel.map(|kernel| (kernel, components.unwrap_or(1))),
            warp: section.choice("warp", &Warp::NAMED),
            structure: section.choice("structure", &Structure::NAMED),
            lengthscale_sd: section.positive("lengthscale_sd"),
        },
        acquisition: section.choice("acquisition", &AcquisitionKind::NAMED).unwrap_or(default.acquisition),
        initial: section.count("initial", 1),
        tolerance: section.share("tolerance").unwrap_or(default.tolerance),
        target_only: section.bool("target_only").unwrap_or(default.target_only),
        stop_early: section.bool("stop_early").unwrap_or(default.stop_early),
        goal: Goal::Mixture,
    };
    if settings.stop_early && settings.acquisition != AcquisitionKind::KnowledgeGradient {
        let message = "needs acquisition = \"knowledge-gradient\": other functions do not tell what a run is worth";
        section.report(Some("stop_early"), message);
    }
    if settings.stop_early && fidelities.is_some_and(|f| f.list().iter().all(|fidelity| fidelity.tokens.is_none())) {
        let message = "needs `tokens` of fidelities: without them nobody knows how far a run is";
        section.report(Some("stop_early"), message);
    }
    section.finish();
    settings
}

fn budget(document: &Section<'_>, acquisition: AcquisitionKind) -> Budget {
    let section = document.section("budget");
    let budget = Budget {
        cost: section.positive("cost"),
        trials: section.count("trials", 1),
        wall_time: section.duration("wall_time"),
        patience: section.count("patience", 1),
        regret: section.positive("regret"),
        gain: section.positive("gain"),
    };
    if budget.gain.is_some() && acquisition != AcquisitionKind::KnowledgeGradient {
        section
            .report(Some("gain"), "needs optimizer.acquisition = \"knowledge-gradient\": other functions tell no gain");
    }
    section.finish();
    budget
}

fn launcher(
    document: &Section<'_>,
    domains: &[&str],
    fidelities: &[&str],
    match_repetition: bool,
) -> Option<LauncherConfig> {
    let section = document.section("launcher");
    let command = section.texts("command").unwrap_or_default();
    if section.present() && (section.lacks("command") || command.first().is_some_and(String::is_empty)) {
        section.report(Some("command"), "needs the training command, an array: [\"python\", \"train.py\", …]");
    }
    for argument in &command {
        if argument.contains('\0') {
            section.report(Some("command"), NUL);
        }
        if let Err(message) = placeholders::check(argument, domains, match_repetition) {
            section.report(Some("command"), message);
        }
    }
    let other = |key| {
        let argv = section.texts(key);
        if argv.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
            section.report(Some(key), "is empty; leave it out, or name a program");
        }
        if argv.iter().flatten().any(|argument| argument.contains('\0')) {
            section.report(Some(key), NUL);
        }
        argv
    };
    let (setup, on_event) = (other("setup"), other("on_event"));
    let env: BTreeMap<String, String> =
        section.entries("env", "{ OMP_NUM_THREADS = \"4\" }", "a string", Value::text).into_iter().flatten().collect();
    if let Some(name) = env.keys().find(|n| n.is_empty() || n.contains(['=', '\0'])) {
        section.report(Some("env"), format!("`{name}` cannot be the name of an environment variable"));
    }
    if let Some((name, _)) = env.iter().find(|(_, value)| value.contains('\0')) {
        section.report(Some("env"), format!("the value of `{name}` has a NUL character in it"));
    }
    let kind = kind::kind(&section, &env, fidelities);
    let slots = if kind == LauncherKind::Local { 1 } else { 4 };
    let config = LauncherConfig {
        kind,
        command,
        setup,
        on_event,
        slots: section.count("slots", 1).unwrap_or(slots),
        timeout: section.duration("timeout"),
        retries: section.integer("retries", 0).unwrap_or(1).try_into().unwrap_or(u32::MAX),
        retry_diverged: section.integer("retry_diverged", 0).unwrap_or(0).try_into().unwrap_or(u32::MAX),
        max_failure_rate: section.share("max_failure_rate").unwrap_or(0.5),
        resumable: section.bool("resumable").unwrap_or(false),
        grace: section.duration("grace").unwrap_or(Duration::from_secs(10)),
        poll: section.duration("poll").unwrap_or(Duration::from_secs(30)),
        env,
    };
    if config.timeout.is_some_and(|t| t.is_zero()) {
        section.report(Some("timeout"), "a time-out of zero ends every trial at once; leave it out for none");
    }
    let present = section.present();
    section.finish();
    present.then_some(config)
}

fn replay(document: &Section<'_>) -> ReplayConfig {
    let section = document.section("replay");
    let absolute = |file: String| std::path::absolute(&file).unwrap_or_else(|_| file.into());
    let config = ReplayConfig {
        runs: section.texts("runs").into_iter().flatten().map(absolute).collect(),
        candidates: section.count("candidates", 1),
        strategies: section.texts("strategies").unwrap_or_default(),
        seeds: section.count("seeds", 1),
    };
    for strategy in config.strategies.iter().filter(|s| !STRATEGIES.contains(&s.as_str())) {
        section
            .report(Some("strategies"), format!("unknown strategy `{strategy}`; known are {}", STRATEGIES.join(", ")));
    }
    section.finish();
    config
}
