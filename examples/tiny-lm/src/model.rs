//! A decoder-only transformer over bytes.

use candle_core::{D, DType, Device, Result, Tensor, Var};
use clap::ValueEnum;
use rand::Rng;
use rand_distr::{Distribution, Normal};

/// Bytes the model sees at once.
pub const CONTEXT: usize = 128;
const VOCABULARY: usize = 256;
const HEAD_WIDTH: usize = 32;

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
    /// Layers, width, inner width of the feed-forward part.
    fn shape(self) -> (usize, usize, usize) {
        match self {
            Self::Small => (2, 32, 64),
            Self::Middle => (3, 64, 192),
            Self::Large => (4, 128, 256),
        }
    }

    /// The largest learning rate of the schedule, found by a sweep on the uniform mixture.
    pub fn learning_rate(self) -> f64 {
        match self {
            Self::Small => 1e-2,
            Self::Middle => 6e-3,
            Self::Large => 3e-3,
        }
    }
}

/// The parameters. Output and input embeddings are the same; normalizations have no parameters.
pub struct Model {
    embedding: Var,
    positions: Var,
    layers: Vec<Layer>,
    device: Device,
}

struct Layer {
    query_key_value: Var,
    attention_out: Var,
    inner: Var,
    outer: Var,
}

impl Model {
    /// Random initial parameters.
    pub fn new(size: Size, rng: &mut impl Rng) -> Result<Self> {
        let (layers, width, inner) = size.shape();
        let device = Device::Cpu;
        let mut normal = |rows: usize, columns: usize, sd: f64| -> Result<Var> {
            // A standard deviation is finite and positive here.
            let normal = Normal::new(0.0, sd).map_err(candle_core::Error::wrap)?;
            let values: Vec<f32> = (0..rows * columns).map(|_| normal.sample(rng) as f32).collect();
            Var::from_tensor(&Tensor::from_vec(values, (rows, columns), &device)?)
        };
        let by_fan_in = |n: usize| (n as f64).powf(-0.5);
        // Branches start small, so that the sum over layers keeps the scale of its input.
        let branch = 0.5 / (layers as f64).sqrt();
        let embedding = normal(VOCABULARY, width, 0.05)?;
        let positions = normal(CONTEXT, width, 0.02)?;
        let layers = (0..layers)
            .map(|_| {
                Ok(Layer {
                    query_key_value: normal(width, 3 * width, by_fan_in(width))?,
                    attention_out: normal(width, width, 0.05 * branch * by_fan_in(width))?,
                    inner: normal(width, inner, by_fan_in(width))?,
                    outer: normal(inner, width, 0.05 * branch * by_fan_in(inner))?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { embedding, positions, layers, device })
    }

    /// All parameters.
    pub fn variables(&self) -> Vec<Var> {
        let layers = self.layers.iter().flat_map(|l| [&l.query_key_value, &l.attention_out, &l.inner, &l.outer]);
        [&self.embedding, &self.positions].into_iter().chain(layers).cloned().collect()
    }

    /// How many numbers the parameters are.
    pub fn parameters(&self) -> usize {
        self.variables().iter().map(|v| v.elem_count()).sum()
    }

    /// Mean loss in nats per byte of predicting each byte of each window from those before it.
    ///
    /// `windows` holds `batch` windows of `CONTEXT + 1` bytes, one after the other.
    pub fn loss(&self, windows: &[u8], batch: usize) -> Result<Tensor> {
        let windows = windows.iter().map(|&b| u32::from(b)).collect();
        let windows = Tensor::from_vec(windows, (batch, CONTEXT + 1), &self.device)?;
        let inputs = windows.narrow(1, 0, CONTEXT)?.contiguous()?;
        let targets = windows.narrow(1, 1, CONTEXT)?.flatten_all()?;

        let width = self.embedding.dim(1)?;
        let rows = self.embedding.embedding(&inputs.flatten_all()?)?.reshape((batch, CONTEXT, width))?;
        let mut x = rows.broadcast_add(&self.positions)?.reshape((batch * CONTEXT, width))?;
        let mask = causal_mask(batch * width / HEAD_WIDTH, &self.device)?;
        for layer in &self.layers {
            x = (&x + layer.attention(&normalize(&x)?, batch, &mask)?)?;
            let inner = normalize(&x)?.matmul(&layer.inner)?.relu()?.sqr()?;
            x = (x + inner.matmul(&layer.outer)?)?;
        }
        let logits = normalize(&x)?.matmul(&self.embedding.t()?)?;
        candle_nn::loss::cross_entropy(&logits, &targets)
    }
}

impl Layer {
    /// Causal self-attention of rows `[batch * CONTEXT, width]`.
    fn attention(&self, x: &Tensor, batch: usize, mask: &Tensor) -> Result<Tensor> {
        let width = x.dim(1)?;
        let heads = width / HEAD_WIDTH;
        let all = x.matmul(&self.query_key_value)?.reshape((batch, CONTEXT, 3, heads, HEAD_WIDTH))?;
        let part = |i: usize| -> Result<Tensor> {
            let part = all.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous()?;
            part.reshape((batch * heads, CONTEXT, HEAD_WIDTH))
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scores = (query.matmul(&key.transpose(1, 2)?)? * (HEAD_WIDTH as f64).powf(-0.5))?;
        let mixed = candle_nn::ops::softmax(&(scores + mask)?, D::Minus1)?.matmul(&value)?;
        let mixed = mixed.reshape((batch, heads, CONTEXT, HEAD_WIDTH))?.transpose(1, 2)?;
        mixed.reshape((batch * CONTEXT, width))?.matmul(&self.attention_out)
    }
}

/// Scales every row to a root mean square of 1.
fn normalize(x: &Tensor) -> Result<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + 1e-6)?.sqrt()?)
}

/// `[heads, CONTEXT, CONTEXT]`, with minus infinity where a position would see a later one.
fn causal_mask(heads: usize, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..CONTEXT)
        .flat_map(|row| (0..CONTEXT).map(move |column| if column > row { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    // Materialized for all heads: adding equal shapes is several times faster than broadcasting.
    Tensor::from_vec(mask, (1, CONTEXT, CONTEXT), device)?.repeat((heads, 1, 1))?.to_dtype(DType::F32)
}
