//! The loop that keeps the slots full.
