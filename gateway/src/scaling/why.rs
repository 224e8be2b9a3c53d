//! Why a function has the replicas that it has, for those who wonder.

use faas_provider::FunctionName;
use faas_scaling::settings::Settings;
use serde_json::{Value, json};

use super::scaled::{Change, Latest, Scaled};
use super::scaler::Scaler;
use crate::json::instant;

impl Scaler {
    /// What the gateway that decides says of a function; what is known here where nobody decides, or it does not answer.
    pub(crate) async fn ask_why(&self, name: &FunctionName) -> Option<Value> {
        let company = self.company.as_ref();
        let leader = company.and_then(|company| Some((company, company.leader()?)));
        if let Some((company, leader)) = leader
            && leader != company.id()
            && let Some(why) = company.ask_why(&leader, name).await
        {
            return Some(why);
        }
        self.why(name)
    }

    /// What was decided about a function last, from what, and the last changes of its replicas, the latest first. None where
    /// no such function was seen.
    pub(super) fn why(&self, name: &FunctionName) -> Option<Value> {
        let functions = self.functions();
        let scaled = functions.get(name)?;
        let mut why = told(scaled);
        why["name"] = name.name().into();
        why["namespace"] = name.namespace().into();
        why["autoscaler"] = self.policy.autoscaler.word().into();
        if let Some(company) = &self.company {
            why["gateway"] = company.id().into();
            why["leader"] = company.leader().into();
        }
        Some(why)
    }
}

fn told(scaled: &Scaled) -> Value {
    let changes = scaled.changes.iter().rev();
    json!({
        "settings": settings(&scaled.settings),
        "replicas": scaled.replicas,
        "ready": scaled.ready,
        "decision": scaled.latest.as_ref().map(decision),
        "changes": changes.map(change).collect::<Vec<_>>(),
    })
}

fn settings(settings: &Settings) -> Value {
    json!({
        "type": settings.kind.to_string(),
        "min": settings.limits.min,
        "max": settings.limits.max,
        "factor": settings.limits.factor,
        "target": settings.target,
        "targetProportion": settings.proportion,
        "downWindowSeconds": settings.down_window.as_secs_f64(),
        "zeroAfterSeconds": settings.zero_after.map(|after| after.as_secs_f64()),
        "maxInflight": settings.per_replica,
        "schedule": settings.schedule.as_ref().map(ToString::to_string),
    })
}

fn decision(latest: &Latest) -> Value {
    let Latest {
        measured,
        scheduled,
        decision,
    } = latest;
    json!({
        "replicas": decision.replicas,
        "reason": decision.reason.word(),
        "load": measured.load,
        "burstLoad": measured.burst,
        "needed": decision.need,
        "floor": measured.floor,
        "scheduled": scheduled,
    })
}

fn change(change: &Change) -> Value {
    json!({
        "at": instant(change.at_ms),
        "from": change.from,
        "to": change.to,
        "reason": change.reason.word(),
        "decision": change.latest.as_ref().map(decision),
        "failure": change.failure,
    })
}
