//! The configuration of a test's server: all TOML of the tests is written here.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

/// One listener.
#[derive(Clone)]
pub struct Listener {
    pub port: u16,
    pub protocol: &'static str,
    pub proxy_from: Vec<&'static str>,
    pub line_endings: &'static str,
    pub tls: &'static str,
    /// Further lines of its table.
    pub lines: Vec<String>,
}

/// What a test wants of its server.
#[derive(Clone)]
pub struct Plan {
    pub shards: u32,
    pub io: &'static str,
    pub listeners: Vec<Listener>,
    pub networks: Vec<&'static str>,
    pub domains: Vec<&'static str>,
    /// `match` and `via`, in order.
    pub routes: Vec<(String, Vec<String>)>,
    pub nameservers: Vec<SocketAddr>,
    /// `section`, `key = value`.
    pub lines: Vec<(&'static str, String)>,
    /// Whole tables, as they are written.
    pub tables: Vec<String>,
}

impl Plan {
    /// One SMTP listener, mail from loopback allowed, everything routed to `next_hop`.
    pub fn relay_to(next_hop: SocketAddr) -> Self {
        Self::without_route().route("*", next_hop)
    }

    /// Nothing routed: MX records decide.
    pub fn without_route() -> Self {
        Self {
            shards: 2,
            io: "auto",
            listeners: vec![Listener::smtp()],
            networks: vec!["127.0.0.0/8"],
            domains: vec![],
            routes: vec![],
            nameservers: vec![],
            tables: vec![],
            lines: vec![
                ("storage", "memory = \"64 MiB\"".into()),
                // The DNS of the machine is not asked, unless a test says so.
                ("authentication", "policy = \"none\"".into()),
                ("delivery", "site_backoff_first = \"1 s\"".into()),
                ("delivery", "site_backoff_max = \"1 s\"".into()),
            ],
        }
    }

    pub fn route(mut self, matching: &str, next_hop: SocketAddr) -> Self {
        self.routes.push((matching.to_owned(), vec![next_hop.to_string()]));
        self
    }

    /// Adds `key = value` to a section, or replaces the key's value.
    pub fn set(mut self, section: &'static str, key: &str, value: &str) -> Self {
        let start = format!("{key} = ");
        self.lines.retain(|(at, line)| *at != section || !line.starts_with(&start));
        self.lines.push((section, format!("{start}{value}")));
        self
    }

    /// Retries at once instead of after minutes.
    pub fn quick_retries(self) -> Self {
        self.set("queue", "retry_first", "\"1 s\"").set("queue", "retry_max", "\"1 s\"")
    }

    /// The configuration file.
    pub fn text(&self, data_dir: &Path, admin_socket: &Path) -> String {
        let mut text = String::new();
        let mut sections: Vec<(&str, Vec<String>)> = Vec::new();
        sections.push((
            "server",
            vec![
                "hostname = \"ringpost.test\"".into(),
                format!("data_dir = {data_dir:?}"),
                format!("shards = {}", self.shards),
                format!("io = {:?}", self.io),
            ],
        ));
        sections.push((
            "relay",
            vec![
                format!("networks = {:?}", self.networks),
                format!("domains = {:?}", self.domains),
            ],
        ));
        let nameservers: Vec<_> = self.nameservers.iter().map(SocketAddr::to_string).collect();
        sections.push(("dns", vec![format!("nameservers = {nameservers:?}")]));
        sections.push(("log", vec!["format = \"json\"".into(), "target = \"stderr\"".into()]));
        sections.push(("admin", vec![format!("socket = {admin_socket:?}")]));
        for (section, line) in &self.lines {
            match sections.iter_mut().find(|(name, _)| name == section) {
                Some((_, lines)) => lines.push(line.clone()),
                None => sections.push((section, vec![line.clone()])),
            }
        }
        for (name, lines) in &sections {
            writeln!(text, "[{name}]\n{}\n", lines.join("\n")).unwrap();
        }
        for Listener { port, protocol, proxy_from, line_endings, tls, lines } in &self.listeners {
            let lines = lines.join("\n");
            writeln!(
                text,
                "[[listener]]\naddress = \"127.0.0.1:{port}\"\nprotocol = {protocol:?}\n\
                 proxy_from = {proxy_from:?}\nline_endings = {line_endings:?}\ntls = {tls:?}\n{lines}\n"
            )
            .unwrap();
        }
        for (matching, via) in &self.routes {
            writeln!(text, "[[route]]\nmatch = {matching:?}\nvia = {via:?}\n").unwrap();
        }
        text.push_str(&self.tables.join("\n\n"));
        text
    }
}

impl Listener {
    pub fn smtp() -> Self {
        Self {
            port: super::free_port(),
            protocol: "smtp",
            proxy_from: vec![],
            line_endings: "refuse",
            tls: "starttls",
            lines: vec![],
        }
    }
}
