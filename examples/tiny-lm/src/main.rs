//! A tiny byte-level language model.

fn main() {}
