//! `ringpost check spf|message|domain` against a name server (nsd) with a zone of the test's own, and
//! messages that dkimpy signed and sealed.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::Value;

use crate::harness::{NameServer, run_cli, run_program};

/// Names below `test.`; `KEY` stands for a public key.
const ZONE: &str = r#"$ORIGIN test.
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
ns A 127.0.0.1
client A 192.0.2.10
client AAAA 2001:db8::10

pass TXT "v=spf1 ip4:192.0.2.0/24 -all"
fail TXT "v=spf1 ip4:198.51.100.1 -all exp=why.test"
why TXT "%{i} is not one of %{d}"
softfail TXT "v=spf1 a:client.test/32 ~all"
neutral TXT "v=spf1 ?all"
nothing TXT "v=spf1 ip4:198.51.100.1"
unspf TXT "hello"
unspf TXT "v=spf10 +all"
syntax TXT "v=spf1 mx all:x -all"
typo TXT "v=spf1 ipv4:192.0.2.10 -all"
mask TXT "v=spf1 ip4:192.0.2.10/33 -all"
double TXT "v=spf1 +all"
double TXT "v=spf1 -all"
refused TXT "v=spf1 include:elsewhere.example -all"
included TXT "v=spf1 include:_i.included.test -all"
_i.included TXT "v=spf1 ip4:192.0.2.10 -all"
missing TXT "v=spf1 include:unspf.test -all"
minus TXT "v=spf1 -include:outer.test +all"
outer TXT "v=spf1 include:pass.test ?all"
redirected TXT "v=spf1 ip4:198.51.100.1 redirect=pass.test"
lost TXT "v=spf1 redirect=unspf.test"
mail TXT "v=spf1 mx -all"
mail MX 10 client
six TXT "v=spf1 a:client.test -all"
macro TXT "v=spf1 exists:%{ir}.%{l}._spf.%{d} -all"
10.2.0.192.user._spf.macro A 127.0.0.2
void2 TXT "v=spf1 a:v1.test a:v2.test +all"
void3 TXT "v=spf1 a:v1.test a:v2.test exists:v3.test +all"
ten TXT "v=spf1 include:five.test include:four.test -all"
eleven TXT "v=spf1 include:five.test include:four.test a:ns.test ip4:192.0.2.10 -all"
five TXT "v=spf1 a:ns.test a:ns.test a:ns.test a:ns.test ?all"
four TXT "v=spf1 a:ns.test a:ns.test a:ns.test a:ns.test ?all"
loop TXT "v=spf1 include:loop2.test -all"
loop2 TXT "v=spf1 include:loop.test -all"
mxs TXT "v=spf1 mx -all"
MXS

good MX 10 mx.good
mx.good A 192.0.2.20
good TXT "v=spf1 mx -all"
s1._domainkey.good TXT RSA2048
ed._domainkey.good TXT ED25519
_dmarc.good TXT "v=DMARC1; p=reject; rua=mailto:dmarc@good.test,mailto:good@reports.test"
good.test._report._dmarc.reports TXT "v=DMARC1"
_mta-sts.good TXT "v=STSv1; id=20261128"
_smtp._tls.good TXT "v=TLSRPTv1; rua=mailto:tls@good.test"
_25._tcp.mx.good TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000

bad MX 10 mx.bad
bad MX 20 gone.bad
bad MX 30 alias.bad
mx.bad A 192.0.2.30
alias.bad CNAME mx.good
bad TXT "v=spf1 a:v1.test a:v2.test exists:v3.test include:unspf.test ptr include:ten.test +all"
s1._domainkey.bad TXT RSA1024
s2._domainkey.bad TXT "v=DKIM1; k=rsa; p=nonsense"
mine._domainkey.bad TXT "v=DKIM1; t=y; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
_mta-sts.bad TXT "v=STSv1; id=no-such-id"

plain A 192.0.2.40
wild MX 10 mx.good
*._domainkey.wild TXT RSA2048
sub.good MX 10 mx.good
"#;

/// What leads back to `mx.good.test`, and what does not lead back.
const REVERSE: &str = "\
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
20 PTR mx.good.test.
30 PTR mx.good.test.
";

