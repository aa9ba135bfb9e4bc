//! Routes: which mail takes another way than the MX of its domain.
//!
//! Pure: compiled from the settings once, then asked for every recipient domain. The closest match
//! wins: the domain itself, then the longest `*.suffix`, then `*`. Domains are compared as
//! lower-case A-labels, as `Domain` keeps them.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use proto::types::Domain;

use super::settings::{HopProtocol, RouteSettings, TlsLevel};

/// A host to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// A name whose addresses are looked up when we connect.
    Name {
        /// Lower case, no final dot.
        host: Rc<str>,
        /// TCP port.
        port: u16,
    },
    /// An address.
    Address(SocketAddr),
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// One route, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub way: Way,
    /// What the hosts speak.
    pub protocol: HopProtocol,
    /// How they are protected; `None` as everywhere.
    pub tls: Option<TlsLevel>,
    /// Connections at once, all shards; `None` for the general limit.
    pub connections_max: Option<u32>,
    /// Messages a connection; `None` for the general limit.
    pub messages_per_connection_max: Option<u32>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the recipient domain's own MX.
    Mx,
    /// To the MX of another name.
    MxOf {
        /// That name.
        name: Rc<str>,
        /// Port of its hosts.
        port: u16,
    },
    /// To these hosts, in this order.
    Hops(Vec<Hop>),
}

/// Why a route in the settings makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// `match` is no domain pattern.
    #[error("route {index}: match = {text:?} is not a domain, \"*.domain\" or \"*\"")]
    Match {
        /// Which route, from 1.
        index: usize,
        /// What was written.
        text: String,
    },
    /// Two routes for the same pattern.
    #[error("route {index}: match = {text:?} is already taken by an earlier route")]
    Double {
        /// Which route, from 1.
        index: usize,
        /// What was written.
        text: String,
    },
    /// A host in `via` is none.
    #[error(
        "route {index}: via {text:?} is not \"host\", \"host:port\", \"ip:port\" or \"[ip]:port\""
    )]
    Via {
        /// Which route, from 1.
        index: usize,
        /// What was written.
        text: String,
    },
    /// `mx = true` needs exactly one name.
    #[error("route {index}: mx = true needs exactly one host name in via")]
    Mx {
        /// Which route, from 1.
        index: usize,
    },
}

/// All routes, compiled.
#[derive(Debug, Default)]
pub struct Routes {
    exact: HashMap<Box<str>, Rc<Route>>,
    below: HashMap<Box<str>, Rc<Route>>,
    all: Option<Rc<Route>>,
}

