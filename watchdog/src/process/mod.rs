//! Function processes: started in a group of their own, fed, drained, and never left behind.

mod children;
mod group;
mod input;
mod orphans;
mod pipes;
mod program;
mod run;

pub(crate) use children::Children;
pub(crate) use input::Input;
pub(crate) use orphans::reap_orphans;
pub(crate) use program::{Program, StartError};
pub(crate) use run::{Ended, Fault, Job};
