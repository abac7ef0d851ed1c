//! What people look at: aligned tables and pictures.

mod plot;
mod table;

pub use plot::{Band, RegretPlot, Series, regret_svg};
pub use table::{Align, Table, bar, number};
