//! Which addresses callbacks may be posted to.

use std::net::IpAddr;

use faas_http::env::Setting;
use faas_queue::target;
use ipnet::IpNet;

use crate::Config;

/// Networks, as settings write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl Setting for Networks {
    const KIND: &'static str = "list of networks";

    fn parse(text: &str) -> Result<Self, String> {
        let one = |text: &str| {
            let text = text.trim();
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            let net = text.parse::<IpNet>().or_else(|_| alone());
            net.map_err(|_| format!("`{text}` is neither an address nor a network (10.0.0.0/8)"))
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl Networks {
    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
}

/// The operator's word on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permitted {
    only: Option<Networks>,
    never: Option<Networks>,
}

impl Permitted {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            only: config.callback_allow_cidrs.clone(),
            never: config.callback_deny_cidrs.clone(),
        }
    }

    /// Whether anything may be posted there. Where a machine's credentials are handed out nothing ever may.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let denied = self.never.as_ref().is_some_and(|nets| nets.has(address));
        let allowed = self.only.as_ref().is_none_or(|nets| nets.has(address));
        allowed && !denied && !target::is_metadata(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(only: &str, never: &str) -> impl Fn(&str) -> bool {
        let nets = |text: &str| (!text.is_empty()).then(|| Networks::parse(text).unwrap());
        let permitted = Permitted {
            only: nets(only),
            never: nets(never),
        };
        move |address| permitted.has(address.parse().unwrap())
    }

    #[test]
    fn everything_is_permitted_but_metadata_unless_something_is_said() {
        let may = permitted("", "");
        assert!(may("10.0.0.1") && may("::1") && !may("169.254.169.254"));
    }

    #[test]
    fn what_is_denied_wins_over_what_is_allowed() {
        let may = permitted(
            "10.0.0.0/8, fd00::/8,192.0.2.7,169.254.0.0/16",
            "10.1.0.0/16",
        );
        for address in ["10.0.0.1", "fd00::1", "192.0.2.7", "::ffff:10.2.0.1"] {
            assert!(may(address), "{address}");
        }
        for address in [
            "10.1.0.1",
            "::ffff:10.1.0.1",
            "192.0.2.8",
            "fe80::1",
            "169.254.169.254",
        ] {
            assert!(!may(address), "{address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["10.0.0.0/33", "sink", "10.0.0.1,", ""] {
            let error = Networks::parse(text).unwrap_err();
            assert!(error.contains("neither an address"), "{text}: {error}");
        }
    }
}
