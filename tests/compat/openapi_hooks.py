"""For schemathesis: bodies of newline-delimited JSON, good, odd and broken ones."""
import base64
import json

import schemathesis
from hypothesis import strategies as st

quotes = st.fixed_dictionaries(
    {"symbol": st.sampled_from(["AAPL", "BRK.B", "ZZ"]), "price": st.floats(0.01, 5000).map(lambda price: round(price, 4)),
     "timestamp": st.datetimes().map(lambda at: at.isoformat() + "Z"), "data_source": st.just("mine")},
    optional={"volume": st.integers(), "open": st.none() | st.floats(allow_nan=False), "session": st.text(max_size=8), "x": st.text(max_size=20)})
anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)
bytes_of = st.fixed_dictionaries({"key": st.text(max_size=30), "value_base64": st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode())
                                  | st.text(max_size=10)})
line = (quotes | anything | bytes_of).map(json.dumps).map(str.encode) | st.binary(max_size=80)
schemathesis.openapi.media_type("application/x-ndjson", st.lists(line, max_size=30).map(lambda lines: b"\n".join(lines) + b"\n"))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Names that are there, mostly: with made-up ones all answers are 404."""
    known = {"topic": "stock_prices", "dag": "stock_data_ingestion", "run": "fuzzed", "task": "load", "symbol": "AAPL"}
    for name, value in known.items():
        if path_parameters and name in path_parameters and len(str(path_parameters[name])) % 5:
            path_parameters[name] = value
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    if query and "symbol" in query and len(str(query["symbol"])) % 5:
        query["symbol"] = "AAPL"
    return query


@schemathesis.serializer("application/x-ndjson")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
