//! All checks, a file per subject. The list below is the order of a run.

mod accepted;
mod delete;
mod deploy;
mod health;
mod info;
mod load;

mod invoke;
mod logs;
mod namespaces;
mod read;
mod redirect;
mod refusals;
mod replace;
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
        accepted::checks(),
        refusals::checks(),
        round_trip::checks(),
        read::checks(),
        update::checks(),
        replace::checks(),
        delete::checks(),
        invoke::checks(),
        redirect::checks(),
        logs::checks(),
        scale::checks(),
        load::checks(),
        secrets::checks(),
    ];
    subjects.into_iter().flatten().collect()
}
