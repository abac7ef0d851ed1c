//! The optimizer and its baselines on logged runs.
