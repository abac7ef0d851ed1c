//! The model of what training would yield: one exact multi-fidelity Gaussian process a metric.
