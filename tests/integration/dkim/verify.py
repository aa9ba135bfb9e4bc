"""What dkimpy says of every signature of a message: a line each. verify.py FILE DNS_PORT"""

import re
import sys

import dkim
import dns.exception
import dns.resolver

message = open(sys.argv[1], "rb").read()
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], int(sys.argv[2]), 10


def txt(name, timeout=5):
    try:
        answer = resolver.resolve(name.decode().rstrip("."), "TXT")
        return b"".join(answer[0].strings)
    except dns.exception.DNSException:
        return None


verifier = dkim.DKIM(message)
fields = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
for index, field in enumerate(fields):
    algorithm = re.search(rb"a=([^;]*)", field).group(1).strip().decode()
    try:
        verdict = "pass" if verifier.verify(idx=index, dnsfunc=txt) else "fail"
    except dkim.DKIMException as error:
        print(error, file=sys.stderr)
        verdict = "fail"
    print(algorithm, verdict)
