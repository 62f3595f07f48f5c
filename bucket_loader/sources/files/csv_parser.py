"""pyarrow's CSV parser, set up so that it guesses nothing and loses nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bucket_loader.config import CsvSource
from bucket_loader.model import SourceError
from bucket_loader.sources.files.bytestream import Utf8Blocks, as_utf8, chunks_of, empty
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.quotes import QuoteChecker

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv

# Bytes the parser holds at once; a row must fit. Measured: 16 MiB is no faster, and takes 200 MB more.
BLOCK_BYTES: Final = 4 * 1024 * 1024
COLUMNS_MAX: Final = 4096
# Characters of a bad line or value that are kept for the dead letters.
SHOWN_MAX: Final = 2000


class Ragged(NamedTuple):
    """A row whose number of fields is not the header's."""

    row: int
    found: int
    expected: int
    line: str


@dataclass(frozen=True)
class Parsing:
    """A file being parsed.

    Attributes:
        batches: the good rows; the very first of them is the header.
        blocks: the bytes behind them.
        ragged: grows with the rows of the wrong width; a row is in it before its good neighbours are in `batches`.
    """

    batches: "Iterator[pa.RecordBatch]"
    blocks: Utf8Blocks
    ragged: list[Ragged]


@dataclass(frozen=True)
class Parser:
    """How the files of one source are parsed."""

    spec: CsvSource
    delimiter: str
    block_bytes: int

    def __post_init__(self) -> None:
        for sign in filter(None, (self.delimiter, self.spec.quote)):
            if not sign.isascii() or sign in "\r\n\0" or self.delimiter == self.spec.quote:
                raise SourceError(
                    f"{self.spec.path}: {sign!r} cannot be the delimiter or the quote",
                    hint="each is one ASCII character, not a line break, and they differ",
                )

    @contextmanager
    def opened(self, file: InputFile, width: int = 0) -> Iterator[Parsing]:
        """Open a file; `width` is the number of columns, needed where it has no header.

        Raises:
            SourceError: the file cannot be read or parsed; also for what the body of the `with` reads from it.
        """
        import pyarrow as pa

        chunks = chunks_of(file, self.spec.compression)
        text = as_utf8(file, chunks, self.spec.encoding)
        quotes = QuoteChecker(file.name, quote=self.spec.quote, delimiter=self.delimiter) if self.spec.quote else None
        # Where the file has no header it gets one, so that its first row cannot set the width by being wrong.
        header = b"" if self.spec.header else self.delimiter.join(["x"] * width).encode() + b"\n"
        blocks = Utf8Blocks(quotes.checked(text) if quotes else text, chunks.close, header=header)
        try:
            ragged: list[Ragged] = []
            with self._reader(blocks, ragged) as reader:
                yield Parsing(reader, blocks, ragged)
        except pa.ArrowInvalid as error:
            raise self._refused(file, error, quotes) from error
        finally:
            blocks.close()

    def _reader(self, blocks: Utf8Blocks, ragged: list[Ragged]) -> "csv.CSVStreamingReader":
        import pyarrow as pa
        from pyarrow import csv

        def keep(row: Any) -> str:  # noqa: ANN401
            # Rows are numbered from 1, the header included.
            ragged.append(Ragged(row.number - 1, row.actual_columns, row.expected_columns, row.text[:SHOWN_MAX]))
            return "skip"

        return csv.open_csv(
            pa.PythonFile(blocks, mode="r"),
            # One thread, because only then does the handler know the rows' numbers.
            read_options=csv.ReadOptions(
                use_threads=False, block_size=self.block_bytes, autogenerate_column_names=True
            ),
            parse_options=csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self.spec.quote or False,
                newlines_in_values=bool(self.spec.quote),
                invalid_row_handler=keep,
            ),
            # More columns of text than any file has, so that no type is ever inferred.
            convert_options=csv.ConvertOptions(
                check_utf8=False,
                column_types={f"f{index}": pa.string() for index in range(COLUMNS_MAX)},
                null_values=["", *self.spec.null_values],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _refused(self, file: InputFile, error: Exception, quotes: QuoteChecker | None) -> SourceError:
        text = str(error)
        if "Empty CSV file" in text:
            return empty(file)
        if "straddl" in text:
            line = quotes.opened_line if quotes else None
            opened = f"; a quoted field that begins on line {line} was still open" if line else ""
            return SourceError(
                f"{file.name}: a row is longer than {self.block_bytes:,} bytes{opened}",
                hint="a quote may be missing, or not doubled",
            )
        return SourceError(f"{file.name} cannot be parsed: {text}", hint="check `delimiter:`, `quote:` and `encoding:`")
