//! A decoder-only transformer over bytes.

use candle_core::{D, Device, Result, Tensor, Var};
use clap::ValueEnum;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Bytes the model sees at once.
pub const CONTEXT: usize = 64;
/// Bytes of a window: those to predict and two before the first of them.
pub const WINDOW: usize = CONTEXT + 2;
const VOCABULARY: usize = 256;
const LARGEST_HEAD: usize = 64;

/// Sizes to choose from, named by their parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// 2 layers of width 32.
    #[value(name = "30k")]
    Small,
    /// 3 layers of width 64.
    #[value(name = "140k")]
    Middle,
    /// 4 layers of width 128.
    #[value(name = "600k")]
    Large,
}

impl Size {
    /// Layers and width.
    fn shape(self) -> (usize, usize) {
        match self {
            Self::Small => (2, 32),
            Self::Middle => (3, 64),
            Self::Large => (4, 128),
        }
    }

    /// The largest learning rate of the schedule, chosen after two or three single runs per size, not by a proper sweep.
    pub fn learning_rate(self) -> f64 {
        match self {
            Self::Small => 1e-2,
            Self::Middle => 6e-3,
            Self::Large => 2e-3,
        }
    }
}

/// The parameters. The output embedding is that of the current byte; normalizations have no parameters.
///
/// A position's input is the sum of the embeddings of its byte, of the byte before it, and of the position: with the few
/// tokens that a run sees, pairs of bytes need not be discovered by attention first.
pub struct Model {
    embedding: Var,
    previous: Var,
    positions: Var,
    layers: Vec<Layer>,
    mask: Tensor,
}

struct Layer {
    query: Var,
    key: Var,
    value: Var,
    attention_out: Var,
    inner: Var,
    outer: Var,
}

impl Model {
    /// Random initial parameters.
    pub fn new(size: Size, rng: &mut impl Rng) -> Result<Self> {
        let (layers, width) = size.shape();
        let mut normal = |rows: usize, columns: usize, sd: f64| -> Result<Var> {
            let values: Vec<f32> = (0..rows * columns)
                .map(|_| {
                    let z: f64 = StandardNormal.sample(rng);
                    (sd * z) as f32
                })
                .collect();
            Var::from_vec(values, (rows, columns), &Device::Cpu)
        };
        let embedding = normal(VOCABULARY, width, 0.05)?;
        let previous = normal(VOCABULARY, width, 0.05)?;
        let positions = normal(CONTEXT, width, 0.01)?;
        let sd = (width as f64).powf(-0.5);
        let layers = (0..layers)
            .map(|_| {
                Ok(Layer {
                    query: normal(width, width, sd)?,
                    key: normal(width, width, sd)?,
                    value: normal(width, width, sd)?,
                    // The branches start near 0, so that every layer first sees the embeddings.
                    attention_out: normal(width, width, 0.02 * sd)?,
                    inner: normal(width, 2 * width, sd)?,
                    outer: normal(2 * width, width, 0.02 * sd)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { embedding, previous, positions, layers, mask: causal_mask()? })
    }

    /// All parameters.
    pub fn variables(&self) -> Vec<Var> {
        let layers =
            self.layers.iter().flat_map(|l| [&l.query, &l.key, &l.value, &l.attention_out, &l.inner, &l.outer]);
        [&self.embedding, &self.previous, &self.positions].into_iter().chain(layers).cloned().collect()
    }

    /// How many numbers the parameters are.
    pub fn parameters(&self) -> usize {
        self.variables().iter().map(|v| v.elem_count()).sum()
    }

    /// Mean loss in nats per byte of predicting the last [`CONTEXT`] bytes of each window, each from those before it.
    ///
    /// `windows` holds `batch` windows of [`WINDOW`] bytes, one after the other.
    pub fn loss(&self, windows: &[u8], batch: usize) -> Result<Tensor> {
        let bytes = windows.iter().map(|&b| u32::from(b)).collect();
        let bytes = Tensor::from_vec(bytes, (batch, WINDOW), &Device::Cpu)?;
        let shifted = |by: usize| bytes.narrow(1, by, CONTEXT)?.flatten_all();

        let rows = (self.embedding.embedding(&shifted(1)?)? + self.previous.embedding(&shifted(0)?)?)?;
        let width = rows.dim(1)?;
        let mut x = rows.reshape((batch, CONTEXT, width))?.broadcast_add(&self.positions)?.flatten_to(1)?;
        // One copy for each head: equal shapes are multiplied much faster than broadcast ones.
        let mask = self.mask.repeat((batch * heads(width), 1, 1))?;
        for layer in &self.layers {
            x = (&x + layer.attention(&normalize(&x)?, batch, &mask)?)?;
            let inner = normalize(&x)?.matmul(&layer.inner)?.relu()?.sqr()?;
            x = (x + inner.matmul(&layer.outer)?)?;
        }
        let logits = normalize(&x)?.matmul(&self.embedding.t()?)?;
        candle_nn::loss::cross_entropy(&logits, &shifted(2)?)
    }
}

impl Layer {
    /// Causal self-attention of rows `[batch * CONTEXT, width]`.
    fn attention(&self, x: &Tensor, batch: usize, mask: &Tensor) -> Result<Tensor> {
        let width = x.dim(1)?;
        let (heads, head) = (heads(width), width / heads(width));
        let split = |weights: &Var| -> Result<Tensor> {
            let rows = x.matmul(weights)?.reshape((batch, CONTEXT, heads, head))?;
            rows.transpose(1, 2)?.contiguous()?.reshape((batch * heads, CONTEXT, head))
        };
        // Queries and keys of a fixed length bound the scores: the softmax needs no maximum to stay finite.
        let query = (normalize(&split(&self.query)?)? * (head as f64).powf(-0.5))?;
        let key = normalize(&split(&self.key)?)?;
        let weights = (query.matmul(&key.transpose(1, 2)?)?.exp()? * mask)?;
        let mixed = weights.matmul(&split(&self.value)?)?.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        let mixed = mixed.reshape((batch, heads, CONTEXT, head))?.transpose(1, 2)?;
        mixed.reshape((batch * CONTEXT, width))?.matmul(&self.attention_out)
    }
}

fn heads(width: usize) -> usize {
    width.div_ceil(LARGEST_HEAD)
}

/// Scales every row to a root mean square of 1.
fn normalize(x: &Tensor) -> Result<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + 1e-6)?.sqrt()?)
}

/// `[1, CONTEXT, CONTEXT]`: 0 where a position would see a later one, else 1.
fn causal_mask() -> Result<Tensor> {
    let mask: Vec<f32> =
        (0..CONTEXT).flat_map(|row| (0..CONTEXT).map(move |column| if column > row { 0.0 } else { 1.0 })).collect();
    Tensor::from_vec(mask, (1, CONTEXT, CONTEXT), &Device::Cpu)
}
