//! An open-loop load on one function, behind one gateway or behind two in turns.
//!
//! Calls are due at a fixed rate, whatever becomes of those before them, and how long one took is counted from when it was
//! due: a gateway that stalls does not get out of the calls that would have come meanwhile (coordinated omission).
//!
//! It says what was measured on this machine at this time; it makes no claim of what is fast enough.

mod aim;
mod connection;
mod load;
mod measured;
mod plot;
mod run;
mod schedule;
mod shown;
mod side;
mod tally;
mod turn;

pub use load::Load;
pub use measured::{Measured, Side};
pub use run::{Bench, Stage, run};
pub use tally::{Fault, Tally};
