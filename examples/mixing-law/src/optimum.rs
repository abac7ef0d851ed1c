//! Minimization of a smooth convex function over a polytope, with a certificate.

use admire::space::Polytope;

/// A minimum, and how sure it is.
#[derive(Clone, Debug)]
pub struct Optimum {
    /// Where it is; in the polytope.
    pub weights: Vec<f64>,
    /// The function's value there.
    pub value: f64,
    /// Upper bound on how far `value` is above the true minimum (the Frank-Wolfe gap, a duality gap; Jaggi, ICML 2013).
    pub gap: f64,
}

/// Minimizes a convex function, given as value and gradient, until the certified gap is at most `accuracy` or further
/// steps change nothing.
///
/// Accelerated projected gradient with backtracking (FISTA; Beck & Teboulle, SIAM J. Imaging Sci. 2, 2009), restarted
/// whenever the momentum points uphill (O'Donoghue & Candès, Found. Comput. Math. 15, 2015).
pub fn minimize(polytope: &Polytope, function: impl Fn(&[f64]) -> (f64, Vec<f64>), accuracy: f64) -> Optimum {
    /// The certificate costs a linear program, a step only a projection or two.
    const STEPS_PER_CERTIFICATE: usize = 20;
    const MOST_STEPS: usize = 50_000;
    let mut x = polytope.project(&vec![1.0 / polytope.dim() as f64; polytope.dim()]);
    let mut ahead = x.clone();
    let (mut momentum, mut step) = (1.0_f64, 1.0_f64);
    for iteration in 1..=MOST_STEPS {
        let (value, gradient) = function(&ahead);
        // A step that was too short once need not be for ever.
        step *= 1.1;
        let next = loop {
            let moved: Vec<f64> = ahead.iter().zip(&gradient).map(|(w, g)| w - step * g).collect();
            let next = polytope.project(&moved);
            let change = difference(&next, &ahead);
            let bound = value + dot(&gradient, &change) + dot(&change, &change) / (2.0 * step);
            // Near the optimum the comparison is between rounding errors.
            if function(&next).0 <= bound + 1e-15 * value.abs() {
                break next;
            }
            step *= 0.5;
        };
        let progress = difference(&next, &x);
        if dot(&difference(&ahead, &next), &progress) > 0.0 {
            momentum = 1.0;
        }
        let following = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        let carry = (momentum - 1.0) / following;
        ahead = polytope.project(&next.iter().zip(&progress).map(|(w, p)| w + carry * p).collect::<Vec<_>>());
        (x, momentum) = (next, following);
        if iteration % STEPS_PER_CERTIFICATE == 0 && certify(polytope, &function, &x).gap <= accuracy {
            break;
        }
    }
    certify(polytope, &function, &x)
}

/// `x` as an optimum: no feasible point can be lower by more than the largest decrease of the tangent plane.
fn certify(polytope: &Polytope, function: &impl Fn(&[f64]) -> (f64, Vec<f64>), x: &[f64]) -> Optimum {
    let (value, gradient) = function(x);
    let downhill: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let lowest = polytope.maximize(&downhill);
    Optimum { weights: x.to_vec(), value, gap: dot(&downhill, &difference(&lowest, x)).max(0.0) }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
