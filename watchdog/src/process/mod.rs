//! Function processes: started in a group of their own, fed, drained, and never left behind.

mod children;
mod group;
mod input;
mod lasting;
mod launch;
mod orphans;
mod pipes;
mod program;
mod run;
mod spawn;
mod stdin;
mod stream;

pub(crate) use children::Children;
pub(crate) use input::Input;
pub(crate) use lasting::Lasting;
pub(crate) use launch::{Launch, Process};
pub(crate) use orphans::reap_orphans;
pub(crate) use pipes::Sink;
pub(crate) use program::{Program, StartError};
pub(crate) use run::{Ended, Errors, Fault, Job};
pub(crate) use stream::Broken;
