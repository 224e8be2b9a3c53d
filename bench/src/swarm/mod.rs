//! Gateway and provider-swarm from their images, on a swarm of the bench's own: how soon a function answers, how soon a new
//! replica is called, and what two hundred functions cost.

mod engine;
mod figures;
mod platform;

use crate::local::println_line;
use crate::process::load;
use platform::Platform;

pub(crate) async fn measure() -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let platform = Platform::start().await?;
    figures::deploys(&platform).await?;
    figures::scaling(&platform).await?;
    figures::many(&platform).await?;
    println_line(&format!("load average after: {}", load()));
    Ok(())
}
