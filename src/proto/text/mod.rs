//! Message text: header scanning, trace fields, dot stuffing (RFC 5322, RFC 5321 §4.4).
