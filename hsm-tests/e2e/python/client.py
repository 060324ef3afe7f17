"""A client of Stele made from the proto files alone, against the quickstart's signer: client.py DIR ADDRESS.

The generated code must be on the module path. What it is told it checks by code of its own: tlog.py and digest.py.
Exit status: 0 everything holds; anything else: the assertion or error says what does not.
"""

import base64
import ipaddress
import json
import pathlib
import sys
import time
import uuid

import digest
import grpc
import tlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from stele.v1 import (
    ledger_pb2,
    ledger_pb2_grpc,
    profiles_pb2,
    profiles_pb2_grpc,
    requests_pb2,
    requests_pb2_grpc,
    signing_pb2,
    signing_pb2_grpc,
    types_pb2,
)

CALLER = "uri:spiffe://stele/caller/cluster-signer"
TIMEOUT = 30


class Client:
    """Somebody's connection: their certificate, and a stub of each service."""

    def __init__(self, directory, address, who):
        def read(path):
            return (directory / path).read_bytes()

        credentials = grpc.ssl_channel_credentials(
            read("out/root.pem"), read(f"state/{who}.key"), read(f"state/{who}.pem")
        )
        channel = grpc.secure_channel(address, credentials)
        self.signing = signing_pb2_grpc.SigningServiceStub(channel)
        self.requests = requests_pb2_grpc.RequestServiceStub(channel)
        self.profiles = profiles_pb2_grpc.ProfileServiceStub(channel)
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channel)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def csr(key, names=(), subject=()):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def pem(request):
    return request.public_bytes(serialization.Encoding.PEM).decode()


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def workload_request():
    """An SVID, from a CSR in PEM."""
    key = new_key()
    return key, signing_pb2.SignRequest(
        request_id=f"python:{uuid.uuid4()}",
        profile="spiffe-workload",
        key_proof=signing_pb2.KeyProof(pkcs10_pem=pem(csr(key, [x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/cart")]))),
        context=signing_pb2.Context(namespace="shop", service_account_name="cart"),
    )


def kubelet_request():
    """A kubelet's serving certificate, from a CSR in DER that says nothing: all names and usages are stated apart."""
    key = new_key()
    attribute, san = types_pb2.Attribute, types_pb2.SubjectAlternativeName
    return key, signing_pb2.SignRequest(
        request_id=f"python:{uuid.uuid4()}",
        profile="kubelet-serving",
        issuer="issuing-ca",
        key_proof=signing_pb2.KeyProof(pkcs10_der=csr(key).public_bytes(serialization.Encoding.DER)),
        wanted=signing_pb2.Wanted(
            subject=types_pb2.Subject(
                attributes=[
                    attribute(type=types_pb2.ATTRIBUTE_TYPE_ORGANIZATION, value="system:nodes"),
                    attribute(type=types_pb2.ATTRIBUTE_TYPE_COMMON_NAME, value="system:node:node-7"),
                ]
            ),
            sans=signing_pb2.SubjectAlternativeNames(names=[san(dns="node-7.demo.example"), san(ip="10.0.0.17"), san(ip="fd00::17")]),
            usages=signing_pb2.Usages(usages=[types_pb2.USAGE_DIGITAL_SIGNATURE, types_pb2.USAGE_SERVER_AUTH]),
            validity_seconds=7200,
        ),
        context=signing_pb2.Context(requester="system:node:node-7", groups=["system:nodes", "system:authenticated"], node_name="node-7"),
    )


def pod_request():
    """A pod's certificate, from a public key and a signature over the pod's UID, until a stated time."""
    key, uid = new_key(), str(uuid.uuid4())
    request = signing_pb2.SignRequest(
        request_id=f"python:{uuid.uuid4()}",
        profile="pod",
        key_proof=signing_pb2.KeyProof(
            pod_key=signing_pb2.PodKeyProof(
                spki_der=spki(key), proof_of_possession=key.sign(uid.encode(), ec.ECDSA(hashes.SHA256())), pod_uid=uid
            )
        ),
        context=signing_pb2.Context(namespace="shop", service_account_name="web", pod_name="web-1", pod_uid=uid),
    )
    request.wanted.not_after.seconds = int(time.time()) + 2 * 3600
    return key, request


def names_of(certificate):
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in sans}


def check_certificate(directory, key, issued):
    """The certificate is for the key, and each certificate of the chain is signed by the next, up to the root."""
    chain = [x509.load_der_x509_certificate(der) for der in [issued.certificate_der, *issued.chain_der]]
    chain.append(x509.load_pem_x509_certificate((directory / "out/root.pem").read_bytes()))
    for subject, issuer in zip(chain, chain[1:]):
        subject.verify_directly_issued_by(issuer)
    assert chain[0].public_key() == key.public_key()
    return chain[0]


def check_proof(verifier, issued):
    """The proof stands for this very record, and the record holds this very certificate."""
    entry, index, checkpoint = tlog.open_proof(issued.tlog_proof, verifier)
    assert entry == issued.record
    assert (checkpoint.origin, index) == (issued.position.origin, issued.position.index)
    assert tlog.Checkpoint.open(issued.checkpoint, verifier) == checkpoint
    record = json.loads(entry)
    assert (record["kind"], record["index"]) == ("issued", index)
    assert base64.b64decode(record["body"]["signed"]["inline"]) == issued.certificate_der
    return record, checkpoint


def check_forgeries(verifier, proof):
    """Whatever is altered in a proof, it must not verify: else the checks above would say nothing."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    record = base64.b64decode(lines[1].removeprefix("extra "))
    altered = base64.b64encode(record.replace(b'"kind":"issued"', b'"kind":"denied"')).decode()
    origin, size, root, *rest = note.split("\n")
    forgeries = {
        "another record": proof.replace(lines[1], f"extra {altered}"),
        "another index": proof.replace(f"\n{lines[2]}\n", f"\nindex {int(lines[2].split()[1]) - 1}\n"),
        "a hash left out": proof.replace(f"\n{lines[-1]}\n\n", "\n\n"),
        "another root": proof.replace(root, base64.b64encode(bytes(32)).decode()),
        "another size": proof.replace(f"\n{size}\n", f"\n{int(size) + 1}\n"),
        "no signature": head + "\n\n" + "\n".join([origin, size, root, "", ""]),
    }
    for what, forgery in forgeries.items():
        assert forgery != proof, what
        try:
            tlog.open_proof(forgery, verifier)
        except tlog.Invalid:
            continue
        raise AssertionError(f"a proof with {what} was accepted")


def check_issuance(directory, verifier, caller, key, request):
    """Asks for one certificate and checks all of the answer; returns it with its record and checkpoint."""
    issued = caller.signing.Sign(request, timeout=TIMEOUT).issued
    certificate = check_certificate(directory, key, issued)
    record, checkpoint = check_proof(verifier, issued)
    check_forgeries(verifier, issued.tlog_proof)

    expected = digest.of_request(request)
    said = record["body"]["request"]
    assert (said["caller"], said["id"], said["attempt"]) == (CALLER, request.request_id, 1)
    assert said["digest"] == expected.hex()
    shown = caller.requests.GetRequest(requests_pb2.GetRequestRequest(request_id=request.request_id), timeout=TIMEOUT).request
    assert shown.state == requests_pb2.REQUEST_STATE_ISSUED
    assert shown.digest_sha256 == expected == digest.of_request(shown.asked)

    again = caller.signing.Sign(request, timeout=TIMEOUT).issued
    for field in ("certificate_der", "chain_der", "record", "position", "attempt"):
        assert getattr(again, field) == getattr(issued, field), field
    check_proof(verifier, again)
    return certificate, issued, checkpoint


def refusal(call, request):
    """The gRPC code and the google.rpc details of a call that must fail."""
    try:
        call(request, timeout=TIMEOUT)
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(bad)
        assert info.domain == "stele", status
        return error.code(), info, bad
    raise AssertionError(f"not refused: {request}")


def check_policy_refusal(caller):
    """A CSR with six faults: all of them come back, as details of the error and from the record of the request."""
    names = [x509.DNSName("bank.example.com"), x509.IPAddress(ipaddress.ip_address("8.8.8.8"))]
    oid = x509.NameOID
    subject = [
        x509.NameAttribute(oid.ORGANIZATION_NAME, "system:masters"),
        x509.NameAttribute(oid.COMMON_NAME, "admin"),
    ]
    request = signing_pb2.SignRequest(
        request_id=f"python:{uuid.uuid4()}",
        profile="kubelet-serving",
        key_proof=signing_pb2.KeyProof(pkcs10_pem=pem(csr(new_key(), names, subject))),
        context=signing_pb2.Context(requester="system:node:node-7", node_name="node-7"),
    )
    code, info, bad = refusal(caller.signing.Sign, request)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "POLICY_REFUSED")
    expected = {
        ("subject.O", "attribute-not-permitted"),
        ("subject.CN", "attribute-not-permitted"),
        ("san.dns", "san-not-permitted"),
        ("san.ip", "san-not-permitted"),
        ("san.dns", "outside-name-constraints"),
        ("san.ip", "outside-name-constraints"),
    }
    # google.rpc writes reasons in capitals.
    shown = [(violation.field, violation.reason.lower().replace("_", "-")) for violation in bad.field_violations]
    assert info.metadata["violations"] == str(len(shown)) == "6", info
    assert set(shown) == expected, shown
    asked = requests_pb2.GetRequestRequest(request_id=request.request_id)
    recorded = caller.requests.GetRequest(asked, timeout=TIMEOUT).request
    assert recorded.state == requests_pb2.REQUEST_STATE_REFUSED
    assert {(violation.field, violation.rule) for violation in recorded.violations} == expected
    assert info.metadata["refusal"] == f"{recorded.position.origin}#{recorded.position.index}"


def check_other_refusals(caller, auditor, issued_request):
    other = signing_pb2.SignRequest()
    other.CopyFrom(issued_request)
    other.context.node_name = "node-8"
    code, info, _ = refusal(caller.signing.Sign, other)
    assert (code, info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"), info

    other.request_id, other.profile = f"python:{uuid.uuid4()}", "no-such-profile"
    code, info, _ = refusal(caller.signing.Sign, other)
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PROFILE_NOT_PERMITTED"), info

    code, info, _ = refusal(auditor.signing.Sign, issued_request)
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_PERMITTED"), info

    def stream(request, timeout):
        return list(caller.ledger.StreamEntries(request, timeout=timeout))

    code, info, _ = refusal(stream, ledger_pb2.StreamEntriesRequest())
    assert (code, info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_PERMITTED"), info


def check_ledger(verifier, auditor, certificate, issued, old):
    """The whole log as the auditor reads it: its root, computed here, and its history since an earlier checkpoint."""
    answer = auditor.ledger.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), timeout=TIMEOUT)
    checkpoint = tlog.Checkpoint.open(answer.checkpoint, verifier)
    assert (checkpoint.origin, checkpoint.size) == (answer.origin, answer.tree_size)
    assert checkpoint.size > old.size, "the refusals since must stand in the log"

    asked = ledger_pb2.StreamEntriesRequest(limit=checkpoint.size)
    entries = [entry for part in auditor.ledger.StreamEntries(asked, timeout=TIMEOUT) for entry in part.entries]
    assert [entry.position.index for entry in entries] == list(range(checkpoint.size))
    leaves = [tlog.leaf_hash(entry.record) for entry in entries]
    assert tlog.root_of(leaves) == checkpoint.root
    assert tlog.root_of(leaves[: old.size]) == old.root
    assert entries[issued.position.index].record == issued.record

    for old_size in {1, 2, old.size - 1, old.size, checkpoint.size - 1}:
        asked = ledger_pb2.GetConsistencyProofRequest(old_size=old_size, new_size=checkpoint.size)
        proof = auditor.ledger.GetConsistencyProof(asked, timeout=TIMEOUT)
        assert proof.root_hash == checkpoint.root
        arguments = old_size, tlog.root_of(leaves[:old_size]), checkpoint.size, checkpoint.root
        tlog.verify_consistency(*arguments, list(proof.hashes))
        try:
            tlog.verify_consistency(old_size, bytes(32), *arguments[2:], list(proof.hashes))
            raise AssertionError("a consistency proof was accepted for another root")
        except tlog.Invalid:
            pass

    for index in (0, issued.position.index, checkpoint.size - 1):
        asked = ledger_pb2.GetInclusionProofRequest(index=index, tree_size=checkpoint.size)
        proof = auditor.ledger.GetInclusionProof(asked, timeout=TIMEOUT)
        assert proof.entry == entries[index]
        assert tlog.root_from_inclusion(leaves[index], index, checkpoint.size, list(proof.hashes)) == checkpoint.root

    for condition in (
        {"serial": f"{certificate.serial_number:040x}"},
        {"san": types_pb2.SubjectAlternativeName(ip="10.0.0.17")},
        {"certificate_sha256": certificate.fingerprint(hashes.SHA256())},
    ):
        found = auditor.ledger.FindEntries(ledger_pb2.FindEntriesRequest(kinds=["issued"], **condition), timeout=TIMEOUT)
        assert [entry.record for entry in found.entries] == [issued.record], condition
    return checkpoint.size


def check_test_vector():
    request = signing_pb2.SignRequest(request_id="r-1", profile="p", key_proof=signing_pb2.KeyProof(pkcs10_der=b"\x30\x00"))
    assert digest.of_request(request).hex() == "0c150f6e9dffd90fae91f75877859a9ad4e7fdade992aeefef29fb41b29e0ec8"


def main(directory, address):
    check_test_vector()
    verifier = tlog.Verifier.parse((directory / "out/ledger.vkey").read_text())
    caller, auditor = (Client(directory, address, who) for who in ("caller", "auditor"))

    profiles = caller.profiles.ListProfiles(profiles_pb2.ListProfilesRequest(), timeout=TIMEOUT).profiles
    assert {"spiffe-workload", "kubelet-serving", "pod"} <= {profile.name for profile in profiles}

    workload, *_ = check_issuance(directory, verifier, caller, *workload_request())
    assert names_of(workload) == {"spiffe://cluster.local/ns/shop/sa/cart"}
    print("an SVID from a CSR: certificate, chain, record, digest and proof hold; asking again gives the same")

    _, pod = request = pod_request()
    certificate, *_ = check_issuance(directory, verifier, caller, *request)
    assert names_of(certificate) == {"web-1.shop.pod.cluster.local", "spiffe://cluster.local/ns/shop/sa/web"}
    assert certificate.not_valid_after_utc.timestamp() == pod.wanted.not_after.seconds, "the end asked for is the end"
    print("a pod's certificate from a public key and its proof: the same")

    key, asked = kubelet_request()
    certificate, issued, checkpoint = check_issuance(directory, verifier, caller, key, asked)
    assert names_of(certificate) == {"node-7.demo.example", "10.0.0.17", "fd00::17"}
    assert certificate.subject.rfc4514_string() == "CN=system:node:node-7,O=system:nodes"
    print("a kubelet's certificate from names, usages and validity stated apart from the CSR: the same")

    check_policy_refusal(caller)
    check_other_refusals(caller, auditor, asked)
    print("refusals: code, reason and every violation, in the error and in the record")

    size = check_ledger(verifier, auditor, certificate, issued, checkpoint)
    print(f"the ledger: {size} entries give the checkpoint's root; consistency and inclusion proofs hold; queries find")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
