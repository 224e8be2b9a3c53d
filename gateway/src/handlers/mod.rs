//! What each route does, one file per subject.

pub(crate) mod alert;
pub(crate) mod async_call;
pub(crate) mod call;
pub(crate) mod call_status;
pub(crate) mod dead_letters;
pub(crate) mod health;
pub(crate) mod scaling;
pub(crate) mod system;
