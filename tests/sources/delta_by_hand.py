"""Delta tables as other engines write them: a log by hand, for what the library here only reads."""

import base64
import json
import struct
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def column(name, kind="string", physical=None, number=None):
    """Return a column, or a member of a struct, as the log has it."""
    kept = {} if physical is None else {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
    return {"name": name, "type": kind, "nullable": True, "metadata": kept}


def hidden(*rows):
    """Return a deletion vector in the log itself that hides some rows, by their places."""
    bitmap = struct.pack("<iqIIIHHI", 1681511377, 1, 0, 12346, 1, 0, len(rows) - 1, 16)
    bitmap += struct.pack(f"<{len(rows)}H", *rows)
    padded = bitmap + b"\0" * (-len(bitmap) % 4)
    text = base64.b85encode(padded).decode()
    order = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    spelt = text.translate(str.maketrans(order, Z85))
    return {"storageType": "i", "pathOrInlineDv": spelt, "sizeInBytes": len(bitmap), "cardinality": len(rows)}


def delta_by_hand(folder, columns, files, **words):
    """Write a table.

    Args:
        folder: where.
        columns: made by `column`.
        files: for each the rows, the physical partition values and the deletion vector (or None), oldest first.
        words: `features` and `version` of the reader, `mode` of column mapping, `partitions`, `parquet` for its writer.
    """
    features, mode = words.get("features", ()), words.get("mode")
    (folder / "_delta_log").mkdir(parents=True)
    protocol = {
        "minReaderVersion": 3 if features else words.get("version", 2),
        "minWriterVersion": 7 if features else 5,
    }
    if features:
        protocol |= {"readerFeatures": list(features), "writerFeatures": list(features)}
    configuration = {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "99"} if mode else {}
    meta = {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}}, "createdTime": 0}
    meta |= {"schemaString": json.dumps({"type": "struct", "fields": columns}), "configuration": configuration}
    log = [{"protocol": protocol}, {"metaData": meta | {"partitionColumns": words.get("partitions", [])}}]
    for number, (held, values, vector) in enumerate(files):
        # Names that sort against the order in which the files were written.
        file = folder / f"{99 - number}.parquet"
        rows = held if isinstance(held, pa.Table) else pa.table(held)
        pq.write_table(rows, file, **words.get("parquet", {}))
        add = {"path": file.name, "partitionValues": values, "size": file.stat().st_size, "dataChange": True}
        add["stats"] = json.dumps({"numRecords": rows.num_rows})
        log.append({"add": add | {"modificationTime": number} | ({"deletionVector": vector} if vector else {})})
    (folder / "_delta_log" / f"{0:020}.json").write_text("\n".join(map(json.dumps, log)))
    return folder
