//! The exponential function, in a form that the compiler can compute for several numbers with one instruction.

use std::f64::consts::LOG2_E;

/// `ln 2` in two parts: products of the first with whole numbers up to 2048 are exact.
const LN_2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
/// Added to a number, it leaves the nearest whole number in the low bits of the sum's mantissa: 1.5 · 2⁵².
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Below this, results are taken for 0: they would be subnormal.
const LEAST: f64 = -708.0;
/// `1/k!`, from k = 0 on. On |r| ≤ ½ ln 2 what follows is less than 5e-18.
const TAYLOR: [f64; 14] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// `exp(x)` for x ≤ 709, to a relative error of less than 1e-15; 0 below −708.
///
/// `x = n ln 2 + r` with a whole n and |r| ≤ ½ ln 2, so that `exp(x) = 2ⁿ exp(r)` (Muller, *Elementary Functions*, 2016, ch. 11), where
/// `exp(r)` is a Taylor polynomial. There are no branches and no tables: a loop over many numbers is compiled to vector instructions.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    // Not `max`, which would hide what is no number.
    let bounded = if x < LEAST { LEAST } else { x };
    let rounded = bounded * LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = (bounded - n * LN_2.0) - n * LN_2.1;
    let [lower @ .., last] = TAYLOR;
    let polynomial = lower.iter().rev().fold(last, |sum, c| sum * r + c);
    // The exponent of a double is stored with 1023 added, above 52 bits of mantissa.
    let power = f64::from_bits((rounded.to_bits() << 52).wrapping_add(1023 << 52));
    if x < LEAST { 0.0 } else { polynomial * power }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(x in LEAST..709.0) {
            prop_assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15, "{x}: {} for {}", exp(x), x.exp());
        }
    }

    #[test]
    fn its_ends_and_what_is_no_number() {
        assert_eq!([0.0, -0.0].map(exp), [1.0; 2]);
        assert_eq!([f64::NEG_INFINITY, f64::MIN, -708.1].map(exp), [0.0; 3]);
        assert!((exp(LEAST) / LEAST.exp() - 1.0).abs() < 1e-15);
        assert!(exp(f64::NAN).is_nan());
    }
}
