"""Runs pkilint over what the quickstart left in a directory: lint.py DIR.

Exit status: 0 no finding of severity ERROR or FATAL but those waived below; 1 otherwise.
"""

import csv
import io
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

BEGIN = "-----BEGIN CERTIFICATE-----"

# Findings that are the linter's mistakes, by code and by the exact start of the message.
WAIVED = {
    # The validator wants what a web address has, and so knows no SPIFFE ID. RFC 5280 section 4.2.1.6 asks for a scheme
    # and a scheme-specific part; the SPIFFE-ID standard defines the rest.
    "pkix.invalid_uri_syntax": ['Invalid URI syntax: "spiffe://'],
    # The validator wants a dot. RFC 5280 section 4.2.1.6 asks for the preferred name syntax of RFC 1034 section 3.5,
    # where one label is a name. Kubernetes fixes these: clients in a pod call the API server `kubernetes`, and what a
    # cluster resolves ends in `svc` or `default`.
    "pkix.invalid_domain_name_syntax": [
        f'Invalid domain name syntax: "{name}"' for name in ("kubernetes", "localhost", "svc", "default")
    ],
}


def findings(tool, *arguments):
    """The findings of one run of a linter, ERROR and above, as (place, code, message)."""
    command = [str(pathlib.Path(sys.executable).with_name(tool)), "lint", "-s", "ERROR", "-f", "CSV", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    header, *rows = [row for row in csv.reader(io.StringIO(run.stdout)) if row] or [[]]
    # The exit status is the number of findings, so anything else means that the linter itself failed.
    if header[:1] != ["node_path"] or run.returncode != len(rows):
        raise SystemExit(f"lint.py: {' '.join(command)} failed ({run.returncode}): {run.stdout}{run.stderr}")
    return [(row[0], row[3], row[4]) for row in rows]


def waived(code, message):
    return any(message.startswith(start) for start in WAIVED.get(code, ()))


def certificates(path):
    """The certificates of a PEM file, each as PEM."""
    return [BEGIN + part for part in path.read_text().split(BEGIN)[1:]]


def chains(directory):
    """Every chain in the hierarchy, from the certificate itself to the root, by the file's name."""
    out, state = directory / "out", directory / "state"
    root = certificates(out / "root.pem")
    yield "root.pem", root
    for path in sorted(out.glob("*-ca.pem")):
        if not (out / f"{path.stem}-chain.pem").exists():
            yield path.name, certificates(path) + root
    for path in sorted(out.glob("*-chain.pem")) + sorted(state.glob("*.pem")) + [state / "signer" / "server.pem"]:
        if BEGIN in path.read_text():
            yield path.name, certificates(path) + root


def jobs(directory, scratch):
    """Every run of a linter: what it is about, the tool, its arguments."""
    seen = {}

    def stored(pem):
        if pem not in seen:
            seen[pem] = scratch / f"{len(seen)}.pem"
            seen[pem].write_text(pem)
        return seen[pem]

    done = set()
    for name, chain in chains(directory):
        for depth, subject in enumerate(chain):
            issuer = chain[min(depth + 1, len(chain) - 1)]
            if (subject, issuer) not in done:
                done.add((subject, issuer))
                what = f"{name}, certificate {depth}"
                yield what, "lint_pkix_cert", (stored(subject),)
                yield f"{what}, under its issuer", "lint_pkix_signer_signee_cert_chain", (stored(issuer), stored(subject))
    for path in sorted((directory / "out").glob("*.crl.pem")):
        yield path.name, "lint_crl", ("-t", "CRL", "-p", "PKIX", path)


def main(directory):
    scratch = directory / "state" / "lint"
    scratch.mkdir()
    work = list(jobs(directory, scratch))
    tools = [tool for _, tool, _ in work]
    # A layout that changed must not make this pass with nothing linted: eight leaves, an old one, an in-cluster CA, a
    # root, five CAs, three people and the server; a CRL each of the root and the five CAs.
    assert tools.count("lint_pkix_cert") >= 19, tools.count("lint_pkix_cert")
    assert tools.count("lint_crl") >= 6, tools.count("lint_crl")
    errors = waivers = 0
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda job: findings(job[1], *job[2]), work)
        for (what, tool, _), found in zip(work, results):
            for place, code, message in found:
                if waived(code, message):
                    waivers += 1
                else:
                    errors += 1
                    print(f"{what}: {tool}: {code} at {place}: {message}")
    counted = ", ".join(f"{tools.count(tool)} runs of {tool}" for tool in sorted(set(tools)))
    print(f"{counted}: {errors} errors, {waivers} findings waived by name")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
