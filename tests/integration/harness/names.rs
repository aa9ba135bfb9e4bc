//! A name server (nsd) with zones of the test's own.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use super::{Daemon, free_port, wait_until};

/// Before the test's own records; `test.` is the zone.
const HEAD: &str = "$ORIGIN test.\n$TTL 60\n@ SOA ns.test. root.test. 1 3600 600 86400 60\n\
                    @ NS ns.test.\nns A 127.0.0.1\n";

/// Serves `test.`, and what else it is given.
pub struct NameServer {
    /// Ends before its folder goes.
    _nsd: Daemon,
    pub folder: tempfile::TempDir,
    port: u16,
}

impl NameServer {
    /// `records` are lines of a zone file, names below `test.`.
    pub fn start(records: &str) -> Self {
        Self::serve(tempfile::tempdir().unwrap(), &[("test", &format!("{HEAD}{records}\n"))])
    }

    /// Whole zones, one of which is `test`.
    pub fn serve(folder: tempfile::TempDir, zones: &[(&str, &str)]) -> Self {
        let port = free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n \
             chroot: \"\"\n zonesdir: \"\"\n pidfile: \"{}\"\n database: \"\"\n zonelistfile: \"{}\"\n \
             xfrdfile: \"{}\"\nremote-control:\n control-enable: no\n",
            at("nsd.pid"),
            at("nsd.zones"),
            at("nsd.xfrd"),
        );
        for (name, text) in zones {
            let path = at(&format!("{name}.zone"));
            fs::write(&path, text).unwrap();
            write!(config, "zone:\n name: {name}\n zonefile: \"{path}\"\n").unwrap();
        }
        fs::write(at("nsd.conf"), config).unwrap();
        let nsd = Daemon::start(Command::new("/usr/sbin/nsd").args(["-d", "-c", &at("nsd.conf")]));
        let this = Self { _nsd: nsd, folder, port };
        wait_until("nsd to answer", 20, || this.answers());
        this
    }

    /// Asks for the SOA of `test.` by hand.
    fn answers(&self) -> bool {
        let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04test\0\0\x06\0\x01";
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut answer = [0; 512];
        // Before it has read its zones, it says SERVFAIL.
        socket.send_to(query, self.address()).is_ok()
            && socket
                .recv(&mut answer)
                .is_ok_and(|octets| octets > 12 && answer[3] & 15 == 0 && answer[7] > 0)
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}
