//! Terms, right and wrong. Walks are tested against a name server: tests/integration/check.rs.

use super::terms::{Part, fault, is_spf, parse};

#[test]
fn records_are_told_from_other_texts() {
    for yes in ["v=spf1", "v=spf1 -all", "V=SPF1 mx"] {
        assert!(is_spf(yes), "{yes}");
    }
    for no in ["", "v=spf10 -all", "v=spf1\t-all", " v=spf1", "spf2.0/pra", "v=spf€"] {
        assert!(!is_spf(no), "{no}");
    }
}

#[test]
fn terms_keep_their_texts_and_kinds() {
    let record = "v=spf1  a mx:m.test/24//64 -ip4:192.0.2.0/24 ?exists:%{i}._s.%{d2} \
                  include:i.test op=x redirect=r.test exp=e.test";
    let terms = parse(record).unwrap();
    let kinds: String = terms
        .iter()
        .map(|term| match term.part {
            Part::Directive(_) => 'd',
            Part::Redirect(_) => 'r',
            Part::Other => 'o',
        })
        .collect();
    assert_eq!(kinds, "dddddoro");
    assert_eq!(terms[2].text, "-ip4:192.0.2.0/24");
}

#[test]
fn wrong_terms_are_refused() {
    for right in [
        "all",
        "~ALL",
        "a/24",
        "a//64",
        "a/0//0",
        "mx:x.test/32//128",
        "ptr",
        "ptr:x.test",
        "ip6:2001:db8::/32",
        "ip6:::1",
        "exists:%{l/}.x.test",
        "x-unknown=%{d}",
        "redirect=_x.test",
    ] {
        assert!(parse(&format!("v=spf1 {right}")).is_ok(), "{right}");
    }
    for wrong in [
        "ipv4:192.0.2.1",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2",
        "ip4",
        "ip6:2001:db8::/129",
        "ip4:",
        "include",
        "include:",
        "include=x.test",
        "a:",
        "a/33",
        "a/24/64",
        "a//129",
        "all:x.test",
        "+redirect=x.test",
        "-exp=x",
        "ptr:",
        "exists",
        "exists:%{z}",
        "exists:%{l}.x.test/y",
        "mx=x.test",
        "=x",
        "a/",
        "redirect=a.test redirect=b.test",
        "exp=a.test exp=b.test",
        "-",
    ] {
        assert!(fault(&format!("v=spf1 {wrong}")).is_some(), "{wrong}");
    }
}
