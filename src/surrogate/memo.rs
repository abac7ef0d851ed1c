//! A function for argmin's solvers that remembers.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Gradient};
use nalgebra::DVector;

/// A function with its gradient. The last evaluation is kept, so that cost and gradient at one point are computed once. So is the
/// best point ever evaluated: no line search can lose it, however a solver ends.
pub struct Memo<F> {
    function: F,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    last: Option<(DVector<f64>, f64, DVector<f64>)>,
    best: Option<(f64, DVector<f64>)>,
}

impl<F: Fn(&DVector<f64>) -> (f64, DVector<f64>)> Memo<F> {
    /// `function` returns value and gradient.
    pub fn new(function: F) -> Self {
        Self { function, seen: RefCell::default() }
    }

    fn evaluate(&self, x: &DVector<f64>) -> (f64, DVector<f64>) {
        let mut seen = self.seen.borrow_mut();
        if let Some((last, value, gradient)) = &seen.last
            && last == x
        {
            return (*value, gradient.clone());
        }
        let (value, gradient) = (self.function)(x);
        if value < seen.best.as_ref().map_or(f64::INFINITY, |(best, _)| *best) {
            seen.best = Some((value, x.clone()));
        }
        seen.last = Some((x.clone(), value, gradient.clone()));
        (value, gradient)
    }

    /// The best point that was evaluated, with its value.
    pub fn best(self) -> Option<(f64, Vec<f64>)> {
        self.seen.into_inner().best.map(|(value, x)| (value, x.as_slice().to_vec()))
    }
}

impl<F: Fn(&DVector<f64>) -> (f64, DVector<f64>)> CostFunction for &Memo<F> {
    type Param = DVector<f64>;
    type Output = f64;

    fn cost(&self, x: &Self::Param) -> Result<f64, Error> {
        Ok(self.evaluate(x).0)
    }
}

impl<F: Fn(&DVector<f64>) -> (f64, DVector<f64>)> Gradient for &Memo<F> {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;

    fn gradient(&self, x: &Self::Param) -> Result<DVector<f64>, Error> {
        Ok(self.evaluate(x).1)
    }
}
