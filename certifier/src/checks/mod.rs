//! All checks, a file per subject. The list below is the order of a run.

mod accepted;
mod alerts;
mod delete;
mod deploy;
mod doors;
mod followed;
mod health;
mod info;
mod load;

mod invoke;
mod kept_up;
mod log_queries;
mod logs;
mod measured;
mod namespace_changes;
mod namespaces;
mod queued;
mod read;
mod redirect;
mod refusals;
mod replace;
mod replicas;
mod round_trip;
mod scale;
mod secret_rules;
mod secrets;
mod update;
mod upgrades;

use crate::check::Check;

/// Every check there is.
pub(crate) fn all() -> Vec<Check> {
    let subjects = [
        health::checks(),
        info::checks(),
        doors::checks(),
        namespaces::checks(),
        namespace_changes::checks(),
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
        log_queries::checks(),
        followed::checks(),
        scale::checks(),
        load::checks(),
        replicas::checks(),
        secrets::checks(),
        secret_rules::checks(),
        queued::checks(),
        alerts::checks(),
        measured::checks(),
        upgrades::checks(),
        kept_up::checks(),
    ];
    subjects.into_iter().flatten().collect()
}
