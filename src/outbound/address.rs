//! Which addresses a message may be sent to.
//!
//! A URL is a merchant's, and the daemon stands in the operator's network: without a filter it would ask whatever it
//! is pointed at there. A name is judged by what it resolves to, at the moment it is resolved, and the connection goes to
//! those very addresses; so a name that changes its mind in between gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Longest URL that is taken, in bytes.
const MAX_URL_BYTES: usize = 2_048;

/// What is wrong with a URL; completes the sentence that begins with `url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitUrl {
    #[error("must have at most {MAX_URL_BYTES} bytes")]
    TooLong,
    #[error("must be an absolute URL")]
    NotAbsolute,
    #[error("must begin with https://")]
    NotHttps,
    #[error("must hold no name and no password")]
    Credentials,
    #[error("must have no fragment")]
    Fragment,
    #[error("must lead to a public address")]
    NotPublic,
}

impl UnfitUrl {
    /// Whether a configuration that allows private addresses would take it, or might.
    #[must_use]
    pub fn is_for_privacy(self) -> bool {
        matches!(self, Self::NotHttps | Self::NotPublic)
    }
}

/// Reads the URL of a merchant's system.
///
/// # Errors
/// [`UnfitUrl`].
pub fn parse_url(text: &str, allow_private: bool) -> Result<Url, UnfitUrl> {
    if text.len() > MAX_URL_BYTES {
        return Err(UnfitUrl::TooLong);
    }
    let url: Url = text.parse().map_err(|_| UnfitUrl::NotAbsolute)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(UnfitUrl::NotHttps),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UnfitUrl::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UnfitUrl::Fragment);
    }
    // A literal address never meets the resolver.
    match literal(&url) {
        Some(address) if !allow_private && !is_public(address) => Err(UnfitUrl::NotPublic),
        _ => Ok(url),
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves names to public addresses only.
#[derive(Debug)]
pub(super) struct PublicResolver;

/// A name that leads to no public address.
#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name leads to no public address")
    }
}

impl std::error::Error for NotPublic {}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is one of the public Internet (IANA's special-purpose registries), itself or as what it embeds.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        // This network, private, loopback; multicast, reserved and broadcast.
        0 | 10 | 127 | 224..=255 => true,
        // Shared by carriers.
        100 => (64..=127).contains(&b),
        // Link-local.
        169 => b == 254,
        172 => (16..=31).contains(&b),
        // Protocol assignments, documentation, the 6to4 relays, private.
        192 => matches!((b, c), (0, 0) | (0, 2) | (88, 99) | (168, _)),
        // Benchmarks, documentation.
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped IPv4, and IPv4 behind a translator (NAT64).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo and other protocol assignments, ORCHID, documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Global unicast; outside of it: unspecified, loopback, local NAT64, unique local, link-local, site-local,
        // multicast, and what was not given out.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn all_others_are_not() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "3fff::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_is_judged_before_it_is_stored() {
        let public = |text| parse_url(text, false).map(String::from);
        assert_eq!(public("https://shop.example/hook?a=b").unwrap(), "https://shop.example/hook?a=b");
        assert!(public("https://8.8.8.8/").is_ok());
        for (text, why) in [
            ("shop.example", UnfitUrl::NotAbsolute),
            ("http://shop.example/", UnfitUrl::NotHttps),
            ("file:///etc/passwd", UnfitUrl::NotHttps),
            ("https://me:secret@shop.example/", UnfitUrl::Credentials),
            ("https://shop.example/#part", UnfitUrl::Fragment),
            ("https://127.0.0.1/", UnfitUrl::NotPublic),
            ("https://0x7f.1/", UnfitUrl::NotPublic),
            ("https://2130706433/", UnfitUrl::NotPublic),
            ("https://[::ffff:7f00:1]/", UnfitUrl::NotPublic),
            ("https://[64:ff9b::a9fe:a9fe]/", UnfitUrl::NotPublic),
        ] {
            assert_eq!(public(text), Err(why), "{text}");
        }
        assert!(parse_url("http://127.0.0.1:8080/hook", true).is_ok());
        assert!(parse_url("ftp://shop.example/", true).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_resolved() {
        let refused = PublicResolver.resolve("localhost".parse().unwrap()).await;
        assert!(refused.err().unwrap().to_string().contains("no public address"));
    }
}
