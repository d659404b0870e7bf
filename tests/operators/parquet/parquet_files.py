#!/usr/bin/env python3
"""The other end of parquet_test.cc: pyarrow and DuckDB.

parquet_files.py make DIRECTORY: writes the files that the test reads.
parquet_files.py check DIRECTORY...: reads the rows of every_type that the test wrote.
parquet_files.py check_hive DIRECTORY: reads rows of `id`, which the test divided by `part`, id % 3.
"""

import datetime
import os
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1000
GROUP = 150
EPOCH = datetime.datetime(1970, 1, 1)
COLORS = ["red", "green", "blue"]


def point(i):
    return {"x": i, "y": None if i % 2 else i / 2, "label": f"p{i}"}


def every_type():
    """A column of each type; every_row in parquet_test.cc has the same values."""
    rows = range(ROWS)
    columns = {
        "id": (pa.int64(), list(rows)),
        "flag": (pa.bool_(), [i % 3 == 0 for i in rows]),
        "i8": (pa.int8(), [i % 128 - 64 for i in rows]),
        "i16": (pa.int16(), [i - 500 for i in rows]),
        "i32": (pa.int32(), [-i * 1000 for i in rows]),
        "u8": (pa.uint8(), [i % 256 for i in rows]),
        "u16": (pa.uint16(), [i * 60 for i in rows]),
        "u32": (pa.uint32(), [2**31 + i for i in rows]),
        "u64": (pa.uint64(), [2**63 + i for i in rows]),
        "f": (pa.float32(), [i * 0.5 for i in rows]),
        "d": (pa.float64(), [i * 0.1 for i in rows]),
        "text": (pa.string(), [f"row {i}" for i in rows]),
        "large": (pa.large_string(), ["L" * (i % 5) for i in rows]),
        "fixed": (pa.binary(4), [f"{i:04}".encode() for i in rows]),
        "color": (pa.dictionary(pa.int8(), pa.string()), None),
        "day": (pa.date32(), [(EPOCH + datetime.timedelta(days=i - 300)).date() for i in rows]),
        "ms": (pa.timestamp("ms"), [i * 1000 - 1 for i in rows]),
        "us": (pa.timestamp("us", tz="UTC"), [i * 1000 - 1 for i in rows]),
        "ns": (pa.timestamp("ns"), [i * 1000 - 1 for i in rows]),
        "maybe": (pa.int32(), [None if i % 5 == 0 else i for i in rows]),
        "maybe_text": (pa.string(), [None if i % 4 == 0 else str(i) for i in rows]),
        "numbers": (pa.list_(pa.int32()), [list(range(i % 4)) for i in rows]),
        "words": (pa.large_list(pa.string()),
                  [None if i % 7 == 0 else ["w"] * (i % 3) for i in rows]),
        "pair": (pa.list_(pa.float64(), 2), [[i, -i] for i in rows]),
        "point": (pa.struct([("x", pa.int64()), ("y", pa.float64()), ("label", pa.string())]),
                  [point(i) for i in rows]),
        "place": (pa.struct([("x", pa.int64()), ("y", pa.float64()), ("label", pa.string())]),
                  [None if i % 3 == 0 else point(i) for i in rows]),
        "points": (pa.list_(pa.struct([("x", pa.int64()), ("y", pa.float64())])),
                   [[{"x": j, "y": i} for j in range(i % 3)] for i in rows]),
        "tags": (pa.map_(pa.string(), pa.int64()), [[(f"k{j}", i) for j in range(i % 3)]
                                                    for i in rows]),
    }
    arrays = {}
    for name, (kind, values) in columns.items():
        if name == "color":
            arrays[name] = pa.array([COLORS[i % 3] for i in rows]).dictionary_encode()
        else:
            arrays[name] = pa.array(values, type=kind)
    return pa.table(arrays)


def small(first, count, kind=pa.int64()):
    ids = range(first, first + count)
    return pa.table({"id": pa.array(ids, type=kind), "value": pa.array([i * 0.5 for i in ids])})


