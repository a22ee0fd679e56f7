"""JSON values to Arrow and back, by the rules of the golden tables (see ../README.md); types are Paimon's."""
import base64
import datetime
import decimal
import json
import math
import re

EPOCH = datetime.datetime(1970, 1, 1)
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def read(text):
    """Decimals keep every digit, and -0.0 its sign."""
    return json.loads(text, parse_float=decimal.Decimal)


def write(value):
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(str(key)) + ":" + write(item) for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(write(item) for item in value) + "]"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def kind_of(type_):
    """The word a type begins with: INT, DECIMAL, TIMESTAMP .. of a scalar type, ARRAY, MAP, MULTISET, ROW of a nested one."""
    nested = {"ArrayType": "ARRAY", "MapType": "MAP", "MultisetType": "MULTISET", "RowType": "ROW"}.get(type(type_).__name__)
    if nested:
        return nested
    if type(type_).__name__ != "AtomicType":
        raise ValueError("this program has no JSON form for %s" % type_)
    word = re.match(r"[A-Z_]+", type_.type.upper()).group()
    return {"INTEGER": "INT", "TIMESTAMP_LTZ": "TIMESTAMP"}.get(word, word)


def is_local_zoned(type_):
    return "LOCAL TIME ZONE" in type_.type.upper() or "LTZ" in type_.type.upper()


def precision_of(type_):
    found = re.search(r"\((\d+)\)", type_.type)
    return int(found.group(1)) if found else 6


def to_json(type_, scalar):
    """A pyarrow scalar as JSON."""
    if scalar is None or not scalar.is_valid:
        return None
    kind = kind_of(type_)
    if kind in ("BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL", "CHAR", "VARCHAR", "STRING"):
        return scalar.as_py()
    if kind in ("FLOAT", "DOUBLE"):
        import numpy  # beside pyarrow; Spark's server has neither

        value = scalar.as_py()
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return float(str(numpy.float32(value))) if kind == "FLOAT" else value
    if kind in ("BINARY", "VARBINARY", "BYTES"):
        return base64.b64encode(scalar.as_py()).decode()
    if kind == "DATE":
        return (EPOCH + datetime.timedelta(days=scalar.value)).strftime("%Y-%m-%d").rjust(10, "0")
    if kind == "TIME":
        return (EPOCH + datetime.timedelta(milliseconds=scalar.value)).strftime("%H:%M:%S.%f")[:-3]
    if kind == "TIMESTAMP":
        return date_time(scalar, precision_of(type_)) + ("Z" if is_local_zoned(type_) else "")
    if kind == "ARRAY":
        return [to_json(type_.element, item) for item in scalar.values]
    if kind in ("MAP", "MULTISET"):
        keys, value_type = (type_.key, type_.value) if kind == "MAP" else (type_.element, None)
        entries = []
        for entry in scalar.values:
            key, value = entry.values()
            entries.append([to_json(keys, key), value.as_py() if value_type is None else to_json(value_type, value)])
        return sorted(entries, key=lambda entry: entry[0])
    if kind == "ROW":
        return {field.name: to_json(field.type, scalar[field.name]) for field in type_.fields}
    raise ValueError("this program has no JSON form for %s" % type_)


def date_time(scalar, digits):
    unit = 10 ** DIGITS[scalar.type.unit]
    seconds, fraction = divmod(scalar.value, unit)
    text = (EPOCH + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    nanos = fraction * (10 ** 9 // unit)
    return text if digits == 0 else text + "." + ("%09d" % nanos)[:digits]


def to_arrow(type_, value):
    """JSON as a value that pyarrow.array takes for the Arrow type of the Paimon type; times become whole numbers of their unit."""
    if value is None:
        return None
    kind = kind_of(type_)
    if kind in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        if isinstance(value, bool) or value != int(value):
            raise ValueError("a whole number is wanted, not %s" % value)
        return int(value)
    if kind in ("BOOLEAN", "CHAR", "VARCHAR", "STRING"):
        return value
    if kind in ("FLOAT", "DOUBLE"):
        return float(value)
    if kind == "DECIMAL":
        return decimal.Decimal(value)
    if kind in ("BINARY", "VARBINARY", "BYTES"):
        return base64.b64decode(value, validate=True)
    if kind == "DATE":
        return (datetime.date.fromisoformat(value) - EPOCH.date()).days
    if kind == "TIME":
        return ticks("1970-01-01T" + value, 3)
    if kind == "TIMESTAMP":
        return ticks(value.rstrip("Z"), min(digits for digits in DIGITS.values() if digits >= precision_of(type_)))
    if kind == "ARRAY":
        return [to_arrow(type_.element, item) for item in value]
    if kind == "MAP":
        return [(to_arrow(type_.key, key), to_arrow(type_.value, item)) for key, item in value]
    if kind == "MULTISET":
        return [(to_arrow(type_.element, key), int(count)) for key, count in value]
    return {field.name: to_arrow(field.type, value.get(field.name)) for field in type_.fields}


def ticks(text, digits):
    whole, _, fraction = text.partition(".")
    seconds = (datetime.datetime.fromisoformat(whole) - EPOCH) // datetime.timedelta(seconds=1)
    if fraction[digits:].strip("0"):
        raise ValueError("%s has more digits than the column" % text)
    return seconds * 10 ** digits + int((fraction + "0" * 9)[:digits] or 0)
