"""The bytes of a CSV file on their way to the parser: decompressed, as sound UTF-8, with sound quotes.

Each step is a generator over chunks of about a MiB; `Utf8Blocks` joins them into the blocks that pyarrow asks for.
"""

import codecs
import re
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from bucket_loader.model import SourceError
from bucket_loader.sources.files.input_file import InputFile, in_order

CHUNK_BYTES: Final = 1024 * 1024

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    # A skippable frame, with which pzstd begins. Source: RFC 8878, 3.1.2
    **{bytes([0x50 + nibble]) + b"\x2a\x4d\x18": "zstd" for nibble in range(16)},
}
_SUFFIXES: Final = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_OTHER_MAGIC: Final = {
    b"ARROW1": "an Arrow file",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"PAR1": "a Parquet file",
    b"SQLite format 3\x00": "an SQLite database",
}

# Text that repeats itself compresses 1,030 times at most with gzip, so beyond 1,100 only zstd can go, where a bomb
# reaches 32,000. Small files are let be: a header and a few hundred equal rows are no danger.
_RATIO_MAX: Final = 1100
_RATIO_FREE_BYTES: Final = 64 * 1024 * 1024

_UTF8: Final = frozenset({"utf-8", "utf-8-sig"})
_UTF16: Final = frozenset({"utf-16", "utf-16-le", "utf-16-be"})
_BOM: Final = "\ufeff".encode()
# A byte that is not UTF-8 becomes this: a NUL, which no good row holds, and the byte's number. So one look for NUL
# finds both kinds of bad row, and the parser never meets bytes that it would have to decode.
_MARK: Final = re.compile(r"\0\\x[0-9a-f]{2}")
_ESCAPED: Final = re.compile("[\udc80-\udcff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HEAD_BYTES: Final = 64 * 1024  # of a file, to see in which order its bytes are
_ASCII: Final = frozenset(range(0x09, 0x7F))


def is_marked(value: str) -> bool:
    """Whether a value holds bytes that were not UTF-8."""
    return _MARK.search(value) is not None


def unmarked(value: str) -> str:
    r"""Spell the bytes that were not UTF-8 as `\xff`, for a person to see."""
    return _MARK.sub(lambda match: match[0][1:], value)


def codec_of(file: InputFile, head: bytes, declared: str) -> str | None:
    """Decide how a file is compressed: by its first bytes, which must agree with its name or with what is declared.

    Raises:
        SourceError: they do not agree, or the bytes are of something that is no text at all.
    """
    found = next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)
    by_name = _SUFFIXES.get(PurePosixPath(file.name).suffix.lower())
    if other := next((what for magic, what in _OTHER_MAGIC.items() if head.startswith(magic)), None):
        is_compressed = other.startswith("compressed")
        raise SourceError(
            f"{file.name} is {other}, not CSV or JSON Lines",
            hint="unpack it; gzip and zstd are read as they are"
            if is_compressed
            else "unpack it, or read it with the `type:` that it has: parquet, arrow, excel",
        )
    expected = by_name if declared == "auto" else {"none": None}.get(declared, declared)
    if head and found != expected:
        what = {"auto": "is named as if it were"}.get(declared, "is declared")
        raise SourceError(
            f"{file.name} {what} {_compressed(expected)}, but its bytes are {_compressed(found)}",
            hint=f"rename it, or write `compression: {found or 'none'}`",
        )
    return found


def _compressed(codec: str | None) -> str:
    return "plain" if codec is None else codec


def chunks_of(file: InputFile, compression: str) -> Generator[bytes]:
    """Return a file's decompressed bytes; the file is closed at the end, or when the generator is.

    Raises:
        SourceError: it cannot be read, is truncated or damaged, or expands beyond reason.
    """
    with in_order(file.open()) as raw:
        try:
            head = raw.read(16)
            raw.seek(0)
            codec = codec_of(file, head, compression)
            if codec is None:
                yield from iter(lambda: raw.read(CHUNK_BYTES), b"")
            else:
                yield from _decompressed(file, raw, codec)
        except OSError as error:
            raise file.trouble(error) or _damaged(file, error) from error


def _decompressed(file: InputFile, raw: BinaryIO, codec: str) -> Iterator[bytes]:
    import pyarrow as pa

    total = 0
    # pyarrow raises on a truncated stream (at any byte), on a wrong checksum and on what follows the last frame; the
    # usual Python readers of zstd end quietly there.
    with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec) as stream:
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except OSError as error:
                raise file.trouble(error) or _damaged(file, error, total) from error
            if not chunk:
                return
            total += len(chunk)
            if total > max(_RATIO_FREE_BYTES, _RATIO_MAX * raw.tell()):
                raise SourceError(
                    f"{file.name} expands more than {_RATIO_MAX:,} times, as no real export does",
                    hint="if it is yours and right, decompress it first and load the plain file",
                )
            yield chunk


def _damaged(file: InputFile, error: OSError, total: int = 0) -> SourceError:
    return SourceError(
        f"{file.name} is damaged or cut short: {error} (after {total:,} bytes of text)",
        hint="copy or export it again; nothing was sent",
    )


