//! The training loop and the validation after it.

use std::f64::consts::PI;
use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer as _, ParamsAdamW};
use rand::Rng;
use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand_chacha::ChaCha8Rng;

use crate::corpus::Corpus;
use crate::model::{CONTEXT, Model, Size, WINDOW};

/// Windows in a step.
const BATCH: usize = 8;
/// Windows of each domain's validation text; the same for all runs, spread evenly.
const VALIDATION_WINDOWS: usize = 128;
/// The same on the way: fewer, so that all of it takes about a tenth of the training.
const WINDOWS_ON_THE_WAY: usize = 32;
/// Parts of a run, after each of which but the last it is validated on the way.
const PARTS: usize = 5;
/// Share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.1;
/// The learning rate at the end, as a share of the largest.
const LAST_RATE: f64 = 0.05;
/// Longest gradient.
const CLIP: f64 = 1.0;

/// One run.
pub struct Options {
    /// The model.
    pub size: Size,
    /// Bytes to train on.
    pub tokens: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Largest learning rate.
    pub learning_rate: f64,
}

/// Hears how far a run is: steps, bytes trained on, validation loss on each domain.
pub type Listener<'a> = &'a mut (dyn FnMut(usize, usize, &[f64]) -> Result<()> + Send);

/// Trains a model and returns its validation loss on each domain, in nats per byte; NaN on all when training diverged. On the way it is
/// validated only if somebody listens.
pub fn train(
    corpus: &Corpus,
    weights: &[f64],
    options: &Options,
    mut listener: Option<Listener<'_>>,
) -> Result<Vec<f64>> {
    let steps = options.tokens / (BATCH * CONTEXT);
    ensure!(steps > 0, "--tokens is {}: one step takes {}", options.tokens, BATCH * CONTEXT);

    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let model = Model::new(options.size, &mut rng)?;
    let variables = model.variables();
    let settings = ParamsAdamW { beta2: 0.95, weight_decay: 0.05, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(variables.clone(), settings)?;
    let domains = WeightedIndex::new(weights)?;

    report(&format!("{} parameters, {steps} steps of {} bytes", model.parameters(), BATCH * CONTEXT));
    let start = Instant::now();
    let mut smooth = f64::NAN;
    for step in 0..steps {
        let windows: Vec<u8> = (0..BATCH)
            .flat_map(|_| random_window(&corpus.domains[domains.sample(&mut rng)].train, &mut rng))
            .copied()
            .collect();
        let loss = model.loss(&windows, BATCH)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            report(&format!("step {step}: the loss is {value}; giving up"));
            return Ok(vec![f64::NAN; corpus.domains.len()]);
        }
        let mut gradients = loss.backward()?;
        clip(&mut gradients, &variables)?;
        optimizer.set_learning_rate(options.learning_rate * schedule(step, steps));
        optimizer.step(&gradients)?;

        smooth = if smooth.is_nan() { value } else { 0.9 * smooth + 0.1 * value };
        if (step + 1) % steps.div_ceil(10) == 0 {
            let rate = ((step + 1) * BATCH * CONTEXT) as f64 / start.elapsed().as_secs_f64();
            report(&format!("step {:>5}  loss {smooth:.4}  {rate:.0} bytes/s", step + 1));
        }
        let done = step + 1;
        if let Some(listener) = listener.as_mut().filter(|_| done < steps && done % steps.div_ceil(PARTS) == 0) {
            listener(done, done * BATCH * CONTEXT, &losses(&model, corpus, WINDOWS_ON_THE_WAY)?)?;
        }
    }

    let losses = losses(&model, corpus, VALIDATION_WINDOWS)?;
    for (domain, loss) in corpus.domains.iter().zip(&losses) {
        report(&format!("validation {:<12} {loss:.4} nats/byte", domain.name));
    }
    Ok(losses)
}

/// Progress is a courtesy: a closed stdout must not end a run.
fn report(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn random_window<'a>(text: &'a [u8], rng: &mut impl Rng) -> &'a [u8] {
    let start = rng.random_range(0..=text.len() - WINDOW);
    &text[start..start + WINDOW]
}

/// Share of the largest learning rate: a linear rise, then half a cosine.
fn schedule(step: usize, steps: usize) -> f64 {
    let warm_up = (WARM_UP * steps as f64).max(1.0);
    let step = step as f64;
    if step < warm_up {
        return (step + 1.0) / warm_up;
    }
    let done = (step - warm_up) / (steps as f64 - warm_up);
    LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + (PI * done).cos())
}

/// Scales the gradient down to length [`CLIP`] if it is longer.
fn clip(gradients: &mut GradStore, variables: &[Var]) -> Result<()> {
    let mut squares = 0.0;
    for gradient in variables.iter().filter_map(|v| gradients.get(v)) {
        squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let scale = CLIP / squares.sqrt();
    if scale < 1.0 {
        for variable in variables {
            if let Some(gradient) = gradients.remove(variable) {
                gradients.insert(variable, (gradient * scale)?);
            }
        }
    }
    Ok(())
}

/// The validation loss on each domain, over so many windows of each.
fn losses(model: &Model, corpus: &Corpus, windows: usize) -> Result<Vec<f64>> {
    corpus.domains.iter().map(|domain| validate(model, &domain.validation, windows)).collect()
}

/// Mean loss over at most so many windows, evenly spread, in nats per byte.
fn validate(model: &Model, text: &[u8], windows: usize) -> Result<f64> {
    let windows = windows.min(text.len() / WINDOW);
    let last = text.len() - WINDOW;
    let starts: Vec<usize> = (0..windows).map(|i| i * last / (windows - 1).max(1)).collect();
    let mut sum = 0.0;
    for batch in starts.chunks(BATCH) {
        let bytes: Vec<u8> = batch.iter().flat_map(|&s| &text[s..s + WINDOW]).copied().collect();
        let loss: Tensor = model.loss(&bytes, batch.len())?;
        sum += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
    }
    Ok(sum / windows as f64)
}
