//! A config, and after a NUL overrides, one per line. What is accepted has a feasible mixture, and its facts reach the
//! script of a job without becoming directives.

#![no_main]

use std::path::Path;

use admire::config::{ConfigError, LauncherKind, Origin, StudyConfig};
use admire::launcher::{Facts, slurm};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (text, sets) = text.split_once('\0').unwrap_or((text, ""));
    let sets: Vec<String> = sets.lines().map(str::to_owned).collect();
    match StudyConfig::parse(Path::new("study.toml"), text, &sets) {
        Ok(config) => accepted(&config),
        Err(error) => {
            assert!(error.to_string().contains("study.toml"), "{error}");
            if let ConfigError::Invalid { problems, .. } = error {
                assert!(!problems.is_empty());
                let last = text.lines().count().max(1) + 1;
                assert!(problems.iter().all(|p| !matches!(p.origin, Origin::Line(n) if n == 0 || n > last)));
            }
        }
    }
});

fn accepted(config: &StudyConfig) {
    let space = &config.space;
    for mixture in [Some(space.uniform()), space.prior()].into_iter().flatten() {
        assert!(space.polytope().contains(mixture.weights(), 1e-9), "{mixture:?}");
    }
    assert!(config.fidelities.target().index() < config.fidelities.len());
    assert!(config.objective.metrics.iter().any(|m| m.weight != 0.0 && m.weight.is_finite()));
    let Some(launcher) = &config.launcher else { return };
    let fidelity = &config.fidelities.list()[0];
    let uniform = space.uniform();
    let facts = Facts {
        weights: space.named(&uniform).map(|(name, w)| (name.to_owned(), w)).collect(),
        fidelity: fidelity.name.clone(),
        params: fidelity.params,
        tokens: fidelity.tokens,
        seed: 1,
        trial: 1,
        dir: Path::new("/it's a\n#SBATCH --wait").to_owned(),
        attempt: 1,
        result: "result.json".into(),
        repetition: None,
        continue_from: None,
    };
    assert!(!launcher.command[0].is_empty());
    let LauncherKind::Slurm { directives, fidelity: special } = &launcher.kind else { return };
    let name = slurm::job_name(&config.name, 1, 1);
    let script = slurm::script(launcher, &name, &facts).unwrap();
    // `sbatch` reads directives up to the first line that is neither empty nor a comment.
    let read = script.lines().skip(1).take_while(|line| line.is_empty() || line.starts_with('#'));
    let mut read = read.filter_map(|line| line.strip_prefix("#SBATCH "));
    for option in ["--job-name=", "--output=", "--error=", "--open-mode="] {
        assert!(read.next().is_some_and(|line| line.starts_with(option)), "{option} in {script}");
    }
    let expected = directives.iter().chain(special.get(&facts.fidelity).into_iter().flatten());
    assert!(read.eq(expected), "{script}");
}
