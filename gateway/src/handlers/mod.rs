//! What each route does, one file per subject.

pub(crate) mod alert;
pub(crate) mod call;
pub(crate) mod health;
pub(crate) mod system;
