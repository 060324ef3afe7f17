"""Compares the JSON Schemas with the strict parser: profile_schema.py STELE DOCS PRESETS DEMO_AUTHORITY SCRATCH.

Every preset and many altered copies of it go to both. Exit status: 0 they agree as they must; 1 otherwise.
"""

import base64
import collections
import copy
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jsonschema

try:
    import tomllib
except ImportError:
    import tomli as tomllib

# Alterations of form: both must refuse each, wherever it is made.
FORM = {"surplus", "type"}
# A list of any texts for people, or a text of any form: another text is as good.
FREE = {"description", "reason"}


def witness_key(name):
    """The verifier key of a witness (C2SP signed-note, type 04) with the public key of RFC 8032 section 7.1, test 1."""
    key = b"\x04" + bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    number = hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    return f"{name}+{number}+{base64.b64encode(key).decode()}"


# What the example has not.
WITNESSED = {
    "witness": [{"name": "one", "vkey": witness_key("witness.example/one")}],
    "witness_policy": {"quorum": 1, "ca_intents": True, "max_lag": "1h"},
}


def toml(value):
    """A value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def document(table):
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in table.items())


def places(value, path=()):
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def at(table, path):
    for key in path:
        table = table[key]
    return table


def alterations(table):
    """Altered copies: (what was done, where, the copy)."""
    for path, value in places(table):
        changes = []
        if isinstance(value, dict):
            changes.append(("surplus", {**value, "surplus": "x"}))
            changes.extend(("missing", {k: v for k, v in value.items() if k != key}) for key in value)
        if path:
            changes.append(("type", 1.5 if isinstance(value, (dict, list)) else [value, value]))
        if isinstance(value, list):
            changes.append(("empty", []))
        if isinstance(value, str):
            changes.extend([("word", value + "}"), ("word", ""), ("word", "Unheard of")])
        if isinstance(value, int) and not isinstance(value, bool):
            changes.append(("number", -1))
        if isinstance(value, bool):
            changes.append(("flip", not value))
        for what, changed in changes:
            other = copy.deepcopy(table)
            if path:
                at(other, path[:-1])[path[-1]] = changed
            else:
                other = changed
            yield what, path, other


class Judge:
    """The strict parser, a process for each file."""

    def __init__(self, stele, scratch):
        self.stele, self.scratch, self.number = stele, scratch, 0

    def check(self, path):
        run = subprocess.run([self.stele, "profile", "check", path], capture_output=True, text=True, check=False)
        if run.returncode not in (0, 1):
            raise SystemExit(f"stele profile check {path}: exit {run.returncode}: {run.stderr}")
        return run.returncode == 0, run.stderr.strip()

    def profile(self, text):
        self.number += 1
        path = self.scratch / f"{self.number}.toml"
        path.write_text(text)
        answer = self.check(path)
        path.unlink()
        return answer

    def authority(self, presets):
        directory = self.scratch / "authority"
        shutil.copytree(presets, directory)

        def judge(text):
            (directory / "authority.toml").write_text(text)
            return self.check(directory)

        return judge


def compare(name, table, validator, judge, pool, tally):
    """The faults found over the file and its alterations."""
    cases = [("as it is", (), table), *alterations(table)]
    answers = pool.map(lambda case: judge(document(case[2])), cases)
    for (what, path, altered), (taken, why) in zip(cases, answers):
        error = jsonschema.exceptions.best_match(validator.iter_errors(altered))
        tally[(what, taken, error is None)] += 1
        where = f"{name}: {what} at {'.'.join(map(str, path)) or 'the top'}"
        if what == "as it is" and not (taken and error is None):
            yield f"{where}: parser: {why or 'takes it'}; schema: {error and error.message}"
        elif taken and error is not None:
            yield f"{where}: the parser takes what the schema refuses: {error.json_path}: {error.message[:200]}"
        elif what in FORM and error is None and not FREE & set(path):
            yield f"{where}: the schema takes what the parser refuses: {why[:200]}"


def main(stele, docs, presets, demo, scratch):
    schema = {}
    for kind in ("profile", "authority"):
        schema[kind] = json.loads((docs / f"{kind}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema[kind])
        schema[kind] = jsonschema.Draft202012Validator(schema[kind])
    judge, tally, faults = Judge(stele, scratch), collections.Counter(), []
    files = sorted((presets / "profiles").glob("*.toml"))
    assert len(files) > 20, files
    with ThreadPoolExecutor(2) as pool, ThreadPoolExecutor(1) as alone:
        for path in files:
            table = tomllib.loads(path.read_text())
            faults += compare(path.name, table, schema["profile"], judge.profile, pool, tally)
        table = tomllib.loads((presets / "authority.toml").read_text()) | WITNESSED
        faults += compare("authority.toml", table, schema["authority"], judge.authority(presets), alone, tally)
    # A ceremony's directory still has `@NAME` where digests will be.
    error = jsonschema.exceptions.best_match(schema["authority"].iter_errors(tomllib.loads(demo.read_text().replace("@olga-ssh-key", "ssh-ed25519 AAAA"))))
    faults += [f"{demo}: {error.json_path}: {error.message}"] if error else []
    for (what, taken, fits), number in sorted(tally.items()):
        print(f"{number:>6} {what:<9} parser {'takes' if taken else 'refuses':<8} schema {'takes' if fits else 'refuses'}")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(pathlib.Path, sys.argv[2:])))
