//! Functions that are called later: what waits for them in a queue, and the first replica for those that are scaled by it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use faas_provider::FunctionName;
use faas_queue::Depth;
use faas_scaling::decision::Reason;
use faas_scaling::lease::Role;
use faas_scaling::settings::Kind;
use tokio::time::timeout;

use super::scaler::{Order, Scaler};

/// Longest wait for the queue to say what it holds. What it does not say is not known.
const QUEUE_LIMIT: Duration = Duration::from_secs(1);

impl Scaler {
    /// Asynchronous calls of each function that are not through; none where the queue does not say.
    pub(super) async fn queued(&self) -> Option<HashMap<String, u64>> {
        let Some(queue) = &self.queue else {
            return Some(HashMap::new());
        };
        let depths = timeout(QUEUE_LIMIT, queue.depths()).await.ok()?.ok()?;
        let all = |depth: Depth| (depth.function, depth.waiting + depth.running);
        Some(depths.into_iter().map(all).collect())
    }

    /// A call was put into the queue that can be made now: a function that is scaled by what waits there, and has nothing,
    /// gets its first replicas at once. Nobody waits for that; what is not done now the next decision does.
    pub(crate) fn called_later(self: &Arc<Self>, name: &FunctionName) {
        let Some(order) = self.first_replicas(name) else {
            return;
        };
        let scaler = Arc::clone(self);
        tokio::spawn(async move {
            match scaler.role() {
                Role::Follows => scaler.have_raised(&order).await,
                Role::Leads | Role::CutOff => scaler.follow(order).await,
            }
        });
    }

    fn first_replicas(&self, name: &FunctionName) -> Option<Order> {
        let function = self.table().get(name.as_str()).cloned()?;
        let mut functions = self.functions();
        let scaled = self.current(&mut functions, name, &function);
        let now = self.now();
        let to = scaled.settings.limits.min;
        let sleeps = scaled.replicas == 0 && scaled.settings.kind == Kind::Queue;
        if !sleeps || !scaled.is_to_ask(now, to) {
            return None;
        }
        scaled.ask(now, to);
        Some(Order {
            name: name.clone(),
            from: 0,
            to,
            reason: Reason::Activation,
            falling: None,
            idle: Duration::ZERO,
        })
    }

    /// By way of the gateway that decides.
    async fn have_raised(&self, order: &Order) {
        if let Err(refusal) = self.raiser.raise(&order.name, order.to).await {
            let reason = refusal.words;
            tracing::warn!(function = %order.name, reason, "not woken for a call in the queue");
        }
        self.withdraw(&order.name);
    }
}
