//! All checks, a file per subject. The list below is the order of a run.

mod health;
mod info;

use crate::check::Check;

/// Every check there is.
pub(crate) fn all() -> Vec<Check> {
    [health::checks(), info::checks()]
        .into_iter()
        .flatten()
        .collect()
}
