//! What people look at: aligned tables, pictures, a page.

pub mod html;
mod plot;
mod table;

pub use plot::{Band, RegretPlot, Series, regret_svg};
pub use table::{Align, Table, bar, sparkline};