const MESSAGE: &str = "\
From: Somebody <somebody@good.test>
To: x@there.test
Subject: a  message
 that is folded
Date: Sat, 28 Nov 2026 00:00:00 +0000
Message-ID: <1@good.test>

Hello,

this is it.  \t
\n";

/// A name server, in whose folder are keys and messages, too.
struct Names(NameServer);

impl Names {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone = zone(folder.path());
        Self(NameServer::serve(folder, &[("test", &zone), ("2.0.192.in-addr.arpa", REVERSE)]))
    }

    fn check(&self, arguments: &[&str]) -> String {
        let dns = self.0.address().to_string();
        let output = run_cli(&[&["check"], arguments, &["--dns", &dns]].concat());
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.check(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn spf(&self, ip: &str, sender: &str) -> Value {
        self.json(&["spf", "--ip", ip, "--helo", "helo.test", "--mail-from", sender])
    }

    /// Of a message that sign.py made.
    fn message(&self, name: &str, more: &[&str]) -> Value {
        let path = self.0.folder.path().join(format!("{name}.eml"));
        self.json(&[&["message", path.to_str().unwrap()], more].concat())
    }
}

fn openssl(folder: &Path, script: &str) -> String {
    let script = format!("set -e; cd {}; {script}", folder.display());
    let output = run_program("bash", &["-c", &script]);
    assert!(output.status.success(), "openssl");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn zone(folder: &Path) -> String {
    let public = |bits: u32, file: &str| {
        openssl(
            folder,
            &format!(
                "openssl genrsa -traditional -out {file} {bits} 2>/dev/null; \
                 openssl rsa -in {file} -pubout -outform DER 2>/dev/null | base64 -w0"
            ),
        )
    };
    let rsa = format!("v=DKIM1; k=rsa; p={}", public(2048, "rsa.pem"));
    let short = format!("v=DKIM1; p={}", public(1024, "short.pem"));
    let ed = openssl(
        folder,
        "openssl genpkey -algorithm ed25519 -out ed.pem; \
         openssl pkey -in ed.pem -outform DER | tail -c 32 | base64 -w0 > ed25519.seed; \
         openssl pkey -in ed.pem -pubout -outform DER | tail -c 32 | base64 -w0",
    );
    let ed = format!("v=DKIM1; k=ed25519; p={ed}");
    let strings = |text: &str| {
        let (first, rest) = text.split_at(text.len().min(200));
        format!("\"{first}\" \"{rest}\"")
    };
    let mut zone = ZONE
        .replace("RSA2048", &strings(&rsa))
        .replace("RSA1024", &strings(&short))
        .replace("ED25519", &strings(&ed));
    let mut mxs = String::new();
    for number in 0..11 {
        writeln!(mxs, "mxs MX 10 m{number}.mxs\nm{number}.mxs A 198.51.100.{number}").unwrap();
    }
    zone = zone.replace("MXS", &mxs);
    zone
}

/// Domain below `test.`, result, look-ups, and words of the explanation.
const RESULTS: [(&str, &str, u64, &str); 26] = [
    ("pass", "pass", 0, "\"ip4:192.0.2.0/24\" of pass.test matches 192.0.2.10"),
    ("fail", "fail", 0, "\"-all\" of fail.test"),
    ("softfail", "pass", 1, "a:client.test/32"),
    ("neutral", "neutral", 0, "\"?all\""),
    ("nothing", "neutral", 0, "no term"),
    ("unspf", "none", 0, "unspf.test has no SPF record"),
    ("nowhere", "none", 0, "no SPF record"),
    ("syntax", "permerror", 0, "all:x"),
    ("typo", "permerror", 0, "ipv4:192.0.2.10"),
    ("mask", "permerror", 0, "ip4:192.0.2.10/33"),
    ("double", "permerror", 0, "more than one"),
    ("refused", "temperror", 1, "elsewhere.example"),
    ("included", "pass", 1, "of _i.included.test matches"),
    ("missing", "permerror", 1, "unspf.test has no SPF record"),
    ("minus", "fail", 2, ""),
    ("redirected", "pass", 1, "of pass.test matches"),
    ("lost", "permerror", 1, "unspf.test has no SPF record"),
    ("mail", "pass", 1, "\"mx\" of mail.test"),
    ("six", "pass", 1, "a:client.test"),
    ("macro", "pass", 1, "exists:%{ir}.%{l}._spf.%{d}"),
    ("void2", "pass", 2, "+all"),
    ("void3", "permerror", 3, "v1.test, v2.test, v3.test"),
    ("ten", "fail", 10, "-all"),
    ("eleven", "permerror", 10, "more than 10 look-ups"),
    ("loop", "permerror", 0, ""),
    ("mxs", "permerror", 1, "more than 10 mail exchangers"),
];

#[test]
fn spf_results_and_limits() {
    let names = Names::start();
    for (domain, result, lookups, words) in RESULTS {
        let told = names.spf("192.0.2.10", &format!("user@{domain}.test"));
        assert_eq!(told["result"], result, "{domain}: {told}");
        assert_eq!(told["domain"], format!("{domain}.test"));
        assert!(domain == "loop" || told["lookups"] == lookups, "{domain}: {told}");
        let explanation = told["explanation"].as_str().unwrap();
        assert!(explanation.contains(words), "{domain}: {told}");
        // Nothing that only a second look told.
        assert!(!explanation.contains("followed once more"), "{domain}: {told}");
    }
    assert_eq!(names.spf("203.0.113.1", "u@softfail.test")["result"], "softfail");
    assert_eq!(names.spf("2001:db8::10", "u@six.test")["result"], "pass");
    assert_eq!(names.spf("::ffff:192.0.2.10", "u@six.test")["result"], "pass");
    assert_eq!(names.spf("192.0.2.10", "other@macro.test")["result"], "fail");
    let told = names.spf("192.0.2.10", "u@fail.test");
    assert_eq!(told["says"], "192.0.2.10 is not one of fail.test");
    assert_eq!(told["decided"]["term"], "-all");
    assert_eq!((&told["identity"], &told["helo"]), (&"mail-from".into(), &"none".into()));
    // The null sender: the HELO name counts.
    let told = names.json(&["spf", "--ip", "192.0.2.10", "--helo", "pass.test"]);
    assert_eq!((&told["result"], &told["identity"]), (&"pass".into(), &"helo".into()));
}

#[test]
fn spf_for_people_begins_with_the_word() {
    let names = Names::start();
    let from = ["--helo", "helo.test", "--mail-from", "u@included.test"];
    let text = names.check(&[&["spf", "--ip", "192.0.2.10"][..], &from].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "pass", "{text}");
    assert!(text.contains("decided by:   _i.included.test: v=spf1 ip4:192.0.2.10 -all"), "{text}");
    assert!(text.contains("look-ups:     1 of 10, 0 of 2 for nothing"), "{text}");
    let output = run_cli(&["check", "spf", "--ip", "x", "--helo", "h"]);
    assert_eq!(output.status.code(), Some(2), "wrong usage");
}

/// What must and should be done, as `topic: text`.
fn to_do(told: &Value, severity: &str) -> Vec<String> {
    let advice = told["advice"].as_array().unwrap().iter();
    let of_it = advice.filter(|it| it["severity"] == severity);
    let text = |it: &Value| {
        let (topic, text) = (it["topic"].as_str().unwrap(), it["text"].as_str().unwrap());
        format!("{topic}: {text}")
    };
    of_it.map(text).collect()
}

#[test]
fn a_domain_without_fault_has_nothing_to_do() {
    let names = Names::start();
    let told = names.json(&["domain", "good.test", "--selector", "ed"]);
    assert_eq!(to_do(&told, "must"), Vec::<String>::new(), "{told}");
    assert_eq!(to_do(&told, "should"), Vec::<String>::new(), "{told}");
    assert_eq!(told["mx"]["hosts"][0]["addresses"][0]["is_confirmed"], true);
    assert_eq!(told["mx"]["hosts"][0]["tlsa"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&told["spf"]["cost"]["all"], &told["spf"]["cost"]["lookups"]),
        (&"-all".into(), &1.into())
    );
    let keys: Vec<_> = told["dkim"]["keys"].as_array().unwrap().iter().collect();
    assert_eq!(
        (&keys[0]["selector"], &keys[0]["key"]["bits"]),
        (&"ed".into(), &256.into()),
        "{told}"
    );
    assert_eq!(
        (&keys[1]["selector"], &keys[1]["key"]["bits"]),
        (&"s1".into(), &2048.into()),
        "{told}"
    );
    assert_eq!(told["dmarc"]["policy"], "reject");
    assert_eq!(told["dmarc"]["reports"][1]["is_authorized"], true);
    let text = names.check(&["domain", "good.test"]);
    assert!(text.contains("Nothing must be done."), "{text}");
    // Below it the organization's policy holds.
    let told = names.json(&["domain", "sub.good.test"]);
    assert_eq!(told["dmarc"]["applies"], "good.test");
    assert!(to_do(&told, "must").iter().all(|it| !it.starts_with("dmarc")), "{told}");
}

#[test]
fn each_fault_of_a_domain_is_named() {
    let names = Names::start();
    let told = names.json(&["domain", "bad.test", "--selector", "mine", "--selector", "none"]);
    let must = to_do(&told, "must");
    for expected in [
        "spf: include:unspf.test of bad.test: unspf.test has no SPF record",
        "spf: SPF needs 16 look-ups, and 10 are allowed",
        "spf: SPF names what is not there: v1.test, v2.test, v3.test",
        "spf: SPF ends in \"+all\"",
        "dkim: key none: there is no record none._domainkey.bad.test",
        "dmarc: there is no DMARC record",
        "mx: the mail exchanger gone.bad.test has no address",
        "ptr: 192.0.2.30 (mx.bad.test) leads to mx.good.test, which does not lead back",
    ] {
        assert!(must.iter().any(|it| it.starts_with(expected)), "{expected}\n{must:#?}");
    }
    assert_eq!(must.len(), 8, "{must:#?}");
    let should = to_do(&told, "should");
    for expected in [
        "spf: SPF uses \"ptr\"",
        "dkim: key mine: it is marked as a test",
        "dkim: key s1: RSA with 1024 bits",
        "dkim: key s2: the record is wrong",
        "mx: the mail exchanger alias.bad.test is an alias (CNAME) of mx.good.test",
        "mta-sts: the MTA-STS record is wrong",
    ] {
        assert!(should.iter().any(|it| it.starts_with(expected)), "{expected}\n{should:#?}");
    }
    assert_eq!(should.len(), 6, "{should:#?}");
    let text = names.check(&["domain", "bad.test"]);
    let record =
        "publish:  _dmarc.bad.test. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@bad.test\"";
    assert!(text.contains("MUST be done") && text.contains(record), "{text}");

    let told = names.json(&["domain", "plain.test"]);
    assert_eq!(told["mx"]["is_implicit"], true);
    assert_eq!(
        to_do(&told, "should"),
        ["mx: there is no MX record: mail goes to the domain's own address"]
    );
    let told = names.json(&["domain", "nowhere.test"]);
    assert_eq!(to_do(&told, "must"), ["mx: the DNS does not know nowhere.test"]);
    // A name server that answers to every selector shows nothing.
    let told = names.json(&["domain", "wild.test"]);
    assert_eq!(told["dkim"]["keys"], Value::Array(vec![]));
    // Nobody could tell: that is no fault of the domain's.
    let told = names.json(&["domain", "elsewhere.example"]);
    assert_eq!(to_do(&told, "must"), Vec::<String>::new(), "{told}");
    assert!(
        to_do(&told, "should").iter().any(|it| it.starts_with("spf: SPF could not be looked up"))
    );
}

#[test]
fn our_own_keys_are_looked_for() {
    let names = Names::start();
    let keys = names.0.folder.path().join("data/dkim/good.test");
    fs::create_dir_all(&keys).unwrap();
    let key = |(selector, state)| {
        format!(r#"{{"selector":"{selector}","algorithm":"rsa","state":"{state}","made":0}}"#)
    };
    let register =
        [("lost", "active"), ("s1", "active"), ("next", "pending"), ("old", "retired")].map(key);
    let register = format!(r#"{{"keys":[{}]}}"#, register.join(","));
    fs::write(keys.join("keys.json"), register).unwrap();
    let config = names.0.folder.path().join("ringpost.toml");
    let data = names.0.folder.path().join("data");
    fs::write(&config, format!("[server]\ndata_dir = {data:?}\n")).unwrap();
    let told = names.json(&["domain", "good.test", "--config", config.to_str().unwrap()]);
    let own = told["dkim"]["keys"].as_array().unwrap().iter().filter(|it| it["origin"] == "own");
    let own: Vec<_> = own.map(|it| it["selector"].as_str().unwrap()).collect();
    assert_eq!(own, ["lost", "s1"], "{told}");
    assert_eq!(
        to_do(&told, "must"),
        ["dkim: key lost: there is no record lost._domainkey.good.test"]
    );
}

fn signed(names: &Names) {
    fs::write(names.0.folder.path().join("message.eml"), MESSAGE).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/check/sign.py");
    let (script, folder) = (script.to_str().unwrap(), names.0.folder.path().to_str().unwrap());
    assert!(run_program("/usr/bin/python3", &[script, folder]).status.success(), "sign.py");
}

/// The results of all signatures.
fn dkim(told: &Value) -> Vec<&str> {
    told["dkim"].as_array().unwrap().iter().map(|it| it["result"].as_str().unwrap()).collect()
}

#[test]
fn messages_that_dkimpy_signed() {
    let names = Names::start();
    signed(&names);
    for name in ["signed", "unix"] {
        let told = names.message(name, &[]);
        assert_eq!(dkim(&told), ["pass", "pass"], "{name}: {told}");
        assert_eq!(told["dmarc"]["result"], "pass", "{name}: {told}");
        assert_eq!((&told["spf"], &told["iprev"]), (&Value::Null, &Value::Null));
    }
    for name in ["body", "header"] {
        let told = names.message(name, &[]);
        assert_eq!(dkim(&told), ["fail", "fail"], "{name}: {told}");
        assert_eq!(
            (&told["dmarc"]["result"], &told["dmarc"]["policy"]),
            (&"fail".into(), &"reject".into())
        );
    }
    let told = names.message("other", &[]);
    assert_ne!(dkim(&told), ["pass"], "there is no key of other.test: {told}");
    assert_eq!(told["dmarc"]["result"], "fail", "{told}");
    let told = names.message("nokey", &[]);
    assert_ne!(dkim(&told), ["pass"], "{told}");
    let client = ["--ip", "192.0.2.20", "--helo", "mx.good.test", "--mail-from", "x@good.test"];
    let told = names.message("body", &client);
    assert_eq!(told["spf"]["mail_from"]["result"], "pass", "{told}");
    assert_eq!(told["iprev"]["result"], "pass", "{told}");
    assert_eq!(told["dmarc"]["result"], "pass", "by SPF: {told}");
    let field = told["authentication_results"].as_str().unwrap();
    assert!(field.contains("spf=pass") && field.contains("dkim=fail"), "{field}");
    let path = names.0.folder.path().join("signed.eml");
    let text = names.check(&["message", path.to_str().unwrap()]);
    assert!(text.starts_with("Authentication-Results: "), "{text}");
    assert!(text.contains("dkim=pass") && text.contains("header.d=good.test"), "{text}");
    assert!(
        !text.contains("spf=") && !text.contains("iprev=") && !text.contains("0.0.0.0"),
        "{text}"
    );
}

#[test]
fn messages_that_dkimpy_sealed() {
    let names = Names::start();
    signed(&names);
    for (name, length) in [("sealed", 1), ("twice", 2)] {
        let told = names.message(name, &[]);
        assert_eq!(told["arc"]["result"], "pass", "{name}: {told}");
        assert_eq!(told["arc"]["chain_length"], length, "{name}: {told}");
        assert_eq!(dkim(&told), ["pass", "pass"], "{name}: {told}");
    }
    for name in ["sealed-body", "sealed-results", "sealed-seal", "sealed-gap"] {
        let told = names.message(name, &[]);
        assert_eq!(told["arc"]["result"], "fail", "{name}: {told}");
    }
}
