//! Every constant of the policies, with its unit, its reason, and what it was chosen on.
//!
//! *By argument* means that no data set was looked at. Constants that were *chosen on* a log were chosen by the regret on it:
//! `docs/measured.md` says so beside every figure that is reported on the same log.

// When the model is fitted.

/// Hyperparameters are fitted anew when the runs at a fidelity have grown by this share since the last fit, at least by one run.
/// Between two fits hyperparameters hardly move, and a fit is the dearest part of a suggestion. By argument.
pub const REFIT_GROWTH: f64 = 0.1;
/// Runs from which kinds of models are compared, and again whenever their number has doubled: half of them are held out in turn,
/// and fewer than 16 say too little. By argument.
pub const COMPARED_FROM: usize = 32;
/// Up to here, hyperparameters are integrated over for what is said of mixtures: the number of processes times the square of the number of
/// runs, which memory is proportional to. That is 1,000 runs of one metric or 277 of 13, a second or a few and 128 MB; beyond, the most
/// probable ones are used. Numerical.
pub const MOST_INTEGRATED: usize = 1_000_000;
/// Runs up to which the search does so for what it expects of its own trials: it cannot wait for seconds at every step. Numerical.
pub const MOST_EXPECTED: usize = 128;

// Which fidelities are open.

/// What smaller fidelities may cost beyond what has been spent at the target, in target runs (the proxy cap): however badly they
/// mislead, at least half of the cost goes where the truth is, but for this head start. By argument.
pub const PROXY_HEAD_START: f64 = 1.0;
/// What may be under way, as a multiple of what has finished (the in-flight cap), once the initial design is complete: trials that
/// are chosen together know nothing of each other's results. Chosen on the instruction-tuning log.
pub const IN_FLIGHT: f64 = 1.0;

// The initial design.

/// Runs of an initial design, at least and at most: about one per domain; beyond that, the runs that the acquisition function
/// chooses are more informative. By argument.
pub const LEAST_DESIGN: usize = 5;
#[expect(missing_docs, reason = "with the least")]
pub const MOST_DESIGN: usize = 20;
/// What the initial design may cost, in target runs. By argument.
pub const DESIGN_COST: f64 = 2.0;
/// Runs of a design at the target, where small runs are not cheap enough to explore with: they are also what is looked for. By
/// argument.
pub const TARGET_DESIGN: usize = 3;
/// Random mixtures among which a run of the design is chosen, and as many that it is to be informative about. Numerical.
pub const DESIGN_SAMPLED: usize = 256;
/// Random mixtures that are looked at before a space counts as exhausted. Numerical.
pub const ALL_SAMPLED: usize = 4096;

// Proposals.

/// Random mixtures among the starts of a search for the next trial, and for the recommendation. Numerical.
pub const SAMPLED: usize = 64;
#[expect(missing_docs, reason = "with the other")]
pub const SAMPLED_FOR_MEAN: usize = 256;
/// Runs of a pool that are scored at a fidelity, and mixtures that they are scored by, at most: the time for a choice is to grow
/// with the study, not with the log. Numerical.
pub const MOST_SCORED: usize = 1024;
/// Mixtures at which the minimum of the objective is sampled, at most. Numerical.
pub const SUPPORT: usize = 128;
/// Samples of the minimum. Numerical.
pub const MINIMA: usize = 32;
/// Local searches of the acquisition function beyond the best start of each fidelity, and their steps. Numerical.
pub const CLIMBS: usize = 2;
#[expect(missing_docs, reason = "with the other")]
pub const CLIMB_STEPS: u64 = 12;
/// The same for the posterior mean, which is far cheaper. Numerical.
pub const DESCENTS: usize = 4;
#[expect(missing_docs, reason = "with the other")]
pub const DESCENT_STEPS: u64 = 40;
/// Starts around an incumbent lie this share of the way towards random mixtures. Numerical.
pub const AROUND: f64 = 0.1;

// Running trials that are ended.

/// Probability below which a running trial's end is not expected to be better than the best run at its fidelity any more. The value of a
/// run is a rough estimate, so a trial with a fair chance is not ended however small its value is. By argument.
pub const HOPELESS: f64 = 0.05;
/// Trials that were ended early that are weighed against the best new trial, at most, the most promising ones: each takes models of its
/// own. Numerical.
pub const MOST_CONTINUED: usize = 4;

// The recommendation.

/// Standard deviations by which a recommendation's posterior mean is held against it. The smallest of many means is optimistic,
/// and the more so the less certain it is (the optimizer's curse; Smith & Winkler 2006): of two mixtures with nearly equal means the
/// better known one is recommended. Chosen on the instruction-tuning and Pile logs.
pub const CAUTION: f64 = 0.25;
/// The same where logged runs are recommended and several have been bought at the target, as the level of Student's t with one
/// degree of freedom fewer than there are: what they are worth is known exactly, while the spread of the others is fitted to them.
/// One run does not determine a spread, so that the prior's is used. Chosen on the Pile log.
pub const BOUGHT_CAUTION: f64 = 1.0;

// Alternatives to a recommendation.

/// Random mixtures, and extreme ones at most, towards which alternatives are looked for. Numerical.
pub const ALTERNATIVE_ENDS: usize = 128;
/// Halved steps on the way to each of them: the last one is a hundredth of it. Numerical.
pub const ALTERNATIVE_HALVINGS: i32 = 8;

// Guards.

/// Rounds of the search for the best mixture on which the guards hold, the steps of each, and the factor by which each presses harder
/// than the last. Numerical.
pub const GUARD_ROUNDS: usize = 6;
#[expect(missing_docs, reason = "with the rounds")]
pub const GUARD_STEPS: u64 = 16;
#[expect(missing_docs, reason = "with the rounds")]
pub const GUARD_TIGHTENING: f64 = 3.0;
/// Mixtures between two that are tried for the guards' boundary. Numerical.
pub const GUARD_BETWEEN: usize = 8;
/// Standard deviations by which a guard may be expected to be broken at a mixture that is still looked at as a future recommendation. By
/// argument.
pub const GUARD_NEAR: f64 = 2.0;