def make(directory):
    """Files of pyarrow and DuckDB, and damaged ones."""
    def path(name):
        result = os.path.join(directory, name)
        os.makedirs(os.path.dirname(result), exist_ok=True)
        return result

    table = every_type()
    pq.write_table(table, path("snappy.parquet"), row_group_size=GROUP)
    pq.write_table(table, path("zstd.parquet"), row_group_size=GROUP, compression="zstd",
                   use_dictionary=False, data_page_version="2.0")
    pq.write_table(table, path("plain.parquet"), row_group_size=GROUP, compression="none",
                   store_schema=False, data_page_size=200)
    plain = table.drop_columns(["pair", "tags", "fixed", "ns"])
    con = duckdb.connect()
    con.register("plain", plain)
    con.execute(f"COPY plain TO '{path('duckdb.parquet')}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    con.register("small", small(0, 60))
    con.execute(f"COPY (SELECT id, value, id % 3 AS part, 'a b/' || (id % 2) AS name FROM small) "
                f"TO '{path('hive')}' (FORMAT parquet, PARTITION_BY (part, name))")
    pq.write_table(small(0, 0), path("empty.parquet"))
    pq.ParquetWriter(path("no_groups.parquet"), small(0, 1).schema).close()
    for part in range(4):
        pq.write_table(small(part * 100, 100), path(f"parts/{part}.parquet"), row_group_size=30)
    pq.write_table(small(0, 10, pa.int32()), path("narrow.parquet"))
    pq.write_table(pa.table({"id": [str(i) for i in range(10)], "value": [0.5] * 10}),
                   path("changed.parquet"))
    pq.write_table(small(0, 10).drop_columns(["value"]), path("missing.parquet"))
    pq.write_table(pa.table({"id": [1, None], "value": [0.5, 1.5]}), path("null.parquet"))
    with open(path("parts/0.parquet"), "rb") as file:
        good = file.read()
    damaged = {
        "nothing": b"",
        "truncated": good[:len(good) // 2],
        "footer": good[:-60] + b"\xff" * 40 + good[-20:],
        "page": good[:4] + b"\xff" * 200 + good[204:],
        "text": b"id,value\n1,2\n" * 20,
    }
    for name, content in damaged.items():
        with open(path(f"damaged/{name}.parquet"), "wb") as file:
            file.write(content)
    make_hostile(path)


def make_hostile(path):
    """Files with values at the edges of types, and damage that no checksum tells."""
    def replace(name, old, new, begin=lambda content: 0):
        with open(path(name), "rb") as file:
            content = file.read()
        begin = begin(content)
        assert old in content[begin:], name
        with open(path(name), "wb") as file:
            file.write(content[:begin] + content[begin:].replace(old, new))

    def footer(content):
        return len(content) - 8 - int.from_bytes(content[-8:-4], "little")

    # Indices of two bits, for a dictionary of three strings.
    colors = pa.array([COLORS[i % 3] for i in range(24)]).dictionary_encode()
    pq.write_table(pa.table({"id": range(24), "color": colors}), path("damaged/index.parquet"),
                   compression="none")
    replace("damaged/index.parquet", b"\x24\x49\x92" * 2, b"\xff" * 6)
    # A minimum that is NaN, in the footer alone.
    pq.write_table(pa.table({"id": range(2), "value": [1234.5, 2345.5]}), path("nan.parquet"),
                   compression="none", store_schema=False)
    replace("nan.parquet", struct.pack("<d", 1234.5), struct.pack("<d", float("nan")), footer)
    pq.write_table(pa.table({"id": range(2), "value": [2.0**53] * 2}), path("large.parquet"))
    at = pa.array([datetime.datetime(9999, 12, 31), None], type=pa.timestamp("us"))
    for name, int96 in (("far", False), ("far96", True)):
        pq.write_table(pa.table({"id": range(2), "at": at}), path(f"{name}.parquet"),
                       use_deprecated_int96_timestamps=int96)
    for i, (name, unit) in enumerate({"s": 1, "ms": 1000, "us": 1000000}.items()):
        seconds = pa.array([(i * 10 + j) * unit for j in range(10)], type=pa.timestamp(name))
        pq.write_table(pa.table({"id": range(i * 10, i * 10 + 10), "at": seconds}),
                       path(f"units/{name}.parquet"))


def plain_value(value):
    """The value as the test's types have it: without the columns and types that they lack."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, tuple):
        return {"key": value[0], "value": value[1]}
    if isinstance(value, dict):
        return {key: plain_value(child) for key, child in value.items() if key != "label"}
    return [plain_value(child) for child in value] if isinstance(value, list) else value


def plain_rows(table):
    """The rows in the order of ids. Python has no nanoseconds."""
    nanoseconds = table.column("ns").cast(pa.int64())
    table = table.set_column(table.column_names.index("ns"), "ns", nanoseconds).sort_by("id")
    return [plain_value(row) for row in table.to_pylist()]


def check(*directories):
    """Compares the rows of each directory with every_type, as both libraries read them."""
    for directory in directories:
        check_every_type(directory)


def check_every_type(directory):
    """The same for one directory."""
    expected = plain_rows(every_type())
    table = pq.read_table(directory)
    assert table.column("nowhere").null_count == ROWS
    assert plain_rows(table.drop_columns(["nowhere"])) == expected
    for field in every_type().schema:
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            assert table.schema.field(field.name).type == field.type, field
    names = [name for name in every_type().column_names if name not in ("us", "ms", "ns")]
    columns = ", ".join(names)
    rows = duckdb.sql(f"SELECT {columns} FROM read_parquet('{directory}/*.parquet') ORDER BY id")
    for row, wanted in zip(rows.fetchall(), expected, strict=True):
        assert [plain_value(value) for value in row] == [wanted[name] for name in names], row


def check_hive(directory):
    """Compares what both libraries make of directories part=0 to part=2."""
    rows = duckdb.sql(f"SELECT part, id FROM read_parquet('{directory}/*/*.parquet', "
                      f"hive_partitioning = true) ORDER BY id").fetchall()
    assert rows == [(i % 3, i) for i in range(len(rows))], rows
    table = pq.read_table(directory).sort_by("id")
    assert table.column("id").to_pylist() == list(range(len(rows)))
    assert [int(part) for part in table.column("part").to_pylist()] == [part for part, _ in rows]


if __name__ == "__main__":
    {"make": make, "check": check, "check_hive": check_hive}[sys.argv[1]](*sys.argv[2:])
