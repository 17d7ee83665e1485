"""COPY and UNLOAD: what Redshift loads and writes, and what it refuses with which text."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from tests.conformance.case import Case, Expect, Fails, Kind, Ok, Rows, Step, refused

COLUMNAR = "AWS docs: COPY from columnar data formats"
COPY = "AWS docs: COPY"
FORMATS = "AWS docs: Data format parameters"
CONVERSION = "AWS docs: Data conversion parameters"
MANIFEST = "AWS docs: Using a manifest to specify data files"
UNLOAD = "AWS docs: UNLOAD"
PARQUET = "COPY {} FROM '@s3@/{}' @auth@ FORMAT PARQUET MANIFEST"
SCAN = "Spectrum Scan Error"
FAILED = "Load into table '{}' failed.  Check 'stl_load_errors' system table for details."


def parquet(**columns: pa.Array) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, store_decimal_as_integer=True)
    return sink.getvalue()


def manifest(*entries: tuple[str, int | None], mandatory: bool = True) -> bytes:
    """A manifest of keys with their sizes; None leaves the size out."""
    listed = [
        {"url": f"@s3@/{key}", "mandatory": mandatory}
        | ({} if size is None else {"meta": {"content_length": size}})
        for key, size in entries
    ]
    return json.dumps({"entries": listed}).encode()


def one(name: str, expect: Expect, body: bytes, table: str, source: str, *, columns: str = "",
        options: str = "", inferred: str = "", then: tuple[Step, ...] = ()) -> Case:  # fmt: skip
    """A Parquet COPY of one file by manifest into a new table ``x``."""
    key = "loads/" + name.replace(" ", "-")
    sql = PARQUET.format(f"x {columns}".strip(), f"{key}.manifest")
    steps = (Step(f"CREATE TABLE x ({table})"), Step(f"{sql} {options}".strip(), expect), *then)
    kind: Kind = "refused" if isinstance(expect, Fails) else "accepted"
    objects = (
        (f"{key}.parquet", body),
        (f"{key}.manifest", manifest((f"{key}.parquet", len(body)))),
    )
    return Case(name, kind, steps, source, inferred, objects=objects)


def text(name: str, expect: Expect, body: str, table: str, options: str, source: str,
         then: tuple[Step, ...] = (), inferred: str = "") -> Case:  # fmt: skip
    """A COPY of one text file by its key into a new table ``x``."""
    key = "loads/" + name.replace(" ", "-")
    steps = (
        Step(f"CREATE TABLE x ({table})"),
        Step(f"COPY x FROM '@s3@/{key}' @auth@ {options}".strip(), expect),
        *then,
    )
    kind: Kind = "refused" if isinstance(expect, Fails) else "accepted"
    return Case(name, kind, steps, source, inferred, objects=((key, body.encode()),))


def holds(*rows: tuple[object, ...]) -> tuple[Step, ...]:
    """Table ``x`` holds these rows."""
    return (Step("SELECT * FROM x ORDER BY 1", Rows(rows)),)


def option(words: str, name: str = "", *, seen: bool = False) -> Case:
    """An option that a Parquet COPY does not take."""
    name = name or words.split(" ", maxsplit=1)[0]
    return refused(
        f"COPY t FROM '@s3@/none' @auth@ FORMAT PARQUET MANIFEST {words}",
        "0A000",
        f"{name} argument is not supported for PARQUET based COPY",
        "observed" if seen else COLUMNAR,
        inferred="" if seen else "text",
    )


def unload(
    rest: str, code: str, message: str, source: str = UNLOAD, inferred: str = "text"
) -> Case:
    """An UNLOAD that is refused."""
    return refused(rest, code, message, source, inferred=inferred)


IDS = pa.array([1, 2], pa.int64())
OBJECT = '{"id": 7, "name": "seven", "other": {"a": [1, 2]}}'
CASES = (
    option("REGION 'us-east-1'", seen=True),
    option("TRUNCATECOLUMNS", seen=True),
    *map(option, (
        "MAXERROR 5", "ACCEPTANYDATE", "IGNOREALLERRORS", "COMPUPDATE OFF", "NOLOAD", "ESCAPE",
        "DELIMITER ','", "IGNOREHEADER 1", "EMPTYASNULL", "BLANKSASNULL", "DATEFORMAT 'auto'",
        "TIMEFORMAT 'auto'", "ROUNDEC", "TRIMBLANKS", "ENCODING UTF8", "COMPROWS 1000", "GZIP",
        "BZIP2", "LZOP", "ZSTD", "REMOVEQUOTES",
    )),
    option("NULL AS ''", "NULL AS"),
    option("QUOTE '%'"),
    refused("COPY nowhere FROM '@s3@/none' @auth@ FORMAT PARQUET", "XX000",
            "Cannot COPY into nonexistent table nowhere", "observed"),
    refused("COPY t (name) FROM '@s3@/none' @auth@ FORMAT PARQUET", "42601",
            "NOT NULL column without DEFAULT must be included in column list", "observed"),
    refused("COPY t (id, extra) FROM '@s3@/none' @auth@ FORMAT PARQUET", "42703",
            'column "extra" of relation "t" does not exist', "observed"),
    refused("COPY (SELECT 1) TO STDOUT", "42601", "…", COPY, inferred="text"),
    refused("COPY t FROM '@s3@/none' @auth@ CSV ESCAPE", "0A000", "…", FORMATS, inferred="code, text"),
    refused("COPY t FROM '@s3@/none' @auth@ CSV REMOVEQUOTES", "0A000", "…", FORMATS,
            inferred="code, text"),
    refused("COPY t FROM '@s3@/none' @auth@ JSON 'auto' FILLRECORD", "0A000", "…", FORMATS,
            inferred="code, text"),
    refused("COPY t FROM '@s3@/loads/absent.manifest' @auth@ FORMAT PARQUET MANIFEST", "XX000",
            "Problem reading manifest file - S3ServiceException:The specified key does not exist.,"
            "Status 404…", "observed"),
    refused("COPY t FROM '@s3@/loads/' @auth@ FORMAT PARQUET MANIFEST", "XX000",
            "COPY with MANIFEST parameter requires full path of an S3 object",
            "AWS docs: Load error reference"),
    # Parquet that loads
    one("parquet rows", Ok("Load into table 'x' completed, 2 record(s) loaded successfully."),
        parquet(id=IDS, name=pa.array(["a", None])), "id bigint, name varchar(5)", "observed",
        then=holds((1, "a"), (2, None))),
    one("parquet by position", Ok(), parquet(b=pa.array(["n"]), a=pa.array([9], pa.int64())),
        "id bigint, name varchar(5)", "observed", columns="(name, id)", then=holds((9, "n"))),
    one("parquet int32 into bigint", Ok(), parquet(a=pa.array([3], pa.int32())), "a bigint",
        "observed", then=holds((3,))),
    one("parquet decimal", Ok(), parquet(a=pa.array([Decimal("1.50")], pa.decimal128(18, 2))),
        "a decimal(18,2)", "observed", then=holds((Decimal("1.50"),))),
    one("parquet fillrecord", Ok(), parquet(id=IDS), "id bigint, name varchar(5)", COLUMNAR,
        options="FILLRECORD", then=holds((1, None), (2, None))),
    one("parquet json into super", Ok(), parquet(a=pa.array(['{"b":1}'])), "a super",
        "AWS docs: Loading semistructured data", options="SERIALIZETOJSON"),
    Case("parquet prefix that matches nothing loads nothing", "accepted",
         (Step("COPY t FROM '@s3@/loads/nothing' @auth@ FORMAT PARQUET"),
          Step("SELECT pg_last_copy_count()", Rows(((0,),)))), "observed"),
    # Parquet that does not
    one("parquet fewer columns", Fails("XX000", SCAN, "…15007…Unmatched number of columns between "
        "table and file. Table columns: 2, Data columns: 1, File name: …"), parquet(id=IDS),
        "id bigint, name varchar(5)", "observed"),
    one("parquet more columns", Fails("XX000", SCAN, "…15007…Table columns: 1, Data columns: 2…"),
        parquet(id=IDS, x=IDS), "id bigint", "observed", inferred="text"),
    one("parquet text too long", Fails("XX000", SCAN, "…15007…The length of the data column a is "
        "longer than the length defined in the table. Table: 3, Data: 4, File name: …"),
        parquet(a=pa.array(["ää"])), "a varchar(3)", "observed"),
    one("parquet number into text", Fails("XX000", SCAN, "…15007…has an incompatible Parquet schema "
        "for column '…'. Column type: VARCHAR, Parquet schema: optional int64 …"), parquet(a=IDS),
        "a varchar(3)", "observed"),
    one("parquet null into not null", Fails("XX000", "Cannot insert a NULL value into column a",
        "…8007…"), parquet(a=pa.array([None], pa.int64())), "a bigint NOT NULL", "observed"),
    one("parquet super without serializetojson", Fails("XX000", "SUPER column in COPY query requires "
        "SERIALIZETOJSON option"), parquet(a=pa.array(["1"])), "a super", "observed"),
    one("parquet super too long", Fails("XX000", SCAN, "…1224 String value exceeds the max size of "
        "65535 bytes…"), parquet(a=pa.array(['"' + "x" * 65_535 + '"'])), "a super", "observed",
        options="SERIALIZETOJSON", inferred="text"),
    one("parquet that is none", Fails("XX000", SCAN, "…has an invalid version number…"), b"PAR?",
        "a int", "observed"),
    Case("parquet manifest without sizes", "refused",
         (Step(PARQUET.format("t", "loads/sizes.manifest"),
               Fails("XX000", SCAN, "…15003…File entry does not have 'meta' key.…")),), "observed",
         objects=(("loads/sizes.manifest", manifest(("loads/sizes.parquet", None))),)),
    Case("parquet manifest with another size", "refused",
         (Step("CREATE TABLE x (a bigint)"), Step(PARQUET.format("x", "loads/other.manifest"),
               Fails("XX000", SCAN, "…InvalidRange…"))), "observed",
         objects=(("loads/other.parquet", parquet(a=IDS)),
                  ("loads/other.manifest", manifest(("loads/other.parquet", 9_999_999))))),
    Case("parquet file that is missing", "refused",
         (Step(PARQUET.format("t", "loads/gone.manifest"),
               Fails("XX000", "Spectrum Scan Error: File not found")),), "observed",
         objects=(("loads/gone.manifest", manifest(("loads/gone.parquet", 10))),)),
    Case("none of the files is there", "refused",
         (Step(PARQUET.format("t", "loads/none.manifest"), Fails("XX000", "…")),), MANIFEST,
         inferred="text",
         objects=(("loads/none.manifest", manifest(("loads/no.parquet", 10), mandatory=False)),)),
    # Text
    text("csv", Ok(), 'id,name\n1,"a, ""b"""\n', "id int, name varchar(9)", "CSV IGNOREHEADER 1",
         FORMATS, holds((1, 'a, "b"'))),
    text("pipes", Ok(), "1|a\n2|\\N\n", "id int, name varchar(9)", "", FORMATS,
         holds((1, "a"), (2, None))),
    text("empty as null", Ok(), "1|\n", "id int, name varchar(9)", "EMPTYASNULL", CONVERSION,
         holds((1, None))),
    text("empty stays empty", Ok(), "1|\n", "id int, name varchar(9)", "", CONVERSION, holds((1, ""))),
    text("scale is cut", Ok(), "1.239\n", "a decimal(6,2)", "", CONVERSION, holds((Decimal("1.23"),))),
    text("scale is rounded", Ok(), "1.235\n", "a decimal(6,2)", "ROUNDEC", CONVERSION,
         holds((Decimal("1.24"),))),
    text("columns are cut", Ok(), "abcdef\n", "a varchar(3)", "TRUNCATECOLUMNS", CONVERSION,
         holds(("abc",))),
    text("json auto", Ok(), OBJECT, "id int, name varchar(9)", "JSON 'auto'", FORMATS,
         holds((7, "seven"))),
    text("json keys are case-sensitive", Ok(), OBJECT.upper(), "id int, name varchar(9)",
         "JSON 'auto'", FORMATS, holds((None, None))),
    text("json ignorecase", Ok(), OBJECT.upper(), "id int, name varchar(9)",
         "JSON 'auto ignorecase'", FORMATS, holds((7, "SEVEN"))),
    text("errors below maxerror", Ok("Load into table 'x' completed, 1 record(s) could not be loaded.…"),
         "1\nx\n", "a int", "MAXERROR 2", "AWS docs: Data load operations", holds((1,)),
         inferred="text"),
    text("a row error", Fails("XX000", FAILED.format("x")), "x\n", "a int", "", "observed"),
    text("a missing delimiter", Fails("XX000", FAILED.format("x")), "1\n", "a int, b int", "",
         "observed"),
    refused("COPY t FROM '@s3@/loads/nowhere' @auth@ CSV", "XX000",
            "The specified S3 prefix '…' does not exist", "observed", inferred="code"),
    Case("a mandatory text file that is missing", "refused",
         (Step("COPY t FROM '@s3@/loads/text.manifest' @auth@ CSV MANIFEST",
               Fails("XX000", "Mandatory url is not present in manifest file.")),), "observed",
         objects=(("loads/text.manifest", manifest(("loads/gone.csv", None))),)),
    # UNLOAD
    unload("UNLOAD ('SELECT id FROM t LIMIT 1') TO '@s3@/un/l' @auth@", "42601",
           "Limit clause is not supported", "observed", ""),
    *(unload(f"UNLOAD ('SELECT id FROM t') TO '@s3@/un/p' @auth@ PARQUET {words}", "0A000", "…",
             inferred="code, text")
      for words in ("DELIMITER ','", "ADDQUOTES", "ESCAPE", "NULL AS 'x'", "HEADER", "GZIP", "BZIP2",
                    "ZSTD")),
    unload("UNLOAD ('SELECT id FROM t') TO '@s3@/un/p' @auth@ CSV ESCAPE", "0A000", "…",
           inferred="code, text"),
    unload("UNLOAD ('SELECT id FROM t') TO '@s3@/un/p' @auth@ ALLOWOVERWRITE CLEANPATH", "0A000", "…",
           inferred="code, text"),
    unload("UNLOAD ('SELECT id FROM t') TO '@s3@/un/p' @auth@ MAXFILESIZE 1 MB", "22023", "…",
           inferred="code, text"),
    Case("unload into what is not empty", "refused",
         (Step("UNLOAD ('SELECT id FROM t') TO '@s3@/un/full' @auth@ PARQUET", Fails("XX000",
               "Specified unload destination on S3 is not empty. Consider using a different bucket / "
               "prefix, manually removing the target files in S3, or using the ALLOWOVERWRITE option.")),),
         "observed", objects=(("un/full_of_files", b"x"),)),
    Case("unload and load again", "accepted",
         (Step("UNLOAD ('SELECT a, c FROM n') TO '@s3@/un/round_' @auth@ PARQUET MANIFEST ALLOWOVERWRITE",
               Ok("UNLOAD completed, 3 record(s) unloaded successfully.")),
          Step("SELECT pg_last_unload_count()", Rows(((3,),))),
          Step("CREATE TABLE x (a int, c decimal(10,2))"),
          Step("COPY x FROM '@s3@/un/round_manifest' @auth@ FORMAT PARQUET MANIFEST"),
          Step("SELECT count(*), sum(a) FROM x", Rows(((3, 4),)))), UNLOAD),
    Case("an empty unload leaves no file", "accepted",
         (Step("UNLOAD ('SELECT id FROM t WHERE id < 0') TO '@s3@/un/empty_' @auth@ PARQUET MANIFEST"),
          Step("SELECT pg_last_unload_count()", Rows(((0,),))),
          Step("COPY t FROM '@s3@/un/empty_' @auth@ FORMAT PARQUET"),
          Step("SELECT pg_last_copy_count()", Rows(((0,),)))), "observed"),
    *(Case(f"not here: {what}", "not here",
           (Step(sql, Fails("0A000", f"stand-in: {what} is not supported here")),), "stand-in")
      for what, sql in (
          ("COPY of format AVRO", "COPY t FROM '@s3@/none' @auth@ AVRO 'auto'"),
          ("COPY of format ORC", "COPY t FROM '@s3@/none' @auth@ FORMAT ORC"),
          ("COPY ... LZOP", "COPY t FROM '@s3@/none' @auth@ CSV LZOP"),
          ("COPY of encrypted files", "COPY t FROM '@s3@/none' @auth@ CSV ENCRYPTED"),
          ("COPY from anything but S3", "COPY t FROM 'dynamodb://t' @auth@"),
          ("UNLOAD of format JSON", "UNLOAD ('SELECT 1') TO '@s3@/un/j' @auth@ JSON"),
          ("UNLOAD ... FIXEDWIDTH", "UNLOAD ('SELECT 1') TO '@s3@/un/f' @auth@ FIXEDWIDTH '1:2'"),
          ("UNLOAD of files encrypted with a key of the user's",
           "UNLOAD ('SELECT 1') TO '@s3@/un/e' @auth@ KMS_KEY_ID 'k' ENCRYPTED"),
      )),
)  # fmt: skip
