"""The digest of a request, as proto/README.md documents it."""

import hashlib
import ipaddress
import ssl

# Fields of `Context` in the order of their tags.
CONTEXT = [
    "cluster",
    "object_uid",
    "requester",
    "groups",
    "namespace",
    "pod_name",
    "pod_uid",
    "service_account_name",
    "service_account_uid",
    "node_name",
    "node_uid",
]


def number(value):
    return value.to_bytes(8, "big")


def item(tag, value):
    """One item; its value is octets, a text, a number, or the items that it holds."""
    if isinstance(value, str):
        value = value.encode()
    elif isinstance(value, int):
        value = number(value)
    elif isinstance(value, list):
        value = b"".join(value)
    return bytes([tag]) + number(len(value)) + value


def key_proof(proof):
    match proof.WhichOneof("proof"):
        case "pkcs10_der":
            return item(4, proof.pkcs10_der)
        case "pkcs10_pem":
            armour = ("-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----")
            body = proof.pkcs10_pem.split(armour[0])[1].split(armour[1])[0]
            return item(4, ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}\n{body.strip()}\n{ssl.PEM_FOOTER}"))
        case "pod_key":
            pod = proof.pod_key
            return item(5, [item(1, pod.spki_der), item(2, pod.proof_of_possession), item(3, pod.pod_uid)])


def name(san):
    match san.WhichOneof("name"):
        case "dns":
            return item(1, san.dns)
        case "ip":
            return item(2, ipaddress.ip_address(san.ip).packed)
        case "uri":
            return item(3, san.uri)
        case "email":
            return item(4, san.email)


def milliseconds(timestamp):
    return timestamp.seconds * 1000 + timestamp.nanos // 1_000_000


def wanted(asked):
    items = []
    if asked.HasField("subject"):
        items.append(item(6, [item(1, [item(1, a.type), item(2, a.value)]) for a in asked.subject.attributes]))
    if asked.HasField("sans"):
        items.append(item(7, [name(san) for san in asked.sans.names]))
    if asked.HasField("usages"):
        items.append(item(8, [item(1, usage) for usage in asked.usages.usages]))
    if asked.HasField("validity_seconds"):
        items.append(item(9, asked.validity_seconds))
    if asked.HasField("not_before"):
        items.append(item(10, milliseconds(asked.not_before)))
    if asked.HasField("not_after"):
        items.append(item(11, milliseconds(asked.not_after)))
    return items


def context(vouched):
    items = []
    for tag, field in enumerate(CONTEXT, start=1):
        if field == "groups":
            items += [item(tag, group) for group in vouched.groups]
        elif vouched.HasField(field):
            items.append(item(tag, getattr(vouched, field)))
    return item(12, items)


def of_request(request):
    """The digest of a SignRequest."""
    items = [item(1, request.request_id), item(2, request.profile)]
    if request.HasField("issuer"):
        items.append(item(3, request.issuer))
    items.append(key_proof(request.key_proof))
    items += wanted(request.wanted)
    items.append(context(request.context))
    return hashlib.sha256(b"stele-sign-request-v1\n" + b"".join(items)).digest()
