"""Compares our lints with pkilint's: agreement.py FILE, where FILE is what `stele-policy certificates` wrote.

Exit status: 0 every difference is one of those explained here; 1 otherwise.
"""

import base64
import collections
import json
import multiprocessing
import sys

from pkilint import loader
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity

# Findings of pkilint that are its mistakes or another's rule, by code and by the start of the message. Both kinds of
# certificates may have them.
EXPLAINED = {
    "pkix.invalid_uri_syntax": {
        'Invalid URI syntax: "spiffe://': "it wants what a web address has; RFC 5280 section 4.2.1.6 wants a scheme and the rest",
    },
    "pkix.invalid_domain_name_syntax": {
        f'Invalid domain name syntax: "{label}"': "it wants a dot; RFC 1034 section 3.5 does not, and Kubernetes fixes these names"
        for label in ("kubernetes", "localhost", "svc", "default", "invalid")
    }
    | {'Invalid domain name syntax: "*.': "wildcards are of RFC 9525 section 6.3, where a profile permits them"},
}
# What only bytes that nobody built can have: altered certificates that no lint of ours refuses. Each names who refuses
# it instead, or why it does no harm.
ALTERED = {
    "itu.invalid_asn1_syntax": {
        'ASN.1 decoding failure occurred at "certificate.tbsCertificate.subjectPublicKeyInfo': "keys are proven before: keycheck reads and checks them, at a cost that a lint may not have",
    },
    "unreadable": {
        'SubstrateDecodingFailedError: Error occurred while decoding substrate in document "": Error decoding "BitString" TLV near substrate offset 142: Non-zero trailer': "the key's BIT STRING; keys are proven before: keycheck reads and checks them",
    },
    "pkix.certificate_signature_algorithm_mismatch": {
        "": "the signature outside is this comparison's own; the door compares the two",
    },
    "pkix.invalid_domain_name_syntax": {
        "Invalid domain name syntax: ": "a name of one label, altered; profiles say which names, and pkilint wants a dot",
    },
    "pkix.invalid_uri_syntax": {
        "Invalid URI syntax: ": "another scheme is a URI of RFC 3986 too; profiles say which URIs",
    },
    "pkix.invalid_email_address_syntax": {
        "": "a host as a constraint on e-mail (RFC 5280 section 4.2.1.10), taken for a mailbox",
    },
}

_VALIDATOR = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)


def lint(line):
    """One line of the file with pkilint's findings, ERROR and above, as (code, message)."""
    entry = json.loads(line)
    try:
        document = loader.RFC5280CertificateDocumentLoader().load_der_document(base64.b64decode(entry["der"]), "", "")
        results = _VALIDATOR.validate(document.root)
    except Exception as error:  # the linter itself gives up
        return entry, [("unreadable", f"{type(error).__name__}: {error}")]
    found = [
        (description.finding.code, description.message or "")
        for result in results
        for description in result.finding_descriptions
        if description.finding.severity <= ValidationFindingSeverity.ERROR
    ]
    return entry, found


def explained(kind, code, message):
    tables = [EXPLAINED, ALTERED] if kind == "altered" else [EXPLAINED]
    return any(message.startswith(start) for table in tables for start in table.get(code, ()))


def main(path):
    lines = open(path, encoding="utf-8").read().splitlines()
    counted, differences = collections.Counter(), collections.Counter()
    unexplained = {"issued": [], "altered": []}
    with multiprocessing.Pool(2) as pool:
        for entry, found in pool.imap(lint, lines, chunksize=50):
            kind = entry["kind"]
            counted[kind] += 1
            counted[kind, "clean"] += not found
            for code, message in found:
                known = explained(kind, code, message)
                differences[kind, code, "explained" if known else "NOT EXPLAINED"] += 1
                if not known:
                    unexplained[kind].append(f"{kind}, {entry['profile']}: {code}: {message[:300]}")
    for kind in ("issued", "altered"):
        print(f"{counted[kind]} {kind}: pkilint finds no error in {counted[kind, 'clean']}")
    for (kind, code, word), number in sorted(differences.items()):
        print(f"{number:>6} {kind:<8} {code}: {word}")
    for text in (unexplained["issued"] + unexplained["altered"])[:60]:
        print(text)
    # A tool that writes nothing must not make this pass.
    assert counted["issued"] >= 100 and counted["altered"] >= 50, counted
    return 1 if unexplained["issued"] or unexplained["altered"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
