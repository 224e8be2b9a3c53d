//! The network that functions are on: an overlay network of the swarm, and never a guess.

use faas_provider::ProviderError;

use crate::engine::{Engine, Network, filter};

/// The label that marks the functions' network, as it always did.
const LABEL: &str = "openfaas=true";

/// The functions' network: the one that the operator names, or else the only one that is labelled.
///
/// # Errors
/// 503 in words where there is none, or no telling which.
pub(crate) async fn functions(
    engine: &Engine,
    configured: Option<&str>,
) -> Result<Network, ProviderError> {
    if let Some(name) = configured {
        let found = exact(engine, name).await?.ok_or_else(|| {
            ProviderError::Unavailable(format!(
                "functions_network: the swarm has no network `{name}`"
            ))
        })?;
        return match usable(&found) {
            true => Ok(found),
            false => Err(ProviderError::Unavailable(format!(
                "functions_network: `{name}` is no overlay network of the swarm"
            ))),
        };
    }
    only(labelled(engine).await?).map_err(ProviderError::Unavailable)
}

/// The network that a deployment asks for, where it may ask for it. One that is not there is another platform's: stack files
/// and tools of the original name its network, which has no such name here, and mean the functions'.
///
/// # Errors
/// 400 where there is one, and it is not ours.
pub(crate) async fn requested(
    engine: &Engine,
    name: &str,
    configured: Option<&str>,
) -> Result<Network, ProviderError> {
    let Some(found) = exact(engine, name).await? else {
        tracing::warn!(
            network = name,
            "no such network; the function is put on the functions' network"
        );
        return functions(engine, configured).await;
    };
    let ours = is_labelled(&found) || configured == Some(&found.name);
    let allowed = Some(found).filter(|network| ours && usable(network));
    allowed.ok_or_else(|| {
        let reason = format!(
            "`{name}` is no overlay network with the label {LABEL}; leave it out for the functions' network"
        );
        ProviderError::invalid("network", reason)
    })
}

/// The engine's filters match parts of names.
async fn exact(engine: &Engine, name: &str) -> Result<Option<Network>, ProviderError> {
    for key in ["name", "id"] {
        let filters = filter(&[(key, &[name])]);
        let found: Vec<Network> = engine.get("/networks", &[("filters", &filters)]).await?;
        let mut same = found
            .into_iter()
            .filter(|network| network.name == name || network.id == name);
        if let Some(network) = same.next() {
            return Ok(Some(network));
        }
    }
    Ok(None)
}

async fn labelled(engine: &Engine) -> Result<Vec<Network>, ProviderError> {
    let filters = filter(&[("label", &[LABEL])]);
    Ok(engine.get("/networks", &[("filters", &filters)]).await?)
}

fn only(networks: Vec<Network>) -> Result<Network, String> {
    let mut usable: Vec<Network> = networks.into_iter().filter(usable).collect();
    usable.sort_by(|a, b| a.name.cmp(&b.name));
    match (usable.pop(), usable.as_slice()) {
        (Some(network), []) => Ok(network),
        (None, _) => Err(format!(
            "no overlay network of the swarm has the label {LABEL}: create one, or set functions_network"
        )),
        (Some(last), others) => {
            let names: Vec<&str> = others
                .iter()
                .chain([&last])
                .map(|one| one.name.as_str())
                .collect();
            Err(format!(
                "several networks have the label {LABEL} ({}): set functions_network to one of them",
                names.join(", ")
            ))
        }
    }
}

fn is_labelled(network: &Network) -> bool {
    network
        .labels
        .get("openfaas")
        .is_some_and(|value| value == "true")
}

fn usable(network: &Network) -> bool {
    network.driver == "overlay" && network.scope == "swarm" && !network.ingress
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str, driver: &str) -> Network {
        Network {
            name: name.into(),
            driver: driver.into(),
            scope: "swarm".into(),
            ..Default::default()
        }
    }

    #[test]
    fn one_labelled_overlay_network_is_taken_and_more_are_no_guess() {
        let found = only(vec![
            network("b", "bridge"),
            network("functions", "overlay"),
        ]);
        assert_eq!(found.unwrap().name, "functions");
        let none = only(vec![network("b", "bridge")]).unwrap_err();
        assert!(none.starts_with("no overlay network"), "{none}");
        let two = only(vec![network("y", "overlay"), network("x", "overlay")]).unwrap_err();
        assert!(two.contains("(x, y)"), "{two}");
    }
}
