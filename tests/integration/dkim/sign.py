"""Signs by dkimpy, with both kinds of keys and of canonicalization: prints the fields. sign.py FILE FOLDER

Keys are FOLDER/rsa.pem (selector s1) and FOLDER/ed25519.seed (selector ed), of ours.test.
"""

import pathlib
import sys

import dkim

message = pathlib.Path(sys.argv[1]).read_bytes()
folder = pathlib.Path(sys.argv[2])
rsa = (folder / "rsa.pem").read_bytes()
seed = (folder / "ed25519.seed").read_bytes()
for form in [(b"relaxed", b"relaxed"), (b"simple", b"simple")]:
    fields = [
        dkim.sign(message, b"s1", b"ours.test", rsa, canonicalize=form),
        dkim.sign(message, b"ed", b"ours.test", seed, canonicalize=form,
                  signature_algorithm=b"ed25519-sha256"),
    ]
    sys.stdout.buffer.write(b"".join(fields))
