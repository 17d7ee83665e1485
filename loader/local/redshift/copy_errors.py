"""The envelope in which a Parquet COPY reports what went wrong: one text, the rest in a boxed DETAIL."""

from __future__ import annotations

from dataclasses import dataclass

from loader.local.redshift.errors import SqlError

SCAN_ERROR = "Spectrum Scan Error"
_RULE = "-----------------------------------------------"


@dataclass(eq=False, slots=True)
class LoadError(Exception):
    """One thing wrong with the data or the files of a COPY.

    Attributes:
        code: Redshift's own number, such as 15007.
        context: the sentence for a person.
        message: the error's first line.
        file: the object's URL, if it is about one.
        column: the column's name, if it is about one.
        type_name: the column's type, for the load-error tables.
        length: the column's length, for the load-error tables.
        line: row of the file, counted from 1; 0 = not known.
        value: start of the value.
    """

    code: int
    context: str
    message: str = SCAN_ERROR
    file: str = ""
    column: str = ""
    type_name: str = ""
    length: str = ""
    line: int = 0
    value: str = ""

    @property
    def about_data(self) -> bool:
        """Whether the load-error tables get a row."""
        return bool(self.file and self.column)

    def sql_error(self, query: int, process: int) -> SqlError:
        """The ErrorResponse."""
        place = "table_s3_scanner.cpp" if self.about_data else "dory_util.cpp"
        detail = (
            f"\n  {_RULE}\n"
            f"  error:  {self.message}\n"
            f"  code:      {self.code}\n"
            f"  context:   {self.context}\n"
            f"  query:     {query}\n"
            f"  location:  {place}\n"
            f"  process:   worker_thread [pid={process}]\n"
            f"  {_RULE}\n"
        )
        return SqlError("XX000", self.message, detail)


def s3_text(kind: str, status: int, code: str, key: str) -> str:
    """How Redshift quotes an answer of S3."""
    return f"S3ServiceException:{kind},Status {status},Error {code},Key {key}"


def access_denied() -> LoadError:
    """The keys of the statement open nothing."""
    text = "S3ServiceException:Access Denied,Status 403,Error AccessDenied"
    return LoadError(8001, text, message=text)


def no_manifest(key: str) -> LoadError:
    """FROM names no object."""
    text = "Problem reading manifest file - " + s3_text(
        "The specified key does not exist.", 404, "NoSuchKey", key
    )
    return LoadError(8001, text, message=text)


def manifest_path() -> LoadError:
    """FROM names a folder."""
    text = "COPY with MANIFEST parameter requires full path of an S3 object"
    return LoadError(8001, text, message=text)


def file_not_found(url: str) -> LoadError:
    """A mandatory entry names no object."""
    return LoadError(15001, f"File not found: {url}", f"{SCAN_ERROR}: File not found", file=url)


def no_prefix(url: str) -> LoadError:
    """No object's key begins so; only text formats mind."""
    _, _, prefix = url.removeprefix("s3://").partition("/")
    text = f"The specified S3 prefix '{prefix}' does not exist"
    return LoadError(8001, text, message=text)
