//! Standing for the lease, holding it, and giving it back.

use std::time::Duration;

use faas_scaling::lease::Role;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Company, PATIENCE};

/// How often what is written is looked at.
const LOOK: Duration = Duration::from_secs(1);
const NOBODY: &str = "";

impl Company {
    /// Takes the lease when it may, and renews it. Ends never.
    pub(super) async fn stand(&self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let before = self.role();
            if let Err(error) = self.look().await {
                tracing::debug!(
                    error,
                    "the lease of the one who decides cannot be looked at"
                );
            }
            self.tell_of_change(before);
        }
    }

    async fn look(&self) -> Result<(), String> {
        let written = self.bucket.read().await?;
        let written = written.as_ref();
        let written = written.map(|(revision, holder)| (*revision, holder.as_str()));
        let over = self.lease().saw(self.now(), written);
        let Some(revision) = over else {
            return Ok(());
        };
        // It counts from before it is sent.
        let sent = self.now();
        match self.bucket.write(&self.id, revision).await? {
            true => drop(self.lease().wrote(sent)),
            false => self.lease().lost(),
        }
        Ok(())
    }

    fn tell_of_change(&self, before: Role) {
        let gateway = &self.id;
        match (before, self.role()) {
            (before, now) if before == now => {}
            (_, Role::Leads) => tracing::info!(gateway, "decides about replicas, for all gateways"),
            (Role::Leads, _) => tracing::warn!(gateway, "does not decide about replicas any more"),
            (_, Role::CutOff) => tracing::warn!(
                gateway,
                "nobody knows who decides: functions get what the calls here need, and keep what they have"
            ),
            (_, Role::Follows) => tracing::info!(gateway, "another gateway decides, or soon will"),
        }
    }

    /// Gives the lease back, if it is held here, so that another one need not wait.
    pub(super) async fn resign(&self) {
        self.lease().lost();
        let written = async {
            let (revision, holder) = self.bucket.read().await.ok()??;
            if holder == self.id {
                self.bucket.write(NOBODY, revision).await.ok()?;
            }
            Some(())
        };
        let _ = timeout(PATIENCE, written).await;
    }
}
