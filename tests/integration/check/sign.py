"""Signs by dkimpy: nothing of it is Ringpost's.

usage: sign.py FOLDER
Reads FOLDER/message.eml and the keys FOLDER/rsa.pem and FOLDER/ed25519.seed, and writes beside them what check.rs names.
"""
import pathlib
import sys

import dkim

folder = pathlib.Path(sys.argv[1])
message = (folder / "message.eml").read_bytes().replace(b"\n", b"\r\n")
rsa = (folder / "rsa.pem").read_bytes()
seed = (folder / "ed25519.seed").read_bytes()

# Both kinds of canonicalization, both algorithms.
first = dkim.sign(message, b"s1", b"good.test", rsa, canonicalize=(b"relaxed", b"relaxed"))
second = dkim.sign(message, b"ed", b"good.test", seed, canonicalize=(b"simple", b"simple"),
                   signature_algorithm=b"ed25519-sha256")
signed = first + second + message
(folder / "signed.eml").write_bytes(signed)
# As an editor, or a mail program on Unix, would keep it.
(folder / "unix.eml").write_bytes(signed.replace(b"\r\n", b"\n"))
(folder / "body.eml").write_bytes(signed.replace(b"Hello", b"Hullo"))
(folder / "header.eml").write_bytes(signed.replace(b"Subject: a", b"Subject: b"))
(folder / "other.eml").write_bytes(dkim.sign(message, b"s1", b"other.test", rsa) + message)
(folder / "nokey.eml").write_bytes(dkim.sign(message, b"gone", b"good.test", rsa) + message)


def sealed(message, instance):
    """One more hop, which checked the message before it sealed it."""
    name = b"hop%d.test" % instance
    arc = b"none" if instance == 1 else b"pass"
    seen = b"Authentication-Results: %s; arc=%s; dkim=pass header.d=good.test\r\n" % (name, arc)
    fields = dkim.arc_sign(seen + message, b"s1", b"good.test", rsa, name)
    assert len(fields) == 3 and b"cv=fail" not in fields[0], fields
    return b"".join(fields) + seen + message


once = sealed(signed, 1)
(folder / "sealed.eml").write_bytes(once)
twice = sealed(once, 2)
(folder / "twice.eml").write_bytes(twice)
(folder / "sealed-body.eml").write_bytes(once.replace(b"Hello", b"Hullo"))
(folder / "sealed-results.eml").write_bytes(
    once.replace(b"ARC-Authentication-Results: i=1; hop1", b"ARC-Authentication-Results: i=1; hop9"))
seal = once.index(b"ARC-Seal:")
at = once.index(b"b=", once.index(b"cv=", seal)) + 4
other = b"A" if once[at:at + 1] != b"A" else b"B"
(folder / "sealed-seal.eml").write_bytes(once[:at] + other + once[at + 1:])
# One number of the chain is missing.
(folder / "sealed-gap.eml").write_bytes(twice.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=3"))
