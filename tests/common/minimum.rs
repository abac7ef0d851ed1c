//! The minimum of a function over the simplex, by direct search.

/// The smallest value reached from the best of `starts` by ever smaller moves of weight between two domains, and where.
pub fn minimum(loss: impl Fn(&[f64]) -> f64, starts: Vec<Vec<f64>>) -> (Vec<f64>, f64) {
    let valued = |w: Vec<f64>| {
        let value = loss(&w);
        (w, value)
    };
    let smaller = |a: &(Vec<f64>, f64), b: &(Vec<f64>, f64)| a.1.total_cmp(&b.1);
    let mut best = starts.into_iter().map(valued).min_by(smaller).expect("a start");
    let mut step: f64 = 0.1;
    while step > 1e-5 {
        let domains = 0..best.0.len();
        let moves = domains.clone().flat_map(|i| domains.clone().map(move |j| (i, j))).filter(|(i, j)| i != j);
        let moved = moves.map(|(i, j)| {
            let mut w = best.0.clone();
            let amount = step.min(w[i]);
            w[i] -= amount;
            w[j] += amount;
            w
        });
        let next = moved.map(valued).min_by(smaller).expect("two domains");
        if next.1 < best.1 { best = next } else { step *= 0.5 }
    }
    best
}
