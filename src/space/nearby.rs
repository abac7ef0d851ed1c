//! The mixtures that are near a given one.

/// Projections onto both sets in turn, at most: a few dozen are the rule.
const MOST_ROUNDS: usize = 500;
/// A round that changes nothing that the projections have taken off by more than this is the last (Birgin & Raydan 2005). Points may stand
/// still for some rounds before that.
const TOLERANCE: f64 = 1e-10;

/// The weights whose total-variation distance to `center` is at most `radius`.
#[derive(Clone, Debug)]
pub(super) struct Ball {
    pub center: Vec<f64>,
    pub radius: f64,
}

impl Ball {
    fn distance(&self, w: &[f64]) -> f64 {
        0.5 * w.iter().zip(&self.center).map(|(x, c)| (x - c).abs()).sum::<f64>()
    }

    pub fn contains(&self, w: &[f64], tolerance: f64) -> bool {
        self.distance(w) <= self.radius + tolerance
    }

    /// The last point inside on the way from the center to `w`.
    pub fn pulled(&self, w: Vec<f64>) -> Vec<f64> {
        let distance = self.distance(&w);
        if distance <= self.radius {
            return w;
        }
        let share = self.radius / distance;
        w.iter().zip(&self.center).map(|(x, c)| c + share * (x - c)).collect()
    }

    /// The nearest point of the ball: what is beyond the radius is taken off all differences to the center alike, as far as they go
    /// (Duchi et al. 2008, projection onto the ℓ1 ball).
    fn project(&self, y: &[f64]) -> Vec<f64> {
        if self.contains(y, 0.0) {
            return y.to_vec();
        }
        let mut sizes: Vec<f64> = y.iter().zip(&self.center).map(|(y, c)| (y - c).abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut threshold) = (0.0, 0.0);
        for (i, size) in sizes.iter().enumerate() {
            sum += size;
            let level = (sum - 2.0 * self.radius) / (i + 1) as f64;
            if *size <= level {
                break;
            }
            threshold = level;
        }
        let shrunk = |d: f64| d.signum() * (d.abs() - threshold).max(0.0);
        y.iter().zip(&self.center).map(|(y, c)| c + shrunk(y - c)).collect()
    }

    /// The nearest point to `y` that lies in the ball and in the convex set that `project` projects onto, which has the center: Dykstra's
    /// algorithm (Boyle & Dykstra 1986).
    pub fn project_within(&self, y: &[f64], project: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut w = project(y);
        if self.contains(&w, 0.0) {
            return w;
        }
        // What each projection has taken off so far.
        let (mut by_set, mut by_ball): (Vec<f64>, Vec<f64>) = (difference(y, &w), vec![0.0; y.len()]);
        for _ in 0..MOST_ROUNDS {
            let towards: Vec<f64> = w.iter().zip(&by_ball).map(|(x, d)| x + d).collect();
            w = self.project(&towards);
            let taken_by_ball = difference(&towards, &w);
            let towards: Vec<f64> = w.iter().zip(&by_set).map(|(x, d)| x + d).collect();
            w = project(&towards);
            let taken_by_set = difference(&towards, &w);
            let settled = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE);
            let done = settled(&by_ball, &taken_by_ball) && settled(&by_set, &taken_by_set);
            (by_ball, by_set) = (taken_by_ball, taken_by_set);
            if done {
                break;
            }
        }
        // Rounds end in the set; the way to its center stays there.
        self.pulled(w)
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
