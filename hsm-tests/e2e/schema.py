"""Validates every record of exported logs: schema.py SCHEMA LOG..."""

import collections
import copy
import json
import pathlib
import sys

import jsonschema


def entries(log):
    """The entries of a C2SP tlog-tiles log, in order: from each entry bundle the widest file that is there."""
    bundles = {}
    root = pathlib.Path(log, "tile/entries")
    for path in root.rglob("*"):
        if path.is_file():
            name, _, width = path.relative_to(root).as_posix().partition(".p/")
            number = int(name.replace("x", "").replace("/", ""))
            bundles[number] = max(bundles.get(number, (0, "")), (int(width or 256), str(path)))
    for _, (_, path) in sorted(bundles.items()):
        data = pathlib.Path(path).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + length]
            data = data[2 + length :]


def optional(schema, kind):
    """The fields that a body of this kind may lack."""
    of_kind = (rule for rule in schema["allOf"] if rule["if"]["properties"]["kind"]["const"] == kind)
    name = next(of_kind)["then"]["properties"]["body"]["$ref"].rsplit("/", 1)[-1]
    body = schema["$defs"][name]
    return set(body["properties"]) - set(body.get("required", ()))


def alterations(record, optional):
    """What the schema must refuse: a field too many, each needed field missing, another kind, another version."""
    for path in ((), ("body",)):
        for key in [*(record["body"] if path else record), None]:
            if path and key in optional:
                continue
            altered = copy.deepcopy(record)
            place = altered["body"] if path else altered
            if key is None:
                place["surplus"] = 1
            else:
                del place[key]
            yield altered
    yield {**record, "kind": "no-such-kind"}
    yield {**record, "v": 2}


def main():
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    kinds = collections.Counter()
    for log in sys.argv[2:]:
        for raw in entries(log):
            record = json.loads(raw)
            error = jsonschema.exceptions.best_match(validator.iter_errors(record))
            if error:
                sys.exit(f"{log}, record {record['index']} of kind {record['kind']}: {error.json_path}: {error.message[:500]}")
            if not kinds[record["kind"]]:
                for altered in alterations(record, optional(schema, record["kind"])):
                    if validator.is_valid(altered):
                        sys.exit(f"the schema takes what is no record: {json.dumps(altered)[:500]}")
            kinds[record["kind"]] += 1
    if not kinds:
        sys.exit("there is no record in these logs")
    print(f"{sum(kinds.values())} records of {len(kinds)} kinds are as the schema says: {', '.join(sorted(kinds))}")


main()
