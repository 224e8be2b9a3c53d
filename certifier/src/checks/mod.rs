//! All checks, a file per subject. The list below is the order of a run.

mod deploy;
mod health;
mod info;
mod invoke;
mod logs;
mod namespaces;
mod redirect;
mod round_trip;
mod scale;
mod secrets;
mod update;

use crate::check::Check;

/// Every check there is.
pub(crate) fn all() -> Vec<Check> {
    let subjects = [
        health::checks(),
        info::checks(),
        namespaces::checks(),
        deploy::checks(),
        round_trip::checks(),
        update::checks(),
        invoke::checks(),
        redirect::checks(),
        logs::checks(),
        scale::checks(),
        secrets::checks(),
    ];
    subjects.into_iter().flatten().collect()
}
