//! Where answers may be posted to.

use std::net::IpAddr;

use url::{Host, Url};

/// Why nothing is posted to a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is no URL.
    #[error("it is no URL ({0})")]
    NoUrl(url::ParseError),
    /// It is of another kind.
    #[error("it is no http:// or https:// URL")]
    Scheme,
    /// It names an address that hands out a machine's credentials.
    #[error("{0} is an address of machine metadata")]
    Metadata(IpAddr),
}

/// Reads a callback URL.
///
/// # Errors
/// When nothing is to be posted there.
pub fn parse(text: &str) -> Result<Url, BadTarget> {
    let url = Url::parse(text).map_err(BadTarget::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BadTarget::Scheme);
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) => None,
        None => return Err(BadTarget::Scheme),
    };
    match literal {
        Some(address) if is_metadata(address) => Err(BadTarget::Metadata(address)),
        _ => Ok(url),
    }
}

/// Whether clouds answer at this address with a machine's credentials: link-local, and two more that are known. Asked of
/// literal addresses when a call is accepted, and of looked-up ones whenever something is posted.
#[must_use]
pub fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address.octets() == [100, 100, 100, 200],
        IpAddr::V6(address) => {
            let segments = address.segments();
            segments[0] & 0xffc0 == 0xfe80 || segments == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_is_posted_to() {
        for (text, words) in [
            ("", "no URL"),
            ("sink/done", "no URL"),
            ("http://", "no URL"),
            ("ftp://sink/", "no http://"),
            ("file:///etc/passwd", "no http://"),
            ("localhost:9000/x", "no http://"),
            ("http://169.254.169.254/latest", "metadata"),
            ("http://0xA9FEA9FE/", "metadata"),
            ("http://[::ffff:169.254.169.254]/", "metadata"),
            ("http://[fe80::1]/", "metadata"),
            ("http://[fd00:ec2::254]/", "metadata"),
            ("http://100.100.100.200/", "metadata"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        for text in [
            "http://sink",
            "https://u:p@sink:9/x?y#z",
            "http://127.0.0.1:1/",
            "http://[::1]/",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }
}