def as_utf8(file: InputFile, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    r"""Return the chunks as UTF-8 without a byte order mark.

    What is not valid under a declared UTF-8 is marked, so that its row can be rejected alone. So is half a character
    under UTF-16: databases cut texts there. Anything else that does not fit the declared encoding means that the
    declaration is wrong, which concerns the whole file.

    Raises:
        SourceError: the declared encoding is not the file's.
    """
    if codecs.lookup(encoding).name in _UTF8:
        yield from _without_bom(file, _marked(file, chunks))
    else:
        yield from _without_bom(file, _transcoded(file, chunks, encoding))


def _without_bom(file: InputFile, chunks: Iterator[bytes]) -> Iterator[bytes]:
    # A decoder may give nothing for a chunk that is part of one character; an empty chunk would look like the end.
    sound = filter(None, chunks)
    first = next(sound, b"").removeprefix(_BOM) or next(sound, b"")
    if not first:
        raise empty(file)
    yield first
    yield from sound


def empty(file: InputFile) -> SourceError:
    """Say that a file has nothing in it."""
    return SourceError(
        f"{file.name} is empty", hint="an export without rows still has a header; look at what writes it"
    )


def _marked(file: InputFile, chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    pending = b""
    for index, chunk in enumerate(chunks):
        if index == 0 and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise SourceError(f"{file.name} begins with the mark of UTF-16", hint="write `encoding: utf-16`")
        if not pending and chunk.isascii():
            yield chunk
            continue
        text = decoder.decode(chunk)
        pending = decoder.getstate()[0]
        yield _encoded(text)
    if pending:
        yield _encoded(decoder.decode(b"", final=True))


def _byte(escaped: re.Match[str]) -> str:
    return f"\0\\x{ord(escaped[0]) - 0xDC00:02x}"


def _encoded(text: str, bad: re.Pattern[str] = _ESCAPED, mark: Callable[[re.Match[str]], str] = _byte) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return bad.sub(mark, text).encode()


def _half(character: re.Match[str]) -> str:
    return "".join(f"\0\\x{byte:02x}" for byte in ord(character[0]).to_bytes(2, "big"))


def _check_order(file: InputFile, head: bytes, name: str) -> None:
    """Refuse UTF-16 in the other byte order, and what is none: its delimiters and line ends are of ASCII.

    Raises:
        SourceError: the declaration is not the file's.
    """
    pairs = list(zip(head[::2], head[1::2], strict=False))
    signs = {
        "utf-16-le": sum(1 for low, high in pairs if high == 0 and low in _ASCII),
        "utf-16-be": sum(1 for high, low in pairs if high == 0 and low in _ASCII),
    }
    marked = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(head[:2])
    declared = (marked or "utf-16-le") if name == "utf-16" else name
    likely = marked or max(signs, key=lambda order: signs[order])
    if not any(signs.values()):
        raise SourceError(
            f"{file.name} is not {name}: no sign in it looks like that",
            hint="declare the encoding it was written in, for example utf-8 or cp1252",
        )
    if declared != likely and (marked or not signs[declared]):
        what = "begins with the mark of" if marked else "has no byte order mark, and looks like"
        raise SourceError(f"{file.name} {what} {likely}", hint=f"write `encoding: {likely}`")


def _transcoded(file: InputFile, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    name = codecs.lookup(encoding).name
    is_utf16 = name in _UTF16
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass" if is_utf16 else "strict")
    consumed = pending = start = 0
    try:
        for chunk in chunks:
            if is_utf16 and consumed == 0:
                _check_order(file, chunk[:_HEAD_BYTES], name)
            start = consumed - pending
            consumed += len(chunk)
            yield _encoded(decoder.decode(chunk), _SURROGATE, _half)
            pending = len(decoder.getstate()[0])
        start = consumed - pending
        yield _encoded(decoder.decode(b"", final=True), _SURROGATE, _half)
    except UnicodeError as error:
        offset = start + error.start if isinstance(error, UnicodeDecodeError) else start
        raise SourceError(
            f"{file.name} is not {encoding}: byte {offset:,} (from 0) does not fit",
            hint="declare the encoding it was written in, for example utf-8, cp1252 or utf-16",
        ) from error


class Utf8Blocks:
    """The file-like that pyarrow reads from, and what it has noticed so far.

    pyarrow reads from a thread of its own, and whoever stops early closes from another: hence the lock.

    Attributes:
        holds_nul: a NUL has passed, so that some row must be rejected.
    """

    closed = False

    def __init__(self, chunks: Iterator[bytes], close: Callable[[], None], *, header: bytes = b"") -> None:
        self._chunks = chunks
        self._close = close
        self._rest = bytearray(header)
        self._last = header[-1:]
        self._lock = threading.Lock()
        self.holds_nul = False

    def readable(self) -> bool:
        """Whether this can be read: always."""
        return True

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""
        with self._lock:
            while len(self._rest) < size and not self.closed:
                chunk = next(self._chunks, None) or self._final_line_end()
                if not chunk:
                    break
                self.holds_nul = self.holds_nul or b"\0" in chunk
                self._last = chunk[-1:]
                self._rest += chunk
            block = bytes(self._rest[:size])
            del self._rest[:size]
            return block

    def _final_line_end(self) -> bytes:
        # pyarrow takes a header without one for an empty file.
        return b"" if self._last in b"\r\n" else b"\n"

    def close(self) -> None:
        """Close the file beneath."""
        with self._lock:
            self.closed = True
            self._close()
