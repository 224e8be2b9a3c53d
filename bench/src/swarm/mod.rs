//! Gateway and provider-swarm from their images, on a swarm of the bench's own: how soon a function answers, deployed or from
//! zero, how soon a new replica is called, and what two hundred functions cost.

mod engine;
mod figures;
mod platform;

use crate::local::println_line;
use crate::process::load;
use platform::Platform;

pub(crate) async fn measure(cold_only: bool) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let platform = Platform::start().await?;
    if !cold_only {
        figures::deploys(&platform).await?;
        figures::scaling(&platform).await?;
    }
    figures::cold(&platform).await?;
    if !cold_only {
        figures::many(&platform).await?;
    }
    println_line(&format!("load average after: {}", load()));
    Ok(())
}