impl Routes {
    /// Compiles the routes of the settings; hosts without a port get `port`.
    ///
    /// # Errors
    /// The first route that makes no sense.
    pub fn compile(settings: &[RouteSettings], port: u16) -> Result<Self, RouteError> {
        let mut routes = Self::default();
        for (at, setting) in settings.iter().enumerate() {
            let index = at + 1;
            let route = Rc::new(compile_route(setting, index, port)?);
            if !routes.insert(&setting.r#match, route, index)? {
                return Err(RouteError::Double { index, text: setting.r#match.clone() });
            }
        }
        Ok(routes)
    }

    /// The route for mail to `domain`, if it has one.
    pub fn find(&self, domain: &str) -> Option<&Rc<Route>> {
        if let Some(route) = self.exact.get(domain) {
            return Some(route);
        }
        if !self.below.is_empty() {
            let mut rest = domain;
            while let Some((_, suffix)) = rest.split_once('.') {
                if let Some(route) = self.below.get(suffix) {
                    return Some(route);
                }
                rest = suffix;
            }
        }
        self.all.as_ref()
    }

    /// Whether mail for accounts of ours in `domain` is taken elsewhere instead of into their mailboxes.
    /// A route without hosts takes nothing: it is an exception from a wider one.
    #[must_use]
    pub fn claims(&self, domain: &str) -> bool {
        self.find(domain).is_some_and(|route| route.way != Way::Mx)
    }

    /// False when the pattern is taken.
    fn insert(&mut self, text: &str, route: Rc<Route>, index: usize) -> Result<bool, RouteError> {
        let wrong = || RouteError::Match { index, text: text.to_owned() };
        if text == "*" {
            return Ok(self.all.replace(route).is_none());
        }
        let (map, name) = match text.strip_prefix("*.") {
            Some(suffix) => (&mut self.below, suffix),
            None => (&mut self.exact, text),
        };
        let domain = Domain::parse(name).map_err(|_| wrong())?;
        Ok(map.insert(domain.as_str().into(), route).is_none())
    }
}

fn compile_route(setting: &RouteSettings, index: usize, port: u16) -> Result<Route, RouteError> {
    let mut hops = Vec::with_capacity(setting.via.len());
    for text in &setting.via {
        let hop = parse_hop(text, port);
        hops.push(hop.ok_or_else(|| RouteError::Via { index, text: text.clone() })?);
    }
    let way = match (setting.mx, hops.as_slice()) {
        (false, []) => Way::Mx,
        (false, _) => Way::Hops(hops),
        (true, [Hop::Name { host, port }]) => Way::MxOf { name: host.clone(), port: *port },
        (true, _) => return Err(RouteError::Mx { index }),
    };
    let limit = |value: u32| (value > 0).then_some(value);
    Ok(Route {
        way,
        protocol: setting.protocol,
        tls: setting.tls,
        connections_max: limit(setting.connections_max),
        messages_per_connection_max: limit(setting.messages_per_connection_max),
    })
}

/// `host`, `host:port`, `ip`, `ip:port`, `[ip]`, `[ip]:port`.
fn parse_hop(text: &str, port: u16) -> Option<Hop> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then_some(Hop::Address(address));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Hop::Address(SocketAddr::new(ip, port)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, tail) = rest.split_once(']')?;
        let port = if tail.is_empty() { port } else { parse_port(tail.strip_prefix(':')?)? };
        return Some(Hop::Address(SocketAddr::new(ip.parse().ok()?, port)));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, tail)) => (host, parse_port(tail)?),
        None => (text, port),
    };
    let host = Domain::parse(host).ok()?;
    // `300.1.1.1` passes as a name, but nobody means one.
    let top = host.as_str().rsplit('.').next().unwrap_or_default();
    let is_name = !top.bytes().all(|byte| byte.is_ascii_digit());
    is_name.then(|| Hop::Name { host: host.as_str().into(), port })
}

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(pattern: &str, via: &[&str]) -> RouteSettings {
        RouteSettings {
            r#match: pattern.into(),
            via: via.iter().map(|text| (*text).to_owned()).collect(),
            mx: false,
            protocol: HopProtocol::Smtp,
            tls: None,
            connections_max: 0,
            messages_per_connection_max: 0,
        }
    }

    fn first_hop(routes: &Routes, domain: &str) -> Option<String> {
        match &routes.find(domain)?.way {
            Way::Hops(hops) => Some(hops[0].to_string()),
            other => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn the_closest_match_wins() {
        let routes = Routes::compile(
            &[
                setting("*", &["smart.example"]),
                setting("*.example.org", &["wide.example:26"]),
                setting("*.deep.example.org", &["deep.example"]),
                setting("Bücher.example", &["books.example"]),
                setting("own.example.org", &[]),
            ],
            25,
        )
        .unwrap();
        let hop = |domain| first_hop(&routes, domain).unwrap();
        assert_eq!(hop("a.example.org"), "wide.example:26");
        assert_eq!(hop("a.b.example.org"), "wide.example:26");
        assert_eq!(hop("x.deep.example.org"), "deep.example:25");
        assert_eq!(hop("deep.example.org"), "wide.example:26");
        assert_eq!(hop("example.org"), "smart.example:25");
        assert_eq!(hop("notexample.org"), "smart.example:25");
        assert_eq!(hop("xn--bcher-kva.example"), "books.example:25");
        assert_eq!(hop("own.example.org"), "Mx");
    }

    #[test]
    fn a_route_claims_accounts_unless_it_has_no_hosts() {
        let some = [setting("*", &["smart.example"]), setting("own.example", &[])];
        let routes = Routes::compile(&some, 25).unwrap();
        assert!(routes.claims("other.example") && !routes.claims("own.example"));
        assert!(!Routes::default().claims("own.example"));
    }

    #[test]
    fn no_route_means_mx() {
        assert!(Routes::default().find("example.org").is_none());
        let routes = Routes::compile(&[setting("a.example", &["b.example"])], 25).unwrap();
        assert!(routes.find("example").is_none());
    }

    #[test]
    fn hosts_in_all_their_forms() {
        for (text, expected) in [
            ("mail.example", "mail.example:25"),
            ("Mail.Example.:2525", "mail.example:2525"),
            ("192.0.2.1", "192.0.2.1:25"),
            ("192.0.2.1:26", "192.0.2.1:26"),
            ("[192.0.2.1]:26", "192.0.2.1:26"),
            ("2001:db8::1", "[2001:db8::1]:25"),
            ("[2001:db8::1]", "[2001:db8::1]:25"),
            ("[2001:db8::1]:26", "[2001:db8::1]:26"),
            ("localhost:2526", "localhost:2526"),
        ] {
            assert_eq!(parse_hop(text, 25).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", ":25", "a b", "mail.example:", "mail.example:0", "mail.example:70000"] {
            assert_eq!(parse_hop(text, 25), None, "{text}");
        }
        for text in ["300.1.1.1", "[192.0.2.1", "[192.0.2.1]x", "[mail.example]:25", "192.0.2.1:0"]
        {
            assert_eq!(parse_hop(text, 25), None, "{text}");
        }
    }

    #[test]
    fn errors_say_which_route() {
        let compile = |settings: &[RouteSettings]| Routes::compile(settings, 25).unwrap_err();
        let error = compile(&[setting("*", &[]), setting("*.", &["a.example"])]);
        assert!(error.to_string().starts_with("route 2: match = \"*.\""), "{error}");
        let error = compile(&[setting("a.*.org", &[])]);
        assert!(matches!(error, RouteError::Match { index: 1, .. }));
        let error = compile(&[setting("A.example", &[]), setting("a.example", &[])]);
        assert!(matches!(error, RouteError::Double { index: 2, .. }));
        let error = compile(&[setting("*", &["a.example", "b:x"])]);
        assert!(error.to_string().contains("\"b:x\""), "{error}");
        let mx = RouteSettings { mx: true, ..setting("*", &["192.0.2.1"]) };
        assert!(matches!(compile(&[mx]), RouteError::Mx { index: 1 }));
    }

    #[test]
    fn a_route_to_the_mx_of_another_name() {
        let mx = RouteSettings { mx: true, ..setting("*", &["provider.example"]) };
        let routes = Routes::compile(&[mx], 25).unwrap();
        let way = &routes.find("a.example").unwrap().way;
        assert_eq!(*way, Way::MxOf { name: "provider.example".into(), port: 25 });
    }
}
