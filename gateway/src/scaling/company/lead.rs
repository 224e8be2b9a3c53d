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
        let mut role = self.role();
        loop {
            ticks.tick().await;
            let looked = self.look().await;
            let before = std::mem::replace(&mut role, self.role());
            self.tell_of_change(before, role, looked.err().as_deref());
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

    fn tell_of_change(&self, before: Role, now: Role, error: Option<&str>) {
        let gateway = &self.id;
        match (before, now) {
            _ if before == now => {}
            (_, Role::Leads) => tracing::info!(gateway, "decides about replicas, for all gateways"),
            (_, Role::CutOff) => tracing::warn!(
                gateway,
                error,
                "nobody knows who decides: functions get what the calls here need, and keep what they have"
            ),
            (Role::Leads, Role::Follows) => {
                tracing::warn!(gateway, error, "does not decide about replicas any more");
            }
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
