//! Tables and pictures.
