//! Starts training runs and learns how they ended.
