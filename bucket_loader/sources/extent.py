"""How much a source of files holds, told from their sizes and a few of their bytes, before anything is read.

What a plan takes on disk follows what the rows hold when they are compressed. So pieces of a text file are compressed;
a Parquet file is compressed already, and its footer counts its rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from bucket_loader.config import FileSource, ParquetSource, SourceSpec, type_of
from bucket_loader.model import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.input_file import InputFile
from bucket_loader.sources.files.listing import found

_LOOKED_AT: Final = 3  # files
_PIECE_BYTES: Final = 64 * 1024
_PACKED: Final = 0.9  # what can be made no smaller than this is compressed already: its lines are not there to count


@dataclass(frozen=True)
class Extent:
    """What is known of how much a source holds.

    Attributes:
        packed_bytes: its files, compressed. Until they are looked at their very size, which is never less.
        is_columnar: whether each column lies by itself, which packs it closer than a plan of rows can.
        rows: how many rows, about; None where nothing tells.
    """

    packed_bytes: int
    is_columnar: bool
    rows: int | None = None


def extent_of(spec: SourceSpec, context: SourceContext, *, looks: bool) -> Extent | None:
    """Return how much a source holds; None where that is not cheap to know.

    Args:
        spec: the source; only of files whose bytes are all rows anything is known.
        context: what fills its path in; which of its files were loaded before.
        looks: whether to open a few of the files, beside asking for their sizes.

    Raises:
        SourceUnavailableError: the store cannot be reached.
        SourceError: there is no such file, or one cannot be read.
    """
    if not (isinstance(spec, FileSource) and type_of(type(spec)).is_all_rows):
        return None
    known = {(file.name, file.bytes) for file in context.loaded or ()}
    sizes = [(file, file.size()) for file in found(spec, context, required=context.loaded is None)]
    fresh = [(file, size) for file, size in sizes if size is not None and (file.name, size) not in known]
    if len(sizes) != sum(size is not None for _, size in sizes):
        return None
    total, is_columnar = sum(size for _, size in fresh), isinstance(spec, ParquetSource)
    if not looks or not total:
        return Extent(total, is_columnar, None if total else 0)
    some = [fresh[place] for place in sorted({0, len(fresh) // 2, len(fresh) - 1})][:_LOOKED_AT]
    looked = [_parquet(file, size) if is_columnar else _text(file, size) for file, size in some if size]
    seen = sum(size for _, size in some) or 1
    packed, rows = sum(one.packed_bytes for one in looked), [one.rows for one in looked]
    counted = None if None in rows else sum(one.rows or 0 for one in looked)
    return Extent(packed * total // seen, is_columnar, None if counted is None else counted * total // seen)


def _parquet(file: InputFile, size: int) -> Extent:
    """Read a file's footer; its pages are compressed, unless it says that they are not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with file.open() as stream:
        try:
            footer = pq.read_metadata(stream)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{file.name} is not a sound Parquet file",
                hint="it may be cut short, damaged, or another format; copy or export it again",
            ) from error
        groups = [footer.row_group(place) for place in range(min(footer.num_row_groups, 1))]
        columns = [group.column(place) for group in groups for place in range(group.num_columns)]
        is_plain = any(column.compression == "UNCOMPRESSED" for column in columns)
        share = _share(_pieces(stream, size)) if is_plain else 1.0
    return Extent(int(size * share), is_columnar=True, rows=footer.num_rows)


def _text(file: InputFile, size: int) -> Extent:
    """Compress pieces of a file, and count their lines."""
    with file.open() as stream:
        pieces = _pieces(stream, size)
    share, seen = _share(pieces), sum(map(len, pieces))
    lines = sum(piece.count(b"\n") for piece in pieces)
    rows = lines * size // seen if lines and share < _PACKED else None
    return Extent(int(size * share), is_columnar=False, rows=rows)


def _pieces(stream: BinaryIO, size: int) -> list[bytes]:
    """Read the first bytes of a file, some in its middle, and the last ones."""
    places = (0, size // 2 - _PIECE_BYTES // 2, size - _PIECE_BYTES) if size > _PIECE_BYTES * 3 else (0,)
    found: list[bytes] = []
    for place in places:
        stream.seek(place)
        found.append(stream.read(_PIECE_BYTES * 3 // len(places)))
    return found


def _share(pieces: Sequence[bytes]) -> float:
    """Return the share of their size that pieces have when they are compressed as a plan is."""
    import pyarrow as pa

    packed = sum(len(pa.compress(piece, "zstd", asbytes=True)) for piece in pieces)
    return min(1.0, packed / max(1, sum(map(len, pieces))))
