//! What a person reads after the start.

use faas_gateway::Addresses;

/// Where it listens, and how to deploy and call a first function.
#[must_use]
pub fn banner(addresses: &Addresses) -> String {
    let url = format!("http://{}", addresses.public);
    format!(
        "
The function platform listens on {url} (metrics: http://{metrics}/metrics).

Deploy a first function, and call it:

  curl {url}/system/functions -d '{{\"service\":\"count\",\"image\":\"count\",\"envProcess\":\"wc -c\"}}'
  curl {url}/function/count -d 'hello'

The same with faas-cli:

  faas-cli deploy --gateway {url} --name count --image count --fprocess 'wc -c'
  echo -n hello | faas-cli invoke --gateway {url} count

Ctrl-C stops it; what is deployed is there again at the next start.
",
        metrics = addresses.metrics
    )
}
