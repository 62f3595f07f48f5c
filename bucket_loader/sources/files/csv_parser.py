"""pyarrow's CSV parser, set up so that it guesses nothing and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bucket_loader.config import CsvSource
from bucket_loader.model import SourceError
from bucket_loader.sources.files.bytestream import Utf8Blocks, as_utf8, chunks_of, empty
from bucket_loader.sources.files.csv_lines import first_lines
from bucket_loader.sources.files.escapes import Escapes
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.quotes import QuoteChecker
from bucket_loader.sources.files.separator import Text, without_separator

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
        separator: the delimiter that the file's `sep=` line says; None where it has none.
    """

    batches: "Iterator[pa.RecordBatch]"
    blocks: Utf8Blocks
    ragged: list[Ragged]
    separator: str | None = None


@dataclass(frozen=True)
class Parser:
    """How the files of one source are parsed.

    Attributes:
        spec: what the pipeline file says.
        block_bytes: how much is parsed at once.
        delimiter: None where neither the pipeline file nor a file's `sep=` line says one: a comma.
    """

    spec: CsvSource
    block_bytes: int
    delimiter: str | None

    def __post_init__(self) -> None:
        signs = (self._delimiter, self.spec.quote, self._escape)
        for sign in filter(None, signs):
            if not sign.isascii() or sign in "\r\n\0" or signs.count(sign) > 1:
                raise SourceError(
                    f"{self.spec.path}: {sign!r} cannot be the delimiter, the quote or the escape",
                    hint="each is one ASCII character, not a line break, and they differ",
                )

    @property
    def _delimiter(self) -> str:
        return self.delimiter or ","

    @property
    def _escape(self) -> str:
        # A quote that escapes a quote is what `""` is anyway.
        return self.spec.escape if self.spec.escape and self.spec.escape != self.spec.quote else ""

    @contextmanager
    def opened(self, file: InputFile, width: int = 0) -> Iterator[Parsing]:
        """Open a file; `width` is the number of columns, needed where it has no header.

        Raises:
            SourceError: the file cannot be read or parsed; also for what the body of the `with` reads from it.
        """
        chunks = chunks_of(file, self.spec.compression)
        try:
            text = without_separator(file, as_utf8(file, chunks, self.spec.encoding), self.delimiter)
            of_file = replace(self, delimiter=text.delimiter) if text.delimiter else self
        except BaseException:
            chunks.close()
            raise
        with of_file._parsing(file, text, chunks.close, width) as parsing:  # noqa: SLF001  # the same class
            yield parsing

    def lines(self, file: InputFile) -> Iterator[int]:
        """Return the line on which each row of a file begins, the header's first; files without escapes alone."""
        with closing(chunks_of(file, self.spec.compression)) as chunks:
            text = without_separator(file, as_utf8(file, chunks, self.spec.encoding), self.delimiter)
            first = 1 if text.delimiter is None else 2
            delimiter = text.delimiter or self._delimiter
            yield from first_lines(text.chunks, quote=self.spec.quote, delimiter=delimiter, line=first)

    @contextmanager
    def _parsing(self, file: InputFile, text: Text, close: Callable[[], None], width: int) -> Iterator[Parsing]:
        import pyarrow as pa

        signs = {"quote": self.spec.quote, "delimiter": self._delimiter}
        escapes = Escapes(self._escape, **signs) if self._escape else None
        quotes = QuoteChecker(file.name, **signs, escapes=escapes) if self.spec.quote else None
        sound = escapes.doubled(text.chunks) if escapes else text.chunks
        if quotes is not None:
            quotes.skipped_lines = int(text.delimiter is not None)
            sound = quotes.checked(sound)
        # Where the file has no header it gets one, so that its first row cannot set the width by being wrong.
        header = b"" if self.spec.header else self._delimiter.join(["x"] * width).encode() + b"\n"
        blocks = Utf8Blocks(sound, close, header=header)
        try:
            ragged: list[Ragged] = []
            with self._reader(blocks, ragged, escapes) as reader:
                yield Parsing(reader, blocks, ragged, text.delimiter)
        except pa.ArrowInvalid as error:
            raise self._refused(file, error, quotes) from error
        finally:
            blocks.close()

    def _reader(self, blocks: Utf8Blocks, ragged: list[Ragged], escapes: Escapes | None) -> "csv.CSVStreamingReader":
        import pyarrow as pa
        from pyarrow import csv

        def keep(row: Any) -> str:  # noqa: ANN401
            text = row.text if escapes is None else escapes.undoubled(row.text)
            # Rows are numbered from 1, the header included.
            ragged.append(Ragged(row.number - 1, row.actual_columns, row.expected_columns, text[:SHOWN_MAX]))
            return "skip"

        return csv.open_csv(
            pa.PythonFile(blocks, mode="r"),
            # One thread, because only then does the handler know the rows' numbers.
            read_options=csv.ReadOptions(
                use_threads=False, block_size=self.block_bytes, autogenerate_column_names=True
            ),
            parse_options=csv.ParseOptions(
                delimiter=self._delimiter,
                quote_char=self.spec.quote or False,
                escape_char=self._escape or False,
                newlines_in_values=bool(self.spec.quote or self._escape),
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
        return SourceError(
            f"{file.name} cannot be parsed: {text}", hint="check `delimiter:`, `quote:`, `escape:` and `encoding:`"
        )
