//! Whether an answer follows IMAP's grammar (RFC 9051 §9), read by a parser that knows nothing of
//! how it was written.

/// A value as IMAP sends it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nil,
    Number(u64),
    String(Vec<u8>),
    List(Vec<Value>),
}

/// One value and nothing behind it.
pub(super) fn parse(text: &[u8]) -> Option<Value> {
    let (value, rest) = value(text)?;
    rest.is_empty().then_some(value)
}

fn value(text: &[u8]) -> Option<(Value, &[u8])> {
    match text.first()? {
        b'(' => list(&text[1..]),
        b'"' => quoted(&text[1..]),
        b'{' => {
            let end = text.windows(3).position(|three| three == b"}\r\n")?;
            let octets = std::str::from_utf8(&text[1..end]).ok()?.parse().ok()?;
            let (literal, rest) = text[end + 3..].split_at_checked(octets)?;
            (!literal.contains(&0)).then(|| (Value::String(literal.to_vec()), rest))
        }
        b'0'..=b'9' => {
            let end = text.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
            let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
            Some((Value::Number(number), &text[end..]))
        }
        _ => Some((Value::Nil, text.strip_prefix(b"NIL")?)),
    }
}

/// Lists follow each other without a space, everything else with one.
fn list(text: &[u8]) -> Option<(Value, &[u8])> {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let (next, after) = value(rest)?;
        found.push(next);
        match after.first()? {
            b')' => return Some((Value::List(found), &after[1..])),
            b' ' => rest = &after[1..],
            b'(' if matches!(found.last(), Some(Value::List(_))) => rest = after,
            _ => return None,
        }
    }
}

fn quoted(text: &[u8]) -> Option<(Value, &[u8])> {
    let (mut found, mut escaped) = (Vec::new(), false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            b'"' | b'\\' if escaped => {
                found.push(*octet);
                escaped = false;
            }
            _ if escaped => return None,
            b'\\' => escaped = true,
            b'"' => return Some((Value::String(found), &text[at + 1..])),
            b'\r' | b'\n' | 0 | 0x80.. => return None,
            _ => found.push(*octet),
        }
    }
    None
}

const fn is_nstring(value: &Value) -> bool {
    matches!(value, Value::Nil | Value::String(_))
}

const fn is_string(value: &Value) -> bool {
    matches!(value, Value::String(_))
}

const fn is_number(value: &Value) -> bool {
    matches!(value, Value::Number(_))
}

/// `body-fld-param`.
fn is_parameters(value: &Value) -> bool {
    match value {
        Value::List(items) => items.len() % 2 == 0 && items.iter().all(is_string),
        value => *value == Value::Nil,
    }
}

/// `envelope`.
pub(super) fn is_envelope(value: &Value) -> bool {
    let Value::List(items) = value else { return false };
    let is_list = |value: &Value| {
        match value {
        Value::List(addresses) => addresses.iter().all(|address| {
            matches!(address, Value::List(four) if four.len() == 4 && four.iter().all(is_nstring))
        }),
        value => *value == Value::Nil,
    }
    };
    let [date, subject, lists @ .., reply, id] = &items[..] else { return false };
    lists.len() == 6
        && lists.iter().all(is_list)
        && [date, subject, reply, id].iter().all(|text| is_nstring(text))
}

/// `body`, with all extension data or with none.
pub(super) fn is_body(value: &Value, extended: bool) -> bool {
    let Value::List(items) = value else { return false };
    let children = items.iter().take_while(|item| matches!(item, Value::List(_))).count();
    if children > 0 {
        let (children, rest) = items.split_at(children);
        return children.iter().all(|child| is_body(child, extended))
            && match rest {
                [subtype] => !extended && is_string(subtype),
                [subtype, parameters, rest @ ..] => {
                    extended && is_string(subtype) && is_parameters(parameters) && is_tail(rest)
                }
                [] => false,
            };
    }
    let [kind, subtype, parameters, id, description, encoding, size, rest @ ..] = &items[..] else {
        return false;
    };
    let basic = is_string(kind)
        && is_string(subtype)
        && is_parameters(parameters)
        && is_nstring(id)
        && is_nstring(description)
        && is_string(encoding)
        && is_number(size);
    let is = |value: &Value, text: &[u8]| matches!(value, Value::String(found) if found.eq_ignore_ascii_case(text));
    let rest = if is(kind, b"text") {
        let [lines, rest @ ..] = rest else { return false };
        if !is_number(lines) {
            return false;
        }
        rest
    } else if is(kind, b"message") && (is(subtype, b"rfc822") || is(subtype, b"global")) {
        let [envelope, body, lines, rest @ ..] = rest else { return false };
        if !is_envelope(envelope) || !is_body(body, extended) || !is_number(lines) {
            return false;
        }
        rest
    } else {
        rest
    };
    basic
        && match rest {
            [] => !extended,
            [md5, rest @ ..] => extended && is_nstring(md5) && is_tail(rest),
        }
}

/// Disposition, language and location.
fn is_tail(rest: &[Value]) -> bool {
    let [disposition, language, location] = rest else { return false };
    let disposition = match disposition {
        Value::List(two) => {
            matches!(&two[..], [token, list] if is_string(token) && is_parameters(list))
        }
        value => *value == Value::Nil,
    };
    let language = match language {
        Value::List(tags) => tags.iter().all(is_string),
        value => is_nstring(value),
    };
    disposition && language && is_nstring(location)
}

#[test]
fn the_judge_tells_right_from_wrong() {
    for text in ["(\"a\"(\"b\"))", "(\"a\"  NIL)", "()", "(\"a\" {3}\r\nab)", "\"\u{e9}\"", "(NIL"]
    {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
    let judge = |text: &str, extended| is_body(&parse(text.as_bytes()).unwrap(), extended);
    assert!(judge("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)", false));
    assert!(!judge("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0)", false));
    assert!(!judge("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)", true));
    assert!(!judge("(\"a\" \"b\" (\"x\") NIL NIL \"7bit\" 0)", false));
}
