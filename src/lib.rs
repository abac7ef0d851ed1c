//! `admire` finds the best data mixture for training a language model: multi-fidelity Bayesian optimization on a simplex, the
//! method of ADMIRE-BayesOpt (arXiv 2508.11551).
//!
//! Most people use the program; what it does is documented in `docs/`. This is the manual of the library under it, for whoever
//! wants the optimizer in a program of their own, or changes it. `docs/architecture.md` says what each module may import.
//!
//! # A search in a few lines
//!
//! The optimizer is asked for a mixture and a fidelity, and is told nothing: it is handed all [`Evidence`](problem::Evidence) at
//! every call, and keeps nothing but the hyperparameters of its model ([`Optimizer::snapshot`](optimizer::Optimizer::snapshot)).
//! All randomness comes from the generator that is passed in.
//!
//! ```
//! use admire::optimizer::{Candidates, Optimizer};
//! use admire::problem::{
//!     Aggregate, Direction, Evidence, Fidelities, Fidelity, Metric, Objective, Observation, OptimizerSettings, Past, RunId, stream,
//! };
//! use admire::space::{Domain, SearchSpace};
//!
//! let domains = ["code", "web"].map(Domain::new).to_vec();
//! let space = SearchSpace::new(domains, Vec::new(), None)?;
//! let size = |name: &str, params: f64, cost: f64| Fidelity {
//!     name: name.into(),
//!     params: Some(params),
//!     tokens: None,
//!     cost: Some(cost),
//!     max_trials: None,
//!     initial: None,
//! };
//! // The last one is the target.
//! let fidelities = Fidelities::new(vec![size("60M", 6e7, 0.1), size("1B", 1e9, 1.0)], None);
//! let metrics = vec![Metric { name: "loss".into(), weight: 1.0 }];
//! let objective = Objective::new(metrics, Direction::Minimize, Aggregate::Mean);
//! let everywhere: Vec<_> = fidelities.ids().collect();
//! let mut optimizer = Optimizer::new(space, fidelities, objective, OptimizerSettings::default());
//!
//! let mut evidence = Evidence { costs: vec![0.1, 1.0], ..Evidence::default() };
//! for trial in 1..=8 {
//!     let next = optimizer.suggest(&evidence, Candidates::Space(&everywhere), &mut stream(7, trial))?;
//!     // Here a model would be trained: the loss is smallest where code is 30 %.
//!     let loss = 2.0 + (next.mixture.weights()[0] - 0.3).powi(2);
//!     evidence.observations.push(Observation {
//!         run: RunId::Trial(trial),
//!         mixture: next.mixture,
//!         fidelity: next.fidelity,
//!         metrics: vec![loss],
//!         se: vec![None],
//!         past: Past::default(),
//!     });
//! }
//! let best = optimizer.recommend(&evidence, None, &mut stream(7, 0));
//! assert!((best.mixture.weights()[0] - 0.3).abs() < 0.1, "{best:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The space
//!
//! A [`SearchSpace`](space::SearchSpace) is a simplex with bounds, groups and caps. Projection onto it is exact.
//!
//! ```
//! use admire::space::{Domain, SearchSpace};
//!
//! let capped = Domain { max: 0.2, ..Domain::new("code") };
//! let space = SearchSpace::new(vec![capped, Domain::new("web")], Vec::new(), None)?;
//! assert_eq!(space.polytope().project(&[0.9, 0.1]), [0.2, 0.8]);
//! # Ok::<(), admire::space::SpaceError>(())
//! ```
//!
//! # The config
//!
//! [`StudyConfig`](config::StudyConfig) is a TOML file that has proved to make sense; what does not is reported with its line.
//!
//! ```
//! use std::path::Path;
//!
//! use admire::config::StudyConfig;
//!
//! let error = StudyConfig::parse(Path::new("study.toml"), "[study]\nnam = \"a\"\n", &[]).unwrap_err();
//! assert!(error.to_string().contains("line 2") && error.to_string().contains("did you mean `name`"), "{error}");
//! ```
//!
//! # Logged runs
//!
//! A [`RunLog`](runs::RunLog) is a CSV of runs that were trained anywhere; [`replay`] plays strategies on it.
//!
//! ```
//! use std::path::Path;
//!
//! use admire::runs::RunLog;
//!
//! let csv = b"run_id,fidelity,w:code,w:web,y:loss\n1,60M,0.5,0.5,2.9\n2,60M,0.1,0.9,2.7\n";
//! let mut log = RunLog::default();
//! log.add(Path::new("runs.csv"), csv)?;
//! assert_eq!((log.domains.len(), log.runs[1].metrics[0]), (2, 2.7));
//! # Ok::<(), admire::runs::LogError>(())
//! ```
//!
//! # The other rooms
//!
//! Each of these modules has an example of its own.
//!
//! - [`problem`]: mixtures, fidelities, observations, the objective.
//! - [`surrogate`]: a model is fitted to runs and asked for a posterior.
//! - [`acquisition`]: what a run is worth before it is trained.
//! - [`study`]: a config and a journal, an append-only account of what was decided and what came of it.
//! - [`advice`]: what a study's runs say to train next, and to recommend.
//! - [`launcher`]: an attempt is started and watched, and its result is read.
//! - [`runner`]: the loop of `admire optimize`.
//! - [`replay`]: strategies are played on logged runs.
//! - [`exchange`]: files of other projects; a mixture goes to a trainer.
//! - [`report`]: a [table](report::Table), a [picture](report::regret_svg), a [page](report::html).
//! - [`text`]: a [number](text::number) as people read it.
//!
//! [`cli`] is the command line.

pub mod acquisition;
pub mod advice;
pub mod cli;
pub mod config;
pub mod exchange;
mod files;
mod input;
pub mod launcher;
pub mod optimizer;
pub mod problem;
pub mod replay;
pub mod report;
pub mod runner;
pub mod runs;
pub mod space;
pub mod study;
pub mod surrogate;
pub mod text;
