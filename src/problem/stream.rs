//! Seeds and random streams: the only place where a generator is made.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Stream `number` of the generator with this seed. Streams of one seed are independent, so what is drawn from one does not depend on
/// how often another was used.
#[must_use]
pub fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// The seed of trial (or replicate) number `index` of a study: the same on every platform and in every version, and
/// below 2³¹, which every framework accepts. It is the finalizer of SplitMix64 (Steele et al. 2014).
#[must_use]
pub fn seed_of(study: u64, index: u64) -> u32 {
    let mut z = study.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 33) as u32
}
