//! The platform as a stack on a swarm, deployed as compose/README.md says.

use std::fs;

use crate::engine::succeeded;
use crate::platform::Platform;

/// A stack; removed when dropped.
pub struct Stack {
    /// What it was deployed from, and how to talk to it.
    pub platform: Platform,
    name: String,
}

impl Stack {
    /// Deploys `stack.yml` with its gateway on `port` of its node, without IPVS, and images that are on the node only.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn deployed(name: &str, port: u16) -> Self {
        let mut platform = Platform::prepared(&[]);
        let knobs = platform.path().join(".env");
        let text = fs::read_to_string(&knobs).unwrap();
        let text = text
            .replace("GATEWAY_PUBLISH=8080", &format!("GATEWAY_PUBLISH={port}"))
            .replace("GATEWAY_PUBLISH_MODE=ingress", "GATEWAY_PUBLISH_MODE=host");
        fs::write(knobs, text).unwrap();
        platform.at(format!("http://{}:{port}", platform.engine.address));
        let stack = Self {
            platform,
            name: name.to_owned(),
        };
        let deploy = "set -a; . compose/.env; set +a; \
                      exec docker stack deploy --resolve-image never -c compose/stack.yml \"$0\"";
        let mut command = stack.platform.engine.command("bash");
        command.args(["-euc", deploy, name]);
        let output = command
            .current_dir(stack.platform.path().join(".."))
            .output();
        succeeded("docker stack deploy", &output.unwrap());
        stack
    }

    /// Name and `running/wished` of every service.
    #[must_use]
    pub fn services(&self) -> String {
        let format = "{{.Name}} {{.Replicas}}";
        self.platform
            .engine
            .docker(&["stack", "services", "--format", format, &self.name])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut remove = self.platform.engine.command("docker");
        let _ = remove.args(["stack", "rm", &self.name]).output();
    }
}
